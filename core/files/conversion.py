"""What a conversion is going to write, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..spec import Spec
from . import streaming, writing
from .planned import File, Planned
from .stored import Held

Tell = streaming.Tell


@dataclass
class Conversion:
    """What is going to be written. `whole` writes it in one piece where a framework has to; `left_out` is not taken."""

    path: Path
    spec: Spec | None = None
    files: writing.Files | None = None
    held: Sequence[Held] = ()
    left_out: Sequence[str] = ()
    whole: Callable[[], None] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def tensors(self) -> tuple[Planned, ...]:
        """Every tensor that is written; none where a framework writes them."""
        return tuple(each for file in self.files.files for each in file.tensors) if self.files else ()

    def check(self, force: bool) -> None:
        """Raises CheckpointError where a file is in the way, or where there is no room."""
        writing.check(self.files or writing.Files((File(self.path, "", ()),)), force)

    def write(self, tell: Tell | None = None) -> list[str]:
        """Write, complete or not at all, and return the names of the tensors that hold NaN."""
        if self.whole is not None:
            self.whole()
            return []
        assert self.files is not None
        return writing.write(self.files, self.held, tell)
