"""Batches by a budget of tokens. See core/techniques/dynamic_batching.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ...core.batching import inputs_and_target
from ...core.technique import Arrays
from ...core.techniques.dynamic_batching import DynamicBatching as Spec
from . import cross_entropy


class Batches(keras.utils.PyDataset):
    """What `fit` takes. The lengths are (samples) or (samples, sequences)."""

    def __init__(self, spec: Spec, samples: Any, lengths: Any, **options: Any) -> None:
        super().__init__(**options)
        self.spec, self.samples, self.lengths = spec, samples, lengths
        self.set_epoch(0)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Any:
        return collate(self.spec, [self.samples[int(sample)] for sample in self.batches[index]])

    def set_epoch(self, epoch: int) -> None:
        self.epoch, self.batches, self.begun = epoch, self.spec.plan(self.lengths, epoch), False

    def on_epoch_begin(self) -> None:
        self.begun = True

    def on_epoch_end(self) -> None:
        # Keras calls this once before the first epoch, too.
        if self.begun:
            self.set_epoch(self.epoch + 1)


def collate(spec: Spec, samples: Sequence[Any]) -> Any:
    padded = []
    for column in spec.columns(samples):
        width = spec.padded(max(map(len, column)))
        padded.append(  # (batch, time)
            keras.utils.pad_sequences(column, width, dtype="int64", padding="post", value=spec.pad_token_id)
        )
    return inputs_and_target(padded)


def build(spec: Spec, samples: Any, lengths: Any = None) -> Batches:
    return Batches(spec, samples, spec.lengths(samples, lengths))


def table_loss(spec: Spec, tables: Sequence[Any], batch: Any) -> Any:
    """The loss of the case's network: two tables, and the mean over the source's real tokens."""
    (source, given), wanted = batch
    real = ops.cast(ops.not_equal(source, spec.pad_token_id), tables[0].dtype)[..., None]  # (batch, time, 1)
    context = ops.sum(ops.take(tables[0], source, axis=0) * real, axis=1) / ops.sum(real, axis=1)  # (batch, channels)
    logits = ops.take(tables[1], given, axis=0) + context[:, None]  # (batch, time, channels)
    return cross_entropy.build(spec.loss())(wanted, logits)


def trace(spec: Spec, case: Arrays) -> Arrays:
    dataset, result = build(spec, spec.samples(case)), {}
    tables = {name: tf.convert_to_tensor(case[name]) for name in ("source table", "given table")}
    for epoch in range(2):
        dataset.set_epoch(epoch)
        batches = list(dataset)
        with tf.GradientTape() as tape:
            tape.watch(tables)
            losses = ops.stack([table_loss(spec, list(tables.values()), batch) for batch in batches])
            total = ops.sum(losses)
        gradients = tape.gradient(total, tables)
        arrays = {
            "samples": np.concatenate(dataset.batches),
            **spec.described([(*inputs, target) for inputs, target in batches]),
            "losses": losses.numpy(),
            **{f"gradient of {name}": ops.convert_to_numpy(found) for name, found in gradients.items()},
        }
        result |= {f"{name} of epoch {epoch}": array for name, array in arrays.items()}
    return result
