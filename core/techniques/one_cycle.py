"""A learning rate that rises to a peak and falls far below its start."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from ..field import choice, flag, fraction, positive, whole
from ..schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class OneCycle(Schedule):
    """From a fraction of the peak up to it, then down to almost nothing, each way along a cosine or a line.

    Source: Smith and Topin, "Super-convergence: very fast training of neural networks using large learning rates"
    (2017), and Smith, "A disciplined approach to neural network hyper-parameters: part 1" (2018), which name the policy
    "1cycle". The boundaries between phases are those of PyTorch's `OneCycleLR`.

    Step t is counted from 0. With p = pct_start total_steps, the rate goes from learning_rate / div_factor at step 0 to
    learning_rate at step p - 1 and on to the last rate, learning_rate / (div_factor final_div_factor), at step
    total_steps - 1; with `three_phase` it is back at its first value at step 2 p - 2, and goes on to the last from
    there. p may lie between whole numbers, and then no step has the peak itself. Annealing is by (1 - cos(pi q)) / 2
    or by q, the share of the phase. After the last step the rate stays. The built schedule replaces the rate that the
    optimizer was built with, and leaves its momentum.

    Fields:
        learning_rate: the peak.
        total_steps: steps of the whole.
        pct_start: share of the steps in which the rate rises.
        annealing: `cosine` or `linear`.
        div_factor: the peak over the first rate.
        final_div_factor: the first rate over the last one.
        three_phase: come down as slowly as up, and then fall to the last rate.

    Departs from paper: the paper's own form is `one_cycle_paper`, linear in three phases; the defaults are those of
    fastai and of PyTorch, whose momentum cycles too unless told. Momentum does not cycle here, since Keras's optimizers
    hold theirs as a number that a compiled training step does not read again.

    Raises SpecError for a value against its rule, and for a phase that does not last.

    Frameworks differ: Keras has no such schedule, and a Keras schedule of Python numbers computes in float32 even in
    float64. PyTorch's raises ValueError one step after the end; the sibling stays there.
    """

    learning_rate: float = positive(1e-3)
    total_steps: int = whole(100)
    pct_start: float = fraction(0.3)
    annealing: str = choice("cosine", "linear")
    div_factor: float = positive(25.0)
    final_div_factor: float = positive(1e4)
    three_phase: bool = flag(False)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "one_cycle_paper": {
            "total_steps": 60,
            "pct_start": 0.45,
            "annealing": "linear",
            "div_factor": 10.0,
            "final_div_factor": 100.0,
            "three_phase": True,
        },
        "one_cycle_linear": {"total_steps": 31, "annealing": "linear", "final_div_factor": 20.0},
        "one_cycle_three_phase": {"learning_rate": 0.5, "total_steps": 40, "pct_start": 0.22, "three_phase": True},
    }
    CHECKED = ("one_cycle", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"torch": "torch.optim.lr_scheduler.OneCycleLR"}

    def constraints(self) -> Iterator[str]:
        share = f"pct_start {self.pct_start:g} of total_steps {self.total_steps}"
        if self.pct_start * self.total_steps <= 1:
            yield f"{share} must be more than one step, in which the rate rises"
        elif self.phases()[-1][0] >= self.total_steps - 1:
            yield f"{share}, up and down, leaves no step for the third phase"

    def phases(self) -> list[tuple[float, float, float, float]]:
        """The first and last step of each phase, which may lie between whole numbers, and the rates at both."""
        peak = self.learning_rate
        first = peak / self.div_factor
        last = first / self.final_div_factor
        top, end = self.pct_start * self.total_steps - 1, self.total_steps - 1
        if not self.three_phase:
            return [(0, top, first, peak), (top, end, peak, last)]
        return [(0, top, first, peak), (top, 2 * top, peak, first), (2 * top, end, first, last)]

    def rate(self, step: int) -> float:
        phases, at = self.phases(), min(step, self.total_steps - 1)
        begin, end, one, other = next((phase for phase in phases if at <= phase[1]), phases[-1])
        share = (at - begin) / (end - begin)
        share = (1 - math.cos(math.pi * share)) / 2 if self.annealing == "cosine" else share
        return one + (other - one) * share

    def warmup(self) -> int:
        return math.floor(self.pct_start * self.total_steps)

    def horizon(self) -> int:
        return self.total_steps
