"""What mixup and CutMix have in common: pairs of samples, and the share of each in the mixture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .field import flag, positive, whole
from .noise import Noise
from .technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class Mixing(Technique):
    """Mixing. A subclass gives `draw` and `mixed`, in the canonical layout."""

    SEED: ClassVar[int] = 20260102

    alpha: float = positive(1.0)
    num_classes: int = whole(10, least=2)
    per_sample: bool = flag(False)

    def draw(self, noise: Noise, batch: int, height: int | None = None, width: int | None = None) -> Arrays:
        """What is drawn for a batch: `weight` (batch) and `partner` (batch), and what a subclass adds for pictures."""
        weights = noise.beta(f"{self.name} weight", self.alpha, (batch if self.per_sample else 1,))
        partner = noise.permutation(f"{self.name} partner", batch)
        return {"weight": np.resize(weights, batch), "partner": partner}

    def mixed(self, images: NDArray[Any], parameters: Arrays) -> NDArray[Any]:
        """The images (batch, height, width, channels), or other samples (batch, ...), each mixed with its partner."""
        raise TypeError(f"{self.name} does not state its rule")

    def probabilities(self, targets: NDArray[Any]) -> NDArray[np.float64]:
        """Classes (...) as probabilities (..., classes), of samples that are not mixed: those held out.

        Raises InputError for targets that are not whole numbers, and for a target that is not among the classes.
        """
        if targets.dtype.kind not in "iu":
            raise InputError(f"{self.name}: targets must be classes, whole numbers, not {targets.dtype}")
        require_classes(self, int(targets.min(initial=0)), int(targets.max(initial=0)))
        found: NDArray[np.float64] = np.eye(self.num_classes)[targets]
        return found

    def case(self, rng: np.random.Generator) -> Arrays:
        """Images (batch, height, width, channels) and the classes of the samples."""
        return {"images": rng.standard_normal((6, 7, 9, 3)), "targets": rng.integers(self.num_classes, size=6)}

    def drawn(self, case: Arrays) -> Arrays:
        """The shared draws of the case."""
        batch, height, width, _ = case["images"].shape
        return self.draw(Noise(self.SEED), batch, height, width)

    def rule(self, case: Arrays) -> Arrays:
        parameters = self.drawn(case)
        weight, partner = parameters["weight"][:, None], parameters["partner"]
        classes = self.probabilities(case["targets"])
        samples = {name: self.mixed(array, parameters) for name, array in case.items() if name != "targets"}
        return {**samples, "targets": weight * classes + (1 - weight) * classes[partner]}


def require_batch(name: str, parameters: Arrays, images: Any, targets: Any) -> None:
    """Raises InputError for samples that are not float, and for samples, targets and draws that are not of one batch.

    An unknown size, None, fits any.
    """
    if "float" not in str(images.dtype):
        raise InputError(
            f"{name}: samples must be float, not {images.dtype}; a mixture has no whole numbers, so scale first"
        )
    sizes = {images.shape[0], targets.shape[0], len(parameters["partner"])} - {None}
    if len(sizes) > 1:
        raise InputError(
            f"{name}: there are {images.shape[0]} samples, {targets.shape[0]} targets and draws for "
            f"{len(parameters['partner'])}; draw anew for each batch, by its own size"
        )


def require_classes(spec: Mixing, least: int, most: int) -> None:
    """Raises InputError for classes, of which these are the least and the largest, that the spec does not have."""
    if least < 0 or most >= spec.num_classes:
        wrong = least if least < 0 else most
        sentence = f"there is a target {wrong}, and the classes are 0 to {spec.num_classes - 1}; set num_classes"
        raise InputError(f"{spec.name}: {sentence}")
