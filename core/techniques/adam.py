"""Adam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import choice, flag, fraction, non_negative, positive
from ..technique import Arrays, Optimizer


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Steps along a running mean of the gradients, divided by the root of a running mean of their squares.

    Source: Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1. AMSGrad: Reddi, Kale
    and Kumar, "On the convergence of Adam and beyond", ICLR 2018, algorithm 2, with the bias corrections that it leaves
    out.

    Slots: `m` and `v`, the first and second moment, not corrected; `v_max` with `amsgrad`.

    Fields:
        learning_rate: step size, symbol alpha.
        beta_1: decay of the first moment.
        beta_2: decay of the second moment.
        epsilon: keeps the divisor above zero.
        weight_decay: strength lambda of the decay; lambda w is added to the gradient (L2), before both moments.
        epsilon_convention: `corrected` adds epsilon to the root of the corrected moment, w <- w - rate m_hat /
            (sqrt(v_hat) + epsilon) (algorithm 1; PyTorch); `uncorrected` adds it to the root of v itself, w <- w -
            rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon) (the epsilon hat at the end of section 2;
            Keras).
        amsgrad: divide by the largest v so far, each element on its own.

    Frameworks differ: in the convention, and no setting makes them equal: `uncorrected` acts at step t as a `corrected`
    epsilon divided by sqrt(1 - beta_2^t), at first 32 times as large. Epsilon is 1e-8 in PyTorch and 1e-7 in Keras.
    `weight_decay` is L2 in PyTorch's Adam and decoupled in Keras's. Keras on TensorFlow squares the gradient of an
    embedding row by row, before the rows of one repeated index are added up, so its v is wrong (5 for the true 9, where
    one token has the gradients 1 and 2); the sibling adds them up first.
    """

    learning_rate: float = positive(1e-3)
    beta_1: float = fraction(0.9)
    beta_2: float = fraction(0.999)
    epsilon: float = positive(1e-8)
    weight_decay: float = non_negative(0.0)
    epsilon_convention: str = choice("corrected", "uncorrected")
    amsgrad: bool = flag(False)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "adam_uncorrected": {"epsilon_convention": "uncorrected", "epsilon": 1e-7},
        "adam_l2": {"weight_decay": 0.01},
        "adam_l2_uncorrected": {"weight_decay": 0.01, "epsilon_convention": "uncorrected", "epsilon": 1e-3},
        "adam_amsgrad": {"amsgrad": True, "beta_2": 0.75, "epsilon": 1e-3},
        "adam_amsgrad_uncorrected": {
            "amsgrad": True,
            "beta_2": 0.75,
            "epsilon": 1e-3,
            "epsilon_convention": "uncorrected",
        },
    }
    CHECKED = ("adam", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"torch": "torch.optim.Adam", "keras": "keras.optimizers.Adam"}
    DEFAULTS: ClassVar[dict[str, Any]] = {"epsilon": (("eps", 1e-8), ("epsilon", 1e-7))}

    def slots(self) -> tuple[str, ...]:
        return ("m", "v", "v_max") if self.amsgrad else ("m", "v")

    def update(
        self, weight: NDArray[Any], gradient: NDArray[Any], slots: Arrays, step: int, rate: float
    ) -> tuple[NDArray[Any], Arrays]:
        return self.adapt(weight, gradient + self.weight_decay * weight, slots, step, rate)

    def adapt(
        self, weight: NDArray[Any], gradient: NDArray[Any], slots: Arrays, step: int, rate: float
    ) -> tuple[NDArray[Any], Arrays]:
        """The step without the decay."""
        kept = {
            "m": self.beta_1 * slots["m"] + (1 - self.beta_1) * gradient,
            "v": self.beta_2 * slots["v"] + (1 - self.beta_2) * gradient**2,
        }
        if self.amsgrad:
            kept["v_max"] = np.maximum(slots["v_max"], kept["v"])
        root, correction = np.sqrt(kept[self.slots()[-1]]), np.sqrt(1 - self.beta_2**step)
        if self.epsilon_convention == "corrected":
            divisor = root / correction + self.epsilon
        else:
            divisor = (root + self.epsilon) / correction
        return weight - rate * kept["m"] / (1 - self.beta_1**step) / divisor, kept
