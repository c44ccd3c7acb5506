"""What the networks that classify images have in common: an image in, one number per class out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from .axes import Array
from .field import whole
from .parts import IMAGE, VECTOR
from .resample import known
from .spec import Spec, Tensor
from .state import State, fit


@dataclass(frozen=True, kw_only=True)
class ImageSpec(Spec):
    """A network on square images.

    Fields:
        image_size: height and width in pixels.
        in_channels: channels of the image.
    """

    image_size: int = whole(224)
    in_channels: int = whole(3)

    def inputs(self) -> tuple[Tensor, ...]:
        return (Tensor("image", IMAGE, (None, self.image_size, self.image_size, self.in_channels)),)

    def resized(self, state: State, image_size: int, *, method: str, antialias: bool) -> tuple[Self, State]:
        """The network for images of another size, with its state there: a convolutional network's stays as it is."""
        known(method)
        other = self.replace(image_size=image_size)
        fit(other, state)
        return other, dict(state)


@dataclass(frozen=True, kw_only=True)
class ImageClassifier(ImageSpec):
    """A network on square images with one output per class.

    Fields:
        num_classes: number of classes; 0 leaves the head away, and the output is the pooled `features`.
    """

    num_classes: int = whole(1000, least=0)

    CHECKED_SIZE: ClassVar[int] = 64

    @property
    def num_features(self) -> int:
        """Channels of what the head is given."""
        raise TypeError(f"{self.name} does not say how many features it has")

    def headless(self) -> Self:
        """The network without its head, whose output is the pooled features."""
        return self.replace(num_classes=0)

    def smallest_size(self) -> int:
        """The smallest image that the network takes, in pixels."""
        return 1

    def constraints(self) -> Iterator[str]:
        least = self.smallest_size()
        if self.image_size < least:
            yield f"image_size {self.image_size} is too small; this network needs images of at least {least} pixels"

    def outputs(self) -> tuple[Tensor, ...]:
        if not self.num_classes:
            return (Tensor("features", VECTOR, (None, self.num_features)),)
        return (Tensor("logits", VECTOR, (None, self.num_classes)),)

    def shrunk(self) -> Self:
        """Images of at most 64 pixels, or the smallest that there are: a convolutional network takes any size."""
        return self.replace(image_size=min(self.image_size, max(self.CHECKED_SIZE, self.smallest_size())))

    def example(self, rng: np.random.Generator, batch: int | None = None) -> dict[str, Array]:
        small = self.shrunk()
        is_small = small.image_size <= max(self.CHECKED_SIZE, self.smallest_size())
        return small.drawn(rng, batch or (self.BATCH if is_small else 1))

    def whole_example(self, rng: np.random.Generator) -> dict[str, Array]:
        """One image at full size, where the example has smaller ones."""
        return self.example(rng) if self.shrunk() == self else self.drawn(rng, 1)
