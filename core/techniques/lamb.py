"""LAMB."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import choice, fraction, non_negative, optional_positive, positive
from ..technique import Arrays, Optimizer


@dataclass(frozen=True, kw_only=True)
class LAMB(Optimizer):
    """Adam whose step has, in every weight, a length in proportion to the weight's own.

    Source: You et al., "Large batch optimization for deep learning: training BERT in 76 minutes", ICLR 2020, algorithm
    2. With Adam's ratio r = m_hat / (sqrt(v_hat) + epsilon) and u = r + lambda w, w <- w - rate phi(|w|) / |u| u, where
    phi(z) = min(max(z, gamma_l), gamma_u) and the norms are those of a whole array.

    Slots: `m` and `v`, the first and second moment, not corrected.

    Fields:
        learning_rate: step size, symbol eta.
        beta_1: decay of the first moment.
        beta_2: decay of the second moment.
        epsilon: added to the root of the corrected second moment.
        weight_decay: strength of the decay, symbol lambda.
        decay: `inside` adds lambda w to the ratio, before the norm is taken (the paper); `decoupled` shrinks the weight
            by rate x lambda first, out of reach of phi, and takes the norm of what is left (Keras).
        least_norm: symbol gamma_l; a weight whose norm is below it counts as one of that norm.
        greatest_norm: symbol gamma_u; None is no upper bound.

    Departs from paper: where phi(|w|) or |u| is 0, the factor is 1, as in the authors' code and in Keras; by the
    algorithm, a bias that starts at zero would stay there. The paper scales a whole layer by one factor; here, as in
    the code, each array has its own.

    Raises SpecError for a value against its rule, and for a least norm above the greatest.

    Frameworks differ: PyTorch has no LAMB. Keras's never clips the norm, and its `weight_decay` is decoupled: it does
    not enter the norm of the step, and its share is not scaled. Its squares of an embedding's gradient are those of
    Keras's Adam (core/techniques/adam.py); the sibling's are exact.
    """

    learning_rate: float = positive(1e-3)
    beta_1: float = fraction(0.9)
    beta_2: float = fraction(0.999)
    epsilon: float = positive(1e-6)
    weight_decay: float = non_negative(0.01)
    decay: str = choice("inside", "decoupled")
    least_norm: float = non_negative(0.0)
    greatest_norm: float | None = optional_positive(None)

    SLOTS: ClassVar[tuple[str, ...]] = ("m", "v")
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "lamb_decoupled": {"decay": "decoupled", "weight_decay": 0.1, "learning_rate": 0.02},
        "lamb_clipped": {"least_norm": 1.5, "greatest_norm": 4.0, "weight_decay": 0.1, "learning_rate": 0.02},
    }
    CHECKED = ("lamb", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"keras": "keras.optimizers.Lamb"}

    def constraints(self) -> Iterator[str]:
        if self.greatest_norm is not None and self.least_norm > self.greatest_norm:
            yield f"least_norm ({self.least_norm:g}) must not be above greatest_norm ({self.greatest_norm:g})"

    def update(
        self, weight: NDArray[Any], gradient: NDArray[Any], slots: Arrays, step: int, rate: float
    ) -> tuple[NDArray[Any], Arrays]:
        m = self.beta_1 * slots["m"] + (1 - self.beta_1) * gradient
        v = self.beta_2 * slots["v"] + (1 - self.beta_2) * gradient**2
        change = m / (1 - self.beta_1**step) / (np.sqrt(v / (1 - self.beta_2**step)) + self.epsilon)
        if self.decay == "inside":
            change = change + self.weight_decay * weight
        else:
            weight = weight - rate * self.weight_decay * weight
        length, size = self.clipped(float(np.linalg.norm(weight))), float(np.linalg.norm(change))
        trust = length / size if length > 0 and size > 0 else 1.0
        return weight - rate * trust * change, {"m": m, "v": v}

    def clipped(self, norm: float) -> float:
        """A weight's norm within its bounds: phi."""
        norm = max(norm, self.least_norm)
        return norm if self.greatest_norm is None else min(norm, self.greatest_norm)
