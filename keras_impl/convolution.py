"""Convolution and pooling with symmetric padding, which Keras's own layers do not have for a stride above 1."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class Conv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` that pads `margin` zeros on all four sides."""

    def __init__(self, filters: int, size: int, *, margin: int = 0, **options: Any) -> None:
        super().__init__(filters, size, padding="valid", **options)
        self.margin = margin

    def call(self, x: Any) -> Any:
        return super().call(ops.pad(x, border(self.margin)) if self.margin else x)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return super().compute_output_shape(widened(input_shape, self.margin))


class MaxPooling2D(keras.layers.MaxPooling2D):
    """`keras.layers.MaxPooling2D` that pads `margin` times minus infinity on all four sides."""

    def __init__(self, size: int, *, margin: int = 0, **options: Any) -> None:
        super().__init__(size, padding="valid", **options)
        self.margin = margin

    def call(self, x: Any) -> Any:
        return super().call(ops.pad(x, border(self.margin), constant_values=float("-inf")))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return super().compute_output_shape(widened(input_shape, self.margin))


def border(margin: int) -> list[list[int]]:
    """Padding of (batch, height, width, channels)."""
    return [[0, 0], [margin, margin], [margin, margin], [0, 0]]


def widened(shape: tuple[int | None, ...], margin: int) -> tuple[int | None, ...]:
    """The shape of an image after padding."""
    batch, height, width, channels = shape
    return (batch, *(None if size is None else size + 2 * margin for size in (height, width)), channels)
