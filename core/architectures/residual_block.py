"""The residual block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import choice, flag, fraction, positive, whole
from ..parts import IMAGE, batch_norm, block, conv, nested
from ..spec import Init, Part, Tensor
from ..vision import ImageSpec
from .spatial_attention import SpatialAttention
from .squeeze_excitation import SqueezeExcitation

HE = Init("he_normal_fan_out")
EXPANSION = 4
SMALL = {"in_channels": 4, "out_channels": 4, "image_size": 6}


@dataclass(frozen=True, kw_only=True)
class ResidualBlock(ImageSpec):
    """relu(F(x) + x): a few convolutions F, and a shortcut around them.

    Source: He et al., "Deep residual learning for image recognition", CVPR 2016; eq. 1 and 2, figure 5 for both kinds
    of block, shortcuts of option B (a 1x1 projection where the shape changes).

    Input and output: `image`, float, (batch, height, width, channels).

    Fields:
        block: `basic` is two 3x3 convolutions; `bottleneck` is 1x1, 3x3 and 1x1, with a quarter of the channels inside.
        in_channels, out_channels: channels of the input and of the output.
        stride: of the block, in pixels.
        stride_on: the convolution of a bottleneck that has the stride: `conv2`, the 3x3 one (Goyal et al., "Accurate,
            large minibatch SGD", 2017, section 5.1; torchvision), or `conv1`, as in the paper and keras.applications.
            A basic block has it on its first.
        widening: factor on the channels inside a bottleneck (Zagoruyko and Komodakis, "Wide residual networks", 2016).
        conv_bias: whether the convolutions have a bias, which the normalisation behind them removes in training.
        attention: on F(x), before the sum: `squeeze_excitation`, `cbam` (its channel attention, then its spatial
            attention), or `none`. See core/architectures/squeeze_excitation.py and spatial_attention.py.
        reduction: of the attention over channels.
        norm_epsilon, norm_momentum: added to the variance; weight of the new batch in the running statistics.
        running_variance: divide by n - 1 (`unbiased`) or by n (`biased`) in the running variance.
        image_size: height and width in pixels of an example; any size is taken.

    Raises SpecError where channels are not divisible as the kind of block and the attention need it.

    Departs from paper: the documents' convolutions have a bias that the normalisation behind them removes; `conv_bias`
    leaves it out, as in the paper's own model. The Keras document's block has no stride, and passes one to it; and its
    projection is not normalised.

    Frameworks differ: a stride of 2 with Keras's `same` padding pads on one side only; both siblings pad symmetrically.
    Keras's batch normalisation has another epsilon (1e-3), momentum (.99 of the old) and running variance (biased).
    """

    block: str = choice("basic", "bottleneck")
    in_channels: int = whole(64)
    out_channels: int = whole(64)
    stride: int = whole(1)
    stride_on: str = choice("conv2", "conv1")
    widening: int = whole(1)
    conv_bias: bool = flag(False)
    attention: str = choice("none", "squeeze_excitation", "cbam")
    reduction: int = whole(16)
    norm_epsilon: float = positive(1e-5)
    norm_momentum: float = fraction(0.1)
    running_variance: str = choice("unbiased", "biased")
    image_size: int = whole(14)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "residual_block_small": {**SMALL},
        "residual_block_small_bottleneck": {
            **SMALL,
            "block": "bottleneck",
            "out_channels": 8,
            "stride": 2,
            "widening": 2,
            "attention": "squeeze_excitation",
            "reduction": 2,
        },
        "residual_block_small_original": {
            **SMALL,
            "block": "bottleneck",
            "stride": 2,
            "stride_on": "conv1",
            "conv_bias": True,
            "norm_momentum": 0.01,
            "running_variance": "biased",
            "image_size": 5,
        },
        "residual_block_small_cbam": {**SMALL, "attention": "cbam", "reduction": 2},
    }
    CHECKED: ClassVar[tuple[str, ...]] = tuple(PRESETS)
    LOSS: ClassVar[str] = "mean_squared_error"

    @property
    def inner(self) -> int:
        """Channels between the convolutions."""
        return self.out_channels if self.block == "basic" else self.out_channels // EXPANSION * self.widening

    @property
    def projects(self) -> bool:
        """Whether the shortcut is a projection."""
        return self.in_channels != self.out_channels or self.stride != 1

    def constraints(self) -> Iterator[str]:
        if self.block == "bottleneck" and self.out_channels % EXPANSION:
            yield f"out_channels {self.out_channels} of a bottleneck is not divisible by {EXPANSION}"
        if self.block == "basic" and self.widening != 1:
            yield "widening is of a bottleneck, and this block is basic"
        if self.attention != "none" and self.out_channels % self.reduction:
            yield f"out_channels {self.out_channels} is not divisible by reduction {self.reduction}"

    def outputs(self) -> tuple[Tensor, ...]:
        size = -(-self.image_size // self.stride)
        return (Tensor("result", IMAGE, (None, size, size, self.out_channels)),)

    def parts(self) -> Iterator[Part]:
        sizes = (3, 3) if self.block == "basic" else (1, 3, 1)
        widths = (self.in_channels, *[self.inner] * (len(sizes) - 1), self.out_channels)
        for number, size in enumerate(sizes, 1):
            inputs, outputs = widths[number - 1 : number + 1]
            yield conv(f"conv{number}", size, inputs, outputs, HE, bias=self.conv_bias)
            yield batch_norm(f"bn{number}", outputs)
        if self.attention != "none":
            yield from attention_parts("attention", self.attention, self.out_channels, self.reduction)
        if self.projects:
            yield conv("shortcut.conv", 1, self.in_channels, self.out_channels, HE, bias=self.conv_bias)
            yield batch_norm("shortcut.bn", self.out_channels)
            yield block("shortcut", IMAGE)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> ResidualBlock:
        shape, reduction = str(rng.choice(["basic", "bottleneck"])), int(rng.integers(1, 3))
        return cls(
            block=shape,
            in_channels=int(rng.integers(1, 9)),
            out_channels=(4 if shape == "bottleneck" else 1) * reduction * int(rng.integers(1, 4)),
            stride=int(rng.integers(1, 3)),
            stride_on=str(rng.choice(["conv1", "conv2"])),
            widening=int(rng.integers(1, 3)) if shape == "bottleneck" else 1,
            conv_bias=bool(rng.random() < 0.5),
            attention=str(rng.choice(["none", "squeeze_excitation", "cbam"])),
            reduction=reduction,
            running_variance=str(rng.choice(["unbiased", "biased"])),
            image_size=int(rng.integers(3, 9)),
        )


def attention_spec(kind: str, channels: int, reduction: int) -> SqueezeExcitation:
    """The attention over channels of a block's attention."""
    pooling = "average_and_maximum" if kind == "cbam" else "average"
    return SqueezeExcitation(channels=channels, reduction=reduction, pooling=pooling)


def attention_parts(name: str, kind: str, channels: int, reduction: int) -> Iterator[Part]:
    """Squeeze-and-excitation, or CBAM: attention over channels, then over positions."""
    over_channels = attention_spec(kind, channels, reduction)
    if kind == "squeeze_excitation":
        yield from nested(name, over_channels)
    else:
        yield from nested(f"{name}.channel", over_channels)
        yield from nested(f"{name}.spatial", SpatialAttention(channels=channels))
        yield block(name, IMAGE)
