"""Batches by a budget of tokens: no sample lost or repeated, none above the budget, in a real loader and `fit`."""

from __future__ import annotations

import itertools
import unittest
from typing import Any

import keras
import numpy as np
import torch
from diglot.core import registry
from diglot.core.errors import InputError, SpecError
from diglot.core.noise import generator
from diglot.core.techniques.dynamic_batching import DynamicBatching
from diglot.keras_impl.precision import precision
from diglot.keras_impl.techniques import dynamic_batching as keras_side
from diglot.torch_impl.techniques import dynamic_batching as torch_side
from parameterized import parameterized
from torch.utils.data import DataLoader

WORDS = 12


def drawn(seed: int, count: int = 40, sequences: int = 2) -> list[tuple[np.ndarray, ...]]:
    """Samples of random tokens above 0; the last two sequences are of one length."""
    rng = generator(seed, "samples")
    lengths = rng.integers(1, 16, (count, sequences - 1))
    return [tuple(rng.integers(1, WORDS, size) for size in (*row, row[-1])) for row in lengths]


def random_spec(rng: np.random.Generator) -> DynamicBatching:
    return DynamicBatching(
        max_tokens=int(rng.integers(24, 90)),
        max_sentences=None if rng.random() < 0.5 else int(rng.integers(1, 7)),
        pad_to_multiple=int(rng.integers(1, 9)),
        bucket_width=None if rng.random() < 0.5 else int(rng.integers(1, 6)),
        longest_first=bool(rng.random() < 0.5),
        shuffle=bool(rng.random() < 0.7),
        seed=int(rng.integers(5)),
    )


def refused(test: unittest.TestCase, call: Any, *args: Any) -> str:
    with test.assertRaises(InputError) as caught:
        call(*args)
    test.assertEqual(len(str(caught.exception).splitlines()), 1)
    return str(caught.exception)


class Plans(unittest.TestCase):
    """Many random cases, on lengths alone."""

    def cases(self, count: int = 400) -> Any:
        for number in range(count):
            rng = generator(number, "case")
            lengths = rng.integers(1, int(rng.integers(2, 25)), (int(rng.integers(1, 60)), int(rng.integers(1, 4))))
            yield random_spec(rng), lengths, int(rng.integers(4))

    def test_every_sample_once(self) -> None:
        for spec, lengths, epoch in self.cases():
            found = np.sort(np.concatenate(spec.plan(lengths, epoch)))
            self.assertTrue(np.array_equal(found, np.arange(len(lengths))), spec)

    def test_within_the_limits(self) -> None:
        for spec, lengths, epoch in self.cases():
            for batch in spec.plan(lengths, epoch):
                longest = lengths[batch].max(axis=1)
                width = -(-longest.max() // spec.pad_to_multiple) * spec.pad_to_multiple
                self.assertLessEqual(len(batch) * width, spec.max_tokens)
                self.assertLessEqual(len(batch), spec.max_sentences or len(batch))
                if spec.bucket_width:
                    self.assertEqual(len(set((longest - 1) // spec.bucket_width)), 1)

    def test_no_batch_could_take_the_next_sample(self) -> None:
        for spec, lengths, _ in self.cases():
            spec, lengths = spec.replace(shuffle=False, bucket_width=None), lengths[:, 0]
            longest = [lengths[batch] for batch in spec.plan(lengths)]
            ordered = sorted(longest, key=lambda sizes: sizes.min(), reverse=spec.longest_first)
            for batch, following in itertools.pairwise(ordered):
                next_length = following.max() if spec.longest_first else following.min()
                width = spec.padded(max(batch.max(), next_length))
                self.assertFalse(spec.fits(len(batch) + 1, width), (spec, batch, following))

    def test_every_epoch_has_the_same_shapes_in_another_order(self) -> None:
        spec, samples = DynamicBatching(max_tokens=45), drawn(3)
        lengths = spec.lengths(samples)
        plans = [spec.plan(lengths, epoch) for epoch in (0, 0, 1)]
        shapes = [[(len(batch), *lengths[batch].max(axis=0)) for batch in plan] for plan in plans]
        self.assertEqual(shapes[0], shapes[1])
        self.assertNotEqual(shapes[0], shapes[2])
        self.assertEqual(sorted(shapes[0]), sorted(shapes[2]))

    def test_the_first_two_batches_differ_in_all_that_varies(self) -> None:
        for spec, lengths, epoch in self.cases():
            lengths = lengths[:, :2]
            shapes = np.array([spec.padded(lengths[batch].max(axis=0)) for batch in spec.plan(lengths, epoch)])
            varying = (shapes != shapes[0]).any(axis=0)
            if varying.any():
                self.assertTrue(np.all((shapes[0] != shapes[1])[varying]), (spec, shapes))


class Loaders(unittest.TestCase):
    spec = DynamicBatching(max_tokens=45, pad_to_multiple=2)

    def test_the_same_batches_on_both_sides_and_without_a_framework(self) -> None:
        samples = drawn(1, sequences=3)
        loader, dataset = torch_side.build(self.spec, samples), keras_side.build(self.spec, samples)
        self.assertEqual(len(loader), len(dataset))
        for epoch in range(2):
            loader.batch_sampler.set_epoch(epoch)
            dataset.set_epoch(epoch)
            plan = self.spec.plan(self.spec.lengths(samples), epoch)
            for batch, ours, theirs in zip(plan, loader, dataset, strict=True):
                wanted = self.spec.batch(samples[index] for index in batch)
                for found in (ours, theirs):
                    ((source, given), target) = found
                    for array, other in zip(wanted, (source, given, target), strict=True):
                        self.assertTrue(np.array_equal(array, np.asarray(other)))
                        self.assertEqual(str(other.dtype).removeprefix("torch."), "int64")

    def test_a_loader_of_the_users_own(self) -> None:
        class Set(torch.utils.data.Dataset):
            def __len__(self) -> int:
                return 30

            def __getitem__(self, index: int) -> tuple[list[int], torch.Tensor]:
                return [index + 1] * (index % 7 + 1), torch.arange(1, index % 5 + 2)

        data, lengths = Set(), [(index % 7 + 1, index % 5 + 1) for index in range(30)]
        sampler = torch_side.Batches(self.spec, lengths)
        loader = DataLoader(data, batch_sampler=sampler, collate_fn=lambda rows: torch_side.collate(self.spec, rows))
        self.assertEqual(sorted(int(row[0]) for source, _ in loader for row in source), list(range(1, 31)))
        self.assertTrue(all(source.shape[1] % 2 == 0 and source.numel() <= 45 for source, _ in loader))
        dataset = keras_side.build(self.spec, data, lengths)
        self.assertTrue(all(np.array_equal(one[0], other[0]) for one, other in zip(dataset, loader, strict=True)))

    def test_fit(self) -> None:
        """Two epochs, whose batches are those of the plan; a third batch longer than the first two must not fail."""
        samples, seen = drawn(2), []

        class Seen(keras.layers.Layer):
            def call(self, x: Any) -> Any:
                return keras.ops.cast(x, "float32")[..., None]

        class Counted(keras_side.Batches):
            def __getitem__(self, index: int) -> Any:
                seen.append((self.epoch, index))
                return super().__getitem__(index)

        inputs = keras.Input((None,), dtype="int64")
        model = keras.Model(inputs, keras.layers.Dense(WORDS)(Seen()(inputs)))
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0))
        same = [(target, target) for _, target in samples]
        dataset = Counted(self.spec, same, self.spec.lengths(same))
        history = model.fit(dataset, epochs=2, shuffle=False, verbose=0)
        self.assertTrue(np.all(np.isfinite(history.history["loss"])))
        fetched = seen[2:]  # `fit` looks at the first two batches before the first epoch
        self.assertEqual(fetched, [(epoch, index) for epoch in range(2) for index in range(len(dataset))])
        self.assertEqual(dataset.epoch, 2)

    def test_a_loss_of_padded_batches_is_that_of_the_samples(self) -> None:
        """Each side's loss times its tokens, summed over the batches, does not depend on the batches."""
        samples = drawn(4, sequences=3)
        rng = generator(4, "tables")
        tables = [rng.standard_normal((WORDS, WORDS)) for _ in range(2)]
        for side, convert in ((torch_side, torch.tensor), (keras_side, keras.ops.convert_to_tensor)):
            weights = [convert(table) for table in tables]
            totals = []
            for spec in (self.spec, DynamicBatching(max_tokens=16, max_sentences=1)):
                with precision("float64"):
                    batches = list(side.build(spec, samples))
                    losses = [float(side.table_loss(spec, weights, batch)) for batch in batches]
                totals.append(np.dot(losses, [int((wanted != 0).sum()) for _, wanted in batches]))
            self.assertAlmostEqual(totals[0] / totals[1], 1.0, delta=1e-13)

    @parameterized.expand([(1,), (2,), (4,)])
    def test_number_of_sequences(self, sequences: int) -> None:
        samples = [(np.arange(1, 4),) * sequences] * 3
        for side in (torch_side, keras_side):
            (batch,) = list(side.build(self.spec, samples))
            if sequences == 1:
                self.assertEqual(tuple(batch.shape), (3, 4))
            else:
                inputs, target = batch
                self.assertEqual(len(inputs) if sequences > 2 else 1, sequences - 1)
                self.assertEqual(tuple(target.shape), (3, 4))


class BadInput(unittest.TestCase):
    spec = DynamicBatching(max_tokens=10, pad_to_multiple=4)
    one = np.ones(3, int)

    @parameterized.expand([("torch", torch_side), ("keras", keras_side)])
    def test_samples(self, name: str, side: Any) -> None:
        for samples, sentence in (
            ([], "there are no samples to make batches of"),
            ([(self.one, self.one), (self.one, [])], "a sequence of sample 1 is empty; leave the sample out"),
            ([(self.one,), (np.ones(9, int),)], "sample 1 has 9 tokens, 12 when padded, and max_tokens is 10; cut it"),
            ([(self.one,), (self.one, self.one)], "every sample must have the same number of sequences"),
            ([self.one, self.one], "sample 0 must be a tuple of sequences of tokens, not array([1, 1, 1])"),
            ([(3, 4)], "sample 0 must be a tuple of sequences of tokens, not (3, 4)"),
            ([()], "lengths are whole numbers, (samples, sequences), not "),
        ):
            message = refused(self, side.build, self.spec, samples)
            self.assertTrue(message.startswith(f"dynamic_batching: {sentence}"), message)

        message = refused(self, side.build, self.spec, [(self.one,)] * 3, [3, 3])
        self.assertIn("there are lengths of 2 samples, and 3 samples", message)
        message = refused(self, side.build, self.spec, iter([(self.one,)]))
        self.assertIn("samples need a length and an index, and list_iterator lacks them", message)

    @parameterized.expand([("torch", torch_side), ("keras", keras_side)])
    def test_tokens(self, name: str, side: Any) -> None:
        for sequence, given in (([0.5, 1.0], "float64 (2,)"), ("ab", "<U2 ()"), (np.ones((2, 2), int), "int64 (2, 2)")):
            message = refused(self, side.collate, self.spec, [(sequence,)])
            self.assertEqual(message, f"dynamic_batching: a sequence holds whole numbers along one axis, not {given}")
        message = refused(self, side.collate, self.spec, [(self.one,), (self.one, self.one)])
        self.assertIn("every sample must have the same number of sequences", message)

    def test_lengths_and_epochs(self) -> None:
        for lengths in ([2.5], [[[1]]], np.ones((2, 0), int)):
            self.assertIn("lengths are whole numbers", refused(self, self.spec.plan, lengths))
        for epoch in (-1, 0.5, True, None):
            self.assertIn(f"at least 0, not {epoch!r}", refused(self, self.spec.plan, [1], epoch))

    def test_fields(self) -> None:
        with self.assertRaisesRegex(SpecError, "^dynamic_batching: pad_to_multiple 8 is above max_tokens 4$"):
            registry.make("dynamic_batching", max_tokens=4, pad_to_multiple=8)
