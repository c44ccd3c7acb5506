"""Lion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import fraction, non_negative, positive
from ..technique import Arrays, Optimizer


@dataclass(frozen=True, kw_only=True)
class Lion(Optimizer):
    """Steps of one size in every element, by the sign of a mix of the gradient and its running mean.

    Source: Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023, algorithm 2. With c = beta_1 m +
    (1 - beta_1) g, w <- w - rate (sign(c) + lambda w), and afterwards m <- beta_2 m + (1 - beta_2) g.

    Slots: `m`, the running mean.

    Fields:
        learning_rate: step size, symbol eta.
        beta_1: weight of the mean in the mix.
        beta_2: decay of the mean.
        weight_decay: strength of the decoupled decay, symbol lambda.

    An element whose mix is exactly zero does not move. One whose gradient is zero by its mathematics but not in
    rounding, such as the key's bias under a softmax, moves by the whole rate in a direction that rounding chooses.

    Raises SpecError for a value against its rule, and for a beta_1 of 0, which leaves the mean without any use.

    Frameworks differ: PyTorch has no Lion. Keras's is this one; its default rate, 0.001, is ten times the paper's, and
    it does not decay.
    """

    learning_rate: float = positive(1e-4)
    beta_1: float = fraction(0.9)
    beta_2: float = fraction(0.99)
    weight_decay: float = non_negative(0.0)

    SLOTS: ClassVar[tuple[str, ...]] = ("m",)
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"lion_decay": {"learning_rate": 0.01, "weight_decay": 0.1}}
    CHECKED = ("lion", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"keras": "keras.optimizers.Lion"}

    def constraints(self) -> Iterator[str]:
        if not self.beta_1:
            yield "beta_1 must be above 0: the step would be the sign of the gradient alone"

    def update(
        self, weight: NDArray[Any], gradient: NDArray[Any], slots: Arrays, step: int, rate: float
    ) -> tuple[NDArray[Any], Arrays]:
        mix = self.beta_1 * slots["m"] + (1 - self.beta_1) * gradient
        mean = self.beta_2 * slots["m"] + (1 - self.beta_2) * gradient
        return weight - rate * (np.sign(mix) + self.weight_decay * weight), {"m": mean}
