"""The Inception module: four branches over the same image, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..field import choice, fraction, positive, whole
from ..parts import IMAGE, batch_norm, block, conv
from ..spec import Init, Part, Tensor
from ..techniques.batch_norm import BatchNorm
from ..vision import ImageSpec

HE = Init("he_normal_fan_out")
SMALL = {"in_channels": 5, "channels_1x1": 2, "reduce_3x3": 3, "channels_3x3": 4, "reduce_5x5": 2, "channels_5x5": 3}


@dataclass(frozen=True, kw_only=True)
class InceptionModule(ImageSpec):
    """Convolutions of three kernel sizes and a maximum pooling over one image, concatenated along the channels.

    Source: Szegedy et al., "Going deeper with convolutions", CVPR 2015; figure 2b and table 1. The defaults are the
    row "inception (3a)". Kernels start as in He et al. (2015, eq. 14).

    Input: `image`, float, (batch, height, width, channels). Output: `features`, float, of the same height and width,
    the channels of the branches in the order 1x1, 3x3, 5x5, pooling.

    Fields:
        image_size: height and width in pixels of an example; any size is taken.
        in_channels: channels of the image.
        channels_1x1, channels_3x3, channels_5x5, channels_pool: channels of the four branches (`#1x1`, `#3x3`, `#5x5`
            and `pool proj` in the paper).
        reduce_3x3, reduce_5x5: channels of the 1x1 convolution in front of the larger one (`#3x3 reduce`,
            `#5x5 reduce`).
        branch3_size: kernel size of the third branch, which the paper calls 5x5, in pixels; odd.
        norm_epsilon, norm_momentum: added to the variance; weight of the new batch in the running statistics.
        running_variance: divide by n - 1 (`unbiased`) or by n (`biased`) in the running variance.

    Raises SpecError for an even `branch3_size`.

    Departs from paper: batch normalisation between each convolution and its ReLU, and so no bias, as in torchvision;
    paper and document have a bias and no normalisation, which did not exist yet. torchvision's third branch has 3x3
    kernels. The document gives its six numbers of channels in the order of the branches, as here.

    Frameworks differ: Keras's `same` pooling is the padding of minus infinity that PyTorch's layer has; padding with
    zeros first would be another function where an image is below zero.
    """

    image_size: int = whole(28)
    in_channels: int = whole(192)
    channels_1x1: int = whole(64)
    reduce_3x3: int = whole(96)
    channels_3x3: int = whole(128)
    reduce_5x5: int = whole(16)
    channels_5x5: int = whole(32)
    channels_pool: int = whole(32)
    branch3_size: int = whole(5)
    norm_epsilon: float = positive(1e-3)
    norm_momentum: float = fraction(0.1)
    running_variance: str = choice("unbiased", "biased")

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "inception_module_small": {**SMALL, "channels_pool": 2, "image_size": 6},
        "inception_module_small_3x3": {
            **SMALL,
            "channels_pool": 3,
            "image_size": 5,
            "branch3_size": 3,
            "running_variance": "biased",
        },
    }
    CHECKED: ClassVar[tuple[str, ...]] = tuple(PRESETS)
    LOSS: ClassVar[str] = "mean_squared_error"

    @property
    def out_channels(self) -> int:
        """Channels of the result."""
        return self.channels_1x1 + self.channels_3x3 + self.channels_5x5 + self.channels_pool

    @property
    def normalisation(self) -> BatchNorm:
        """What follows each convolution."""
        return BatchNorm(epsilon=self.norm_epsilon, momentum=self.norm_momentum, running_variance=self.running_variance)

    def constraints(self) -> Iterator[str]:
        yield from uneven(self.branch3_size)

    def outputs(self) -> tuple[Tensor, ...]:
        return (Tensor("features", IMAGE, (None, self.image_size, self.image_size, self.out_channels)),)

    def parts(self) -> Iterator[Part]:
        yield from conv_norm("branch1", 1, self.in_channels, self.channels_1x1)
        yield from conv_norm("branch2.0", 1, self.in_channels, self.reduce_3x3)
        yield from conv_norm("branch2.1", 3, self.reduce_3x3, self.channels_3x3)
        yield from conv_norm("branch3.0", 1, self.in_channels, self.reduce_5x5)
        yield from conv_norm("branch3.1", self.branch3_size, self.reduce_5x5, self.channels_5x5)
        yield block("branch4.0", IMAGE)
        yield from conv_norm("branch4.1", 1, self.in_channels, self.channels_pool)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        channels = ("channels_1x1", "reduce_3x3", "channels_3x3", "reduce_5x5", "channels_5x5", "channels_pool")
        return cls(
            image_size=int(rng.integers(2, 10)),
            in_channels=int(rng.integers(1, 7)),
            branch3_size=int(rng.choice([3, 5])),
            norm_epsilon=float(rng.choice([1e-5, 1e-3])),
            norm_momentum=float(rng.choice([0.1, 0.01])),
            running_variance=str(rng.choice(["unbiased", "biased"])),
            **{name: int(rng.integers(2, 7)) for name in channels},
        )


def conv_norm(
    name: str, size: int | tuple[int, int], inputs: int, outputs: int, *, scale: bool = True
) -> Iterator[Part]:
    """A convolution without a bias, batch normalisation and a ReLU."""
    yield conv(f"{name}.conv", size, inputs, outputs, HE)
    yield batch_norm(f"{name}.bn", outputs, scale=scale)
    yield block(name, IMAGE)


def uneven(branch3_size: int) -> Iterator[str]:
    """A sentence where the kernel of the third branch has no middle."""
    if branch3_size % 2 == 0:
        yield f"branch3_size {branch3_size} is even, and no equal padding on all sides keeps the image's size"
