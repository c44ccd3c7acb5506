"""What the techniques have in common that follow one metric from epoch to epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class Monitored(Technique):
    """A technique that acts at the end of an epoch, by a metric; a subclass has the fields `monitor` and `mode`."""

    SEQUENCES: ClassVar[int] = 5
    EPOCHS: ClassVar[int] = 20
    SAMPLES: ClassVar[int] = 1000
    TIES: ClassVar[tuple[tuple[int, int], ...]] = ((407, 532), (415, 540), (412, 537))

    def value(self, metrics: Any) -> float:
        """The metric, out of all by their names, or given as the number that it is.

        Raises InputError where it is not among them, or is no number.
        """
        monitor = self.fields()["monitor"]
        if isinstance(metrics, Mapping):
            if metrics.get(monitor) is None:
                known = ", ".join(map(repr, metrics)) or "no metric at all"
                advice = "name one of these as `monitor`, or have it measured"
                raise InputError(f"{self.name}: there is no metric {monitor!r} in this epoch, but {known}; {advice}")
            metrics = metrics[monitor]
        try:
            return float(metrics)
        except (TypeError, ValueError, RuntimeError):
            raise InputError(f"{self.name}: the metric {monitor!r} must be one number, not {metrics!r}") from None

    def worst(self) -> float:
        """What any metric is better than; NaN is better than nothing."""
        return math.inf if self.fields()["mode"] == "min" else -math.inf

    def case(self, rng: np.random.Generator) -> Arrays:
        """Metrics (sequence, epoch) that get better more and more slowly; one smoothly, the others with more noise.

        Some are worse where the run is cut off, so that there is something to go on with; the smooth one is at the end.
        `right` (sequence, epoch) is how many of some samples are right, in turns two numbers an eighth apart: their
        shares are ties where an eighth is asked for, and rounding would decide if the difference were compared.
        """
        start, slope = rng.uniform(2, 4, (self.SEQUENCES, 1)), rng.uniform(0.05, 0.5, (self.SEQUENCES, 1))
        epochs, noise = np.arange(self.EPOCHS), np.linspace(0, 0.2, self.SEQUENCES)[:, None]
        metrics = 1 + start * np.exp(-slope * epochs) + noise * rng.standard_normal((self.SEQUENCES, self.EPOCHS))
        metrics[1::2, self.middle() - 1 : self.middle() + 2] += 1
        metrics[0, -1] += 1
        right = np.tile(np.array(self.TIES), self.EPOCHS // 2)
        return {"metrics": metrics if self.fields()["mode"] == "min" else 5 - metrics, "right": right}

    def sequences(self, case: Arrays) -> NDArray[Any]:
        """All sequences of a case, (sequence, epoch): its metrics, and the shares that are right, or wrong."""
        right = case["right"] if self.fields()["mode"] == "max" else self.SAMPLES - case["right"]
        return np.concatenate([case["metrics"], right / self.SAMPLES])

    def middle(self) -> int:
        """The epoch before which the run is cut off and resumed."""
        return 5
