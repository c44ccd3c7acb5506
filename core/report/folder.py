"""The folder that a report is written into."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ..checkpoint import replacing
from ..errors import CheckpointError, ReportError
from ..results import Report
from . import as_json, junit, page, summary

WRITERS = {
    "results.json": as_json.render,
    "junit.xml": junit.render,
    "summary.md": summary.render,
    "index.html": page.render,
}


def prepare(folder: str | os.PathLike[str]) -> None:
    """Create the folder where it is missing, and find out whether a report can be written into it.

    Raises ReportError where it cannot be created, is a file, cannot be written, or holds a folder named like a report.
    """
    target = Path(folder)
    try:
        if target.exists() and not target.is_dir():
            raise ReportError(f"the report folder {target} is a file; name a folder, or move the file away")
        target.mkdir(parents=True, exist_ok=True)
        # Asking for permissions is not enough: root has them all, and a read-only or full disk still refuses.
        with tempfile.TemporaryFile(dir=target) as file:
            file.write(b"\0")
        taken = [name for name in WRITERS if (target / name).is_dir()]
    except (OSError, ValueError) as error:
        if isinstance(error, ReportError):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise ReportError(f"the report folder {target} cannot be used: {reason}; choose another folder") from error
    if taken:
        raise ReportError(f"the report folder {target} holds a folder named {taken[0]}; remove it or choose another")


def write(report: Report, folder: str | os.PathLike[str]) -> None:
    """Write `results.json`, `junit.xml`, `summary.md` and `index.html`, each complete or not at all.

    Raises ReportError where the folder cannot be used.
    """
    contents = {name: render(report).encode("utf-8", "backslashreplace") for name, render in WRITERS.items()}
    prepare(folder)
    for name, content in contents.items():
        try:
            with replacing(Path(folder) / name) as file:
                file.write(content)
        except CheckpointError as error:
            raise ReportError(str(error)) from error
