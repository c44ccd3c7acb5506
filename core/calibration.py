"""The planted bug that is hardest to see, as last measured by the catalogue: what a run's margin is held against."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("calibration.json")


@dataclass(frozen=True)
class Planted:
    """The mildest planted bug, and its ratio to the noise floor."""

    name: str
    ratio: float


def planted() -> Planted | None:
    """The mildest bug of the catalogue; None before it was ever run."""
    if not FILE.exists():
        return None
    mildest = json.loads(FILE.read_text(encoding="utf-8"))["mildest"]
    return Planted(mildest["name"], mildest["ratio"])
