"""Memory between tests: a run of all of them meets hundreds of models in one process."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from .classes import let_go

GROWN = 1 << 29  # bytes
SELDOM = 50_000, 20, 100  # new objects before a collection of the youngest, and such collections before an older one
PAGE = 4096
least = 1 << 62


def size() -> int:
    """The bytes of memory that this process holds; 0 where the system does not say."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * PAGE if status.exists() else 0


def pytest_collection_finish() -> None:
    """What is imported by now stays: no collection of garbage need look at it again.

    Of itself Python collects after every 700 new objects, and tracing one graph makes many more; here memory says when.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*SELDOM)


@pytest.fixture(autouse=True)
def _memory_given_back() -> Iterator[None]:
    """Models are cycles of few objects and much memory, so that Python by itself would collect them far too late."""
    yield
    global least
    now = size()
    if now > least + GROWN:
        let_go()
        now = least = size()
    least = min(least, now)
