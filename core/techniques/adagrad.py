"""Adagrad."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import choice, non_negative, positive
from ..technique import Arrays, Optimizer


@dataclass(frozen=True, kw_only=True)
class Adagrad(Optimizer):
    """Divides each gradient by the root of the sum of all its squares so far.

    Source: Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization",
    JMLR 12, 2011, figure 1 with diagonal matrices, for the squared norm without a regulariser.

    Slots: `sum`, the sum of the squares.

    Fields:
        learning_rate: step size, symbol eta.
        rate_decay: the rate of step t, counted from 1, is learning_rate / (1 + (t - 1) rate_decay).
        initial_accumulator_value: the sum before the first step.
        epsilon: keeps the divisor above zero, symbol delta.
        weight_decay: strength of the decay, symbol lambda.
        decay: `l2` adds lambda w to the gradient; `decoupled` shrinks the weight by rate x lambda before the step. This
            rate is the one before `rate_decay`.
        epsilon_convention: `outside` divides by sqrt(sum) + epsilon (the paper; PyTorch); `inside` by sqrt(sum +
            epsilon) (Keras).

    Departs from paper: the paper has neither `rate_decay` nor a decay of the weights.

    Frameworks differ: in the convention. The sum starts at 0 in PyTorch and at 0.1 in Keras, so that Keras's first
    steps are shorter: for a gradient of 0.01, 0.03 of PyTorch's. Epsilon is 1e-10 and 1e-7, the rate 0.01 and 0.001.
    `rate_decay` is `lr_decay` in PyTorch, and Keras has none. `weight_decay` is L2 in PyTorch and decoupled in Keras.
    PyTorch ignores an `initial_accumulator_value` that a group of weights has for itself. Keras squares the gradient of
    an embedding before the rows of one index are added up.
    """

    learning_rate: float = positive(0.01)
    rate_decay: float = non_negative(0.0)
    initial_accumulator_value: float = non_negative(0.0)
    epsilon: float = positive(1e-10)
    weight_decay: float = non_negative(0.0)
    decay: str = choice("l2", "decoupled")
    epsilon_convention: str = choice("outside", "inside")

    SLOTS = ("sum",)
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "adagrad_inside": {
            "learning_rate": 0.01,
            "initial_accumulator_value": 0.1,
            "epsilon": 1e-7,
            "weight_decay": 0.01,
            "decay": "decoupled",
            "epsilon_convention": "inside",
        },
        "adagrad_decaying": {
            "rate_decay": 0.05,
            "weight_decay": 0.01,
            "epsilon": 1e-3,
            "initial_accumulator_value": 0.01,
        },
    }
    CHECKED = ("adagrad", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"torch": "torch.optim.Adagrad", "keras": "keras.optimizers.Adagrad"}
    DEFAULTS: ClassVar[dict[str, Any]] = {
        "learning_rate": (("lr", 0.01), ("learning_rate", 1e-3)),
        "initial_accumulator_value": (("initial_accumulator_value", 0), ("initial_accumulator_value", 0.1)),
        "epsilon": (("eps", 1e-10), ("epsilon", 1e-7)),
    }

    def start(self, weight: NDArray[Any]) -> Arrays:
        return {"sum": np.full_like(weight, self.initial_accumulator_value)}

    def update(
        self, weight: NDArray[Any], gradient: NDArray[Any], slots: Arrays, step: int, rate: float
    ) -> tuple[NDArray[Any], Arrays]:
        if self.decay == "decoupled":
            weight = weight - rate * self.weight_decay * weight
        else:
            gradient = gradient + self.weight_decay * weight
        total = slots["sum"] + gradient**2
        outside = self.epsilon_convention == "outside"
        divisor = np.sqrt(total) + self.epsilon if outside else np.sqrt(total + self.epsilon)
        return weight - rate / (1 + (step - 1) * self.rate_decay) * gradient / divisor, {"sum": total}
