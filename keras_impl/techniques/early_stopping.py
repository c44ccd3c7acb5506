"""Early stopping. See core/techniques/early_stopping.py."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from ...core.technique import Arrays
from ...core.techniques.early_stopping import EarlyStopping as Spec

KEPT = ("wait", "best", "best_epoch", "best_weights", "stopped_epoch")


class EarlyStopping(keras.callbacks.EarlyStopping):
    """`EarlyStopping` that compares metrics as they are, asks for those that are missing, and can be resumed."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(
            monitor=spec.monitor,
            min_delta=spec.min_delta,
            patience=spec.patience,
            mode=spec.mode,
            restore_best_weights=spec.restore_best,
        )
        self.spec, self.resumed = spec, False

    def on_train_begin(self, logs: Any = None) -> None:
        if not self.resumed:
            super().on_train_begin(logs)
        self.resumed = False

    def get_monitor_value(self, logs: Any) -> float:
        return self.spec.value(logs or {})

    def _is_improvement(self, value: float, best: float | None) -> bool:
        # Keras compares in floatx, and takes a first NaN for the best.
        return self.spec.better(value, self.spec.worst() if best is None else best)

    def get_state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in KEPT}

    def set_state(self, state: dict[str, Any]) -> None:
        for name in KEPT:
            setattr(self, name, state[name])
        self.resumed = True


def build(spec: Spec) -> EarlyStopping:
    return EarlyStopping(spec)


def trace(spec: Spec, case: Arrays) -> Arrays:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])

    def begun(state: dict[str, Any] | None = None) -> EarlyStopping:
        stopping = build(spec)
        stopping.set_model(model)
        if state is not None:
            stopping.set_state(state)
        stopping.on_train_begin()
        return stopping

    def run(metrics: Any, resumes: bool) -> tuple[list[int], list[int], bool, Any]:
        stopping, waits, bests, model.stop_training = begun(), [], [], False
        for epoch, value in enumerate(metrics):
            if resumes and epoch == spec.middle():
                stopping = begun(stopping.get_state())
            model.set_weights([case["weights"][epoch][:, None]])
            stopping.on_epoch_end(epoch, {spec.monitor: float(value)})
            waits.append(stopping.wait)
            bests.append(stopping.best_epoch)
            if model.stop_training:
                break
        stopping.on_train_end()
        return waits, bests, model.stop_training, model.get_weights()[0][:, 0]

    result: Arrays = {}
    for suffix, resumes in (("", False), (" resumed", True)):
        waits, bests, stops, weights = zip(*(run(metrics, resumes) for metrics in spec.sequences(case)), strict=True)
        result |= {
            f"waits{suffix}": spec.filled(list(waits)),
            f"best epochs{suffix}": spec.filled(list(bests)),
            f"stopped{suffix}": np.array(stops).astype(int),
            f"weights{suffix}": np.stack(weights),
        }
    return result
