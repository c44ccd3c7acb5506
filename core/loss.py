"""What the losses have in common: an output and targets in, a scalar and its gradient out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class Loss(Technique):
    """A loss. A subclass gives `value`; `OUTPUT` is what the case calls the output of the network.

    The built loss is called as each framework calls its own: with the output and the targets in PyTorch, with the
    targets and the output in Keras.
    """

    OUTPUT: ClassVar[str] = "outputs"

    def value(self, output: NDArray[Any], targets: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
        """The loss, and its gradient with respect to the output."""
        raise TypeError(f"{self.name} does not state its value")

    def case(self, rng: np.random.Generator) -> Arrays:
        """Outputs and targets of one shape, (batch, height, width, channels)."""
        return {self.OUTPUT: rng.standard_normal((4, 3, 2, 5)), "targets": rng.standard_normal((4, 3, 2, 5))}

    def rule(self, case: Arrays) -> Arrays:
        loss, gradient = self.value(case[self.OUTPUT], case["targets"])
        return {"loss": np.asarray(loss), "gradient": gradient}


def require_one_shape(name: str, output: Sequence[int | None], targets: Sequence[int | None]) -> None:
    """Raises InputError for outputs and targets of two shapes. A size that is not yet known, None, fits any other."""
    fits = len(output) == len(targets) and all(
        one == other or one is None or other is None for one, other in zip(output, targets, strict=True)
    )
    if not fits:
        shapes = f"outputs are {tuple(output)} and targets {tuple(targets)}"
        raise InputError(f"{name}: {shapes}; give both one shape, as PyTorch would broadcast them and Keras squeeze")


def require_one_weight_each(name: str, weights: Sequence[float] | None, classes: int | None) -> None:
    """Raises InputError for class weights of another number than the classes."""
    if weights and classes is not None and len(weights) != classes:
        raise InputError(f"{name}: there are {len(weights)} class_weights for {classes} classes; give one for each")
