"""Where PyTorch keeps what the canonical state names: leaf names, and the order of named axes."""

from __future__ import annotations

from typing import Any

from ..core.axes import SPATIAL, Array, parse, rearrange, render
from ..core.spec import Part, Weight

LEAVES = {"kernel": "weight", "gamma": "weight", "table": "weight", "beta": "bias", "mean": "running_mean",
          "variance": "running_var"}  # fmt: skip
RANK = {"batch": 0, "out": 1}


def path(weight: Weight) -> str:
    """The attribute path of a weight: `conv1.kernel` is `conv1.weight`."""
    leaf = LEAVES.get(weight.role, weight.role)
    return f"{weight.owner}.{leaf}" if weight.owner else leaf


def native(axes: str) -> str:
    """PyTorch's order of the axes: batch, then outputs, then inputs or channels, and spatial axes last."""
    groups = [tuple(sorted(group, key=_rank)) for group in parse(axes)]
    return render(tuple(sorted(groups, key=lambda group: _rank(group[0]) if len(group) == 1 else 2)))


def _rank(name: str) -> int:
    return 3 if name in SPATIAL else RANK.get(name, 2)


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
