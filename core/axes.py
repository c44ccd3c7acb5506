"""Axis names: how an array's layout is written down, and how one layout becomes another.

`"height width in out"` names the four axes of a convolution's kernel. Parentheses name the factors of one axis:
`"(height width channels) out"` is a dense kernel behind a flattened feature map. A permutation is always derived from
two such strings and never written as a tuple, so it cannot disagree with what the axes mean.
"""

from __future__ import annotations

import functools
import math
import re

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Groups = tuple[tuple[str, ...], ...]

SPATIAL = frozenset({"height", "width"})


@functools.lru_cache(maxsize=1024)
def parse(axes: str) -> Groups:
    """`"(height width) out"` -> `(("height", "width"), ("out",))`.

    Raises ValueError on a repeated name or an unbalanced parenthesis.
    """
    groups = tuple(tuple((inner or single).split()) for inner, single in re.findall(r"\(([^()]+)\)|([^\s()]+)", axes))
    names = [name for group in groups for name in group]
    if len(set(names)) != len(names) or render(groups).split() != axes.split():
        raise ValueError(f"axes {axes!r}: names must be distinct and parentheses balanced")
    return groups


def render(groups: Groups) -> str:
    """The inverse of `parse`."""
    return " ".join(group[0] if len(group) == 1 else f"({' '.join(group)})" for group in groups)


def sizes_of(axes: str, shape: tuple[int, ...], known: dict[str, int] | None = None) -> dict[str, int]:
    """The size of every axis name of an array of this shape; of each composite axis, one factor may be unknown."""
    groups, sizes = parse(axes), dict(known or {})
    if len(groups) != len(shape):
        raise ValueError(f"shape {shape} has {len(shape)} axes, {axes!r} names {len(groups)}")
    for group, size in zip(groups, shape, strict=True):
        unknown = [name for name in group if name not in sizes]
        rest = math.prod(sizes[name] for name in group if name in sizes)
        if len(unknown) == 1 and rest and size % rest == 0:
            sizes[unknown[0]] = size // rest
        elif unknown or rest != size:
            raise ValueError(f"axis {' '.join(group)!r} of size {size} does not split into {sizes}")
    return sizes


def rearrange(array: Array, source: str, target: str, known: dict[str, int] | None = None) -> Array:
    """The same numbers, laid out as `target` instead of as `source`. Bitwise, and inverted by swapping the two."""
    if source == target:
        return array
    before, after = parse(source), parse(target)
    names = [name for group in before for name in group]
    if sorted(names) != sorted(name for group in after for name in group):
        raise ValueError(f"{source!r} and {target!r} do not name the same axes")
    sizes = sizes_of(source, array.shape, known)
    split = array.reshape([sizes[name] for name in names])
    moved = split.transpose([names.index(name) for group in after for name in group])
    return np.ascontiguousarray(moved).reshape([math.prod(sizes[name] for name in group) for group in after])
