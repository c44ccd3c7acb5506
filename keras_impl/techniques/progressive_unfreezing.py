"""Progressive unfreezing. See core/techniques/progressive_unfreezing.py."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...core.technique import Arrays
from ...core.techniques.progressive_unfreezing import ProgressiveUnfreezing as Spec


class ProgressiveUnfreezing(keras.callbacks.Callback):
    """The weights by name, and which of them train. As a callback of `fit` it follows the epochs."""

    def __init__(self, spec: Spec, named: dict[str, keras.Variable]) -> None:
        super().__init__()
        self.spec, self.named, self.stages = spec, dict(named), spec.stages(named)

    def groups(self, learning_rate: float) -> list[dict[str, Any]]:
        found = []
        for names in self.stages:
            multiplier = self.spec.multiplier(names[0])
            weights = [self.named[name] for name in names]
            found.append({"variables": weights, "learning_rate": learning_rate * multiplier, "multiplier": multiplier})
        return found

    def set_epoch(self, epoch: int) -> None:
        trains = set(self.spec.trainable(self.named, epoch))
        for name, weight in self.named.items():
            weight.trainable = name in trains

    def on_train_begin(self, logs: Any = None) -> None:
        # An optimizer knows the weights only that it was built with.
        if not self.model.optimizer.built:
            for weight in self.named.values():
                weight.trainable = True
            self.model.optimizer.build(self.model.trainable_variables)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        before = [weight.trainable for weight in self.named.values()]
        self.set_epoch(epoch)
        if [weight.trainable for weight in self.named.values()] != before:
            self.model.make_train_function(force=True)


def build(spec: Spec, named: dict[str, keras.Variable]) -> ProgressiveUnfreezing:
    return ProgressiveUnfreezing(spec, named)


def trace(spec: Spec, case: Arrays) -> Arrays:
    named = {
        key[2:]: keras.Variable(array, dtype=array.dtype.name) for key, array in case.items() if key.startswith("w.")
    }
    unfreezing = build(spec, named)
    groups = unfreezing.groups(spec.RATE)
    optimizers = [keras.optimizers.SGD(group["learning_rate"]) for group in groups]
    for optimizer, group in zip(optimizers, groups, strict=True):
        optimizer.build(group["variables"])
    history: dict[str, list[Any]] = {name: [] for name in named}
    for epoch in range(len(case[f"g.{next(iter(named))}"])):
        unfreezing.set_epoch(epoch)
        with tf.GradientTape(persistent=True) as tape:
            terms = [tf.reduce_sum(weight.value * case[f"g.{name}"][epoch]) for name, weight in named.items()]
            loss = tf.add_n(terms)
        for optimizer, group in zip(optimizers, groups, strict=True):
            weights = [weight for weight in group["variables"] if weight.trainable]
            if weights:
                gradients = tape.gradient(loss, [weight.value for weight in weights])
                optimizer.apply(gradients, weights)
        for name, weight in named.items():
            history[name].append(weight.numpy())
    factors = {id(weight): group["multiplier"] for group in groups for weight in group["variables"]}
    dtype = case[f"w.{next(iter(named))}"].dtype
    result = {name: np.stack(kept) for name, kept in history.items()}
    return result | {f"factor of {name}": np.array(factors[id(named[name])], dtype) for name in named}
