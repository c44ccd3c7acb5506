"""A learning rate that rises linearly and falls along a cosine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from ..field import fraction, positive, whole
from ..schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class WarmupCosine(Schedule):
    """Linear from zero to the peak, then half a cosine down to a fraction of the peak, then constant.

    Source: the warm-up after Goyal et al., "Accurate, large minibatch SGD" (2017), section 2.2; the cosine is one
    period of Loshchilov and Hutter, "SGDR", ICLR 2017, eq. 5.

    Step t is counted from 0: rate(t) = peak t / warmup_steps before `warmup_steps`, so the first step of a warm-up
    moves nothing; from there on, peak (f + (1 - f) (1 + cos(pi p)) / 2) with p = (t - warmup_steps) / (total_steps -
    warmup_steps), at most 1. The built schedule replaces the rate that the optimizer was built with.

    Fields:
        learning_rate: the peak, symbol eta_max.
        warmup_steps: steps before the peak; 0 starts at the peak.
        total_steps: the step, warm-up included, from which the rate is constant. Where it equals `warmup_steps`, the
            peak lasts for one step.
        final_fraction: the last rate as a fraction f of the peak, eta_min / eta_max.

    Departs from paper: Goyal et al. start the ramp at the rate of one worker, the document and this at zero.

    Raises SpecError for a value against its rule, and for a warm-up longer than the whole.

    Frameworks differ: PyTorch's `CosineAnnealingLR` has no warm-up, takes the last rate itself instead of a fraction,
    and rises again after it; its warm-up is another scheduler. Keras's `CosineDecay` has all of it and stays constant,
    but its `decay_steps` do not include the warm-up, and it computes in float32 unless the rates are NumPy's float64.
    """

    learning_rate: float = positive(1e-3)
    warmup_steps: int = whole(10, least=0)
    total_steps: int = whole(100)
    final_fraction: float = fraction(0.0)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "warmup_cosine_floor": {"warmup_steps": 7, "total_steps": 40, "final_fraction": 0.1},
        "cosine": {"warmup_steps": 0, "total_steps": 40},
        "cosine_floor": {"warmup_steps": 0, "total_steps": 40, "final_fraction": 0.1},
    }
    CHECKED = ("warmup_cosine", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {
        "torch": "torch.optim.lr_scheduler.CosineAnnealingLR",
        "keras": "keras.optimizers.schedules.CosineDecay",
    }

    def constraints(self) -> Iterator[str]:
        if self.warmup_steps > self.total_steps:
            yield f"warmup_steps ({self.warmup_steps}) must not be above total_steps ({self.total_steps})"

    def rate(self, step: int) -> float:
        if step < self.warmup_steps:
            return self.learning_rate * (step / self.warmup_steps)
        progress = min(1.0, (step - self.warmup_steps) / self.decay_steps())
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return self.learning_rate * ((1 - self.final_fraction) * cosine + self.final_fraction)

    def decay_steps(self) -> int:
        """The steps of the cosine."""
        return max(1, self.total_steps - self.warmup_steps)

    def warmup(self) -> int:
        return self.warmup_steps

    def horizon(self) -> int:
        return self.total_steps
