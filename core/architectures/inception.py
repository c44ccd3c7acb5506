"""GoogLeNet, the first Inception network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Self

import numpy as np

from ..field import choice, flag, fraction, positive, sizes, whole
from ..parts import IMAGE, VECTOR, block, dense, nested
from ..source import Source
from ..spec import Init, Part, Tensor
from ..techniques.batch_norm import BatchNorm
from ..vision import ImageClassifier
from .inception_module import InceptionModule, conv_norm, uneven

XAVIER = Init("xavier_uniform")
STEM = (64, 64, 192)
AUX = (128, 1024)
AUX_GRID = 4
AUX_AFTER = (0, 3)
CHANNELS = ("channels_1x1", "reduce_3x3", "channels_3x3", "reduce_5x5", "channels_5x5", "channels_pool")
TABLE = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TRANSFORM_SCALE = tuple(deviation / 0.5 for deviation in IMAGENET_DEVIATION)
TRANSFORM_SHIFT = tuple((mean - 0.5) / 0.5 for mean in IMAGENET_MEAN)
SMALL = {"width": 0.125, "num_modules": (1, 1, 1), "num_classes": 5}


@dataclass(frozen=True, kw_only=True)
class Inception(ImageClassifier):
    """GoogLeNet: a stem, nine Inception modules at three image sizes, the mean over all positions, and a head.

    Source: Szegedy et al., "Going deeper with convolutions", CVPR 2015; table 1, figure 3 and section 5 (auxiliary
    heads, and their weight in the loss). Kernels start as in He et al. (2015, eq. 14), dense layers as in Glorot and
    Bengio (2010, eq. 16).

    Input: `image`, float, (batch, height, width, channels). Output: `logits`, float, (batch, channels), one channel
    per class; with auxiliary heads `aux1` and `aux2` as well, of the same shape, in training and in evaluation; without
    a head `features`, float, (batch, channels).

    core/vision.py has image_size, in_channels and num_classes.

    Fields:
        num_modules: modules at each of the three image sizes, taken from the front of the groups 3, 4 and 5 of table 1.
        width: factor on the channels of every convolution and on the units of the auxiliary heads; the products are
            rounded to whole numbers, and are at least 1.
        branch3_size: kernel size of the branch that the paper calls 5x5, in pixels; odd.
        ceil_mode: whether the last window of a maximum pooling of stride 2 may reach beyond the image.
        last_pool_size: window of the last of these poolings, in pixels.
        aux_heads: two more heads, behind the first and the fourth module of the middle group.
        aux_weight: weight of the loss of each auxiliary head; that of the logits is 1.
        transform_input: take images with ImageNet's mean and deviation removed, and scale them to [-1, 1] instead.
        dropout_rate, aux_dropout_rate: before the head; before the last layer of an auxiliary head.
        norm_epsilon, norm_momentum: added to the variance; weight of the new batch in the running statistics.
        running_variance: divide by n - 1 (`unbiased`) or by n (`biased`) in the running variance.

    The preset `googlenet` is torchvision's network; its pretrained weights need `transform_input`.

    Raises SpecError for a value against its rule.

    Departs from paper: the defaults are torchvision's: batch normalisation instead of biases and local response
    normalisation, 3x3 kernels in the third branch, a window of 2 in the last pooling (paper: 3), dropout of 0.2 (paper:
    0.4), and auxiliary heads that average to 4x4 whatever the image's size (the same as the paper's 5x5 average of
    stride 3 at 14x14 only in its result's size).

    Frameworks differ: Keras's pooling cannot round up: its `same` pads on both sides and has another result's size; the
    sibling pads with minus infinity on the right and below. torchvision gives the auxiliary outputs in training mode
    only, and the second one first.
    """

    num_modules: tuple[int, ...] = sizes((2, 5, 2), lengths=(3,))
    width: float = positive(1.0)
    branch3_size: int = whole(3)
    ceil_mode: bool = flag(True)
    last_pool_size: int = whole(2, least=2)
    aux_heads: bool = flag(False)
    aux_weight: float = positive(0.3)
    transform_input: bool = flag(False)
    dropout_rate: float = fraction(0.2)
    aux_dropout_rate: float = fraction(0.7)
    norm_epsilon: float = positive(1e-3)
    norm_momentum: float = fraction(0.1)
    running_variance: str = choice("unbiased", "biased")

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "googlenet": {},
        "googlenet_aux": {"aux_heads": True},
        "inception_small": {
            **SMALL,
            "num_modules": (1, 4, 1),
            "branch3_size": 5,
            "last_pool_size": 3,
            "aux_heads": True,
            "transform_input": True,
            "image_size": 33,
        },
        "inception_small_features": {
            **SMALL,
            "ceil_mode": False,
            "running_variance": "biased",
            "in_channels": 1,
            "num_classes": 0,
            "dropout_rate": 0.0,
            "image_size": 46,
        },
    }
    CHECKED: ClassVar[tuple[str, ...]] = tuple(name for name in PRESETS if "small" in name)
    SOURCES: ClassVar[dict[str, Source]] = {
        "torchvision": Source(
            "torch",
            left_out=("aux1.*", "aux2.*"),
            requires=(("ceil_mode", True), ("last_pool_size", 2), ("norm_epsilon", 1e-3)),
        )
    }

    @property
    def num_features(self) -> int:
        return self.modules()[-1][1].out_channels

    @property
    def normalisation(self) -> BatchNorm:
        """What follows each convolution."""
        return BatchNorm(epsilon=self.norm_epsilon, momentum=self.norm_momentum, running_variance=self.running_variance)

    def scaled(self, channels: int) -> int:
        """A number of channels of the paper, times the width."""
        return max(1, round(channels * Fraction(self.width)))

    def modules(self) -> list[tuple[str, InceptionModule]]:
        """Every module by its name; the letters are the paper's."""
        found, inputs = [], self.scaled(STEM[-1])
        for group, (rows, taken) in enumerate(zip(TABLE, self.num_modules, strict=True), start=3):
            for letter, row in zip("abcde", rows[:taken], strict=False):
                module = InceptionModule(
                    image_size=self.image_size,
                    in_channels=inputs,
                    branch3_size=self.branch3_size,
                    norm_epsilon=self.norm_epsilon,
                    norm_momentum=self.norm_momentum,
                    running_variance=self.running_variance,
                    **{name: self.scaled(channels) for name, channels in zip(CHANNELS, row, strict=True)},
                )
                found.append((f"inception{group}{letter}", module))
                inputs = module.out_channels
        return found

    def aux_names(self) -> dict[str, str]:
        """The auxiliary head that follows a module, by the name of the module."""
        names = [name for name, _ in self.modules() if name.startswith("inception4")]
        return {names[place]: f"aux{number}" for number, place in enumerate(AUX_AFTER, 1)} if self.aux_heads else {}

    def headless(self) -> Self:
        """The network without any head, whose output is the pooled features."""
        return self.replace(num_classes=0, aux_heads=False)

    def smallest_size(self) -> int:
        size = 1
        for window in (self.last_pool_size, 3, 3, 3):
            size = 2 * (size - 1) + window - (1 if self.ceil_mode else 0)
        return 2 * size - 1

    def constraints(self) -> Iterator[str]:
        yield from uneven(self.branch3_size)
        most = tuple(len(rows) for rows in TABLE)
        if any(taken > rows for taken, rows in zip(self.num_modules, most, strict=True)):
            yield f"num_modules {self.num_modules} goes beyond the {most} modules of the paper's table 1"
        if self.aux_heads and self.num_modules[1] <= AUX_AFTER[1]:
            yield f"aux_heads need at least {AUX_AFTER[1] + 1} modules in the middle, not {self.num_modules[1]}"
        if self.aux_heads and not self.num_classes:
            yield "aux_heads classify, and num_classes 0 leaves no class"
        yield from transformable(self.transform_input, self.in_channels)
        yield from super().constraints()

    def outputs(self) -> tuple[Tensor, ...]:
        aux = [Tensor(name, VECTOR, (None, self.num_classes)) for name in self.aux_names().values()]
        return (*super().outputs(), *aux)

    def loss_weights(self) -> dict[str, float]:
        return {**super().loss_weights(), **{name: self.aux_weight for name in self.aux_names().values()}}

    def parts(self) -> Iterator[Part]:
        stem = [self.scaled(channels) for channels in STEM]
        if self.transform_input:
            yield block("transform", IMAGE)
        yield from conv_norm("conv1", 7, self.in_channels, stem[0])
        yield block("maxpool1", IMAGE)
        yield from conv_norm("conv2", 1, stem[0], stem[1])
        yield from conv_norm("conv3", 3, stem[1], stem[2])
        yield block("maxpool2", IMAGE)
        group, aux = "3", self.aux_names()
        for name, module in self.modules():
            if name[-2] != group:
                yield block(f"maxpool{group}", IMAGE)
                group = name[-2]
            yield from nested(name, module)
            if name in aux:
                yield from self._aux_head(aux[name], module.out_channels)
        yield Part("avgpool", (IMAGE,), VECTOR)
        if self.num_classes:
            yield block("dropout", VECTOR)
            yield dense("fc", self.num_features, self.num_classes, XAVIER)

    def _aux_head(self, name: str, inputs: int) -> Iterator[Part]:
        channels, units = (self.scaled(number) for number in AUX)
        grid = (AUX_GRID, AUX_GRID, channels)
        yield block(f"{name}.pool", IMAGE)
        yield from conv_norm(f"{name}.conv", 1, inputs, channels)
        yield dense(f"{name}.fc1", AUX_GRID**2 * channels, units, XAVIER, flattened=grid)
        yield block(f"{name}.dropout", VECTOR)
        yield dense(f"{name}.fc2", units, self.num_classes, XAVIER)
        yield Part(name, (IMAGE,), VECTOR)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        aux, transform = bool(rng.random() < 0.3), bool(rng.random() < 0.5)
        spec = cls(
            num_modules=(int(rng.integers(1, 3)), 4 if aux else int(rng.integers(1, 3)), 1),
            width=0.125,
            branch3_size=int(rng.choice([3, 5])),
            ceil_mode=bool(rng.random() < 0.5),
            last_pool_size=int(rng.choice([2, 3])),
            aux_heads=aux,
            transform_input=transform,
            in_channels=3 if transform else int(rng.integers(1, 4)),
            num_classes=int(rng.integers(2 if aux else 0, 8)),
            norm_momentum=float(rng.choice([0.1, 0.01])),
            running_variance=str(rng.choice(["unbiased", "biased"])),
        )
        return spec.replace(image_size=spec.smallest_size() + int(rng.integers(20)))


def transformable(transform_input: bool, in_channels: int) -> Iterator[str]:
    """A sentence where the image does not have the colours whose mean and deviation are known."""
    if transform_input and in_channels != len(IMAGENET_MEAN):
        yield f"transform_input knows the statistics of red, green and blue, and in_channels is {in_channels}"
