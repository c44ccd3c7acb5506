"""RMSprop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import choice, flag, fraction, non_negative, positive
from ..technique import Arrays, Optimizer


@dataclass(frozen=True, kw_only=True)
class RMSprop(Optimizer):
    """Divides each gradient by the root of a running mean of its squares.

    Source: Hinton, Srivastava and Swersky, "Neural networks for machine learning", lecture 6e (2012). Centred, with
    momentum, and epsilon inside the root: Graves, "Generating sequences with recurrent neural networks" (2013), eq.
    38-41.

    Slots: `v`, the mean square; `mean`, the mean gradient, where `centered`; `velocity`, where there is momentum.

    Fields:
        learning_rate: step size.
        rho: decay of both means; alpha in PyTorch, aleph in Graves, 0.9 in the lecture.
        epsilon: keeps the divisor above zero.
        momentum: decay of the velocity; 0 keeps none.
        centered: divide by the root of the variance, the mean square less the squared mean.
        weight_decay: strength of the decay, symbol lambda.
        decay: `l2` adds lambda w to the gradient; `decoupled` shrinks the weight by rate x lambda before the step.
        epsilon_convention: `outside` divides by sqrt(v) + epsilon (PyTorch); `inside` by sqrt(v + epsilon) (Graves;
            Keras).
        velocity: `gradient` accumulates the divided gradients and multiplies by the rate afterwards (PyTorch); `update`
            accumulates steps, the rate included (Graves; Keras).

    Departs from paper: the lecture has neither epsilon, momentum nor a centre.

    Frameworks differ: in both conventions. Inside the root, epsilon is worth its own root beside sqrt(v): Keras's 1e-7
    keeps the divisor above 3e-4, PyTorch's 1e-8 above 1e-8. rho is 0.99 in PyTorch and 0.9 in Keras, the rate 0.01 and
    0.001. `weight_decay` is L2 in PyTorch and decoupled in Keras. Where a gradient stays the same, the variance of
    `centered` is zero but for rounding, and below zero it is NaN with epsilon `outside`. Keras squares the gradient of
    an embedding before the rows of one index are added up.
    """

    learning_rate: float = positive(0.01)
    rho: float = fraction(0.99)
    epsilon: float = positive(1e-8)
    momentum: float = fraction(0.0)
    centered: bool = flag(False)
    weight_decay: float = non_negative(0.0)
    decay: str = choice("l2", "decoupled")
    epsilon_convention: str = choice("outside", "inside")
    velocity: str = choice("gradient", "update")

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "rmsprop_inside": {"learning_rate": 1e-3, "rho": 0.9, "epsilon": 1e-7, "epsilon_convention": "inside"},
        "rmsprop_momentum": {"momentum": 0.9, "weight_decay": 0.01, "learning_rate": 1e-3},
        "rmsprop_graves": {
            "learning_rate": 1e-3,
            "rho": 0.95,
            "epsilon": 1e-4,
            "momentum": 0.9,
            "centered": True,
            "epsilon_convention": "inside",
            "velocity": "update",
        },
        "rmsprop_decoupled": {
            "learning_rate": 1e-3,
            "epsilon": 1e-3,
            "momentum": 0.9,
            "centered": True,
            "weight_decay": 0.01,
            "decay": "decoupled",
            "velocity": "update",
        },
    }
    CHECKED = ("rmsprop", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"torch": "torch.optim.RMSprop", "keras": "keras.optimizers.RMSprop"}
    DEFAULTS: ClassVar[dict[str, Any]] = {
        "learning_rate": (("lr", 0.01), ("learning_rate", 1e-3)),
        "rho": (("alpha", 0.99), ("rho", 0.9)),
        "epsilon": (("eps", 1e-8), ("epsilon", 1e-7)),
    }

    def slots(self) -> tuple[str, ...]:
        return ("v", *(["mean"] if self.centered else []), *(["velocity"] if self.momentum else []))

    def update(
        self, weight: NDArray[Any], gradient: NDArray[Any], slots: Arrays, step: int, rate: float
    ) -> tuple[NDArray[Any], Arrays]:
        if self.decay == "decoupled":
            weight = weight - rate * self.weight_decay * weight
        else:
            gradient = gradient + self.weight_decay * weight
        kept = {"v": self.rho * slots["v"] + (1 - self.rho) * gradient**2}
        square = kept["v"]
        if self.centered:
            kept["mean"] = self.rho * slots["mean"] + (1 - self.rho) * gradient
            square = square - kept["mean"] ** 2
        outside = self.epsilon_convention == "outside"
        change = gradient / (np.sqrt(square) + self.epsilon if outside else np.sqrt(square + self.epsilon))
        if not self.momentum:
            return weight - rate * change, kept
        if self.velocity == "gradient":
            kept["velocity"] = self.momentum * slots["velocity"] + change
            return weight - rate * kept["velocity"], kept
        kept["velocity"] = self.momentum * slots["velocity"] + rate * change
        return weight - kept["velocity"], kept
