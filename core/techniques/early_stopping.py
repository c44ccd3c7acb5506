"""Stopping when a metric has stopped getting better, and going back to the weights of the best epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import choice, flag, non_negative, whole, word
from ..monitored import Monitored
from ..technique import Arrays


@dataclass(frozen=True, kw_only=True)
class EarlyStopping(Monitored):
    """Stop after some epochs in a row without a better metric; keep the weights of the best epoch.

    Source: Prechelt, "Early stopping - but when?", in Neural Networks: Tricks of the Trade (1998), section 2; of its
    criteria this is nearest to UP_s, whose s is `patience`.

    At the end of an epoch its metric is compared with the best so far. Training stops at the end of the epoch that
    makes `patience` in a row that were not better, where 0 stops at the first of them as 1 does; never in the first
    epoch. A metric that is NaN is never better. Better is value < best - min_delta, or value > best + min_delta, as
    computed in float64; the difference of the two, compared with min_delta, would round another way, and shares of
    samples that are right tie often.

    Fields:
        monitor: name of the metric.
        mode: `min` where less is better, `max` where more is.
        patience: epochs in a row that are not better, at which training stops.
        min_delta: by how much a metric must be better to count, absolute.
        restore_best: give the model the weights of its best epoch when training ends, whether it was stopped or ran out
            of epochs. The first epoch is the best one until another is better.

    On PyTorch, `step(metrics, model)` takes the metric or all metrics by name, says whether to stop, and then has
    restored the weights; `restore(model)` does so after a run that was not stopped. On Keras it is a callback of `fit`.
    What is restored is all of a model's state, the running statistics included, and not the optimizer's. The state of
    the machine holds the best weights (`state_dict`; on Keras `get_state` and `set_state`), after which a run goes on.

    Departs from paper: UP_s looks at strips of five epochs, and compares each with the one before instead of with the
    best.

    Departs from the document: its trainer counts as this does, but goes on with the last weights; it saves the best
    ones to a file where it is given one, and never loads it.

    Raises SpecError for a value against its rule, and InputError for a metric that is not there.

    Frameworks differ: PyTorch has no such class. Keras's patience is 0 unless told, its `restore_best_weights` False,
    and a metric that is not there is a warning in each epoch, which nothing follows from. It compares in the precision
    of the network, so that metrics that differ in the ninth digit are the same, and a first metric that is NaN is the
    best for ever; the sibling compares them as they are. A second `fit` starts anew.
    """

    monitor: str = word("val_loss")
    mode: str = choice("min", "max")
    patience: int = whole(10, least=0)
    min_delta: float = non_negative(0.0)
    restore_best: bool = flag(True)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "early_stopping_soon": {"patience": 2},
        "early_stopping_delta": {"patience": 4, "min_delta": 0.25},
        "early_stopping_max": {"mode": "max", "patience": 0, "min_delta": 0.125, "restore_best": False},
    }
    CHECKED = tuple(PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"keras": "keras.callbacks.EarlyStopping"}

    def case(self, rng: np.random.Generator) -> Arrays:
        """Beside the metrics, the weights (epoch, weight) that a network has at the end of each epoch."""
        return {**super().case(rng), "weights": rng.standard_normal((self.EPOCHS, 3))}

    def better(self, value: float, best: float) -> bool:
        """Whether a metric is better than the best so far by the least change; both sides ask this, so ties agree."""
        return value < best - self.min_delta if self.mode == "min" else value > best + self.min_delta

    def watched(self, metrics: NDArray[Any]) -> Iterator[tuple[int, int, bool]]:
        """After each epoch: the epochs since the best one, that epoch, and whether training stops."""
        best, at, waited = self.worst(), 0, 0
        for epoch, value in enumerate(map(float, metrics)):
            better = self.better(value, best)
            best, at, waited = (value, epoch, 0) if better else (best, at, waited + 1)
            stops = not better and waited >= self.patience and epoch > 0
            yield waited, at, stops
            if stops:
                return

    def rule(self, case: Arrays) -> Arrays:
        """Every epoch's wait and best epoch, -1 after the end; the epoch that each sequence ends in; its weights."""
        runs = [list(self.watched(metrics)) for metrics in self.sequences(case)]
        last = np.array([len(run) - 1 for run in runs])
        best = np.array([run[-1][1] for run in runs])
        result = {
            "waits": self.filled([[waited for waited, _, _ in run] for run in runs]),
            "best epochs": self.filled([[at for _, at, _ in run] for run in runs]),
            "stopped": np.array([run[-1][2] for run in runs]).astype(int),
            "weights": case["weights"][best if self.restore_best else last],
        }
        return {**result, **{f"{name} resumed": array for name, array in result.items()}}

    def filled(self, rows: list[list[int]]) -> NDArray[np.int64]:
        """Rows of different lengths as one array, with -1 behind the end of each."""
        return np.array([row + [-1] * (self.EPOCHS - len(row)) for row in rows])
