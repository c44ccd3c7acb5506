"""Adadelta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import choice, fraction, non_negative, positive
from ..technique import Arrays, Optimizer


@dataclass(frozen=True, kw_only=True)
class Adadelta(Optimizer):
    """Steps of the size of the last ones: each gradient times the root of the mean square of the steps over its own.

    Source: Zeiler, "ADADELTA: an adaptive learning rate method" (2012), algorithm 1.

    Slots: `v`, the mean square of the gradients, E[g^2] in the paper; `u`, that of the steps, E[dx^2].

    Fields:
        learning_rate: what each step is multiplied by.
        rho: decay of both means; 0.95 in the paper's experiments.
        epsilon: inside both roots; it decides the first steps, as the mean of the steps starts at 0.
        weight_decay: strength of the decay, symbol lambda.
        decay: `l2` adds lambda w to the gradient; `decoupled` shrinks the weight by rate x lambda before the step.

    Departs from paper: the paper has no rate, which is a rate of 1. The mean of the steps is of those before the
    multiplication, as in both frameworks.

    Frameworks differ: in their defaults alone. The rate is 1.0 in PyTorch and 0.001 in Keras, where the steps are a
    thousandth of the paper's; rho is 0.9 and 0.95, epsilon 1e-6 and 1e-7. `weight_decay` is L2 in PyTorch and decoupled
    in Keras. Keras squares the gradient of an embedding before the rows of one index are added up.
    """

    learning_rate: float = positive(1.0)
    rho: float = fraction(0.9)
    epsilon: float = positive(1e-6)
    weight_decay: float = non_negative(0.0)
    decay: str = choice("l2", "decoupled")

    SLOTS = ("v", "u")
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "adadelta_l2": {"rho": 0.95, "weight_decay": 0.01},
        "adadelta_decoupled": {"weight_decay": 0.001, "decay": "decoupled"},
    }
    CHECKED = ("adadelta", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"torch": "torch.optim.Adadelta", "keras": "keras.optimizers.Adadelta"}
    DEFAULTS: ClassVar[dict[str, Any]] = {
        "learning_rate": (("lr", 1.0), ("learning_rate", 1e-3)),
        "rho": (("rho", 0.9), ("rho", 0.95)),
        "epsilon": (("eps", 1e-6), ("epsilon", 1e-7)),
    }

    def update(
        self, weight: NDArray[Any], gradient: NDArray[Any], slots: Arrays, step: int, rate: float
    ) -> tuple[NDArray[Any], Arrays]:
        if self.decay == "decoupled":
            weight = weight - rate * self.weight_decay * weight
        else:
            gradient = gradient + self.weight_decay * weight
        v = self.rho * slots["v"] + (1 - self.rho) * gradient**2
        change = np.sqrt(slots["u"] + self.epsilon) / np.sqrt(v + self.epsilon) * gradient
        return weight - rate * change, {"v": v, "u": self.rho * slots["u"] + (1 - self.rho) * change**2}
