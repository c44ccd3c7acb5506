"""The densely connected network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import choice, flag, fraction, positive, sizes, whole
from ..parts import IMAGE, VECTOR, batch_norm, block, conv, dense, nested
from ..source import Source
from ..spec import Init, Part
from ..vision import ImageClassifier
from .dense_block import DenseBlock

HE = Init("he_normal")
XAVIER = Init("xavier_uniform")
LAYERS = {
    "densenet121": (6, 12, 24, 16),
    "densenet169": (6, 12, 32, 32),
    "densenet201": (6, 12, 48, 32),
}
KERAS = {"norm_epsilon": 1.001e-5, "norm_momentum": 0.01, "running_variance": "biased"}
CIFAR = {"stem": "cifar", "image_size": 32, "num_classes": 10, "growth_rate": 12}
SMALL = {"stem_channels": 4, "growth_rate": 2, "num_classes": 5}
TORCHVISION = Source(
    "torch",
    (
        ("stem_conv", "features.conv0"),
        ("stem_norm", "features.norm0"),
        ("blocks.{b}.dense_layers.{layer}.*", "features.denseblock{b+1}.denselayer{layer+1}.*"),
        ("transitions.{t}.*", "features.transition{t+1}.*"),
        ("norm", "features.norm5"),
        ("head", "classifier"),
    ),
    aliases=(
        ("*.denselayer{layer}.norm.{n}.*", "*.denselayer{layer}.norm{n}.*"),
        ("*.denselayer{layer}.conv.{n}.*", "*.denselayer{layer}.conv{n}.*"),
    ),
    requires=(("norm_epsilon", 1e-5),),
)
KERAS_APPLICATIONS = Source(
    "keras",
    (
        ("stem_conv", "conv1_conv"),
        ("stem_norm", "conv1_bn"),
        ("blocks.{b}.dense_layers.{layer}.norm1", "conv{b+2}_block{layer+1}_0_bn"),
        ("blocks.{b}.dense_layers.{layer}.conv1", "conv{b+2}_block{layer+1}_1_conv"),
        ("blocks.{b}.dense_layers.{layer}.norm2", "conv{b+2}_block{layer+1}_1_bn"),
        ("blocks.{b}.dense_layers.{layer}.conv2", "conv{b+2}_block{layer+1}_2_conv"),
        ("transitions.{t}.norm", "pool{t+2}_bn"),
        ("transitions.{t}.conv", "pool{t+2}_conv"),
        ("norm", "bn"),
        ("head", "predictions"),
    ),
    aliases=(("conv1/*", "conv1_*"), ("fc1000/*", "predictions/*")),
    requires=(("norm_epsilon", KERAS["norm_epsilon"]),),
)


@dataclass(frozen=True, kw_only=True)
class DenseNet(ImageClassifier):
    """A densely connected network: a stem, dense blocks with transitions between them, and a head.

    Source: Huang et al., "Densely connected convolutional networks", CVPR 2017; section 3 and table 1. A transition is
    normalisation, ReLU, a 1x1 convolution that keeps the fraction theta of the channels, and 2x2 average pooling. CIFAR
    stem after section 3, "Implementation details". Kernels start as in He et al. (2015): normal, variance 2 / fan_in.

    Input: `image`, float, (batch, height, width, channels). Output: `logits`, float, (batch, channels), one channel
    per class; without a head `features`, float, (batch, channels).

    core/vision.py has the fields image_size, in_channels and num_classes. An odd row or column in front of a transition
    is left out, on both sides.

    Fields:
        num_layers: layers in each dense block; the image halves from block to block.
        stem: `imagenet` is a 7x7 convolution of stride 2, normalisation, ReLU and a 3x3 maximum pooling of stride 2;
            `cifar` is one 3x3 convolution of stride 1.
        stem_channels: channels of the stem.
        compression: symbol theta, above 0 and at most 1; the number of channels is rounded down.
        growth_rate, bottleneck, dropout_rate, recompute: see core/architectures/dense_block.py.
        norm_epsilon, norm_momentum: added to the variance; weight of the new batch in the running statistics.
        running_variance: divide by n - 1 (`unbiased`) or by n (`biased`) in the running variance.

    The presets that end in `_keras` are those of keras.applications, densenet121 to 201 those of torchvision, the
    others on CIFAR those of table 2 of the paper.

    Raises SpecError for a value against its rule, and for an image that the transitions would halve to nothing.

    Frameworks differ: see core/architectures/dense_block.py. The library models as well: keras.applications has an
    epsilon of 1.001e-5 and Keras's own momentum and biased running variance. Rounding halves of odd sizes up
    (`ceil_mode`, Keras's `same`) instead of down would add a row and a column.

    Departs from paper: the head's bias starts at zero as there, its kernel as in Glorot and Bengio (2010).
    """

    num_layers: tuple[int, ...] = sizes(LAYERS["densenet121"])
    stem: str = choice("imagenet", "cifar")
    stem_channels: int = whole(64)
    compression: float = positive(0.5)
    growth_rate: int = whole(32)
    bottleneck: int = whole(4, least=0)
    dropout_rate: float = fraction(0.0)
    norm_epsilon: float = positive(1e-5)
    norm_momentum: float = fraction(0.1)
    running_variance: str = choice("unbiased", "biased")
    recompute: bool = flag(False)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        **{name: {"num_layers": layers} for name, layers in LAYERS.items()},
        "densenet161": {"num_layers": (6, 12, 36, 24), "growth_rate": 48, "stem_channels": 96},
        **{f"{name}_keras": {**KERAS, "num_layers": layers} for name, layers in LAYERS.items()},
        "densenet40_cifar": {
            **CIFAR,
            "num_layers": (12, 12, 12),
            "stem_channels": 16,
            "bottleneck": 0,
            "compression": 1.0,
            "dropout_rate": 0.2,
        },
        "densenet_bc100_cifar": {**CIFAR, "num_layers": (16, 16, 16), "stem_channels": 24, "dropout_rate": 0.2},
        "densenet_small": {**SMALL, "num_layers": (2, 1, 1), "stem": "cifar", "image_size": 10},
        "densenet_small_imagenet": {
            **SMALL,
            "num_layers": (2, 1),
            "stem_channels": 5,
            "image_size": 24,
            "dropout_rate": 0.25,
            "running_variance": "biased",
            "recompute": True,
        },
        "densenet_small_plain": {
            **SMALL,
            "num_layers": (2, 2),
            "stem": "cifar",
            "image_size": 7,
            "bottleneck": 0,
            "compression": 0.75,
            "num_classes": 0,
        },
    }
    CHECKED: ClassVar[tuple[str, ...]] = ("densenet_small", "densenet_small_imagenet", "densenet_small_plain")
    SOURCES: ClassVar[dict[str, Source]] = {"torchvision": TORCHVISION, "keras.applications": KERAS_APPLICATIONS}

    def blocks(self) -> tuple[DenseBlock, ...]:
        """The dense blocks, each of the channels that the transition before it leaves."""
        found: list[DenseBlock] = []
        for count in self.num_layers:
            found.append(
                DenseBlock(
                    in_channels=self.compressed(found[-1]) if found else self.stem_channels,
                    num_layers=count,
                    growth_rate=self.growth_rate,
                    bottleneck=self.bottleneck,
                    dropout_rate=self.dropout_rate,
                    norm_epsilon=self.norm_epsilon,
                    norm_momentum=self.norm_momentum,
                    running_variance=self.running_variance,
                    recompute=self.recompute,
                )
            )
        return tuple(found)

    def compressed(self, block: DenseBlock) -> int:
        """Channels behind the transition that follows a block."""
        return max(1, math.floor(self.compression * block.out_channels))

    @property
    def num_features(self) -> int:
        """Channels of the last block."""
        return self.blocks()[-1].out_channels

    def smallest_size(self) -> int:
        """Each transition halves the image, and needs two pixels; the stem makes a quarter of it, rounded up."""
        least: int = 2 ** (len(self.num_layers) - 1)
        return 4 * (least - 1) + 1 if self.stem == "imagenet" else least

    def constraints(self) -> Iterator[str]:
        yield from super().constraints()
        if self.compression > 1:
            yield f"compression {self.compression} is above 1"

    def parts(self) -> Iterator[Part]:
        size = 7 if self.stem == "imagenet" else 3
        yield conv("stem_conv", size, self.in_channels, self.stem_channels, HE)
        if self.stem == "imagenet":
            yield batch_norm("stem_norm", self.stem_channels)
            yield block("stem_pool", IMAGE)
        *others, last = enumerate(self.blocks())
        for index, dense_block in others:
            name, channels = f"transitions.{index}", dense_block.out_channels
            yield from nested(f"blocks.{index}", dense_block)
            yield batch_norm(f"{name}.norm", channels)
            yield conv(f"{name}.conv", 1, channels, self.compressed(dense_block), HE)
            yield block(f"{name}.pool", IMAGE)
            yield block(name, IMAGE)
        yield from nested(f"blocks.{last[0]}", last[1])
        yield batch_norm("norm", self.num_features)
        yield Part("average", (IMAGE,), VECTOR)
        if self.num_classes:
            yield dense("head", self.num_features, self.num_classes, XAVIER)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> DenseNet:
        num_blocks = int(rng.integers(1, 4))
        return cls(
            num_layers=tuple(int(count) for count in rng.integers(1, 3, num_blocks)),
            stem=str(rng.choice(["imagenet", "cifar"])),
            stem_channels=int(rng.integers(2, 7)),
            compression=float(rng.choice([0.25, 0.5, 0.75, 1.0])),
            growth_rate=int(rng.integers(1, 5)),
            bottleneck=int(rng.choice([0, 1, 4])),
            dropout_rate=float(rng.choice([0.0, 0.25])),
            norm_epsilon=float(rng.choice([1e-5, 1e-3])),
            norm_momentum=float(rng.choice([0.1, 0.01])),
            running_variance=str(rng.choice(["unbiased", "biased"])),
            recompute=bool(rng.random() < 0.5),
            image_size=int(rng.integers(16, 36)),
            in_channels=int(rng.integers(1, 4)),
            num_classes=int(rng.choice([0, 2, 5])),
        )
