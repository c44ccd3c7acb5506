"""What a run of checks found: cells, and the report that holds them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from . import verdict
from .verdict import Verdict

if TYPE_CHECKING:
    from .port.findings import Finding
    from .port.mapping import WeightMapping

SCHEMA = 2


@dataclass(frozen=True)
class Cell:
    """One spec x check x dtype.

    `ratio` is the worst difference in noise floors, of the tensor `worst`; `digits` the fewest decimal digits on
    which any tensor agrees; `tensors` is how many were compared. `sensitivity` is the smallest movement, in noise
    floors, that a change of any one input or weight by 0.1% made in the outputs, where it was measured. `located` is
    the canonical name of the layer at fault, and `cause` a sentence on it.
    """

    spec: str
    kind: str
    check: str
    dtype: str
    verdict: Verdict
    ratio: float = 0.0
    digits: float = 17.0
    worst: str = ""
    tensors: int = 0
    sensitivity: float | None = None
    located: str | None = None
    cause: str | None = None
    seconds: float = 0.0

    def key(self) -> tuple[str, str, str]:
        """What identifies the cell within a run."""
        return self.spec, self.check, self.dtype

    def to_json(self) -> dict[str, Any]:
        """The cell as JSON values; an infinite ratio becomes null."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Cell:
        """The inverse of `to_json`."""
        ratio = math.inf if values["ratio"] is None else values["ratio"]
        return cls(**{**values, "ratio": ratio, "verdict": Verdict(values["verdict"])})


@dataclass
class Report:
    """The cells of a run, with what is needed to run it again.

    `planted` is the smallest ratio of any planted bug and `planted_bug` its name, as last calibrated. Of two models of
    a user's own there are also the `mapping`, which weight was taken for which; `notes`, sentences on what was decided
    or could not be; and `findings`, the steps of both with their accumulated and their local error.
    """

    cells: list[Cell]
    seed: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    planted: float | None = None
    planted_bug: str = ""
    mapping: WeightMapping | None = None
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The most severe verdict of any cell."""
        return verdict.worst(cell.verdict for cell in self.cells)

    @property
    def passed(self) -> bool:
        """Whether every cell is equal."""
        return self.verdict is Verdict.EQUAL

    @property
    def ratio(self) -> float:
        """The worst ratio to the noise floor of any float64 cell."""
        return max((cell.ratio for cell in self.cells if cell.dtype == "float64"), default=math.nan)

    @property
    def margin(self) -> float | None:
        """The smallest ratio of any planted bug over the worst of this run; None if parity fails or it is unknown."""
        return self.planted / self.ratio if self.planted and self.ratio > 0 and self.passed else None

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write `results.json`, `junit.xml`, `summary.md` and `index.html` into a folder.

        Raises ReportError where the folder cannot be written.
        """
        from .report import write

        write(self, folder)
