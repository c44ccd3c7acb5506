"""Inception v3."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Self

import numpy as np

from ..field import choice, flag, fraction, positive, sizes, whole
from ..parts import IMAGE, VECTOR, block, dense
from ..source import Source
from ..spec import Init, Part, Tensor
from ..techniques.batch_norm import BatchNorm
from ..vision import ImageClassifier
from .inception import transformable
from .inception_module import conv_norm

XAVIER = Init("xavier_uniform")
SMALL = {"width": 0.0625, "pool_channels": (32,), "channels_7x7": (128,), "num_last": 1, "num_classes": 5}
KERAS = {
    "pool_counts_padding": False,
    "dropout_rate": 0.0,
    "norm_scale": False,
    "norm_momentum": 0.01,
    "running_variance": "biased",
}
STEM = {"conv1a": "1a_3x3", "conv2a": "2a_3x3", "conv2b": "2b_3x3", "conv3b": "3b_1x1", "conv4a": "4a_3x3"}
LETTERS = {"mixed5": "bcd", "mixed6": "abcde", "mixed7": "abc"}
Unit = tuple[str, int | tuple[int, int], int]


@dataclass(frozen=True, kw_only=True)
class InceptionV3(ImageClassifier):
    """Inception v3: a stem, modules of factorised convolutions at three image sizes, two reductions, and a head.

    Source: Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016; table 1, modules of
    figures 5, 6 and 7, reductions of figure 10, auxiliary head of figure 8. Kernels start as in He et al. (2015, eq.
    14), dense layers as in Glorot and Bengio (2010, eq. 16). The auxiliary head's weight of 0.4 in the loss is that of
    the authors' own training code and of PyTorch's tutorials; the paper gives none.

    Input: `image`, float, (batch, height, width, channels). Output: `logits`, float, (batch, channels), one channel
    per class; with the auxiliary head `aux` as well, of the same shape, in training and in evaluation; without a head
    `features`, float, (batch, channels).

    core/vision.py has in_channels and num_classes.

    Fields:
        image_size: height and width in pixels of a full-size input. The auxiliary head needs 299, the rest 75.
        pool_channels: channels behind the pooling of each module of figure 5; there are as many modules as numbers.
        channels_7x7: channels of the inner 7x1 and 1x7 convolutions of each module of figure 6, likewise.
        num_last: modules of figure 7.
        width: factor on the channels of every convolution; the products are rounded to whole numbers, at least 1.
        pool_counts_padding: whether the average poolings of the modules count the zeros around the image.
        aux_head, aux_weight: a head behind the last module of figure 6; the weight of its loss, beside 1 of the logits.
        aux_pool, aux_size: window and stride of the auxiliary head's average pooling, kernel size of its convolution.
        transform_input: take images with ImageNet's mean and deviation removed, and scale them to [-1, 1] instead.
        dropout_rate: before the head.
        norm_scale: whether batch normalisation has a gamma.
        norm_epsilon, norm_momentum: added to the variance; weight of the new batch in the running statistics.
        running_variance: divide by n - 1 (`unbiased`) or by n (`biased`) in the running variance.

    The defaults are torchvision's network, whose pretrained weights need `transform_input`; `inception_v3_keras` is
    that of keras.applications, which takes images in [-1, 1].

    Raises SpecError for a value against its rule.

    Departs from paper: as both libraries do, the modules keep the batch normalisation in front of every ReLU, the first
    convolutions have no padding (table 1 gives the same sizes), and the second branch of figure 5 has one 5x5
    convolution, beside the one of two 3x3. keras.applications has no dropout and no auxiliary head.

    Frameworks differ: an average over a padded edge counts the zeros in PyTorch and leaves them out in Keras, and the
    two published networks differ by that as well.
    """

    image_size: int = whole(299)
    pool_channels: tuple[int, ...] = sizes((32, 64, 64))
    channels_7x7: tuple[int, ...] = sizes((128, 160, 160, 192))
    num_last: int = whole(2)
    width: float = positive(1.0)
    pool_counts_padding: bool = flag(True)
    aux_head: bool = flag(False)
    aux_weight: float = positive(0.4)
    aux_pool: tuple[int, ...] = sizes((5, 3), lengths=(2,))
    aux_size: int = whole(5)
    transform_input: bool = flag(False)
    dropout_rate: float = fraction(0.5)
    norm_scale: bool = flag(True)
    norm_epsilon: float = positive(1e-3)
    norm_momentum: float = fraction(0.1)
    running_variance: str = choice("unbiased", "biased")

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "inception_v3_torchvision": {},
        "inception_v3_aux": {"aux_head": True},
        "inception_v3_keras": {**KERAS},
        "inception_v3_small": {
            **SMALL,
            "transform_input": True,
            "aux_head": True,
            "aux_pool": (2, 2),
            "aux_size": 2,
            "image_size": 91,
        },
        "inception_v3_small_keras": {**SMALL, **KERAS, "in_channels": 1, "num_classes": 0, "image_size": 75},
    }
    CHECKED: ClassVar[tuple[str, ...]] = tuple(name for name in PRESETS if "small" in name)
    SOURCES: ClassVar[dict[str, Source]] = {
        "torchvision": Source(
            "torch",
            (
                *((f"{ours}.*", f"Conv2d_{theirs}.*") for ours, theirs in STEM.items()),
                *(
                    (f"{stage}.{index}.*", f"Mixed_{stage[-1]}{letter}.*")
                    for stage, letters in LETTERS.items()
                    for index, letter in enumerate(letters)
                ),
                ("aux.*", "AuxLogits.*"),
            ),
            left_out=("AuxLogits.*",),
            requires=(("pool_counts_padding", True), ("norm_scale", True), ("norm_epsilon", 1e-3)),
        ),
        "keras.applications": Source(
            "keras",
            (("*.conv", "conv2d#"), ("*.bn", "batch_normalization#"), ("fc", "predictions")),
            requires=(("pool_counts_padding", False), ("norm_scale", False), ("norm_epsilon", 1e-3)),
        ),
    }

    @property
    def num_features(self) -> int:
        return self.last_channels

    @property
    def last_channels(self) -> int:
        """Channels behind a module of figure 7."""
        return self.scaled(320) + 4 * self.scaled(384) + self.scaled(192)

    @property
    def normalisation(self) -> BatchNorm:
        """What follows each convolution."""
        return BatchNorm(
            epsilon=self.norm_epsilon,
            momentum=self.norm_momentum,
            running_variance=self.running_variance,
            scale=self.norm_scale,
        )

    def scaled(self, channels: int) -> int:
        """A number of channels of the paper, times the width."""
        return max(1, round(channels * Fraction(self.width)))

    def headless(self) -> Self:
        """The network without any head, whose output is the pooled features."""
        return self.replace(num_classes=0, aux_head=False)

    def smallest_size(self) -> int:
        window, stride = self.aux_pool
        size = max(3, (self.aux_size - 1) * stride + window) if self.aux_head else 3
        # Backwards: the first reduction, a pooling, conv4a, a pooling, conv2a and conv1a; conv2b keeps the size.
        for stride in (2, 2, 1, 2, 1, 2):
            size = (size - 1) * stride + 3
        return size

    def constraints(self) -> Iterator[str]:
        if self.aux_head and not self.num_classes:
            yield "aux_head classifies, and num_classes 0 leaves no class"
        yield from transformable(self.transform_input, self.in_channels)
        yield from super().constraints()

    def outputs(self) -> tuple[Tensor, ...]:
        aux = (Tensor("aux", VECTOR, (None, self.num_classes)),) if self.aux_head else ()
        return (*super().outputs(), *aux)

    def loss_weights(self) -> dict[str, float]:
        return {**super().loss_weights(), **({"aux": self.aux_weight} if self.aux_head else {})}

    def parts(self) -> Iterator[Part]:
        c = self.scaled
        if self.transform_input:
            yield block("transform", IMAGE)
        yield from self._chain("", self.in_channels, ("conv1a", 3, c(32)), ("conv2a", 3, c(32)), ("conv2b", 3, c(64)))
        yield block("maxpool1", IMAGE)
        yield from self._chain("", c(64), ("conv3b", 1, c(80)), ("conv4a", 3, c(192)))
        yield block("maxpool2", IMAGE)
        inputs = c(192)
        for index, pool in enumerate(self.pool_channels):
            yield from self._module_a(f"mixed5.{index}", inputs, c(pool))
            inputs = 2 * c(64) + c(96) + c(pool)
        yield from self._reduction_a("mixed6.0", inputs)
        inputs += c(384) + c(96)
        for index, inner in enumerate(self.channels_7x7, start=1):
            yield from self._module_b(f"mixed6.{index}", inputs, c(inner))
            inputs = 4 * c(192)
        if self.aux_head:
            yield from self._aux_head(inputs)
        yield from self._reduction_b("mixed7.0", inputs)
        inputs += c(320) + c(192)
        for index in range(1, self.num_last + 1):
            yield from self._module_c(f"mixed7.{index}", inputs)
            inputs = self.last_channels
        yield Part("avgpool", (IMAGE,), VECTOR)
        if self.num_classes:
            yield block("dropout", VECTOR)
            yield dense("fc", inputs, self.num_classes, XAVIER)

    def _chain(self, name: str, inputs: int, *units: Unit) -> Iterator[Part]:
        for unit, size, outputs in units:
            yield from conv_norm(f"{name}.{unit}".lstrip("."), size, inputs, outputs, scale=self.norm_scale)
            inputs = outputs

    def _pooled(self, name: str, inputs: int, outputs: int) -> Iterator[Part]:
        yield block(f"{name}.pool", IMAGE)
        yield from self._chain(name, inputs, ("branch_pool", 1, outputs))
        yield block(name, IMAGE)

    def _module_a(self, name: str, inputs: int, pool: int) -> Iterator[Part]:
        c = self.scaled
        yield from self._chain(name, inputs, ("branch1x1", 1, c(64)))
        yield from self._chain(name, inputs, ("branch5x5_1", 1, c(48)), ("branch5x5_2", 5, c(64)))
        yield from self._double_3x3(name, inputs)
        yield from self._pooled(name, inputs, pool)

    def _double_3x3(self, name: str, inputs: int) -> Iterator[Part]:
        c = self.scaled
        units: tuple[Unit, ...] = (("1", 1, c(64)), ("2", 3, c(96)), ("3", 3, c(96)))
        yield from self._chain(name, inputs, *((f"branch3x3dbl_{unit}", size, out) for unit, size, out in units))

    def _reduction_a(self, name: str, inputs: int) -> Iterator[Part]:
        yield from self._chain(name, inputs, ("branch3x3", 3, self.scaled(384)))
        yield from self._double_3x3(name, inputs)
        yield block(f"{name}.pool", IMAGE)
        yield block(name, IMAGE)

    def _module_b(self, name: str, inputs: int, inner: int) -> Iterator[Part]:
        outer, row, column = self.scaled(192), (1, 7), (7, 1)
        yield from self._chain(name, inputs, ("branch1x1", 1, outer))
        single: tuple[Unit, ...] = (("1", 1, inner), ("2", row, inner), ("3", column, outer))
        double: tuple[Unit, ...] = (
            ("1", 1, inner), ("2", column, inner), ("3", row, inner), ("4", column, inner), ("5", row, outer),
        )  # fmt: skip
        yield from self._chain(name, inputs, *((f"branch7x7_{unit}", size, out) for unit, size, out in single))
        yield from self._chain(name, inputs, *((f"branch7x7dbl_{unit}", size, out) for unit, size, out in double))
        yield from self._pooled(name, inputs, outer)

    def _reduction_b(self, name: str, inputs: int) -> Iterator[Part]:
        outer = self.scaled(192)
        yield from self._chain(name, inputs, ("branch3x3_1", 1, outer), ("branch3x3_2", 3, self.scaled(320)))
        units: tuple[Unit, ...] = (("1", 1, outer), ("2", (1, 7), outer), ("3", (7, 1), outer), ("4", 3, outer))
        yield from self._chain(name, inputs, *((f"branch7x7x3_{unit}", size, out) for unit, size, out in units))
        yield block(f"{name}.pool", IMAGE)
        yield block(name, IMAGE)

    def _module_c(self, name: str, inputs: int) -> Iterator[Part]:
        c, row, column = self.scaled, (1, 3), (3, 1)
        yield from self._chain(name, inputs, ("branch1x1", 1, c(320)))
        yield from self._chain(name, inputs, ("branch3x3_1", 1, c(384)))
        for side, size in (("a", row), ("b", column)):
            yield from self._chain(name, c(384), (f"branch3x3_2{side}", size, c(384)))
        yield from self._chain(name, inputs, ("branch3x3dbl_1", 1, c(448)), ("branch3x3dbl_2", 3, c(384)))
        for side, size in (("a", row), ("b", column)):
            yield from self._chain(name, c(384), (f"branch3x3dbl_3{side}", size, c(384)))
        yield from self._pooled(name, inputs, c(192))

    def _aux_head(self, inputs: int) -> Iterator[Part]:
        c = self.scaled
        yield block("aux.pool", IMAGE)
        yield from self._chain("aux", inputs, ("conv0", 1, c(128)), ("conv1", self.aux_size, c(768)))
        yield Part("aux.avgpool", (IMAGE,), VECTOR)
        yield dense("aux.fc", c(768), self.num_classes, XAVIER)
        yield Part("aux", (IMAGE,), VECTOR)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        transform, aux = bool(rng.random() < 0.5), bool(rng.random() < 0.3)
        spec = cls(
            width=0.0625,
            pool_channels=tuple(int(channels) for channels in rng.integers(32, 65, rng.integers(1, 3))),
            channels_7x7=(int(rng.integers(64, 193)),),
            num_last=1,
            pool_counts_padding=bool(rng.random() < 0.5),
            transform_input=transform,
            aux_head=aux,
            aux_pool=(2, 2),
            aux_size=int(rng.integers(1, 3)),
            in_channels=3 if transform else int(rng.integers(1, 4)),
            num_classes=int(rng.integers(2 if aux else 0, 8)),
            dropout_rate=float(rng.choice([0.0, 0.5])),
            norm_scale=bool(rng.random() < 0.5),
            norm_momentum=float(rng.choice([0.1, 0.01])),
            running_variance=str(rng.choice(["unbiased", "biased"])),
        )
        return spec.replace(image_size=spec.smallest_size() + int(rng.integers(20)))
