"""A training's numbers for TensorBoard, under the tags of core/history.py."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import tensorflow as tf

from ..core.errors import MissingFrameworkError
from ..core.history import History


class Writer:
    """Event files in a folder. As a listener of a history it writes each number when it is noted; `with` closes it."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise MissingFrameworkError(
                "TensorBoard's event files need the package tensorboard, which is not installed; install it"
            )
        self.events = tf.summary.create_file_writer(os.fspath(folder))

    def __call__(self, tag: str, step: int, value: float) -> None:
        with self.events.as_default():
            tf.summary.scalar(tag, value, step)

    def close(self) -> None:
        self.events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


@contextlib.contextmanager
def listening(history: History, folder: str | os.PathLike[str] | None) -> Iterator[None]:
    """What is noted in the history inside is written at once, if there is a folder."""
    if folder is None:
        yield
        return
    with Writer(folder) as writer:
        history.listeners.append(writer)
        try:
            yield
        finally:
            history.listeners.remove(writer)


def write(history: History, folder: str | os.PathLike[str]) -> None:
    with Writer(folder) as writer:
        for tag, (steps, values) in history.tags():
            for step, value in zip(steps, values, strict=True):
                writer(tag, int(step), float(value))
