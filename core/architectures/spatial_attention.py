"""Spatial attention: attention over the positions of an image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import flag, whole
from ..parts import IMAGE, conv
from ..spec import Init, Part, Spec, Tensor

XAVIER = Init("xavier_uniform")


@dataclass(frozen=True, kw_only=True)
class SpatialAttention(Spec):
    """Weigh each position of an image by a number between 0 and 1 that is computed from its surroundings.

    Source: Woo et al., "CBAM: Convolutional block attention module", ECCV 2018, section 3.1, eq. 3: mean and maximum
    over the channels are two maps, in this order; one convolution makes one map of them, and a sigmoid the weights.

    Input and output: `image`, float, (batch, height, width, channels).

    Fields:
        channels: channels of the image; no weight depends on them.
        kernel_size: height and width of the convolution, odd, in pixels.
        bias: whether the convolution has one.
        image_size: height and width in pixels of an example; any size is taken.

    Raises SpecError for an even `kernel_size`, which no symmetric padding keeps in place.

    Departs from paper: the authors' code normalises the map before the sigmoid; equation 3 does not, and neither does
    this.
    """

    channels: int = whole(64)
    kernel_size: int = whole(7)
    bias: bool = flag(False)
    image_size: int = whole(14)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "spatial_attention_small": {"channels": 3, "image_size": 9},
        "spatial_attention_small_bias": {"channels": 4, "kernel_size": 3, "bias": True, "image_size": 6},
    }
    CHECKED: ClassVar[tuple[str, ...]] = tuple(PRESETS)
    LOSS: ClassVar[str] = "mean_squared_error"

    def constraints(self) -> Iterator[str]:
        if not self.kernel_size % 2:
            yield f"kernel_size {self.kernel_size} is even; take an odd one, so that the map stays in place"

    def inputs(self) -> tuple[Tensor, ...]:
        return (Tensor("image", IMAGE, (None, self.image_size, self.image_size, self.channels)),)

    def outputs(self) -> tuple[Tensor, ...]:
        return (Tensor("weighted", IMAGE, (None, self.image_size, self.image_size, self.channels)),)

    def parts(self) -> Iterator[Part]:
        yield conv("conv", self.kernel_size, 2, 1, XAVIER, bias=self.bias)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> SpatialAttention:
        return cls(
            channels=int(rng.integers(2, 6)),
            kernel_size=int(rng.choice([1, 3, 5, 7])),
            bias=bool(rng.random() < 0.5),
            image_size=int(rng.integers(2, 10)),
        )
