"""Squeeze-and-excitation: attention over the channels of an image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import choice, flag, whole
from ..parts import IMAGE, VECTOR, block, dense
from ..spec import Init, Part, Spec, Tensor

XAVIER = Init("xavier_uniform")


@dataclass(frozen=True, kw_only=True)
class SqueezeExcitation(Spec):
    """Weigh each channel of an image by a number between 0 and 1 that is computed from the whole image.

    Source: Hu et al., "Squeeze-and-excitation networks", CVPR 2018, section 3: the mean of each channel (squeeze,
    eq. 2) goes through two dense layers (excitation, eq. 3), and the channel is multiplied by the result (eq. 4). With
    `pooling` `average_and_maximum` it is the channel attention of Woo et al., "CBAM", ECCV 2018, section 3.1: mean and
    maximum go through the same two layers, and their results are added before the sigmoid.

    Input and output: `image`, float, (batch, height, width, channels).

    Fields:
        channels: symbol C.
        reduction: symbol r; the first dense layer has C / r units.
        pooling: how the image is squeezed.
        bias: whether the dense layers have one.
        image_size: height and width in pixels of an example; any size is taken.

    Raises SpecError where `reduction` does not divide `channels`.

    Departs from paper: CBAM's dense layers have no bias here unless `bias` says so, as in its authors' code.
    """

    channels: int = whole(64)
    reduction: int = whole(16)
    pooling: str = choice("average", "average_and_maximum")
    bias: bool = flag(False)
    image_size: int = whole(14)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "squeeze_excitation_small": {"channels": 6, "reduction": 2, "image_size": 5},
        "channel_attention_small": {
            "channels": 6,
            "reduction": 3,
            "pooling": "average_and_maximum",
            "bias": True,
            "image_size": 4,
        },
    }
    CHECKED: ClassVar[tuple[str, ...]] = tuple(PRESETS)
    LOSS: ClassVar[str] = "mean_squared_error"

    def constraints(self) -> Iterator[str]:
        if self.channels % self.reduction:
            yield f"channels {self.channels} is not divisible by reduction {self.reduction}"

    def inputs(self) -> tuple[Tensor, ...]:
        return (Tensor("image", IMAGE, (None, self.image_size, self.image_size, self.channels)),)

    def outputs(self) -> tuple[Tensor, ...]:
        return (Tensor("weighted", IMAGE, (None, self.image_size, self.image_size, self.channels)),)

    def parts(self) -> Iterator[Part]:
        yield Part("squeeze", (IMAGE,), VECTOR)
        if self.pooling == "average_and_maximum":
            yield Part("squeeze_maximum", (IMAGE,), VECTOR)
        yield dense("excitation.reduce", self.channels, self.channels // self.reduction, XAVIER, bias=self.bias)
        yield dense("excitation.expand", self.channels // self.reduction, self.channels, XAVIER, bias=self.bias)
        yield block("excitation", VECTOR)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> SqueezeExcitation:
        reduction = int(rng.integers(1, 4))
        return cls(
            channels=reduction * int(rng.integers(1, 5)),
            reduction=reduction,
            pooling=str(rng.choice(["average", "average_and_maximum"])),
            bias=bool(rng.random() < 0.5),
            image_size=int(rng.integers(1, 7)),
        )
