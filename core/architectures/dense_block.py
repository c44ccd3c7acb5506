"""The dense block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import choice, flag, fraction, positive, whole
from ..parts import IMAGE, batch_norm, block, conv
from ..spec import Init, Part, Tensor
from ..vision import ImageSpec

HE = Init("he_normal")
SMALL = {"in_channels": 4, "num_layers": 3, "growth_rate": 2, "image_size": 5}


@dataclass(frozen=True, kw_only=True)
class DenseBlock(ImageSpec):
    """Layers of which each is given the results of all before it, one behind the other along the channels.

    Source: Huang et al., "Densely connected convolutional networks", CVPR 2017; section 3, eq. 2: x_l =
    H_l([x_0, ..., x_(l-1)]). H_l is normalisation, ReLU and a 3x3 convolution to k channels, behind a bottleneck of
    normalisation, ReLU and a 1x1 convolution to 4k. Recomputation after Pleiss et al., "Memory-efficient
    implementation of DenseNets" (2017), section 3, here of the whole layer. Kernels start as in He et al. (2015).

    Input: `image`, float, (batch, height, width, channels). Output: `features`, float, (batch, height, width,
    channels): the input's channels first, then those of each layer in turn.

    Fields:
        image_size: height and width in pixels of an example; any size is taken.
        in_channels: channels of the input, symbol k_0.
        num_layers: symbol l.
        growth_rate: channels that each layer adds, symbol k.
        bottleneck: channels of the 1x1 convolution in growth rates; 0 leaves it away, with its normalisation.
        dropout_rate: on the result of each layer (section 4.2).
        norm_epsilon, norm_momentum: added to the variance; weight of the new batch in the running statistics.
        running_variance: divide by n - 1 (`unbiased`) or by n (`biased`) in the running variance.
        recompute: in training, keep only what each layer adds, and compute the rest again in the backward pass;
            results, gradients and running statistics are the same.

    Raises SpecError for a value against its rule.

    Departs from paper: the document's block replaces x by each layer's result, which is a plain stack of convolutions;
    here they are concatenated, as its text and the paper say. It has no bottleneck, which is `bottleneck` 0.

    Frameworks differ: channels are axis 1 in PyTorch and the last in Keras. A layer that is computed twice moves its
    running statistics twice in both, which no output of that step shows; both siblings throw the second movement away.
    PyTorch draws a recomputed dropout mask again as it was and Keras draws another: dropout is not recomputed here.
    """

    image_size: int = whole(56)
    in_channels: int = whole(64)
    num_layers: int = whole(6)
    growth_rate: int = whole(32)
    bottleneck: int = whole(4, least=0)
    dropout_rate: float = fraction(0.0)
    norm_epsilon: float = positive(1e-5)
    norm_momentum: float = fraction(0.1)
    running_variance: str = choice("unbiased", "biased")
    recompute: bool = flag(False)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "dense_block_small": {**SMALL},
        "dense_block_small_recomputed": {**SMALL, "num_layers": 2, "dropout_rate": 0.25, "recompute": True},
        "dense_block_small_plain": {**SMALL, "bottleneck": 0, "running_variance": "biased", "norm_momentum": 0.01},
    }
    CHECKED: ClassVar[tuple[str, ...]] = tuple(PRESETS)
    LOSS: ClassVar[str] = "mean_squared_error"

    def channels(self, layer: int) -> int:
        """Channels that a layer is given, counted from 0."""
        return self.in_channels + layer * self.growth_rate

    @property
    def out_channels(self) -> int:
        """Channels of the result."""
        return self.channels(self.num_layers)

    def outputs(self) -> tuple[Tensor, ...]:
        return (Tensor("features", IMAGE, (None, self.image_size, self.image_size, self.out_channels)),)

    def parts(self) -> Iterator[Part]:
        for layer in range(self.num_layers):
            name, inputs = f"dense_layers.{layer}", self.channels(layer)
            if self.bottleneck:
                width = self.bottleneck * self.growth_rate
                yield batch_norm(f"{name}.norm1", inputs)
                yield conv(f"{name}.conv1", 1, inputs, width, HE)
                inputs = width
            yield batch_norm(f"{name}.norm2", inputs)
            yield conv(f"{name}.conv2", 3, inputs, self.growth_rate, HE)
            yield block(name, IMAGE)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> DenseBlock:
        return cls(
            image_size=int(rng.integers(3, 8)),
            in_channels=int(rng.integers(1, 6)),
            num_layers=int(rng.integers(1, 4)),
            growth_rate=int(rng.integers(1, 5)),
            bottleneck=int(rng.choice([0, 1, 4])),
            dropout_rate=float(rng.choice([0.0, 0.25])),
            norm_epsilon=float(rng.choice([1e-5, 1e-3])),
            norm_momentum=float(rng.choice([0.1, 0.01])),
            running_variance=str(rng.choice(["unbiased", "biased"])),
            recompute=bool(rng.random() < 0.5),
        )
