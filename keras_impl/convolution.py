"""Convolution and pooling with symmetric padding, which Keras's own layers do not have for a stride above 1."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class Conv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` that pads `margin` zeros on all four sides, or (height, width) of them."""

    def __init__(
        self, filters: int, size: int | tuple[int, int], *, margin: int | tuple[int, int] = 0, **options: Any
    ) -> None:
        self.margin = pair(margin)
        same = options.get("strides", 1) == 1 and tuple(2 * by + 1 for by in self.margin) == pair(size)
        self.explicit = any(self.margin) and not same  # at a stride of 1, 'same' pads as much on either side
        super().__init__(filters, size, padding="same" if same else "valid", **options)

    def call(self, x: Any) -> Any:
        return super().call(ops.pad(x, border(self.margin)) if self.explicit else x)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return super().compute_output_shape(widened(input_shape, self.margin) if self.explicit else input_shape)


class Conv2DTranspose(keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose` that cuts `margin` rows and columns off on all four sides.

    Then it adds `extra` at the bottom and on the right, which are cut off less. Keras's own 'same' cuts off the other
    way round: of an odd number the larger part at the end.
    """

    def __init__(self, filters: int, size: int, *, margin: int = 0, extra: int = 0, **options: Any) -> None:
        super().__init__(filters, size, padding="valid", **options)
        self.margin, self.extra = margin, extra

    def call(self, x: Any) -> Any:
        x = super().call(x)
        height, width = ops.shape(x)[1:3]
        last = self.margin - self.extra
        return x[:, self.margin : height - last, self.margin : width - last]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, *sizes, channels = super().compute_output_shape(input_shape)
        cut = 2 * self.margin - self.extra
        return (batch, *(size if size is None else size - cut for size in sizes), channels)


class MaxPooling2D(keras.layers.MaxPooling2D):
    """`keras.layers.MaxPooling2D` that pads `margin` times minus infinity on all four sides.

    With `ceil_mode` the last window may reach beyond that, as long as it starts before the right or lower margin.
    """

    def __init__(self, size: int, *, margin: int = 0, ceil_mode: bool = False, **options: Any) -> None:
        super().__init__(size, padding="valid", **options)
        self.margin = pair(margin)
        self.ceil_mode = ceil_mode

    def call(self, x: Any) -> Any:
        _, height, width, _ = ops.shape(x)
        padding = [[0, 0], self._padding(height, 0), self._padding(width, 1), [0, 0]]
        return super().call(ops.pad(x, padding, constant_values=float("-inf")))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, *sizes, channels = input_shape
        padded = [size if size is None else size + sum(self._padding(size, axis)) for axis, size in enumerate(sizes)]
        return super().compute_output_shape((batch, *padded, channels))

    def _padding(self, size: Any, axis: int) -> list[Any]:
        margin, window, stride = self.margin[axis], self.pool_size[axis], self.strides[axis]
        if not self.ceil_mode:
            return [margin, margin]
        reached = (size + 2 * margin - window + stride - 1) // stride * stride + window
        reached -= stride * ((reached - window) // (size + margin))  # a window that would start in the margin
        beyond = reached - size - 2 * margin
        return [margin, margin + (beyond + abs(beyond)) // 2]


class AveragePooling2D(keras.layers.AveragePooling2D):
    """`keras.layers.AveragePooling2D` over `margin` zeros on all four sides, which the average counts."""

    def __init__(self, size: int, *, margin: int = 0, **options: Any) -> None:
        super().__init__(size, padding="valid", **options)
        self.margin = pair(margin)

    def call(self, x: Any) -> Any:
        return super().call(ops.pad(x, border(self.margin)))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return super().compute_output_shape(widened(input_shape, self.margin))


class AdaptiveAveragePooling2D(keras.layers.AdaptiveAveragePooling2D):
    """`keras.layers.AdaptiveAveragePooling2D` that takes an image of a single row or column as well.

    Keras's own slides a window of two over it, which a graph refuses; the same pixel twice has the same average.
    """

    def call(self, x: Any) -> Any:
        for axis in (1, 2):
            x = ops.repeat(x, 2, axis=axis) if x.shape[axis] == 1 else x
        return super().call(x)


def pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width)."""
    return (size, size) if isinstance(size, int) else size


def border(margin: tuple[int, int]) -> list[list[int]]:
    """Padding of (batch, height, width, channels)."""
    return [[0, 0], [margin[0], margin[0]], [margin[1], margin[1]], [0, 0]]


def widened(shape: tuple[int | None, ...], margin: tuple[int, int]) -> tuple[int | None, ...]:
    """The shape of an image after padding."""
    batch, *sizes, channels = shape
    return (batch, *(size if size is None else size + 2 * by for size, by in zip(sizes, margin, strict=True)), channels)
