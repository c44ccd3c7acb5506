"""Test classes of one spec each, so that the workers of a test run share them; and how memory is given back."""

from __future__ import annotations

import ctypes
import gc
import sys
import unittest
from collections.abc import Callable, Iterable
from typing import Any

from diglot.core import runner

from . import recall


def let_go() -> None:
    """Let go of the models that are kept from one test to the next, and of what Keras and TensorFlow keep of them.

    Garbage is collected, and what that frees is given back to the system, which glibc does not do of itself.
    """
    for kept in (runner.pair_of, recall.recalled, recall.recalled_study, recall.recalled_opinion):
        kept.cache_clear()
    if keras := sys.modules.get("keras"):
        keras.backend.clear_session(free_memory=False)
    gc.collect()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def by_spec(
    cases: Iterable[Any], made: Callable[[list[Any]], type[unittest.TestCase]]
) -> dict[str, type[unittest.TestCase]]:
    """A class for the cases of each architecture and technique, by its name: `Matrix_resnet` and the like."""
    groups: dict[str, list[Any]] = {}
    for case in cases:
        groups.setdefault(case.spec.name, []).append(case)
    classes = {}
    for name, group in groups.items():
        one = made(group)
        one.__name__ = one.__qualname__ = f"{one.__name__}_{name}"
        classes[one.__name__] = one
    return classes
