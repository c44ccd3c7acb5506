"""Reduction of the rate on a plateau. See core/techniques/reduce_on_plateau.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import keras
import numpy as np

from ...core.errors import InputError
from ...core.technique import Arrays
from ...core.techniques.reduce_on_plateau import ReduceOnPlateau as Spec
from ..groups import Grouped


class ReduceOnPlateau(keras.callbacks.ReduceLROnPlateau):
    """`ReduceLROnPlateau` with both conventions and thresholds, which a resumed `fit` goes on with."""

    def __init__(self, spec: Spec) -> None:
        more = 1 if spec.patience_convention == "exceeded" else 0
        super().__init__(
            monitor=spec.monitor,
            mode=spec.mode,
            factor=spec.factor,
            patience=spec.patience + more,
            cooldown=spec.cooldown + more,
            min_lr=spec.min_rate,
        )
        self.spec, self.resumed = spec, False

    def on_train_begin(self, logs: Any = None) -> None:
        if not self.resumed:
            super().on_train_begin(logs)
        self.resumed = False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, {**(logs or {}), self.monitor: self.spec.value(logs or {})})

    def _reduce_optimizer_lr(self, optimizer: keras.optimizers.Optimizer, *args: Any, **options: Any) -> bool:
        # Keras goes from group to group; the rate of all is set once, and each takes its share of it.
        whole = self.model.optimizer
        if isinstance(whole, Grouped):
            if optimizer is not whole.optimizers[0]:
                return False
            optimizer = whole
        return super()._reduce_optimizer_lr(optimizer, *args, **options)

    def _is_improvement(self, value: float, best: float | None) -> bool:
        # Keras compares in floatx, and takes a first NaN for the best.
        return self.spec.better(value, self.spec.worst() if best is None else best)

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best, "wait": self.wait, "cooldown_counter": self.cooldown_counter}

    def set_state(self, state: dict[str, Any]) -> None:
        self.best, self.wait, self.cooldown_counter = state["best"], state["wait"], state["cooldown_counter"]
        self.resumed = True


def build(spec: Spec, optimizer: keras.optimizers.Optimizer) -> ReduceOnPlateau:
    if isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
        has = f"this optimizer's is the schedule {type(optimizer._learning_rate).__name__}"
        raise InputError(f"{spec.name} reduces a rate that is a number, and {has}: leave one of the two out")
    return ReduceOnPlateau(spec)


def trace(spec: Spec, case: Arrays) -> Arrays:
    def start(rate: float) -> ReduceOnPlateau:
        optimizer = keras.optimizers.SGD(rate)
        callback = build(spec, optimizer)
        callback.set_model(SimpleNamespace(optimizer=optimizer))
        return callback

    def run(callback: ReduceOnPlateau, metrics: Any) -> list[float]:
        callback.on_train_begin()
        rates = []
        for epoch, value in enumerate(metrics):
            callback.on_epoch_end(epoch, {spec.monitor: float(value)})
            rates.append(float(callback.model.optimizer.learning_rate))
        return rates

    rates, resumed = [], []
    for metrics in spec.sequences(case):
        first = start(spec.START)
        before = run(first, metrics[: spec.middle()])
        second = start(before[-1])
        second.set_state(first.get_state())
        resumed.append(run(second, metrics[spec.middle() :]))
        first.set_state(first.get_state())
        rates.append(before + run(first, metrics[spec.middle() :]))
    dtype = case["metrics"].dtype
    return {"rates": np.array(rates, dtype), "rates resumed": np.array(resumed, dtype)}
