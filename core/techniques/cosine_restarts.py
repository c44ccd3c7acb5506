"""A learning rate that falls along a cosine and starts again at its peak, period after period."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from ..field import fraction, positive, whole
from ..schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class CosineRestarts(Schedule):
    """Half a cosine from the peak to a fraction of it, then at once the peak again, in periods that may grow.

    Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, section 3, eq. 5.

    Step t is counted from 0 and is step c of its period i, which lasts T_i = first_period period_factor^i steps:
    rate(t) = peak (f + (1 - f) (1 + cos(pi c / T_i)) / 2). The first step of a period has the peak; the last rate
    itself, peak f, would be that of step c = T_i, which is the first step of the next period instead.

    Fields:
        learning_rate: the peak, symbol eta_max.
        first_period: steps of the first period, symbol T_0.
        period_factor: by how much each period is longer than the one before, symbol T_mult.
        final_fraction: the last rate of a period as a fraction f of the peak, eta_min / eta_max.

    Departs from paper: it counts T_cur in epochs, with fractions updated at each batch; here the unit is the step, so
    an epoch's period is that many times its steps.

    Departs from the document: its class sets no rate before its first `step`, so called before each epoch it skips the
    first rate, and called after each it is this, if the optimizer was built with the peak. It writes the current period
    over T_0 and has no state, so that a resumed run cannot know which period it is in.

    Raises SpecError for a value against its rule.

    Frameworks differ: the factor of the period is 1 in PyTorch and 2 in Keras. PyTorch takes the last rate itself, the
    same for all groups, Keras a fraction. Keras finds the period by a logarithm, whose rounding gives the last rate in
    place of a restart: with a factor of 3 the fifth restart comes one step late in float64 (log 243 / log 3 < 5); so
    the sibling compares the step with the starts of the periods, which are whole numbers. PyTorch's `step(epoch)` has
    the same logarithm; its `step()`, which is used here, counts.
    """

    learning_rate: float = positive(1e-3)
    first_period: int = whole(10)
    period_factor: int = whole(1)
    final_fraction: float = fraction(0.0)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "cosine_restarts_doubled": {"first_period": 5, "period_factor": 2, "final_fraction": 0.1},
        "cosine_restarts_tripled": {"first_period": 1, "period_factor": 3, "learning_rate": 0.1},
    }
    CHECKED = ("cosine_restarts", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {
        "torch": "torch.optim.lr_scheduler.CosineAnnealingWarmRestarts",
        "keras": "keras.optimizers.schedules.CosineDecayRestarts",
    }
    DEFAULTS: ClassVar[dict[str, Any]] = {"period_factor": (("T_mult", 1), ("t_mul", 2.0))}

    def starts(self, below: int) -> list[int]:
        """The first step of every period that starts below a step."""
        found, period = [0], self.first_period
        while found[-1] + period < below:
            found.append(found[-1] + period)
            period *= self.period_factor
        return found

    def rate(self, step: int) -> float:
        starts = self.starts(step + 1)
        period = self.first_period * self.period_factor ** (len(starts) - 1)
        cosine = 0.5 * (1 + math.cos(math.pi * (step - starts[-1]) / period))
        return self.learning_rate * ((1 - self.final_fraction) * cosine + self.final_fraction)

    def horizon(self) -> int:
        return self.first_period * (1 + self.period_factor + self.period_factor**2 + self.period_factor**3)
