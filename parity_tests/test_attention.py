"""Attention: the fused form against the explicit one, and inputs that no attention can use."""

from __future__ import annotations

import unittest
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
import torch
from diglot.core import backend, floor
from diglot.core.errors import InputError
from diglot.core.noise import generator
from diglot.core.state import random_state
from diglot.core.techniques.dropout import Dropout
from diglot.core.verdict import Verdict
from diglot.keras_impl import attention as keras_parts
from diglot.keras_impl.precision import precision
from diglot.keras_impl.techniques import dropout as keras_dropout
from diglot.torch_impl import attention as torch_parts
from diglot.torch_impl.techniques import dropout as torch_dropout
from parameterized import parameterized

import diglot

from .agreement import agreement

SIDES = ("torch", "keras")
SIZES = {"small": (2, 3, 5, 6, 4), "long": (2, 2, 70, 65, 16)}  # batch, heads, queries, keys, channels
MASKS = ("none", "boolean", "additive", "minus infinity")
CASES = [(side, size, mask) for side in SIDES for size in SIZES for mask in MASKS]
TOKENS = {"a token above the vocabulary": 11, "a negative token": -1}


def drawn(size: str, mask: str) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Queries, keys and values in float32, and a mask that leaves nothing of one row, and of another all."""
    batch, heads, queries, keys, channels = SIZES[size]
    rng = generator(0, "attention", size)
    shapes = [(batch, heads, length, channels) for length in (queries, keys, keys)]
    arrays = [rng.standard_normal(shape).astype("float32") for shape in shapes]
    numbers = rng.standard_normal((batch, heads, queries, keys)).astype("float32")
    kept = numbers > -0.4
    kept[0, :, 1], kept[1, :, 2] = False, True
    numbers_or_none = {"none": None, "boolean": kept, "additive": numbers}
    return arrays, numbers_or_none.get(mask, np.where(kept, numbers, np.float32(-np.inf)))


def attended(side: str, arrays: list[np.ndarray], mask: np.ndarray | None, explicit: bool) -> dict[str, np.ndarray]:
    """What is attended to, and the gradients of one combination of it."""
    return {"torch": torch_attended, "keras": keras_attended}[side](arrays, mask, explicit)


def torch_attended(arrays: list[np.ndarray], mask: np.ndarray | None, explicit: bool) -> dict[str, np.ndarray]:
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    attention_map = torch_parts.AttentionMap()
    attention_map.explicit = explicit
    given = None if mask is None else torch.tensor(mask)
    output, _ = torch_parts.attend(*tensors, given, attention_map, torch_dropout.build(Dropout(rate=0.0)))
    found = torch.autograd.grad((output * torch.tensor(arrays[0])).sum(), tensors)
    return named([tensor.detach().numpy() for tensor in (output, *found)])


def keras_attended(arrays: list[np.ndarray], mask: np.ndarray | None, explicit: bool) -> dict[str, np.ndarray]:
    tensors = [tf.constant(array) for array in arrays]
    attention_map = keras_parts.AttentionMap()
    attention_map.explicit = explicit
    given = None if mask is None else tf.constant(mask)
    with precision(arrays[0].dtype.name), tf.GradientTape() as tape:
        tape.watch(tensors)
        output, _ = keras_parts.attend(*tensors, given, attention_map, keras_dropout.build(Dropout(rate=0.0)))
        value = tf.reduce_sum(output * arrays[0])
    return named([tensor.numpy() for tensor in (output, *tape.gradient(value, tensors))])


def named(arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    return dict(zip(("output", "gradient of query", "gradient of key", "gradient of value"), arrays, strict=True))


class FusedAndExplicit(unittest.TestCase):
    @parameterized.expand(CASES)
    def test_both_forms_are_the_same(self, side: str, size: str, mask: str) -> None:
        arrays, given = drawn(size, mask)
        fused, explicit = (attended(side, arrays, given, form) for form in (False, True))
        for name, array in fused.items():
            self.assertTrue(np.all(np.isfinite(array)), name)
            self.assertIs(agreement(explicit[name], array, floor.WIDE).verdict, Verdict.EQUAL, name)
        if mask in ("boolean", "minus infinity"):
            for found in (fused, explicit):
                self.assertFalse(found["output"][0, :, 1].any())
                self.assertFalse(found["gradient of query"][0, :, 1].any())

    @parameterized.expand(SIDES)
    def test_the_fused_form_is_taken_in_float32_alone(self, side: str) -> None:
        arrays, given = drawn("small", "boolean")
        with refusing_fused(side):
            attended(side, arrays, given, True)
            attended(side, [array.astype("float64") for array in arrays], given, False)
            with self.assertRaises(AssertionError):
                attended(side, arrays, given, False)

    @parameterized.expand(SIDES)
    def test_taps_in_float32_show_the_maps(self, side: str) -> None:
        spec = diglot.spec("transformer_lm_small")
        model = diglot.build(spec, side)
        diglot.set_state(model, random_state(spec))
        tokens = spec.example(generator(0, "taps"))["tokens"]
        with refusing_fused(side):
            taps = diglot.taps(model, tokens)
        for index in range(spec.num_layers):
            sums = taps[f"blocks.{index}.attention.map"].sum(axis=-1)
            self.assertIs(agreement(np.ones(sums.shape), sums, floor.WIDE).verdict, Verdict.EQUAL)
        whole = backend.load(side).forward(model, {"tokens": tokens}).outputs["logits"]
        self.assertIs(agreement(whole, taps["head"], floor.WIDE).verdict, Verdict.EQUAL)


def refusing_fused(side: str) -> Any:
    """Where the fused kernel fails."""
    kernel = {
        "torch": "torch.nn.functional.scaled_dot_product_attention",
        "keras": "keras.ops.dot_product_attention",
    }[side]
    return mock.patch(kernel, side_effect=AssertionError("the fused form was taken"))


def sentence_of(test: unittest.TestCase, call: Any, kind: type[Exception] = InputError) -> str:
    with test.assertRaises(kind) as caught:
        call()
    return str(caught.exception)


def native(side: str, array: np.ndarray) -> Any:
    return torch.tensor(array) if side == "torch" else tf.constant(array)


class BadInput(unittest.TestCase):
    @parameterized.expand(
        [(side, name, shape) for side in SIDES for name, shape in (
            ("no heads", (2, 5, 6)),
            ("of two heads and one axis more", (1, 2, 2, 5, 6)),
            ("queries and keys swapped", (2, 2, 6, 5)),
            ("of another batch", (3, 2, 5, 6)),
            ("of too few keys", (2, 2, 5, 4)),
            ("of a head too many", (2, 3, 5, 6)),
        )]
    )  # fmt: skip
    def test_masks_of_another_shape(self, side: str, name: str, shape: tuple[int, ...]) -> None:
        model = diglot.build(diglot.spec("multi_head_attention_small"), side)
        rng = generator(0, "mask")
        arrays = [rng.standard_normal((2, length, 6)).astype("float32") for length in (5, 6, 6)]
        given = [native(side, array) for array in (*arrays, np.ones(shape, "int64"))]
        self.assertEqual(
            sentence_of(self, lambda: model(*given)),
            f"an attention_mask of {shape} does not fit 2 heads, 5 queries and 6 keys in a batch of 2; it must be "
            "(batch, heads, queries, keys)",
        )

    def test_a_mask_of_another_shape_in_a_graph(self) -> None:
        model = diglot.build(diglot.spec("multi_head_attention_small"), "keras")
        arrays = [np.ones((2, length, 6), "float32") for length in (5, 6, 6)]
        found = sentence_of(self, lambda: model.predict([*arrays, np.ones((2, 2, 6, 5), "int64")], verbose=0))
        self.assertIn("an attention_mask of (2, 2, 6, 5) does not fit 2 heads, 5 queries and 6 keys", found)

    @parameterized.expand([(side, mask) for side in SIDES for mask in ("boolean", "additive")])
    def test_a_mask_of_another_form(self, side: str, mask: str) -> None:
        """Numbers for True and False would be added to the scores, and so mask nothing."""
        model = diglot.build(diglot.spec("multi_head_attention_small", mask=mask), side)
        arrays = [np.ones((2, length, 6), "float32") for length in (5, 6, 6)]
        wrong = np.ones((2, 2, 5, 6), "float32" if mask == "boolean" else "int64")
        found = sentence_of(self, lambda: model(*(native(side, array) for array in (*arrays, wrong))))
        self.assertRegex(found, "by True and False or 1 and 0|must hold floating-point numbers")

    @parameterized.expand(SIDES)
    def test_tokens_that_are_not_whole(self, side: str) -> None:
        model = diglot.build(diglot.spec("transformer_lm_small"), side)
        found = sentence_of(self, lambda: model(native(side, np.full((1, 3), 2.9))))
        self.assertRegex(found, "tokens are whole numbers, and these are .*float")

    @parameterized.expand(SIDES)
    def test_what_a_reader_cannot_do(self, side: str) -> None:
        model = diglot.build(diglot.spec("transformer_lm_small_bert"), side)
        self.assertIn("does not write", sentence_of(self, lambda: model.start(1)))
        self.assertIn("must be given token_types", sentence_of(self, lambda: model(native(side, np.ones((1, 3), int)))))

    @parameterized.expand([(side, name) for side in SIDES for name in TOKENS])
    def test_tokens_outside_of_the_vocabulary(self, side: str, name: str) -> None:
        tokens = np.arange(8).reshape(2, 4)
        tokens[1, 2] = TOKENS[name]
        low, high = tokens.min(), tokens.max()
        model = diglot.build(diglot.spec("transformer_lm_small"), side)
        self.assertEqual(
            sentence_of(self, lambda: model(native(side, tokens))),
            f"tokens lie between {low} and {high}, and the vocabulary is 0 to 10",
        )

    @parameterized.expand(SIDES)
    def test_token_types_that_there_are_not(self, side: str) -> None:
        model = diglot.build(diglot.spec("transformer_lm_small_bert"), side)
        tokens = native(side, np.ones((2, 4), "int64"))
        self.assertEqual(
            sentence_of(self, lambda: model(tokens, tokens + 1)),
            "tokens lie between 2 and 2, and the vocabulary is 0 to 1",
        )

    @parameterized.expand(
        [(side, name) for side in SIDES for name in ("transformer_lm_small_encoder", "transformer_lm_small_open",
                                                     "grouped_query_attention_small")]
    )  # fmt: skip
    def test_sequences_beyond_the_longest(self, side: str, name: str) -> None:
        spec = diglot.spec(name)
        model, longest = diglot.build(spec, side), spec.max_len
        arrays = {"x": np.ones((2, longest + 1, 8), "float32"), "tokens": np.ones((2, longest + 1), "int64")}
        given = native(side, arrays[spec.inputs()[0].name])
        self.assertEqual(
            sentence_of(self, lambda: model(given)),
            f"a sequence of {longest + 1} positions is longer than max_len {longest}",
        )

    def test_in_a_graph(self) -> None:
        model = diglot.build(diglot.spec("transformer_lm_small_open"), "keras")
        good = np.arange(8).reshape(2, 4)
        step = tf.function(model, input_signature=[tf.TensorSpec((None, None), tf.int64)])
        self.assertTrue(np.all(np.isfinite(step(good))))
        model.compile(keras.optimizers.SGD(0.1), "mean_squared_error", jit_compile="auto")
        model.predict(good, verbose=0)
        for call in (step, lambda tokens: model.predict(tokens, verbose=0)):
            for token in TOKENS.values():
                bad = np.where(good == 3, token, good)
                found = sentence_of(self, lambda call=call, bad=bad: call(bad), tf.errors.InvalidArgumentError)
                self.assertIn("[the vocabulary is 0 to 10, and tokens lie outside]", found)
            long = np.ones((2, 17), "int64")
            found = sentence_of(self, lambda call=call, long=long: call(long), tf.errors.InvalidArgumentError)
            self.assertIn("[the sequence is longer than max_len 16]", found)

    def test_xla_would_leave_the_assertions_out(self) -> None:
        model = diglot.build(diglot.spec("transformer_lm_small"), "keras")
        with self.assertWarnsRegex(UserWarning, "Proceeding with `jit_compile=False`"):
            model.compile(keras.optimizers.SGD(0.1), "mean_squared_error", jit_compile=True)
        self.assertFalse(model.jit_compile)


class Padding(unittest.TestCase):
    @parameterized.expand([(side, head, causal) for side in SIDES for head in ("unit_mean", "mean", "pooler", "logits")
                           for causal in (False, True) if not (causal and head == "pooler")])  # fmt: skip
    def test_a_row_of_padding_alone(self, side: str, head: str, causal: bool) -> None:
        spec = diglot.spec("transformer_lm_small_encoder", head=head, causal=causal)
        model = diglot.build(spec, side, "float64")
        state = random_state(spec)
        diglot.set_state(model, state)
        tokens = np.full((2, 6), spec.pad_token_id)
        tokens[0, :4] = (1, 2, 4, 5)
        module = backend.load(side)
        outputs = module.forward(model, {"tokens": tokens}).outputs
        cotangents = {name: np.ones_like(array) for name, array in outputs.items()}
        for found in (outputs, module.pull_back(model, {"tokens": tokens}, cotangents)):
            self.assertTrue(all(np.all(np.isfinite(array)) for array in found.values()))
        if head in ("unit_mean", "mean"):
            self.assertFalse(outputs["pooled"][1].any())
            self.assertTrue(outputs["pooled"][0].any())


class HalfPrecision(unittest.TestCase):
    """A hidden score is one that half precision can hold, and weighs nothing."""

    @parameterized.expand([("float16",), ("bfloat16",)])
    def test_hidden_keys(self, dtype: str) -> None:
        scores = generator(0, "scores").standard_normal((2, 3, 4))
        mask = np.array([True, False, True, True])
        native = torch_parts.AttentionMap()(torch.tensor(scores, dtype=getattr(torch, dtype)), torch.tensor(mask))
        layer = keras_parts.AttentionMap(dtype=dtype)
        other = np.asarray(tf.cast(layer(tf.cast(scores, dtype), tf.constant(mask)), "float64"))
        for weights in (native.double().numpy(), other):
            self.assertTrue((weights[..., 1] == 0).all())
            self.assertTrue((weights[..., [0, 2, 3]] > 0).all())
