"""Small pictures, shifted and mirrored at random, and normalised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..errors import InputError
from ..field import channels, flag, positive, whole
from ..noise import Noise
from ..pictures import require_size
from ..technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class Augment(Technique):
    """A crop at random of the picture with a border of zeros, a mirror image at random, and normalised channels.

    Source: He et al., "Deep residual learning for image recognition", CVPR 2016, section 4.2: 4 pixels are padded on
    each side, and a crop of 32 x 32 is taken from the picture or its mirror image. The means and deviations are the
    document's, of CIFAR-10, in red, green and blue; these deviations are the mean of those of the single pictures, and
    those of all pixels are 0.2470, 0.2435 and 0.2616.

    `draw` gives, by shared randomness, `top` and `left` (batch), the corner of each crop in the padded picture, and
    `flip` (batch), whether it is mirrored; `centre` gives those of evaluation. The built function takes pictures from 0
    to 255 in the framework's own layout, whole numbers or float, and these draws; it gives floats in that layout, (x *
    scale - mean) / deviation for each channel.

    Fields:
        crop_size: height and width of the result.
        padding: zeros on each side, before the scale: a black border, which is not 0 in the result.
        horizontal_flip: mirror every other picture, by chance, left to right.
        scale: factor on the pixel's value.
        mean, deviation: of each channel, after scaling.

    Raises SpecError for a deviation that is not above 0; InputError for what is no picture, (batch, height, width,
    channels), for draws of another batch, for a crop larger than the padded picture, and for pictures that have not as
    many channels as `mean`.

    Frameworks differ: torchvision draws one crop for a whole batch tensor, and one for each picture only in a loader.
    Keras's `RandomCrop` does not pad, draws one corner for a whole batch, and crops the centre in evaluation;
    normalising before padding gives a grey border, another picture.
    """

    crop_size: int = whole(32)
    padding: int = whole(4, least=0)
    horizontal_flip: bool = flag(True)
    scale: float = positive(1 / 255)
    mean: tuple[float, ...] = channels((0.4914, 0.4822, 0.4465))
    deviation: tuple[float, ...] = channels((0.2023, 0.1994, 0.2010))

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "augment_small": {"crop_size": 6, "padding": 2},
        "augment_small_crop": {"crop_size": 5, "padding": 0, "horizontal_flip": False},
    }
    CHECKED = tuple(PRESETS)
    SEED: ClassVar[int] = 20260103

    def constraints(self) -> Iterator[str]:
        if len(self.mean) != len(self.deviation):
            counts = f"mean has {len(self.mean)} channels and deviation {len(self.deviation)}"
            yield f"{counts}; give both one number for each channel"
        if min(self.deviation) <= 0:
            yield f"deviation {self.deviation} must be above 0 in every channel"

    def draw(self, noise: Noise, batch: int, height: int | None = None, width: int | None = None) -> Arrays:
        """`top`, `left` and `flip` (batch) for pictures of this size."""
        rows, columns = self.room(height, width)
        flip = noise.uniform("augment flip", (batch,)) < 0.5
        return {
            "top": noise.integers("augment top", rows + 1, (batch,)),
            "left": noise.integers("augment left", columns + 1, (batch,)),
            "flip": flip & self.horizontal_flip,
        }

    def centre(self, batch: int, height: int | None = None, width: int | None = None) -> Arrays:
        """The middle of each picture, which is not mirrored: for evaluation."""
        rows, columns = self.room(height, width)
        flip = np.zeros(batch, bool)
        return {"top": np.full(batch, rows // 2), "left": np.full(batch, columns // 2), "flip": flip}

    def room(self, height: int | None, width: int | None) -> tuple[int, int]:
        """By how many rows and columns the padded picture is larger than the crop."""
        height, width = require_size("augment", height, width)
        rows, columns = (size + 2 * self.padding - self.crop_size for size in (height, width))
        if min(rows, columns) < 0:
            raise InputError(
                f"augment: pictures of {height} x {width} with a padding of {self.padding} are smaller than crop_size "
                f"{self.crop_size}; lower crop_size or raise padding"
            )
        return rows, columns

    def require(self, parameters: Arrays, batch: int | None, height: int, width: int, channels: int) -> None:
        """Raises InputError for pictures that these draws or this spec do not fit."""
        if channels != len(self.mean):
            raise InputError(f"augment: pictures have {channels} channels and mean has {len(self.mean)}; give one each")
        if batch is not None and batch != len(parameters["top"]):
            raise InputError(
                f"augment: there are {batch} pictures and draws for {len(parameters['top'])}; draw anew for each batch"
            )
        rows, columns = self.room(height, width)
        if np.max(parameters["top"]) > rows or np.max(parameters["left"]) > columns:
            raise InputError(f"augment: the draws are not for pictures of {height} x {width}; draw with this size")

    def case(self, rng: np.random.Generator) -> Arrays:
        """Pictures (batch, height, width, channels) from 0 to 255."""
        return {"images": rng.uniform(0, 255, (6, 7, 8, 3))}

    def drawn(self, case: Arrays) -> Arrays:
        """The shared draws of the case."""
        batch, height, width, _ = case["images"].shape
        return self.draw(Noise(self.SEED), batch, height, width)

    def rule(self, case: Arrays) -> Arrays:
        border = (self.padding, self.padding)
        padded = np.pad(case["images"], ((0, 0), border, border, (0, 0)))
        drawn, size = self.drawn(case), self.crop_size
        pixels = np.stack([
            picture[top : top + size, left : left + size][:, :: -1 if flip else 1]
            for picture, top, left, flip in zip(padded, drawn["top"], drawn["left"], drawn["flip"], strict=True)
        ])  # fmt: skip
        result = (pixels * self.scale - np.array(self.mean)) / np.array(self.deviation)
        return {"pixels": pixels, "result": result}
