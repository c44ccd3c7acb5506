"""Mistakes in batching by a budget of tokens."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays
from diglot.core.techniques.cross_entropy import CrossEntropy

from . import TechniqueBug

SMALL = registry.make("dynamic_batching_small")
SORTED = registry.make("dynamic_batching_small_sorted")
BUCKETED = registry.make("dynamic_batching_small_bucketed")


def changed(spec: Any, **methods: Callable[..., Any]) -> Any:
    """The spec with other methods; each takes the spec first."""
    kind = type(type(spec).__name__, (type(spec),), {"__module__": type(spec).__module__, **methods})
    return kind(**spec.fields())


def collating(side: str, collate: Callable[..., Any]) -> Any:
    """A side whose batches are made by this function, which is given the true one first."""
    module: Any = importlib.import_module(f"diglot.{side}_impl.techniques.dynamic_batching")
    return mock.patch.object(module, "collate", partial(collate, module.collate))


@partial(TechniqueBug, "budget counted in unpadded tokens", SMALL, "torch")
def unpadded_budget(true: Any, spec: Any, case: Arrays) -> Arrays:
    def plan(self: Any, lengths: Any, epoch: int = 0) -> Any:
        longest = np.asarray(lengths).max(axis=1)
        order, batches, used = np.argsort(longest, kind="stable"), [[]], 0
        for index in order:
            used += longest[index]
            if used > self.max_tokens:
                batches.append([])
                used = longest[index]
            batches[-1].append(index)
        return [np.array(batch) for batch in batches]

    return true(changed(spec, plan=plan), case)


@partial(TechniqueBug, "last batch dropped", SORTED, "keras")
def last_batch_dropped(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(changed(spec, plan=lambda self, *given: type(spec).plan(self, *given)[:-1]), case)


@partial(TechniqueBug, "sample at a boundary in both batches", SORTED, "torch")
def repeated_sample(true: Any, spec: Any, case: Arrays) -> Arrays:
    def plan(self: Any, *given: Any) -> Any:
        first, second, *rest = type(spec).plan(self, *given)
        return [first, np.concatenate([first[-1:], second]), *rest]

    return true(changed(spec, plan=plan), case)


@partial(TechniqueBug, "budget must not be reached", SMALL, "keras")
def below_the_budget(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(changed(spec, fits=lambda self, count, width: count * width < self.max_tokens), case)


@partial(TechniqueBug, "length of the first sequence alone", SMALL, "keras")
def first_sequence_alone(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(changed(spec, plan=lambda self, lengths, *given: type(spec).plan(self, lengths[:, :1], *given)), case)


@partial(TechniqueBug, "budget before rounding up", BUCKETED, "torch")
def budget_before_rounding(true: Any, spec: Any, case: Arrays) -> Arrays:
    def together(self: Any, count: int, short: int, long: int) -> bool:
        return self.fits(count, long) and self.bucket(short) == self.bucket(long)

    return true(changed(spec, together=together), case)


@partial(TechniqueBug, "padded lengths not rounded up", BUCKETED, "keras")
def not_rounded_up(true: Any, spec: Any, case: Arrays) -> Arrays:
    with collating("keras", lambda collate, given, samples: collate(given.replace(pad_to_multiple=1), samples)):
        return true(spec, case)


@partial(TechniqueBug, "batches across buckets", BUCKETED, "torch")
def across_buckets(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(bucket_width=None), case)


@partial(TechniqueBug, "shortest first", BUCKETED, "keras")
def shortest_first(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(longest_first=False), case)


@partial(TechniqueBug, "padding in front", SMALL, "keras")
def padding_in_front(true: Any, spec: Any, case: Arrays) -> Arrays:
    def collate(true_collate: Any, given: Any, samples: Any) -> Any:
        (source, known), wanted = true_collate(given, samples)
        columns = zip((source, known, wanted), zip(*samples, strict=True), strict=True)
        for array, sequences in columns:
            for row, sequence in zip(array, sequences, strict=True):
                row[:] = np.roll(row, len(row) - len(sequence))
        return (source, known), wanted

    with collating("keras", collate):
        return true(spec, case)


@partial(TechniqueBug, "padding with zeros whatever the token", BUCKETED, "torch")
def zero_padding(true: Any, spec: Any, case: Arrays) -> Arrays:
    with collating("torch", lambda collate, given, samples: collate(given.replace(pad_token_id=0), samples)):
        return true(spec, case)


@partial(TechniqueBug, "padding counted in the loss", SMALL, "torch")
def padding_in_the_loss(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(changed(spec, loss=lambda self: CrossEntropy(ignore_index=None)), case)


@partial(TechniqueBug, "ignored token of another number than the padding", BUCKETED, "keras")
def other_token_ignored(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(changed(spec, loss=lambda self: CrossEntropy(ignore_index=0)), case)


@partial(TechniqueBug, "epoch not told to the sampler", SMALL, "torch")
def epoch_not_told(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(changed(spec, plan=lambda self, lengths, epoch=0: type(spec).plan(self, lengths, 0)), case)


@partial(TechniqueBug, "seed of its own", SMALL, "keras")
def own_seed(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(seed=spec.seed + 1), case)


@partial(TechniqueBug, "limit of samples forgotten", SORTED, "torch")
def no_limit_of_samples(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(max_sentences=None), case)


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
