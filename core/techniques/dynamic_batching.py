"""Batches of as many sequences as a budget of tokens allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import batching
from ..batching import Whole
from ..errors import InputError
from ..field import flag, optional_whole, whole
from ..noise import generator
from ..technique import Arrays, Technique
from .cross_entropy import CrossEntropy

COLUMNS, TABLES = ("source", "given", "wanted"), ("source table", "given table")


@dataclass(frozen=True, kw_only=True)
class DynamicBatching(Technique):
    """Samples sorted by length are cut into batches whose padded size stays within a budget; none is lost or repeated.

    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017, section 5.1 (pairs of about the same length,
    with about 25,000 source tokens and as many target tokens in a batch).

    A sample is a tuple of sequences of tokens: one alone, a pair of source and target, or more. Its length is that of
    its longest sequence. A batch is padded at the end of each row, every sequence of the samples to its own longest in
    the batch, rounded up; so each array of a batch has at most `max_tokens` numbers, padding included.

    The samples are sorted by length, then by the length of each sequence in turn, and a batch ends where the next
    sample would not fit. Shuffling exchanges samples of the same lengths and reorders the batches, so that every epoch
    has the same number of batches, of the same shapes.

    The built loader takes the samples, anything with a length and an index, and gives (inputs, targets): the last
    sequence is the target, and the others are the inputs, a tuple where there are several. To translate, let a sample
    be (source, start token + target, target + end token). `lengths`, (samples, sequences), spares reading a large data
    set in advance. `batch` gives the same arrays without a framework.

    Fields:
        max_tokens: the budget, samples in a batch times padded length.
        max_sentences: samples in a batch at most; None for no limit.
        pad_to_multiple: padded lengths are multiples of this: fewer shapes to compile for.
        bucket_width: a batch holds lengths of one bucket only, 1 to `bucket_width`, then up to twice that, and so on;
            None for no buckets.
        longest_first: sort the longest first, so that an accelerator's memory is exceeded at once or never.
        shuffle: as above, in another order in every epoch.
        seed: of the shuffling; the draws depend on it and on the epoch alone.
        pad_token_id: what padding is made of. A loss that ignores it cannot tell a real token of this number from it.

    Departs from the document: its snippet does not run. It passes a method as the `batch_sampler`, which must give
    lists of indices, on a data set without a length or an index; the method would cut one batch into a list of
    unpadded ones. Its budget counts unpadded tokens, and of the first sequence only, so that padded batches exceed it;
    a sample above the budget is let through.

    Raises SpecError for a value against its rule, and InputError for samples that cannot be batched: none at all, an
    empty sequence, one above the budget, different numbers of sequences, or what is not whole numbers.

    Frameworks differ: PyTorch's sampler must be told the epoch (`loader.batch_sampler.set_epoch`), as its
    DistributedSampler must; Keras's `fit` says that an epoch ended, and says it once before the first as well. It also
    exchanges the batches once more, by a generator of its own, unless `shuffle=False`, and takes from the first two
    batches alone which axes vary, to fail on a third that is longer: so two batches that differ in the length of every
    sequence that varies come first, as there always are of pairs. By default PyTorch's `pad_sequence` puts time first
    and Keras's `pad_sequences` the padding.
    """

    max_tokens: int = whole(4096)
    max_sentences: int | None = optional_whole(None, least=1)
    pad_to_multiple: int = whole(1)
    bucket_width: int | None = optional_whole(None, least=1)
    longest_first: bool = flag(False)
    shuffle: bool = flag(True)
    seed: int = whole(0, least=0)
    pad_token_id: int = whole(0, least=0)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "dynamic_batching_small": {"max_tokens": 24},
        "dynamic_batching_small_sorted": {"max_tokens": 30, "max_sentences": 3, "shuffle": False},
        "dynamic_batching_small_bucketed": {
            "max_tokens": 26,
            "pad_to_multiple": 4,
            "bucket_width": 3,
            "longest_first": True,
            "seed": 5,
            "pad_token_id": 3,
        },
    }
    CHECKED = tuple(PRESETS)

    def constraints(self) -> Iterator[str]:
        if self.pad_to_multiple > self.max_tokens:
            yield f"pad_to_multiple {self.pad_to_multiple} is above max_tokens {self.max_tokens}"

    def padded(self, length: Any) -> Any:
        """A length, or an array of them, rounded up."""
        return -(-length // self.pad_to_multiple) * self.pad_to_multiple

    def fits(self, count: int, width: int) -> bool:
        """Whether so many samples of this padded length are within the limits."""
        return count * width <= self.max_tokens and (self.max_sentences is None or count <= self.max_sentences)

    def bucket(self, length: int) -> int:
        """The number of the bucket that a length belongs to."""
        return 0 if self.bucket_width is None else (length - 1) // self.bucket_width

    def together(self, count: int, short: int, long: int) -> bool:
        """Whether so many samples of these lengths may be one batch."""
        return self.fits(count, self.padded(long)) and self.bucket(short) == self.bucket(long)

    def lengths(self, samples: Any, known: Any = None) -> Whole:
        """The length of each sequence of each sample, (samples, sequences), read from the samples unless known."""
        return batching.lengths_of(self.name, samples, known)

    def plan(self, lengths: Any, epoch: int = 0) -> list[Whole]:
        """The samples of each batch of an epoch, by their indices; epochs are counted from 0."""
        sizes = batching.checked(self.name, lengths)
        if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 0:
            raise InputError(f"{self.name}: an epoch is a whole number, at least 0, not {epoch!r}")
        longest = sizes.max(axis=1)
        for index in np.flatnonzero(self.padded(longest) > self.max_tokens):
            has = f"{longest[index]} tokens, {self.padded(longest[index])} when padded"
            advice = f"max_tokens is {self.max_tokens}; cut it, leave it out or raise max_tokens"
            raise InputError(f"{self.name}: sample {index} has {has}, and {advice}")
        keys = np.column_stack([longest, sizes]) * (-1 if self.longest_first else 1)
        order = self._drawn("samples", epoch, len(sizes))
        order = order[np.lexsort(keys[order].T[::-1])]  # stable: samples of the same lengths stay as they were drawn
        batches = np.split(order, batching.cuts(longest[order].tolist(), self.together))
        batches = [batches[index] for index in self._drawn("batches", epoch, len(batches))]
        return batching.led(batches, np.stack([self.padded(sizes[batch].max(axis=0)) for batch in batches]))

    def _drawn(self, what: str, epoch: int, count: int) -> Whole:
        if not self.shuffle:
            return np.arange(count)
        return generator(self.seed, f"{self.name} {what}", epoch).permutation(count)

    def columns(self, samples: Iterable[Any]) -> list[list[Whole]]:
        """The samples of one batch as lists of their first sequences, of their second ones, and so on."""
        return batching.columns(self.name, samples)

    def batch(self, samples: Iterable[Any]) -> tuple[Whole, ...]:
        """The padded arrays of one batch, (batch, time) for each sequence of its samples."""
        return tuple(
            batching.padded(column, self.padded(max(map(len, column))), self.pad_token_id)
            for column in self.columns(samples)
        )

    def loss(self) -> CrossEntropy:
        """The loss that leaves padding out."""
        return CrossEntropy(ignore_index=self.pad_token_id)

    def case(self, rng: np.random.Generator) -> Arrays:
        """The tokens of three sequences of each sample end to end, their lengths, and a tiny network of two tables.

        The logits of a position are a row of `given table` and the mean of rows of `source table`.
        """
        samples, tokens = 17, 9
        longest = min(8, self.max_tokens // self.pad_to_multiple * self.pad_to_multiple)
        lengths = rng.integers(1, longest + 1, (samples, 2))[:, [0, 1, 1]]
        known = np.setdiff1d(np.arange(tokens), self.pad_token_id)
        case: Arrays = {name: rng.choice(known, lengths[:, i].sum()) for i, name in enumerate(COLUMNS)}
        return {
            **case,
            "lengths": lengths,
            "source table": rng.standard_normal((tokens, tokens)),
            "given table": rng.standard_normal((tokens, tokens)),
        }

    def samples(self, case: Arrays) -> list[tuple[Whole, ...]]:
        """The samples of a case."""
        columns = [np.split(case[name], np.cumsum(case["lengths"][:-1, i])) for i, name in enumerate(COLUMNS)]
        return list(zip(*columns, strict=True))

    def described(self, batches: Sequence[tuple[Whole, ...]]) -> Arrays:
        """Padded batches as arrays of one length: their shapes, and their numbers end to end."""
        shapes = np.array([[array.shape for array in batch] for batch in batches])
        return {"shapes": shapes, "tokens": np.concatenate([array.ravel() for batch in batches for array in batch])}

    def rule(self, case: Arrays) -> Arrays:
        """The batches of two epochs; the loss and gradient of each sample by itself, without any padding."""
        samples = self.samples(case)
        result: Arrays = {}
        for epoch in range(2):
            plan = self.plan(self.lengths(samples), epoch)
            found = [self._unpadded(case, [samples[index] for index in batch]) for batch in plan]
            arrays = {
                "samples": np.concatenate(plan),
                **self.described([self.batch(samples[index] for index in batch) for batch in plan]),
                "losses": np.array([item["loss"] for item in found]),
                **{f"gradient of {name}": np.sum([item[name] for item in found], axis=0) for name in TABLES},
            }
            result |= {f"{name} of epoch {epoch}": array for name, array in arrays.items()}
        return result

    def _unpadded(self, case: Arrays, samples: list[tuple[Whole, ...]]) -> Arrays:
        tables = {name: np.zeros_like(case[name]) for name in TABLES}
        count = sum(len(wanted) for *_, wanted in samples)
        total = 0.0
        for source, given, wanted in samples:
            logits = case["given table"][given] + case["source table"][source].mean(axis=0)
            log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
            total -= np.take_along_axis(log_p, wanted[:, None], axis=-1).sum()
            upstream = (np.exp(log_p) - np.eye(log_p.shape[-1])[wanted]) / count
            np.add.at(tables["given table"], given, upstream)
            np.add.at(tables["source table"], source, upstream.sum(axis=0) / len(source))
        return {"loss": np.asarray(total / count), **tables}
