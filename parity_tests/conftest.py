"""Memory between tests: a run of all of them meets hundreds of models in one process."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from .classes import let_go

GROWN = 2**29
resident = 0


def size() -> int:
    """The bytes of memory that this process holds; 0 where the system does not say."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * 4096 if status.exists() else 0


def pytest_collection_finish() -> None:
    """What is imported by now stays: no collection of garbage need look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _models_let_go() -> Iterator[None]:
    yield
    let_go()


@pytest.fixture(autouse=True)
def _garbage_collected() -> Iterator[None]:
    """Models are cycles of few objects and much memory, so that Python by itself would collect them far too late."""
    yield
    global resident
    if size() > resident + GROWN:
        let_go()
        resident = size()
