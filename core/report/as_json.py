"""A report as JSON and back. The format is described by results.schema.json, beside this file."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from ..errors import ReportError
from ..results import SCHEMA, Cell, Report
from . import findings
from .wording import counts

_NUMBER = (int, float)
_CELL_TYPES: dict[str, tuple[type, ...]] = {
    "spec": (str,),
    "kind": (str,),
    "check": (str,),
    "dtype": (str,),
    "verdict": (str,),
    "ratio": (*_NUMBER, type(None)),
    "digits": _NUMBER,
    "worst": (str,),
    "tensors": (int,),
    "sensitivity": (*_NUMBER, type(None)),
    "located": (str, type(None)),
    "cause": (str, type(None)),
    "seconds": _NUMBER,
}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def render(report: Report) -> str:
    """The report as JSON text. What is not a finite number becomes null."""
    from importlib.metadata import version

    values = {
        "schema": SCHEMA,
        "diglot": report.versions.get("diglot") or version("diglot"),
        "versions": report.versions,
        "seed": report.seed,
        "seconds": report.seconds,
        "verdict": report.verdict,
        "passed": report.passed,
        "worst_ratio": _finite(report.ratio),
        "margin": _finite(report.margin),
        "planted_bug": report.planted_bug,
        "planted_ratio": _finite(report.planted),
        "counts": counts(report),
        "cells": [cell.to_json() for cell in report.cells],
        "comparison": findings.to_json(report),
    }
    return json.dumps(values, indent=2, allow_nan=False) + "\n"


def _cell(values: dict[str, Any]) -> Cell:
    for name, types in _CELL_TYPES.items():
        if not isinstance(values[name], types):
            raise TypeError(f"{name} is {values[name]!r}")
    return Cell.from_json(values)


def read(path: str | os.PathLike[str]) -> Report:
    """The report that a `results.json` was written from.

    Raises ReportError where the file is missing, is not such a file, or was written in another version of the format.
    """
    source = Path(path)
    try:
        values = json.loads(source.read_bytes())
        schema = values["schema"]
        if schema == SCHEMA:
            report = Report(
                cells=[_cell(cell) for cell in values["cells"]],
                seed=int(values["seed"]),
                versions={str(name): str(version) for name, version in values["versions"].items()},
                seconds=float(values["seconds"]),
                planted=None if values["planted_ratio"] is None else float(values["planted_ratio"]),
                planted_bug=str(values["planted_bug"]),
            )
            if values.get("comparison") is not None:
                findings.into(report, values["comparison"])
            return report
    except OSError as error:
        raise ReportError(f"{source} cannot be read: {error.strerror}; name a results.json") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        complaint = f"{type(error).__name__}: {error}"
        raise ReportError(f"{source} is not a results.json of Diglot ({complaint}); run the checks again") from error
    raise ReportError(f"{source} has results format {schema!r}, and this Diglot reads {SCHEMA}; run the checks again")
