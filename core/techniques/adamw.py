"""Adam with decoupled weight decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from ..field import non_negative
from ..technique import Arrays
from .adam import Adam


@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """Adam whose weights shrink by rate x lambda at each step, outside the moments.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2.

    Fields:
        weight_decay: strength of the decay, symbol lambda: w <- w - rate lambda w, before the step of Adam.
        The others, and the slots, are those of core/techniques/adam.py.

    As a regulariser: every weight shrinks by the same share, whatever its gradients were; with L2 in Adam the weights
    with large gradients shrink least, as the decay is divided by their moment. The share of a step follows the
    schedule, so a run with half the rate shrinks half as much. Biases and the gains of normalisations are usually left
    out (core/techniques/parameter_groups.py).

    Departs from paper: the paper multiplies the decay by the schedule's multiplier eta_t alone; both frameworks
    multiply it by the learning rate, eta_t alpha.

    Frameworks differ: epsilon as in Adam, its convention and its size; `weight_decay` is 0.01 in PyTorch and 0.004 in
    Keras. Keras's `Adam(weight_decay=...)` is this optimizer, PyTorch's is not.
    """

    weight_decay: float = non_negative(0.01)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "adamw_uncorrected": {"epsilon_convention": "uncorrected", "epsilon": 1e-7, "weight_decay": 0.004},
        "adamw_amsgrad": {"amsgrad": True, "beta_2": 0.75, "epsilon": 1e-3, "weight_decay": 0.1},
        "adamw_amsgrad_uncorrected": {
            "amsgrad": True,
            "beta_2": 0.75,
            "epsilon": 1e-3,
            "epsilon_convention": "uncorrected",
            "weight_decay": 0.1,
        },
    }
    CHECKED = ("adamw", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"torch": "torch.optim.AdamW", "keras": "keras.optimizers.AdamW"}
    DEFAULTS: ClassVar[dict[str, Any]] = {
        "epsilon": (("eps", 1e-8), ("epsilon", 1e-7)),
        "weight_decay": (("weight_decay", 0.01), ("weight_decay", 0.004)),
    }

    def update(
        self, weight: NDArray[Any], gradient: NDArray[Any], slots: Arrays, step: int, rate: float
    ) -> tuple[NDArray[Any], Arrays]:
        return self.adapt(weight - rate * self.weight_decay * weight, gradient, slots, step, rate)
