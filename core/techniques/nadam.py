"""Adam with Nesterov's momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import choice, fraction, non_negative, positive
from ..technique import Arrays, Optimizer


@dataclass(frozen=True, kw_only=True)
class NAdam(Optimizer):
    """Adam that looks ahead along its momentum, whose strength rises over the first steps.

    Source: Dozat, "Incorporating Nesterov momentum into Adam", ICLR 2016 workshop, algorithm 2. With mu_t = beta_1 (1 -
    0.96^(t psi) / 2) for step t, counted from 1: the direction is mu_(t+1) m / (1 - mu_1 ... mu_(t+1)) + (1 - mu_t) g /
    (1 - mu_1 ... mu_t), and the divisor is Adam's sqrt(v / (1 - beta_2^t)) + epsilon.

    Slots: `m` and `v`, the first and second moment, not corrected; `mu_product`, the product of all mu up to this step.

    Fields:
        learning_rate: step size, symbol eta (alpha in some versions of the paper).
        beta_1: decay of the first moment, and the limit of mu.
        beta_2: decay of the second moment, symbol nu.
        epsilon: keeps the divisor above zero.
        momentum_decay: how fast mu rises from beta_1 / 2 to beta_1, symbol psi: 0.004 is PyTorch's default, where mu
            is half way there after 4245 steps; 1.0 is Keras's only value, for which 17 are enough.
        weight_decay: strength of the decay, symbol lambda.
        decay: `l2` adds lambda w to the gradient; `decoupled` shrinks the weight by rate x lambda before the step.

    Departs from paper: m decays by beta_1, not by mu_t, as in both frameworks. The paper leaves the schedule of mu
    open; this one, with psi = 0.004, is that of Sutskever's thesis as Dozat's report cites it.

    Frameworks differ: Keras raises 0.96 to the power of the step itself, which is a `momentum_decay` of 1.0, and has no
    argument for it; so its momentum is nearly full after a few dozen steps, PyTorch's after thousands. PyTorch keeps
    `mu_product` in float32 even for float64 weights, unless float64 is the default type; the sibling keeps it in the
    weights' precision, at least float32. `weight_decay` is L2 in PyTorch, with a flag for decoupled, and decoupled in
    Keras. Keras squares the gradient of an embedding before the rows of one index are added up.
    """

    learning_rate: float = positive(2e-3)
    beta_1: float = fraction(0.9)
    beta_2: float = fraction(0.999)
    epsilon: float = positive(1e-8)
    momentum_decay: float = non_negative(0.004)
    weight_decay: float = non_negative(0.0)
    decay: str = choice("l2", "decoupled")

    SLOTS = ("m", "v", "mu_product")
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "nadam_l2": {"weight_decay": 0.01, "epsilon": 1e-3},
        "nadam_keras": {
            "learning_rate": 1e-3,
            "epsilon": 1e-7,
            "momentum_decay": 1.0,
            "weight_decay": 0.004,
            "decay": "decoupled",
        },
    }
    CHECKED = ("nadam", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"torch": "torch.optim.NAdam", "keras": "keras.optimizers.Nadam"}
    DEFAULTS: ClassVar[dict[str, Any]] = {
        "learning_rate": (("lr", 2e-3), ("learning_rate", 1e-3)),
        "epsilon": (("eps", 1e-8), ("epsilon", 1e-7)),
    }

    def slot_axes(self, slot: str, axes: str) -> str:
        return "" if slot == "mu_product" else axes

    def start(self, weight: NDArray[Any]) -> Arrays:
        return {"m": np.zeros_like(weight), "v": np.zeros_like(weight), "mu_product": np.ones((), weight.dtype)}

    def mu(self, step: int) -> float:
        """The strength of the momentum at a step, counted from 1."""
        return float(self.beta_1 * (1 - 0.5 * 0.96 ** (step * self.momentum_decay)))

    def update(
        self, weight: NDArray[Any], gradient: NDArray[Any], slots: Arrays, step: int, rate: float
    ) -> tuple[NDArray[Any], Arrays]:
        if self.decay == "decoupled":
            weight = weight - rate * self.weight_decay * weight
        else:
            gradient = gradient + self.weight_decay * weight
        m = self.beta_1 * slots["m"] + (1 - self.beta_1) * gradient
        v = self.beta_2 * slots["v"] + (1 - self.beta_2) * gradient**2
        now, after = self.mu(step), self.mu(step + 1)
        product = slots["mu_product"] * now
        ahead = after * m / (1 - product * after) + (1 - now) * gradient / (1 - product)
        divisor = np.sqrt(v / (1 - self.beta_2**step)) + self.epsilon
        return weight - rate * ahead / divisor, {"m": m, "v": v, "mu_product": np.asarray(product)}
