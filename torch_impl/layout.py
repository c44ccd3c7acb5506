"""Where PyTorch keeps what the canonical state names: leaf names, and the order of named axes."""

from __future__ import annotations

from typing import Any

from ..core import layout
from ..core.axes import Array, rearrange
from ..core.spec import Part, Weight


def path(weight: Weight) -> str:
    """The attribute path of a weight: `conv1.kernel` is `conv1.weight`."""
    name = layout.leaf(weight.role, "torch")
    return f"{weight.owner}.{name}" if weight.owner else name


def native(axes: str) -> str:
    """PyTorch's order of the axes: batch, then outputs, then inputs or channels, and spatial axes last."""
    return layout.native(axes, "torch")


def to_native(array: Array, axes: str, factors: tuple[tuple[str, int], ...] = ()) -> Array:
    """From the canonical order to PyTorch's."""
    return rearrange(array, axes, native(axes), dict(factors))


def to_canonical(array: Array, axes: str, factors: tuple[tuple[str, int], ...] = ()) -> Array:
    """From PyTorch's order to the canonical one."""
    return rearrange(array, native(axes), axes, dict(factors))


def inputs_to_native(part: Part, arrays: Any) -> list[Array | None]:
    """The arguments of a part, in PyTorch's order."""
    pairs = zip(part.inputs, arrays, strict=False)
    return [None if array is None else to_native(array, axes, part.factors) for axes, array in pairs]
