"""Memory against time: results that are computed again in the backward pass instead of being kept."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import keras


def recomputed(function: Callable[..., Any], tensors: Sequence[Any]) -> Any:
    """`function(*tensors)`, of which only the tensors are kept.

    Running statistics move once: the second time, a stateless scope takes what is assigned, and is thrown away.
    """
    calls = itertools.count()

    def once(*given: Any) -> Any:
        with keras.StatelessScope() if next(calls) else contextlib.nullcontext():
            return function(*given)

    return keras.remat(once)(*tensors)
