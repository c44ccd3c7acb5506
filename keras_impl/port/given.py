"""The arguments of a call, and what they come to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Told = tuple[str, dict[str, Any]]
Arguments = Mapping[str, Any]
ATTEND = "attend"


def bound(original: Callable[..., Any], args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments of a call by name, with the defaults; by position where a function does not tell its own."""
    try:
        found = inspect.signature(original).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return {**{str(index): value for index, value in enumerate(args)}, **kwargs}
    found.apply_defaults()
    return dict(found.arguments)


def first(given: Arguments, *names: str) -> Any:
    """The first of these arguments that there is."""
    for name in names:
        if given.get(name) is not None:
            return given[name]
    return None


def number(value: Any) -> Any:
    """A Python number of a number, an array or a tensor of one."""
    array = np.asarray(value)
    return array.item() if array.ndim == 0 and array.dtype != object else value


def shape(value: Any) -> tuple[int, ...]:
    """The shape of an array, tensor or variable."""
    return tuple(int(size) for size in value.shape)


def axis_told(axis: int, rank: int) -> int:
    """An axis counted from the end: -1 for the last one."""
    return axis if axis < 0 else axis - rank


def masking(mask: Any) -> tuple[bool, str | None]:
    """Whether a mask shows each place those up to itself alone, and otherwise what True means in it."""
    if mask is None:
        return False, None
    shown = np.asarray(mask)
    lower = shown.ndim > 1 and shown.shape[-1] == shown.shape[-2] > 1
    lower = lower and bool(np.array_equal(shown != 0, np.broadcast_to(np.tri(shown.shape[-1]) != 0, shown.shape)))
    return (True, None) if lower else (False, ATTEND)
