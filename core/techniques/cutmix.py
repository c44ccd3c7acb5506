"""Images with a box of another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import flag, positive, whole
from ..mixing import Mixing
from ..noise import Noise
from ..pictures import require_size
from ..technique import Arrays


@dataclass(frozen=True, kw_only=True)
class Cutmix(Mixing):
    """A box of each image is replaced by that of another one of the batch, and its class is mixed by the area.

    Source: Yun et al., "CutMix: regularization strategy to train strong classifiers with localizable features", ICCV
    2019, eq. 1 and 2: lambda is drawn from Beta(alpha, alpha), and the box has sides of sqrt(1 - lambda) of the
    image's, around a centre that is drawn uniformly.

    `draw` gives, by shared randomness, `box` (top, left, bottom, right; the last two excluded) of each sample,
    `partner`, the sample that it comes from, and `weight`, the share of the image that is left. The built function
    takes images in the framework's own layout, targets, whole numbers (batch), and these draws; it gives images and
    targets as probabilities (batch, classes). The loss is `cross_entropy` with `targets` of `probabilities`.

    Fields:
        alpha: symbol alpha; 1 in the paper, so lambda is uniform.
        num_classes: of the targets.
        per_sample: a box for each sample, and not one for the batch, as the authors' code has it.

    Departs from paper: a box that reaches over the border is cut there, and `weight` is 1 minus the area that is left
    of it, as in the authors' code; eq. 1 has lambda itself. Half a side is rounded down, as in that code.

    Raises InputError for what is no picture, (batch, height, width, channels); for samples that are not float; for
    samples, targets and draws that are not of one batch; and for a target that is not among the classes.

    Frameworks differ: PyTorch has none, and torchvision's pairs each sample with the one before. Keras's `CutMix` layer
    draws a box for each sample.
    """

    alpha: float = positive(1.0)
    num_classes: int = whole(10, least=2)
    per_sample: bool = flag(False)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"cutmix_per_sample": {"per_sample": True}}
    CHECKED = ("cutmix", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"keras": "keras.layers.CutMix"}

    def draw(self, noise: Noise, batch: int, height: int | None = None, width: int | None = None) -> Arrays:
        """`weight` (batch), `partner` (batch) and `box` (batch, 4)."""
        height, width = require_size(self.name, height, width)
        drawn = super().draw(noise, batch, height, width)
        sizes = np.array([height, width])
        centres = noise.uniform(f"{self.name} centre", (batch if self.per_sample else 1, 2)) * sizes
        half = (np.sqrt(1 - drawn["weight"])[:, None] * sizes).astype(np.int64) // 2
        centres = np.resize(centres.astype(np.int64), (batch, 2))
        box = np.concatenate([np.clip(centres - half, 0, sizes), np.clip(centres + half, 0, sizes)], axis=1)
        area = (box[:, 2:] - box[:, :2]).prod(axis=1)
        return {**drawn, "weight": 1 - area / (height * width), "box": box}

    def mixed(self, images: NDArray[Any], parameters: Arrays) -> NDArray[Any]:
        result = images.copy()
        for sample, (top, left, bottom, right) in enumerate(parameters["box"]):
            partner = images[parameters["partner"][sample]]
            result[sample, top:bottom, left:right] = partner[top:bottom, left:right]
        return result
