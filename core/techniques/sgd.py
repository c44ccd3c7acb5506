"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from ..field import choice, flag, fraction, non_negative, positive
from ..technique import Arrays, Optimizer


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum or Nesterov's.

    Source: Polyak, "Some methods of speeding up the convergence of iteration methods" (1964); Sutskever et al., "On the
    importance of initialization and momentum in deep learning", ICML 2013, eq. 1-2 and Nesterov's eq. 3-4.

    Fields:
        learning_rate: step size, symbol epsilon in Sutskever et al.
        momentum: decay of the velocity, symbol mu; 0 keeps no velocity.
        nesterov: look ahead along the velocity.
        weight_decay: strength of the decay, symbol lambda.
        decay: `l2` adds lambda w to the gradient; `decoupled` shrinks the weight by rate x lambda before the step
            (Loshchilov and Hutter, ICLR 2019, algorithm 1).
        velocity: `gradient` accumulates gradients and multiplies by the rate afterwards, v <- mu v + g, w <- w - rate v
            (PyTorch); `update` accumulates steps, v <- mu v - rate g, w <- w + v (Keras, and the paper's eq. 1-2).

    As a regulariser: both decays pull each weight to zero by the rate times lambda w. Without momentum they are the
    same step; with it, L2 enters the velocity and goes on acting, and decoupled decay does not. Adding lambda / 2 times
    the squared norm to the loss is L2. Biases and the gains of normalisations are usually left out
    (core/techniques/parameter_groups.py).

    Departs from paper: Nesterov's gradient is taken at the current weights, which stand for the paper's looked-ahead
    ones, as in both frameworks. Decoupled decay is scaled by the rate, as in both; the paper's algorithm 1 scales it by
    the schedule alone.

    Raises SpecError for a value against its rule, and for Nesterov without momentum.

    Frameworks differ: the two velocities give the same weights while the rate is constant, and other weights as soon
    as it is not. `weight_decay` is `l2` in PyTorch and `decoupled` in Keras.
    """

    learning_rate: float = positive(0.01)
    momentum: float = fraction(0.0)
    nesterov: bool = flag(False)
    weight_decay: float = non_negative(0.0)
    decay: str = choice("l2", "decoupled")
    velocity: str = choice("gradient", "update")

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "sgd_momentum": {"momentum": 0.9, "weight_decay": 0.01},
        "sgd_nesterov": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01, "decay": "decoupled"},
        "sgd_momentum_update": {"momentum": 0.9, "velocity": "update", "weight_decay": 0.01, "decay": "decoupled"},
        "sgd_nesterov_update": {"momentum": 0.9, "nesterov": True, "velocity": "update", "weight_decay": 0.01},
    }
    CHECKED = ("sgd", *PRESETS)
    COUNTS: ClassVar[bool] = False
    NATIVE: ClassVar[dict[str, str]] = {"torch": "torch.optim.SGD", "keras": "keras.optimizers.SGD"}
    DEFAULTS: ClassVar[dict[str, Any]] = {"learning_rate": (("lr", 1e-3), ("learning_rate", 0.01))}

    def constraints(self) -> Iterator[str]:
        if self.nesterov and not self.momentum:
            yield "nesterov needs a momentum above 0"

    def slots(self) -> tuple[str, ...]:
        return ("velocity",) if self.momentum else ()

    def update(
        self, weight: NDArray[Any], gradient: NDArray[Any], slots: Arrays, step: int, rate: float
    ) -> tuple[NDArray[Any], Arrays]:
        if self.decay == "l2":
            gradient = gradient + self.weight_decay * weight
        else:
            weight = weight - rate * self.weight_decay * weight
        if not self.momentum:
            return weight - rate * gradient, {}
        if self.velocity == "gradient":
            velocity = self.momentum * slots["velocity"] + gradient
            change = -rate * (gradient + self.momentum * velocity if self.nesterov else velocity)
        else:
            velocity = self.momentum * slots["velocity"] - rate * gradient
            change = self.momentum * velocity - rate * gradient if self.nesterov else velocity
        return weight + change, {"velocity": velocity}
