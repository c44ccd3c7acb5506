"""Functions of Keras and TensorFlow that are others for a while, for whoever calls them by their module.

What replaces one asks whether it is meant for the thread that calls it; patches that several threads need at once are
made by the first and undone by the last.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Patch = tuple[Any, str, Callable[[Any], Any]]  # a module or class, a name in it, and what makes the new of the old
_LOCK = threading.Lock()
_USERS: dict[str, int] = {}
_BEFORE: dict[str, list[tuple[Any, str, Any]]] = {}


@contextlib.contextmanager
def patched(key: str, patches: Callable[[], Sequence[Patch]]) -> Iterator[None]:
    """The patches that go by this key are in place; as before afterwards."""
    with _LOCK:
        _USERS[key] = _USERS.get(key, 0) + 1
        if _USERS[key] == 1:
            _BEFORE[key] = []
            for holder, name, change in patches():
                old = vars(holder)[name] if name in vars(holder) else getattr(holder, name)
                _BEFORE[key].append((holder, name, old))
                setattr(holder, name, change(old))
    try:
        yield
    finally:
        with _LOCK:
            _USERS[key] -= 1
            if not _USERS[key]:
                for holder, name, old in reversed(_BEFORE.pop(key)):
                    setattr(holder, name, old)
