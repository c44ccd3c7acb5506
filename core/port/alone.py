"""Whatever runs a user's own models: one at a time in a process, and nothing in them ends it."""

from __future__ import annotations

import contextlib
import sysconfig
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError

_LOCK = threading.RLock()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """No other thread of the process is inside at the same time.

    While models run, settings of both frameworks and the weights of Keras's are others, in every thread. Raises
    InputError for a user's code that ends the process, and where there is not enough memory.
    """
    with _LOCK:
        try:
            yield
        except SystemExit as error:
            raise InputError(exited(error)) from error
        except MemoryError as error:
            said = f" ({error})" if str(error) else ""
            raise InputError(f"there is not enough memory{said}; give smaller inputs, or fewer") from error


def exited(error: SystemExit) -> str:
    """Which line of the user's wanted to end the process."""
    library = Path(sysconfig.get_path("stdlib"))
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame for frame in frames if library not in Path(frame.filename).parents or "site-packages" in frame.filename
    ]
    frame = (own or frames)[-1]
    where = f"{frame.filename}, line {frame.lineno}" + (f", in {frame.name}" if frame.name.isidentifier() else "")
    return (
        f"the model's code ended the process by sys.exit({error.code!r}) at {where}, so nothing could be compared; "
        "let it raise an error, or run only under `if __name__ == '__main__'`"
    )
