"""Muon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import choice, flag, fraction, non_negative, numbers, positive, whole
from ..newton_schulz import orthogonalised
from ..technique import Arrays, Optimizer
from .adamw import AdamW


@dataclass(frozen=True, kw_only=True)
class Muon(Optimizer):
    """Momentum whose matrices are replaced by near orthogonal ones before the step; AdamW for what is no matrix.

    Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with its Newton-Schulz
    iteration (core/newton_schulz.py); `match_rms_adamw` is Liu et al., "Muon is scalable for LLM training" (2025), eq.
    4. B <- mu B + g, or its average; O is g + mu B with Nesterov's momentum, else B, orthogonalised; w <- w - rate
    lambda w - rate s O.

    Slots: `momentum`, symbol B, of a matrix; `m` and `v` of a weight that AdamW updates.

    Fields:
        learning_rate: step size, symbol eta.
        momentum: symbol mu.
        nesterov: look ahead along the momentum.
        weight_decay: strength lambda of the decoupled decay, of all weights; the adjustment s does not enter it.
        coefficients: (a, b, c) of the iteration.
        iterations: of Newton-Schulz.
        epsilon: keeps the norm of the momentum above zero.
        momentum_convention: `average` is B <- mu B + (1 - mu) g and (1 - mu) g + mu B (PyTorch, and the authors' code);
            `sum` is B <- mu B + g and g + mu B (Keras, and the authors' text), 1 / (1 - mu) times as large. The
            normalisation leaves of it no more than the buffer's size and epsilon's share.
        epsilon_convention: `added` divides by the norm plus epsilon (Keras, and the authors' code); `floor` by the
            larger of both (PyTorch).
        precision: `weight` iterates in the weight's own precision (Keras); `bfloat16` rounds the momentum and every
            product to bfloat16, with sums in the weight's precision (PyTorch, and the authors' code).
        rate_adjustment: the factor s for a matrix of so many outputs and inputs: `original` is sqrt(max(1, out / in));
            `match_rms_adamw` is rms_rate sqrt(max(out, in)), which makes a step as large as one of AdamW; `none` is 1.
        rms_rate: 0.2 in Liu et al.
        convolutions: kernels of more than two axes: left to `adamw` (both frameworks), or `flattened` to a matrix of
            outputs by all else, whose sizes then count as out and in (the authors).
        adam_rate_ratio: AdamW's rate over Muon's; the decay of its weights follows its rate.
        adam_beta_1: AdamW's decay of the first moment.
        adam_beta_2: AdamW's decay of the second moment.
        adam_epsilon: AdamW's epsilon.
        adam_epsilon_convention: `corrected` or `uncorrected`, as in core/techniques/adam.py.

    `build` takes as `tables` the matrices that AdamW is to update all the same: embeddings, and the last layer, which
    the authors leave out too.

    Departs from paper: the authors adjust the rate of a flattened kernel by its last two axes, which are its height and
    width; here its outputs and inputs count.

    Frameworks differ: in all conventions. PyTorch's refuses what is not a matrix; Keras's updates that by AdamW with
    its own epsilon convention, and takes a weight for an embedding by its name. The adjustment is `original` in PyTorch
    and `match_rms_adamw` in Keras, where `rms_rate=None` is `none`; no setting of Keras's is `original`. A Keras kernel
    is `in out`: a port that takes the first axis for the outputs scales wide and tall layers the wrong way round.
    Keras's takes float64 weights only where that is its default precision. Its decay of what AdamW updates is a number
    of its own, and does not follow `adam_lr_ratio`. `weight_decay` is 0.1 and 0.004.
    """

    learning_rate: float = positive(1e-3)
    momentum: float = fraction(0.95)
    nesterov: bool = flag(True)
    weight_decay: float = non_negative(0.1)
    coefficients: tuple[float, float, float] = numbers((3.4445, -4.775, 2.0315))
    iterations: int = whole(5)
    epsilon: float = positive(1e-7)
    momentum_convention: str = choice("average", "sum")
    epsilon_convention: str = choice("added", "floor")
    precision: str = choice("weight", "bfloat16")
    rate_adjustment: str = choice("original", "match_rms_adamw", "none")
    rms_rate: float = positive(0.2)
    convolutions: str = choice("adamw", "flattened")
    adam_rate_ratio: float = positive(1.0)
    adam_beta_1: float = fraction(0.9)
    adam_beta_2: float = fraction(0.999)
    adam_epsilon: float = positive(1e-8)
    adam_epsilon_convention: str = choice("corrected", "uncorrected")

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "muon_sum": {
            "momentum_convention": "sum",
            "rate_adjustment": "match_rms_adamw",
            "adam_epsilon": 1e-7,
            "adam_epsilon_convention": "uncorrected",
            "weight_decay": 0.004,
        },
        "muon_flattened": {
            "learning_rate": 0.02,
            "epsilon": 1e-3,
            "epsilon_convention": "floor",
            "convolutions": "flattened",
            "adam_rate_ratio": 0.5,
        },
        "muon_bfloat16": {"precision": "bfloat16", "nesterov": False, "rate_adjustment": "none"},
    }
    CHECKED = ("muon", *PRESETS)
    TABLES: ClassVar[bool] = True
    NATIVE: ClassVar[dict[str, str]] = {"torch": "torch.optim.Muon", "keras": "keras.optimizers.Muon"}
    DEFAULTS: ClassVar[dict[str, Any]] = {
        "weight_decay": (("weight_decay", 0.1), ("weight_decay", 0.004)),
        "rate_adjustment": (("adjust_lr_fn", None), ("rms_rate", 0.2)),
    }

    def slots(self) -> tuple[str, ...]:
        return "momentum", "m", "v"

    def adamw(self) -> AdamW:
        """What updates a weight that is no matrix."""
        return AdamW(
            learning_rate=self.learning_rate * self.adam_rate_ratio,
            beta_1=self.adam_beta_1,
            beta_2=self.adam_beta_2,
            epsilon=self.adam_epsilon,
            epsilon_convention=self.adam_epsilon_convention,
            weight_decay=self.weight_decay,
        )

    def orthogonalises(self, axes: int) -> bool:
        """Whether a weight of so many axes is a matrix, or becomes one."""
        return axes == 2 or (axes > 2 and self.convolutions == "flattened")

    def adjustment(self, inputs: int, outputs: int) -> float:
        """The factor s on the rate of a matrix."""
        if self.rate_adjustment == "original":
            return float(max(1.0, outputs / inputs) ** 0.5)
        return self.rms_rate * max(outputs, inputs) ** 0.5 if self.rate_adjustment == "match_rms_adamw" else 1.0

    def start(self, weight: NDArray[Any]) -> Arrays:
        if self.orthogonalises(weight.ndim):
            return {"momentum": np.zeros_like(weight)}
        return self.adamw().start(weight)

    def update(
        self, weight: NDArray[Any], gradient: NDArray[Any], slots: Arrays, step: int, rate: float
    ) -> tuple[NDArray[Any], Arrays]:
        if not self.orthogonalises(weight.ndim):
            return self.adamw().update(weight, gradient, slots, step, rate * self.adam_rate_ratio)
        share = 1 - self.momentum if self.momentum_convention == "average" else 1.0
        momentum = self.momentum * slots["momentum"] + share * gradient
        ahead = share * gradient + self.momentum * momentum if self.nesterov else momentum
        matrix = ahead.reshape(-1, ahead.shape[-1])  # (height width in) out
        step_of = orthogonalised(
            matrix, self.coefficients, self.iterations, self.epsilon, self.epsilon_convention, self.precision
        )
        change = rate * self.adjustment(*matrix.shape) * step_of.reshape(weight.shape)
        return weight - rate * self.weight_decay * weight - change, {"momentum": momentum}
