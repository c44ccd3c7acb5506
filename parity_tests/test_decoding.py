"""Text generation on toy networks in NumPy: every strategy against a naive reference, ends, padding and draws."""

from __future__ import annotations

import itertools
import math
import unittest
from typing import Any

import numpy as np
from diglot.core import sampling
from diglot.core.backend import Run
from diglot.core.beams import Beams, penalty
from diglot.core.decoding import Decoding, Uncached, decode
from diglot.core.errors import InputError, SpecError
from diglot.core.noise import generator
from parameterized import parameterized

VOCABULARY = 4
END = 0


class Table:
    """A decoder whose logits depend on all tokens so far: on the last two by a table, and on how many there are."""

    def __init__(self, seed: int, batch: int = 1, vocabulary: int = VOCABULARY) -> None:
        rng = np.random.default_rng(seed)
        self.table = 2 * rng.standard_normal((batch, vocabulary, vocabulary, vocabulary))
        self.pace = rng.standard_normal((12, vocabulary))
        self.owner = np.arange(batch)  # whose text each row is
        self.text = np.zeros((batch, 0), dtype=np.int64)
        self.calls: dict[str, Any] = {}
        self.fed: list[tuple[int, ...]] = []

    def logits(self, row: int, text: tuple[int, ...]) -> np.ndarray:
        before = text[-2] if len(text) > 1 else 0
        return np.asarray(self.table[row, before, text[-1]] + self.pace[len(text)])

    def step(self, tokens: np.ndarray) -> np.ndarray:
        self.fed.append(tokens.shape)
        self.text = np.concatenate([self.text, tokens], axis=1)
        return np.stack([self.logits(row, tuple(text)) for row, text in zip(self.owner, self.text, strict=True)])

    def reorder(self, rows: np.ndarray) -> None:
        self.text, self.owner = self.text[rows], self.owner[rows]


def log_shares(logits: np.ndarray) -> np.ndarray:
    return np.asarray(logits - np.log(np.sum(np.exp(logits))))


def best_text(decoder: Table, row: int, prompt: tuple[int, ...], new: int, alpha: float, end: int | None) -> Any:
    """The best of all texts there are, one by one: each ends with the end token, or is as long as allowed."""
    scored = []
    for length in range(1, new + 1):
        for text in itertools.product(range(VOCABULARY), repeat=length):
            if end in text[:-1] or (length < new and text[-1] != end):
                continue
            total = 0.0
            for index, token in enumerate(text):
                total += log_shares(decoder.logits(row, prompt + text[:index]))[token]
            scored.append((total / ((5 + length) / 6) ** alpha, text))
    return max(scored)


class BeamSearch(unittest.TestCase):
    @parameterized.expand([(alpha, end, seed) for alpha in (0.0, 0.6, 2.0) for end in (END, None) for seed in range(3)])
    def test_with_room_for_all_it_finds_the_best_text(self, alpha: float, end: int | None, seed: int) -> None:
        new, batch = 4, 3
        prompt = np.random.default_rng(seed).integers(VOCABULARY, size=(batch, 2))
        decoder = Table(seed, batch)
        options = Decoding(
            strategy="beam",
            num_beams=VOCABULARY**new,
            max_new_tokens=new,
            length_penalty=alpha,
            end_token_id=end,
            pad_token_id=3,
        )
        found = decode(decoder, prompt, options)
        for row in range(batch):
            _, text = best_text(decoder, row, tuple(prompt[row]), new, alpha, end)
            self.assertEqual(tuple(found[row]), (*text, *[3] * (found.shape[1] - len(text))))

    def test_one_beam_without_an_end_is_greedy(self) -> None:
        prompt = np.array([[1], [2]])
        greedy = decode(Table(5, 2), prompt, Decoding(max_new_tokens=6))
        beam = decode(Table(5, 2), prompt, Decoding(max_new_tokens=6, strategy="beam", num_beams=1))
        np.testing.assert_array_equal(greedy, beam)

    @parameterized.expand([(seed,) for seed in range(12)])
    def test_stopping_early_loses_nothing(self, seed: int) -> None:
        class Patient(Beams):
            """One that never stops before the last step."""

            @property
            def settled(self) -> bool:
                return self.tokens.shape[2] == self.length

        results, steps = [], []
        for kind in (Beams, Patient):
            decoder, beams = Table(seed, 2), kind(2, num_beams=3, length=8, alpha=1.0, end=END)
            tokens = np.array([[1], [2]])
            while True:
                rows, chosen = beams.advance(decoder.step(tokens))
                if beams.settled:
                    break
                decoder.reorder(rows)
                tokens = chosen[:, None]
            results.append([(tuple(text), score) for text, score in zip(beams.best, beams.scores, strict=True)])
            steps.append(len(decoder.fed))
        self.assertEqual(*results)
        self.assertEqual(steps[1], 8)

    def test_it_does_stop_early(self) -> None:
        decoder = Table(0)
        decoder.table[..., END] = 9.0
        decode(decoder, np.array([[1]]), Decoding(strategy="beam", max_new_tokens=9, end_token_id=END))
        self.assertEqual(decoder.fed, [(1, 1)])

    def test_a_row_is_on_its_own(self) -> None:
        options = Decoding(strategy="beam", num_beams=2, max_new_tokens=5, end_token_id=END)
        both = decode(Table(3, 2), np.array([[1], [2]]), options)
        for row in range(2):
            decoder = Table(3, 2)
            decoder.table = decoder.table[row : row + 1]
            decoder.owner, decoder.text = decoder.owner[:1], decoder.text[:1]
            alone = decode(decoder, np.array([[1 + row]]), options)[0]
            np.testing.assert_array_equal(both[row, : len(alone)], alone)

    def test_the_penalty_of_length(self) -> None:
        self.assertEqual([penalty(1, 0.6), penalty(7, 0.0), penalty(7, 1.0)], [1.0, 1.0, 2.0])

    def test_ties_go_to_the_lower_token(self) -> None:
        beams = Beams(1, num_beams=2, length=2, alpha=0.0, end=None)
        rows, tokens = beams.advance(np.zeros((1, 5)))
        self.assertEqual((rows.tolist(), tokens.tolist()), ([0, 0], [0, 1]))
        beams.advance(np.zeros((2, 5)))
        self.assertEqual(beams.best[0].tolist(), [0, 0])


def naive_nucleus(shares: np.ndarray, top_p: float) -> set[int]:
    """The smallest set, token by token."""
    kept, mass = set(), 0.0
    for token in sorted(range(len(shares)), key=lambda token: (-shares[token], token)):
        kept.add(token)
        mass += shares[token]
        if mass >= top_p:
            break
    return kept


class Sampling(unittest.TestCase):
    @parameterized.expand([(0.05,), (0.5,), (0.9,), (0.999,), (1.0,)])
    def test_the_nucleus(self, top_p: float) -> None:
        shares = np.exp(sampling.log_softmax(np.random.default_rng(1).standard_normal((40, 9))))
        for row, kept in zip(shares, sampling.nucleus(shares, top_p), strict=True):
            wanted = set(range(9)) if top_p == 1 else naive_nucleus(row, top_p)
            self.assertEqual(set(np.flatnonzero(kept)), wanted)

    def test_the_nucleus_of_equal_tokens(self) -> None:
        shares = np.array([[0.125, 0.25, 0.25, 0.25, 0.125]])
        for top_p, wanted in ((0.25, [1]), (0.26, [1, 2]), (0.75, [1, 2, 3]), (0.76, [0, 1, 2, 3])):
            self.assertEqual(np.flatnonzero(sampling.nucleus(shares, top_p)).tolist(), wanted)

    def test_the_largest_of_equal_ones_are_the_first(self) -> None:
        values = np.array([[1.0, 3.0, 3.0, 2.0, 3.0], [5.0, 5.0, 5.0, 5.0, 5.0]])
        self.assertEqual([np.flatnonzero(row).tolist() for row in sampling.largest(values, 2)], [[1, 2], [0, 1]])
        self.assertEqual(sampling.ranked(values, 4).tolist(), [[1, 2, 4, 3], [0, 1, 2, 3]])

    def test_the_largest_against_a_sort(self) -> None:
        values = np.random.default_rng(2).integers(4, size=(50, 11)).astype(float)
        for count in (1, 3, 11):
            wanted = np.argsort(-values, axis=1, kind="stable")[:, :count]
            np.testing.assert_array_equal(sampling.ranked(values, count), wanted)

    @parameterized.expand(
        [
            ({}, [1.0, 2.0, 3.0, 4.0]),
            ({"temperature": 0.5}, [1.0, 4.0, 9.0, 16.0]),
            ({"top_k": 2}, [0.0, 0.0, 3.0, 4.0]),
            ({"top_p": 0.71}, [0.0, 2.0, 3.0, 4.0]),
            ({"top_k": 3, "top_p": 0.7}, [0.0, 0.0, 3.0, 4.0]),
        ]
    )
    def test_tokens_come_as_often_as_they_should(self, options: Any, shares: list[float]) -> None:
        draws = (np.arange(4000) + 0.5) / 4000
        logits = np.tile(np.log([1.0, 2.0, 3.0, 4.0]), (len(draws), 1))
        counts = np.bincount(sampling.sample(logits, draws, **options), minlength=4)
        self.assertLessEqual(np.abs(counts - 4000 * np.array(shares) / sum(shares)).max(), 1)

    def test_draws_are_fair(self) -> None:
        draws = np.concatenate([generator(7, "sample", step).random(64) for step in range(64)])
        self.assertLess(abs(draws.mean() - 0.5), 4 / math.sqrt(12 * len(draws)))

    @parameterized.expand([(0.0,), (np.nextafter(1.0, 0.0),)])
    def test_the_edges_of_a_draw(self, draw: float) -> None:
        logits = np.array([[-np.inf, 0.0, 1.0, -np.inf]])
        self.assertEqual(sampling.sample(logits, np.array([draw]))[0], 1 if draw == 0 else 2)

    def test_the_lowest_temperature_is_greedy(self) -> None:
        logits = np.random.default_rng(3).standard_normal((6, 5))
        drawn = sampling.sample(logits, np.linspace(0, 0.999, 6), temperature=1e-300)
        np.testing.assert_array_equal(drawn, sampling.greedy(logits))

    def test_one_seed_gives_one_text(self) -> None:
        prompt = np.array([[1], [2], [3]])
        texts = [
            decode(Table(1, 3), prompt, Decoding(strategy="sample", max_new_tokens=8, seed=seed)) for seed in (0, 0, 1)
        ]
        np.testing.assert_array_equal(texts[0], texts[1])
        self.assertTrue(np.any(texts[0] != texts[2]))

    def test_more_rows_change_no_row(self) -> None:
        options = Decoding(strategy="sample", max_new_tokens=6)
        few, many = Table(1, 3), Table(1, 3)
        few.owner, few.text = few.owner[:2], few.text[:2]
        found = decode(few, np.array([[1], [2]]), options)
        np.testing.assert_array_equal(found, decode(many, np.array([[1], [2], [3]]), options)[:2])


class Ends(unittest.TestCase):
    def text(self, **fields: Any) -> np.ndarray:
        decoder = Table(0, 3)
        decoder.table[:] = 0
        decoder.pace[:] = 0
        for row in range(3):  # row r ends after r + 1 tokens
            decoder.logits = lambda row, text: np.eye(VOCABULARY)[END if len(text) > row + 1 else 2]  # type: ignore
        return decode(decoder, np.array([[1], [1], [1]]), Decoding(max_new_tokens=8, **fields))

    def test_what_follows_the_end_is_padding(self) -> None:
        found = self.text(end_token_id=END, pad_token_id=3)
        self.assertEqual(found.tolist(), [[2, 0, 3, 3], [2, 2, 0, 3], [2, 2, 2, 0]])

    def test_or_the_end_again(self) -> None:
        self.assertEqual(self.text(end_token_id=END).tolist(), [[2, 0, 0, 0], [2, 2, 0, 0], [2, 2, 2, 0]])

    def test_beams_too(self) -> None:
        found = self.text(end_token_id=END, pad_token_id=3, strategy="beam", num_beams=2, length_penalty=0.0)
        self.assertEqual(found.shape[0], 3)
        for row in found.tolist():
            after = row.index(END) + 1
            self.assertEqual(row[after:], [3] * (len(row) - after))

    def test_without_an_end_it_is_as_long_as_allowed(self) -> None:
        self.assertEqual(self.text().shape, (3, 8))

    @parameterized.expand(["greedy", "sample", "beam"])
    def test_tokens_are_whole_numbers(self, strategy: str) -> None:
        found = decode(Table(0, 2), np.array([[1], [2]]), Decoding(max_new_tokens=1, strategy=strategy))
        self.assertEqual((found.shape, found.dtype), ((2, 1), np.int64))

    def test_each_token_is_fed_once(self) -> None:
        decoder = Table(0, 2)
        decode(decoder, np.array([[1, 2, 3], [2, 2, 2]]), Decoding(max_new_tokens=4))
        self.assertEqual(decoder.fed, [(2, 3), (2, 1), (2, 1), (2, 1)])
        decoder = Table(0, 2)
        decode(decoder, np.array([[1], [2]]), Decoding(max_new_tokens=3, strategy="beam", num_beams=3))
        self.assertEqual(decoder.fed, [(2, 1), (6, 1), (6, 1)])


class WithoutCache(unittest.TestCase):
    """The decoder that runs the whole network gives what one with a memory of its own gives."""

    @parameterized.expand(["greedy", "sample", "beam"])
    def test(self, strategy: str) -> None:
        inner = Table(4, 2)

        def forward(arrays: dict[str, Any]) -> Run:
            rows = zip(arrays["owner"], arrays["text"], strict=True)
            every = [[inner.logits(row, tuple(text[: end + 1])) for end in range(len(text))] for row, text in rows]
            return Run({"logits": np.array(every)})

        prompt = np.array([[1, 2], [3, 1]])
        options = Decoding(strategy=strategy, max_new_tokens=6, end_token_id=END, num_beams=3)
        found = decode(Uncached(forward, {"owner": np.arange(2)}, "text"), prompt, options)
        np.testing.assert_array_equal(found, decode(Table(4, 2), prompt, options))


class Errors(unittest.TestCase):
    @parameterized.expand(
        [
            ({"strategy": "greed"}, "generate: strategy must be one of greedy, sample, beam, not 'greed'"),
            ({"max_new_tokens": 0}, "generate: max_new_tokens must be a whole number, at least 1, not 0"),
            ({"max_new_tokens": 2.0}, "generate: max_new_tokens must be a whole number, at least 1, not 2.0"),
            ({"temperature": 0.0}, "generate: temperature must be a number above 0, not 0.0"),
            ({"temperature": math.nan}, "generate: temperature must be a number above 0, not nan"),
            ({"top_p": 0.0}, "generate: top_p must be None or a number above 0 and at most 1, not 0.0"),
            ({"top_p": 1.5}, "generate: top_p must be None or a number above 0 and at most 1, not 1.5"),
            ({"top_p": "0.9"}, "generate: top_p must be None or a number above 0 and at most 1, not '0.9'"),
            ({"top_k": 0}, "generate: top_k must be None or a whole number, at least 1, not 0"),
            ({"num_beams": True}, "generate: num_beams must be a whole number, at least 1, not True"),
            ({"length_penalty": -1.0}, "generate: length_penalty must be a number, at least 0, not -1.0"),
            ({"end_token_id": -1}, "generate: end_token_id must be None or a whole number, at least 0, not -1"),
            ({"seed": -1}, "generate: seed must be a whole number, at least 0, not -1"),
            ({"top_k": 3}, "generate: top_k is for strategy=\"sample\", and this is 'greedy'"),
            (
                {"strategy": "beam", "temperature": 2.0},
                "generate: temperature is for strategy=\"sample\", and this is 'beam'",
            ),
        ]
    )
    def test_options(self, fields: dict[str, Any], sentence: str) -> None:
        with self.assertRaises(SpecError) as caught:
            Decoding(**fields)
        self.assertEqual(str(caught.exception), sentence)

    @parameterized.expand([("greedy", math.nan), ("sample", math.inf), ("beam", math.nan)])
    def test_logits_that_are_no_numbers(self, strategy: str, value: float) -> None:
        decoder = Table(0)
        decoder.table[0, 1, :, 2] = value
        with self.assertRaises(InputError) as caught:
            decode(decoder, np.array([[1]]), Decoding(strategy=strategy, num_beams=VOCABULARY))
        self.assertEqual(
            str(caught.exception), "generate: the logits of new token 1 are not finite, so none can be chosen"
        )

    @parameterized.expand(["greedy", "sample", "beam"])
    def test_forbidden_tokens_are_never_chosen(self, strategy: str) -> None:
        decoder = Table(0, 3)
        decoder.table[..., 1:3] = -np.inf
        found = decode(decoder, np.array([[1], [2], [3]]), Decoding(strategy=strategy, max_new_tokens=7))
        self.assertLessEqual(set(found.ravel()), {0, 3})
