"""The residual network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import choice, flag, fraction, positive, sizes, whole
from ..parts import IMAGE, VECTOR, batch_norm, block, conv, dense, nested
from ..source import Source
from ..spec import Init, Part
from ..vision import ImageClassifier
from .residual_block import EXPANSION, ResidualBlock, attention_parts

HE = Init("he_normal_fan_out")
XAVIER = Init("xavier_uniform")
SMALL = {"width": 4, "num_classes": 5}
BOTTLENECK = {"block": "bottleneck", "num_blocks": (3, 4, 6, 3)}
KERAS = {
    "block": "bottleneck",
    "stride_on": "conv1",
    "conv_bias": True,
    "norm_epsilon": 1.001e-5,
    "norm_momentum": 0.01,
    "running_variance": "biased",
}
TORCHVISION = Source(
    "torch",
    (
        ("layer{stage}.{block}.shortcut.conv", "layer{stage}.{block}.downsample.0"),
        ("layer{stage}.{block}.shortcut.bn", "layer{stage}.{block}.downsample.1"),
    ),
    requires=(("stride_on", "conv2"), ("conv_bias", False), ("norm_epsilon", 1e-5)),
)
KERAS_APPLICATIONS = Source(
    "keras",
    (
        ("conv1", "conv1_conv"),
        ("bn1", "conv1_bn"),
        ("layer{stage}.{block}.conv{n}", "conv{stage+1}_block{block+1}_{n}_conv"),
        ("layer{stage}.{block}.bn{n}", "conv{stage+1}_block{block+1}_{n}_bn"),
        ("layer{stage}.{block}.shortcut.conv", "conv{stage+1}_block{block+1}_0_conv"),
        ("layer{stage}.{block}.shortcut.bn", "conv{stage+1}_block{block+1}_0_bn"),
        ("fc", "predictions"),
    ),
    aliases=(("probs/*", "predictions/*"),),
    requires=tuple((field, KERAS[field]) for field in ("block", "stride_on", "conv_bias", "norm_epsilon")),
)


@dataclass(frozen=True, kw_only=True)
class ResNet(ImageClassifier):
    """A residual network: a stem, four stages of residual blocks, the mean over all positions, and a head.

    Source: He et al., "Deep residual learning for image recognition", CVPR 2016; table 1 and section 3.3, CIFAR stem
    after section 4.2. Kernels start as in He et al. (2015, eq. 14): normal, variance 2 / fan_out. The Wide ResNet
    preset after Zagoruyko and Komodakis (2016).

    Input: `image`, float, (batch, height, width, channels). Output: `logits`, float, (batch, channels), one channel
    per class; without a head `features`, float, (batch, channels).

    Any image of at least 8 pixels is taken. core/vision.py has the fields image_size, in_channels and num_classes.

    Fields:
        num_blocks: blocks in each of the four stages; the channels double and the image halves from stage to stage.
        width: channels of the stem and, times four for bottlenecks, of the first stage.
        stem: `imagenet` is a 7x7 convolution of stride 2 and a 3x3 maximum pooling of stride 2, `cifar` one 3x3
            convolution of stride 1.
        attention_placement: `blocks` puts it into every block, `end` once behind the last stage.
        dropout_rate: before the head, if there is one.
        block, stride_on, widening, conv_bias, attention, reduction: see core/architectures/residual_block.py.
        norm_epsilon, norm_momentum: added to the variance; weight of the new batch in the running statistics.
        running_variance: divide by n - 1 (`unbiased`) or by n (`biased`) in the running variance.

    The presets that end in `_keras` are those of keras.applications, the others those of torchvision and timm;
    `advanced_cnn` is the document's, and `resnet_digits` is for handwritten ones.

    Raises SpecError for a value against its rule.

    Frameworks differ: see core/architectures/residual_block.py. The library models as well: keras.applications has the
    paper's stride on the first 1x1 convolution, biases, and an epsilon of 1.001e-5; torchvision has none of them.

    Departs from paper: the document's convolutions have a bias that the normalisation behind them removes; it is left
    out, as in the paper's own model.
    """

    num_blocks: tuple[int, ...] = sizes((2, 2, 2, 2), lengths=(4,))
    width: int = whole(64)
    stem: str = choice("imagenet", "cifar")
    block: str = choice("basic", "bottleneck")
    stride_on: str = choice("conv2", "conv1")
    widening: int = whole(1)
    conv_bias: bool = flag(False)
    attention: str = choice("none", "squeeze_excitation", "cbam")
    attention_placement: str = choice("blocks", "end")
    reduction: int = whole(16)
    dropout_rate: float = fraction(0.0)
    norm_epsilon: float = positive(1e-5)
    norm_momentum: float = fraction(0.1)
    running_variance: str = choice("unbiased", "biased")

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "resnet18": {},
        "resnet34": {"num_blocks": (3, 4, 6, 3)},
        "resnet50": {**BOTTLENECK},
        "resnet101": {**BOTTLENECK, "num_blocks": (3, 4, 23, 3)},
        "resnet152": {**BOTTLENECK, "num_blocks": (3, 8, 36, 3)},
        "wide_resnet50_2": {**BOTTLENECK, "widening": 2},
        "resnet50_keras": {**KERAS, "num_blocks": (3, 4, 6, 3)},
        "resnet101_keras": {**KERAS, "num_blocks": (3, 4, 23, 3)},
        "resnet152_keras": {**KERAS, "num_blocks": (3, 8, 36, 3)},
        "resnet18_cifar": {"stem": "cifar", "image_size": 32, "num_classes": 10},
        "advanced_cnn": {
            "num_classes": 10,
            "attention": "squeeze_excitation",
            "attention_placement": "end",
            "dropout_rate": 0.5,
        },
        "resnet_digits": {
            "num_blocks": (1, 1, 1, 1),
            "width": 16,
            "image_size": 28,
            "in_channels": 1,
            "num_classes": 10,
        },
        "resnet_small": {**SMALL, "num_blocks": (1, 2, 1, 1), "stem": "cifar", "image_size": 12},
        "resnet_small_imagenet": {**SMALL, "num_blocks": (1, 1, 1, 1), "image_size": 33, "running_variance": "biased"},
        "resnet_small_bottleneck": {
            **SMALL,
            "num_blocks": (1, 1, 1, 1),
            "block": "bottleneck",
            "stem": "cifar",
            "image_size": 16,
            "attention": "squeeze_excitation",
            "reduction": 4,
            "num_classes": 0,
        },
        "resnet_small_cbam": {
            **SMALL,
            "num_blocks": (1, 1, 1, 1),
            "stem": "cifar",
            "image_size": 16,
            "attention": "cbam",
            "attention_placement": "end",
            "dropout_rate": 0.25,
        },
    }
    CHECKED: ClassVar[tuple[str, ...]] = tuple(name for name in PRESETS if "small" in name)
    SOURCES: ClassVar[dict[str, Source]] = {
        "torchvision": TORCHVISION,
        "timm": TORCHVISION,
        "keras.applications": KERAS_APPLICATIONS,
    }

    @property
    def num_features(self) -> int:
        """Channels of the last stage."""
        return self.block_spec(3, 0).out_channels

    def smallest_size(self) -> int:
        """Eight pixels, by choice: padding would let a single one through, and the network see nothing but it."""
        return 8

    def constraints(self) -> Iterator[str]:
        yield from super().constraints()
        if self.block == "basic" and self.widening != 1:
            yield "widening is of a bottleneck, and these blocks are basic"
        channels = self.width * self.expansion * (8 if self.attention_placement == "end" else 1)
        if self.attention != "none" and channels % self.reduction:
            yield f"reduction {self.reduction} does not divide the {channels} channels that attention is over"

    @property
    def expansion(self) -> int:
        """Channels that leave a block, in those of its stage."""
        return EXPANSION if self.block == "bottleneck" else 1

    def block_spec(self, stage: int, index: int) -> ResidualBlock:
        """The block of this index in a stage, both counted from 0."""
        outputs = self.width * 2**stage * self.expansion
        first = self.width if stage == 0 else outputs // 2
        return ResidualBlock(
            block=self.block,
            in_channels=outputs if index else first,
            out_channels=outputs,
            stride=2 if stage and not index else 1,
            stride_on=self.stride_on,
            widening=self.widening,
            conv_bias=self.conv_bias,
            attention=self.attention if self.attention_placement == "blocks" else "none",
            reduction=self.reduction,
            norm_epsilon=self.norm_epsilon,
            norm_momentum=self.norm_momentum,
            running_variance=self.running_variance,
        )

    @property
    def attention_at_end(self) -> bool:
        """Whether there is attention behind the last stage."""
        return self.attention != "none" and self.attention_placement == "end"

    def parts(self) -> Iterator[Part]:
        size = 7 if self.stem == "imagenet" else 3
        yield conv("conv1", size, self.in_channels, self.width, HE, bias=self.conv_bias)
        yield batch_norm("bn1", self.width)
        if self.stem == "imagenet":
            yield block("maxpool", IMAGE)
        for stage, count in enumerate(self.num_blocks):
            for index in range(count):
                yield from nested(f"layer{stage + 1}.{index}", self.block_spec(stage, index))
        if self.attention_at_end:
            yield from attention_parts("attention", self.attention, self.num_features, self.reduction)
        yield Part("avgpool", (IMAGE,), VECTOR)
        if self.num_classes:
            yield block("dropout", VECTOR)
            yield dense("fc", self.num_features, self.num_classes, XAVIER)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> ResNet:
        shape = str(rng.choice(["basic", "bottleneck"]))
        return cls(
            num_blocks=tuple(int(count) for count in rng.integers(1, 3, 4)),
            width=int(rng.choice([2, 4, 6])),
            stem=str(rng.choice(["imagenet", "cifar"])),
            block=shape,
            stride_on=str(rng.choice(["conv1", "conv2"])),
            widening=int(rng.integers(1, 3)) if shape == "bottleneck" else 1,
            conv_bias=bool(rng.random() < 0.3),
            attention=str(rng.choice(["none", "squeeze_excitation", "cbam"])),
            attention_placement=str(rng.choice(["blocks", "end"])),
            reduction=2,
            dropout_rate=float(rng.choice([0.0, 0.3])),
            image_size=int(rng.integers(16, 40)),
            in_channels=int(rng.integers(1, 4)),
            num_classes=int(rng.choice([0, 2, 5])),
            norm_epsilon=float(rng.choice([1e-5, 1e-3])),
            norm_momentum=float(rng.choice([0.1, 0.01])),
            running_variance=str(rng.choice(["unbiased", "biased"])),
        )
