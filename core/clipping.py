"""What the ways of clipping gradients have in common: gradients in, and as many gradients out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class Clipping(Technique):
    """Clipping. A subclass gives `clipped`, and `length` where a norm is not what it limits; `LIMIT` names that field.

    The built `clip` takes a list of gradients, and the list of their weights where they count, and returns a list of
    gradients; nothing is changed in place.
    """

    SETS: ClassVar[tuple[str, ...]] = ("long", "short")
    AXES: ClassVar[dict[str, str]] = {"kernel": "in out", "bias": "out", "convolution": "height width in out"}
    LIMIT: ClassVar[str] = "max_norm"

    def clipped(self, gradients: Arrays, weights: Arrays) -> Arrays:
        """The gradients of one set, clipped."""
        raise TypeError(f"{self.name} does not state its rule")

    def length(self, gradients: Arrays) -> float:
        """What the gradients of a set have three times the limit of, or a third."""
        return float(np.sqrt(sum((gradient**2).sum() for gradient in gradients.values())))

    def case(self, rng: np.random.Generator) -> Arrays:
        """Gradients `SET.NAME` in two sets: one of three times the limit, and one of a third of it."""
        case: Arrays = {}
        for kind, factor in zip(self.SETS, (3.0, 1 / 3), strict=True):
            gradients: Arrays = {"kernel": rng.standard_normal((5, 4)), "bias": rng.standard_normal(4)}
            scale = factor * float(self.fields()[self.LIMIT]) / self.length(gradients)
            case |= {f"{kind}.{name}": gradient * scale for name, gradient in gradients.items()}
        return case

    def rule(self, case: Arrays) -> Arrays:
        result: Arrays = {}
        weights = of_set("weight", case)
        for kind in self.SETS:
            clipped = self.clipped(of_set(kind, case), weights)
            result |= {f"clipped {kind}.{name}": gradient for name, gradient in clipped.items()}
        return result


def of_set(kind: str, case: Arrays) -> Arrays:
    """The arrays of one set of a case, by name."""
    return {key.removeprefix(f"{kind}."): array for key, array in case.items() if key.startswith(f"{kind}.")}
