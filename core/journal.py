"""The journal of a run: a JSON-lines file to which every cell is appended as it comes, so that nothing is lost."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .errors import ReportError
from .results import Cell

NAME = "results.jsonl"


class Journal:
    """The first line says which run this is; each further line is a cell. A line cut off by a kill is dropped."""

    def __init__(self, folder: str | os.PathLike[str], run: dict[str, Any], resume: bool) -> None:
        self.path = Path(folder) / NAME
        self.run = run
        self.cells: list[Cell] = self._read() if resume and self.path.exists() else []
        with self.path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in [run, *(cell.to_json() for cell in self.cells)])

    def append(self, cell: Cell) -> None:
        """Add a cell, on disk when this returns."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(cell.to_json()) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.cells.append(cell)

    def _read(self) -> list[Cell]:
        lines = self.path.read_text(encoding="utf-8").split("\n")
        whole = lines[:-1]
        try:
            header, *cells = [json.loads(line) for line in whole]
            read = [Cell.from_json(cell) for cell in cells]
        except (ValueError, KeyError, TypeError) as error:
            raise ReportError(
                f"{self.path} cannot be resumed: it is not a journal of checks; run without --resume"
            ) from error
        if header.get("sources") != self.run["sources"]:
            raise ReportError(
                f"{self.path} is of other sources than these: something was edited since; run without --resume"
            )
        changed = [name for name in self.run if header.get(name) != self.run[name]]
        if changed:
            name = changed[0]
            raise ReportError(
                f"{self.path} is of another run ({name} was {header.get(name)!r} and is {self.run[name]!r}); "
                "run without --resume, or into another folder"
            )
        return read
