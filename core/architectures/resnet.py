"""The residual network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..field import choice, fraction, positive, sizes, whole
from ..parts import IMAGE, VECTOR, batch_norm, block, conv, dense
from ..spec import Init, Part, Spec, Tensor

HE = Init("he_normal_fan_out")
XAVIER = Init("xavier_uniform")
SMALL = {"width": 4, "num_classes": 5}


@dataclass(frozen=True, kw_only=True)
class ResNet(Spec):
    """A residual network of basic blocks: two 3x3 convolutions, and a shortcut around them.

    Source: He et al., "Deep residual learning for image recognition", CVPR 2016; table 1 and section 3.3, shortcuts of
    option B (a 1x1 projection where the shape changes), CIFAR stem after section 4.2. Kernels start as in He et al.
    (2015, eq. 14): normal, variance 2 / fan_out.

    Input: `image`, float, (batch, height, width, channels). Output: `logits`, float, (batch, channels), one channel
    per class.

    Fields:
        num_blocks: blocks in each of the four stages; the channels double and the image halves from stage to stage.
        width: channels of the first stage.
        stem: `imagenet` is a 7x7 convolution of stride 2 and a 3x3 maximum pooling of stride 2, `cifar` one 3x3
            convolution of stride 1.
        image_size: height and width in pixels of a full-size input; any size of at least 8 pixels is taken.
        in_channels, num_classes: channels of the image, number of classes.
        norm_epsilon, norm_momentum: added to the variance; weight of the new batch in the running statistics.
        running_variance: divide by n - 1 (`unbiased`) or by n (`biased`) in the running variance.

    Raises SpecError for a value against its rule.

    Frameworks differ: a stride of 2 with Keras's `same` padding pads on one side only; both siblings pad symmetrically.
    Keras's batch normalisation has another epsilon (1e-3), momentum (.99 of the old) and running variance (biased).

    Departs from paper: the document's convolutions have a bias that the normalisation behind them removes; it is left
    out, as in the paper's own model.
    """

    num_blocks: tuple[int, ...] = sizes((2, 2, 2, 2), lengths=(4,))
    width: int = whole(64)
    stem: str = choice("imagenet", "cifar")
    image_size: int = whole(224, least=8)
    in_channels: int = whole(3)
    num_classes: int = whole(1000)
    norm_epsilon: float = positive(1e-5)
    norm_momentum: float = fraction(0.1)
    running_variance: str = choice("unbiased", "biased")

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "resnet18": {},
        "resnet34": {"num_blocks": (3, 4, 6, 3)},
        "resnet18_cifar": {"stem": "cifar", "image_size": 32, "num_classes": 10},
        "resnet_small": {**SMALL, "num_blocks": (1, 2, 1, 1), "stem": "cifar", "image_size": 12},
        "resnet_small_imagenet": {**SMALL, "num_blocks": (1, 1, 1, 1), "image_size": 33, "running_variance": "biased"},
    }
    CHECKED: ClassVar[tuple[str, ...]] = ("resnet_small", "resnet_small_imagenet")
    CHECKED_SIZE: ClassVar[int] = 64

    def inputs(self) -> tuple[Tensor, ...]:
        return (Tensor("image", IMAGE, (None, self.image_size, self.image_size, self.in_channels)),)

    def outputs(self) -> tuple[Tensor, ...]:
        return (Tensor("logits", VECTOR, (None, self.num_classes)),)

    def shrunk(self) -> Self:
        """Images of at most 64 pixels: the network is convolutional and takes any size."""
        return self.replace(image_size=min(self.image_size, self.CHECKED_SIZE))

    def parts(self) -> Iterator[Part]:
        size = 7 if self.stem == "imagenet" else 3
        yield conv("conv1", size, self.in_channels, self.width, HE)
        yield batch_norm("bn1", self.width)
        if self.stem == "imagenet":
            yield block("maxpool", IMAGE)
        inputs = self.width
        for stage, count in enumerate(self.num_blocks):
            for index in range(count):
                outputs = self.width * 2**stage
                yield from basic_block(f"layer{stage + 1}.{index}", inputs, outputs)
                inputs = outputs
        yield Part("avgpool", (IMAGE,), VECTOR)
        yield dense("fc", inputs, self.num_classes, XAVIER)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        return cls(
            num_blocks=tuple(int(count) for count in rng.integers(1, 3, 4)),
            width=int(rng.integers(2, 7)),
            stem=str(rng.choice(["imagenet", "cifar"])),
            image_size=int(rng.integers(16, 40)),
            in_channels=int(rng.integers(1, 4)),
            num_classes=int(rng.integers(2, 8)),
            norm_epsilon=float(rng.choice([1e-5, 1e-3])),
            norm_momentum=float(rng.choice([0.1, 0.01])),
            running_variance=str(rng.choice(["unbiased", "biased"])),
        )


def basic_block(name: str, inputs: int, outputs: int) -> Iterator[Part]:
    """Two 3x3 convolutions and the shortcut around them, a projection where the number of channels changes."""
    yield conv(f"{name}.conv1", 3, inputs, outputs, HE)
    yield batch_norm(f"{name}.bn1", outputs)
    yield conv(f"{name}.conv2", 3, outputs, outputs, HE)
    yield batch_norm(f"{name}.bn2", outputs)
    if inputs != outputs:
        yield conv(f"{name}.shortcut.conv", 1, inputs, outputs, HE)
        yield batch_norm(f"{name}.shortcut.bn", outputs)
        yield block(f"{name}.shortcut", IMAGE)
    yield block(name, IMAGE)
