"""Mixtures of two samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import flag, positive, whole
from ..mixing import Mixing
from ..technique import Arrays


@dataclass(frozen=True, kw_only=True)
class Mixup(Mixing):
    """Each sample is mixed with another of the batch, and its class with the other's: lambda x_i + (1 - lambda) x_j.

    Source: Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018, section 2: lambda is drawn from
    Beta(alpha, alpha).

    `draw` gives, by shared randomness, `weight`, lambda of each sample, and `partner`, the sample that each is mixed
    with, a random permutation of the batch; it takes a height and a width for the sake of `cutmix`, and needs neither.
    The built function takes samples, float (batch, ...), pictures or any others in the framework's own layout, targets,
    whole numbers (batch), and these draws; it gives samples and targets as probabilities (batch, classes). The loss is
    `cross_entropy` with `targets` of `probabilities`.

    Fields:
        alpha: symbol alpha; 0.1 to 0.4 for ImageNet, 1 for CIFAR-10 in the paper.
        num_classes: of the targets.
        per_sample: a weight for each sample, and not one for the batch, as the authors' code has it.

    Raises InputError for samples that are not float, and for samples, targets and draws that are not of one batch,
    and for a target that is not among the classes.

    Frameworks differ: PyTorch has none, and torchvision's pairs each sample with the one before. Keras's `MixUp` layer
    draws a weight for each sample, with an alpha of 0.2; what it makes of given draws is the same.
    """

    alpha: float = positive(1.0)
    num_classes: int = whole(10, least=2)
    per_sample: bool = flag(False)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"mixup_per_sample": {"per_sample": True, "alpha": 0.2}}
    CHECKED = ("mixup", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"keras": "keras.layers.MixUp"}

    def case(self, rng: np.random.Generator) -> Arrays:
        """Beside the images, samples of one axis, as many features as samples."""
        return {**super().case(rng), "features": rng.standard_normal((6, 6))}

    def mixed(self, images: NDArray[Any], parameters: Arrays) -> NDArray[Any]:
        weight = parameters["weight"].reshape(-1, *[1] * (images.ndim - 1))
        result: NDArray[Any] = weight * images + (1 - weight) * images[parameters["partner"]]
        return result
