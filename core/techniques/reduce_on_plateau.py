"""A learning rate that is reduced when a metric has stopped getting better."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import choice, fraction, non_negative, whole, word
from ..monitored import Monitored
from ..technique import Arrays


@dataclass(frozen=True, kw_only=True)
class ReduceOnPlateau(Monitored):
    """Multiply the rate by a factor after some epochs without a better metric, and then wait for a while.

    Source: He et al., "Deep residual learning for image recognition", CVPR 2016, section 3.4, which divides the rate by
    10 "when the error plateaus"; the machine is that of PyTorch's and Keras's classes of this name.

    At the end of an epoch its metric is compared with the best so far. An epoch that is not better is a bad one, and
    they are counted since the last better one. After `patience` of them the rate is multiplied by `factor`, and for
    `cooldown` epochs none counts as bad. A metric that is NaN is never better.

    Fields:
        monitor: name of the metric.
        mode: `min` where less is better, `max` where more is.
        factor: of the rate.
        patience: epochs that are waited for a better metric.
        threshold: by how much a metric must be better to count.
        threshold_mode: `relative` to the best so far, best (1 - threshold) or best (1 + threshold), or `absolute`.
        cooldown: epochs after a reduction in which none counts as bad.
        min_rate: below which the rate is never reduced.
        patience_convention: `exceeded` reduces at the first bad epoch beyond `patience` of them, and the cooldown lasts
            its whole number of epochs (PyTorch); `reached` reduces at the bad epoch that makes up `patience`, and the
            last epoch of the cooldown counts again (Keras). There 0 and 1 are the same, of both.

    The rate is the one that the optimizer has: this changes it, and sets none at the start. PyTorch's `step` takes the
    metric or all metrics by name, at the end of an epoch, and has a `state_dict`; Keras's is a callback with
    `get_state` and `set_state`, after which `fit` goes on instead of starting anew. The rate itself is kept with the
    optimizer.

    Raises SpecError for a value against its rule, and for a relative threshold of 1 and more, which nothing can pass.
    Raises InputError for a metric that is not there, and on Keras for an optimizer
    whose rate is a schedule, which does not let it be set.

    Frameworks differ: in the convention, so that Keras reduces one epoch earlier and waits one epoch less. PyTorch's
    threshold is relative, Keras's absolute. Keras compares in the precision of the network, so that metrics that differ
    in the ninth digit are the same; the sibling compares them as they are. A first metric that is NaN is the best for
    ever in Keras. PyTorch leaves out a reduction by less than 1e-8, which no field asks for here. With groups of
    weights, PyTorch's least rate is times the group's `multiplier`.
    """

    monitor: str = word("val_loss")
    mode: str = choice("min", "max")
    factor: float = fraction(0.1)
    patience: int = whole(10, least=0)
    threshold: float = non_negative(1e-4)
    threshold_mode: str = choice("relative", "absolute")
    cooldown: int = whole(0, least=0)
    min_rate: float = non_negative(0.0)
    patience_convention: str = choice("exceeded", "reached")

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "reduce_on_plateau_relative": {"factor": 0.5, "patience": 2, "threshold": 0.05, "cooldown": 2},
        "reduce_on_plateau_keras": {
            "factor": 0.5,
            "patience": 2,
            "threshold": 0.05,
            "threshold_mode": "absolute",
            "cooldown": 3,
            "min_rate": 0.01,
            "patience_convention": "reached",
        },
        "reduce_on_plateau_max": {
            "mode": "max",
            "factor": 0.25,
            "patience": 0,
            "threshold": 0.125,
            "threshold_mode": "absolute",
            "min_rate": 0.002,
        },
        "reduce_on_plateau_keras_max": {
            "mode": "max",
            "factor": 0.5,
            "patience": 0,
            "threshold": 0.02,
            "cooldown": 1,
            "patience_convention": "reached",
        },
    }
    CHECKED = tuple(PRESETS)
    START: ClassVar[float] = 0.125
    NATIVE: ClassVar[dict[str, str]] = {
        "torch": "torch.optim.lr_scheduler.ReduceLROnPlateau",
        "keras": "keras.callbacks.ReduceLROnPlateau",
    }
    DEFAULTS: ClassVar[dict[str, Any]] = {"mode": (("mode", "min"), ("mode", "auto"))}

    def constraints(self) -> Iterator[str]:
        if self.threshold_mode == "relative" and self.threshold >= 1:
            yield f"a relative threshold of {self.threshold:g} can never be passed; it must be below 1"

    def better(self, value: float, best: float) -> bool:
        """Whether a metric is better than the best so far by the threshold; both sides ask this, so ties agree."""
        step = -self.threshold if self.mode == "min" else self.threshold
        limit = best * (1 + step) if self.threshold_mode == "relative" else best + step
        return value < limit if self.mode == "min" else value > limit

    def rates(self, metrics: NDArray[Any]) -> list[float]:
        """The rate after each epoch."""
        rate, best, bad, cooling, found = self.START, self.worst(), 0, 0, []
        exceeded = self.patience_convention == "exceeded"
        for value in map(float, metrics):
            counts = cooling == 0 if exceeded else cooling <= 1
            cooling = max(0, cooling - 1)
            better = self.better(value, best)
            best, bad = (value, 0) if better else (best, bad + 1 if counts else 0)
            if bad and (bad > self.patience if exceeded else bad >= self.patience):
                rate, bad, cooling = max(rate * self.factor, self.min_rate), 0, self.cooldown
            found.append(rate)
        return found

    def rule(self, case: Arrays) -> Arrays:
        rates = np.array([self.rates(metrics) for metrics in self.sequences(case)])
        return {"rates": rates, "rates resumed": rates[:, self.middle() :]}
