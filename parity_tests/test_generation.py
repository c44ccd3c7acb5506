"""`diglot.generate` as a user meets it, and the check of generation, both tried on a toy in NumPy."""

from __future__ import annotations

import unittest
from typing import Any
from unittest import mock

import numpy as np
from diglot.core import generation
from diglot.core.check_generation import Script, forgetful
from diglot.core.checks import CHECKS
from diglot.core.errors import InputError, SpecError
from diglot.core.inputs import named
from diglot.core.judge import judge
from diglot.core.locate import Fault
from diglot.core.plan import Task
from diglot.core.results import Cell
from parameterized import parameterized

import diglot

from .toy_text import Side, Toys, ToyText, model

DECODER, BOTH = ToyText(), ToyText(form="encoder_decoder", pad_token_id=0)


def made(spec: ToyText, inputs: Any, **options: Any) -> np.ndarray:
    return generation.generate(Side(), model(spec), inputs, **{"max_new_tokens": 4, **options})  # type: ignore


class Generate(unittest.TestCase):
    prompts = ((1, 2), (3, 4), (5, 6))

    @parameterized.expand(
        [
            ("greedy", {}),
            ("sample", {"top_k": 3, "top_p": 0.8, "temperature": 2.0, "seed": 4}),
            ("beam", {"num_beams": 3, "end_token_id": 2, "pad_token_id": 0}),
        ]
    )
    def test_cached_and_uncached_are_the_same(self, strategy: str, options: Any) -> None:
        found = made(DECODER, self.prompts, strategy=strategy, **options)
        np.testing.assert_array_equal(found[:, :2], self.prompts)
        self.assertEqual(found.dtype, np.int64)
        np.testing.assert_array_equal(found, made(DECODER, self.prompts, strategy=strategy, cache=False, **options))

    def test_behind_an_encoder_the_start_is_left_out(self) -> None:
        source = [[1, 2, 3], [4, 0, 0]]
        found = made(BOTH, {"source": source}, start_token_id=1)
        self.assertEqual(found.shape, (2, 4))
        np.testing.assert_array_equal(found, made(BOTH, source, start_token_id=1))
        self.assertTrue(np.any(found != made(BOTH, source, start_token_id=2)))
        np.testing.assert_array_equal(found, made(BOTH, source, start_token_id=1, cache=False))

    def test_what_follows_the_end_is_the_padding_of_the_spec(self) -> None:
        options = {"start_token_id": 1, "max_new_tokens": 8, "strategy": "sample", "seed": 3}
        free = made(BOTH, [[1, 2], [3, 5]], **options)
        found = made(BOTH, [[1, 2], [3, 5]], end_token_id=int(free[0, 1]), **options)
        np.testing.assert_array_equal(found[0, :2], free[0, :2])
        self.assertGreater(found.shape[1], 2)
        self.assertEqual(found[0, 2:].tolist(), [0] * (found.shape[1] - 2))

    @parameterized.expand(
        [
            (DECODER, [[7, 1]], {}, "toy_text takes whole numbers from 0 to 6 as tokens, and tokens[0, 0] is 7"),
            (DECODER, [[1, -1]], {}, "toy_text takes whole numbers from 0 to 6 as tokens, and tokens[0, 1] is -1"),
            (DECODER, [[1] * 10], {}, "toy_text takes at most 9 tokens in a row, not 10"),
            (
                DECODER,
                [[1] * 7],
                {},
                "generate: a prompt of 7 and 4 new tokens are too many: toy_text is given at most 9 tokens as its "
                "tokens",
            ),
            (DECODER, np.zeros((2, 0), int), {}, "toy_text needs at least one number in tokens, not (2, 0)"),
            (
                DECODER,
                [1, 2],
                {},
                "toy_text takes tokens as int (batch, time), like (None, 9), not as int64 (2,)",
            ),
            (
                DECODER,
                [[1.0]],
                {},
                "toy_text takes tokens as int (batch, time), like (None, 9), not as float64 (1, 1)",
            ),
            (
                DECODER,
                [[True]],
                {},
                "toy_text takes tokens as int (batch, time), like (None, 9), not as bool (1, 1)",
            ),
            (DECODER, [[1, 2], [3]], {}, "toy_text takes tokens as one array, whose rows are equally long"),
            (DECODER, {"token": [[1]]}, {}, "toy_text needs the input 'tokens'; did you mean 'token'?"),
            (
                DECODER,
                [[1]],
                {"start_token_id": 1},
                "generate: toy_text goes on from its tokens, and has no use for a start_token_id",
            ),
            (
                DECODER,
                [[1]],
                {"end_token_id": 7},
                "generate: end_token_id is 7, and the tokens of toy_text go from 0 to 6",
            ),
            (DECODER, [[1]], {"strategy": "sample", "top_k": 8}, "generate: top_k is 8, and toy_text has 7 tokens"),
            (
                ToyText(pad_token_id=0),
                [[1, 1], [0, 1]],
                {},
                "generate: row 1 of tokens has padding in it (token 0), and prompts are of one length",
            ),
            (BOTH, [[1], [0]], {}, "row 1 of source is padding alone (token 0), so it says nothing"),
            (BOTH, [[1]], {}, "generate: toy_text needs a start_token_id for its target, and it is None"),
            (
                BOTH,
                [[1]],
                {"start_token_id": 0},
                "generate: toy_text needs a start_token_id for its target, and it is 0, the padding, which nothing "
                "attends to",
            ),
            (
                BOTH,
                {"source": [[1]], "target": [[1]]},
                {"start_token_id": 1},
                "generate: toy_text makes its target by itself, from start_token_id on",
            ),
            (
                ToyText(form="encoder"),
                [[1]],
                {},
                "this toy_text does not generate: that needs logits of the next token at every position",
            ),
        ]
    )
    def test_bad_input(self, spec: ToyText, inputs: Any, options: Any, sentence: str) -> None:
        with self.assertRaises(InputError) as caught:
            made(spec, inputs, **options)
        self.assertEqual(str(caught.exception), sentence)

    def test_an_option_that_is_none(self) -> None:
        with self.assertRaises(SpecError):
            made(DECODER, [[1]], start_token_id="a")


def checked(pair: Toys) -> Cell:
    """The cell of the check of generation."""
    task = Task("toy_text", pair.spec, "generation", "float64", 0)
    return judge(task, CHECKS["generation"][0](pair, "float64"), pair)


def shift(toy: Any) -> None:
    toy.shift = lambda start: start - (start > 0)


def reverse(toy: Any) -> None:
    toy.keep = lambda kept, new: np.concatenate([new, kept], axis=1)


def overwrite(toy: Any) -> None:
    toy.keep = lambda kept, new: np.concatenate([kept[:, :-1], new, new], axis=1)


def forget(toy: Any) -> None:
    toy.order = lambda kept, rows: kept[np.arange(len(rows)) % len(kept)]


class Check(unittest.TestCase):
    @parameterized.expand([(DECODER,), (BOTH,), (ToyText(max_len=2),), (ToyText(pad_token_id=1),)])
    def test_correct_code_is_equal(self, spec: ToyText) -> None:
        cell = checked(Toys(spec))
        self.assertEqual((cell.verdict, cell.located), ("equal", None), cell)
        self.assertLess(cell.ratio, 10)
        self.assertEqual(cell.tensors, 8 + 12)

    @parameterized.expand(
        [(plant.__name__, side, plant) for plant in (shift, reverse, overwrite, forget) for side in ("torch", "keras")]
    )
    def test_a_wrong_cache_is_located(self, name: str, side: str, plant: Any) -> None:
        cell = checked(Toys(DECODER, side, plant))
        self.assertEqual((cell.verdict, cell.located), ("different", "map"), cell)
        self.assertIn("PyTorch" if side == "torch" else "Keras", cell.cause or "")
        self.assertEqual("after the rows were reordered" in (cell.cause or ""), name == "forget")

    def test_where_each_side_agrees_with_itself_the_ordinary_replay_is_asked(self) -> None:
        def plant(toy: Any) -> None:
            toy.scale = 1.01

        with mock.patch("diglot.core.locate_decoding.locate_between", return_value=Fault("map", "scaled")) as asked:
            cell = checked(Toys(DECODER, "keras", plant))
        self.assertEqual((cell.verdict, cell.located), ("different", "map"))
        asked.assert_called_once()

    def test_a_network_that_forgets_could_not_fail(self) -> None:
        toys = Toys(DECODER)
        toys.state["value.kernel"][:] = 0
        cell = checked(toys)
        self.assertEqual(cell.verdict, "different")
        self.assertIn("could not fail", cell.cause or "")
        self.assertEqual(forgetful(Toys(DECODER)), [])

    @parameterized.expand([(time,) for time in range(2, 11)])
    def test_every_token_is_fed_once_and_rows_change(self, time: int) -> None:
        class Recorder:
            def __init__(self) -> None:
                self.text = np.zeros((3, 0), dtype=np.int64)
                self.reordered = 0

            def step(self, tokens: np.ndarray) -> np.ndarray:
                self.text = np.concatenate([self.text, tokens], axis=1)
                return self.text

            def reorder(self, rows: np.ndarray) -> None:
                self.text, self.reordered = self.text[rows], self.reordered + 1

        tokens = np.arange(3 * time).reshape(3, time)
        script, recorder = Script.of({"tokens": tokens}, "tokens"), Recorder()
        for end, text in zip(script.ends, script.feed(recorder), strict=True):  # type: ignore[arg-type]
            np.testing.assert_array_equal(text, script.whole(end, "tokens")["tokens"])
        self.assertEqual(recorder.reordered, 1)
        np.testing.assert_array_equal(recorder.text, tokens[[2, 1, 0, 0]])


class Inputs(unittest.TestCase):
    """Inputs of several tensors, whose sizes must agree."""

    spec = diglot.spec("scaled_dot_product_attention_small")

    def given(self, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
        usual = {"query": (2, 2, 5, 4), "key": (2, 2, 6, 4), "value": (2, 2, 6, 3), "attention_mask": (2, 2, 5, 6)}
        return {name: np.ones(shape, bool if "mask" in name else float) for name, shape in (usual | shapes).items()}

    def test_masks_may_be_boolean(self) -> None:
        self.assertEqual(named(self.spec, self.given())["attention_mask"].dtype, np.int64)

    @parameterized.expand(
        [
            ({"value": (2, 2, 7, 3)}, "keys is 6 in key and 7 in value"),
            ({"attention_mask": (2, 2, 6, 6)}, "queries is 5 in query and 6 in attention_mask"),
            ({"attention_mask": (1, 2, 5, 6)}, "batch is 2 in query and 1 in attention_mask"),
        ]
    )
    def test_sizes_that_do_not_agree(self, shapes: Any, sentence: str) -> None:
        with self.assertRaises(InputError) as caught:
            named(self.spec, self.given(**shapes))
        self.assertEqual(str(caught.exception), f"scaled_dot_product_attention: {sentence}, and should be the same")

    def test_a_mask_of_other_numbers(self) -> None:
        with self.assertRaises(InputError) as caught:
            named(self.spec, {**self.given(), "attention_mask": np.full((2, 2, 5, 6), -1)})
        self.assertIn("takes whole numbers from 0 to 1 as attention_mask", str(caught.exception))


class Verb(unittest.TestCase):
    """The verb itself, on real siblings."""

    def test_both_sides_write_the_same(self) -> None:
        spec = diglot.spec("transformer_lm_small_pre")
        state = diglot.initial_state(spec)
        options: dict[str, Any] = {"max_new_tokens": 6, "strategy": "sample", "top_p": 0.9, "seed": 2}
        found = []
        for side in ("torch", "keras"):
            text = diglot.build(spec, side)
            diglot.set_state(text, state)
            found.append(diglot.generate(text, [[1, 2, 3], [4, 5, 6]], **options))
            with self.assertRaises(InputError):
                diglot.generate(text, [[1, 0]], **options)
        np.testing.assert_array_equal(*found)
        self.assertEqual(found[0].shape, (2, 9))
