"""A learning rate that is divided at certain steps."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from ..field import optional_whole, positive, share, steps
from ..schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class StepDecay(Schedule):
    """The rate times a factor after every so many steps, at milestones, or both.

    Source: He et al., "Deep residual learning for image recognition", CVPR 2016, section 4.2: a rate of 0.1, divided by
    10 at 32,000 and 48,000 steps (`step_decay_cifar`).

    Step t is counted from 0: rate(t) = learning_rate gamma^n, where n counts the whole multiples of `every` and the
    milestones that are at most t. So step `every` and a milestone itself are the first with the smaller rate.

    Fields:
        learning_rate: the first rate.
        gamma: the factor.
        every: steps from one change to the next; None for none but the milestones.
        milestones: steps at which the rate changes, each later than the one before.

    Raises SpecError for a value against its rule, for milestones out of order, and where nothing ever changes.

    Frameworks differ: PyTorch has `StepLR` and `MultiStepLR`, which multiply the rate that the group has, so that
    another change of the rate stays in it; the sibling takes `LambdaLR`. Keras has no schedule of this form: its
    staircase is `every`, its `PiecewiseConstantDecay` the milestones, each of which is there the last step of the
    larger rate, one later than in PyTorch.
    """

    learning_rate: float = positive(0.1)
    gamma: float = share(0.1)
    every: int | None = optional_whole(30, least=1)
    milestones: tuple[int, ...] = steps()

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "step_decay_cifar": {"every": None, "milestones": (32000, 48000)},
        "step_decay_small": {"every": 7, "gamma": 0.5},
        "step_decay_milestones": {"every": None, "milestones": (1, 9, 20, 21)},
        "step_decay_both": {"every": 8, "milestones": (3, 16), "gamma": 0.7},
    }
    CHECKED = ("step_decay_small", "step_decay_milestones", "step_decay_both")
    NATIVE: ClassVar[dict[str, str]] = {
        "torch": "torch.optim.lr_scheduler.MultiStepLR",
        "keras": "keras.optimizers.schedules.PiecewiseConstantDecay",
    }

    def constraints(self) -> Iterator[str]:
        if self.every is None and not self.milestones:
            yield "the rate never changes: give `every` a number of steps, or name milestones"
        if any(one >= other for one, other in zip(self.milestones, self.milestones[1:], strict=False)):
            yield f"each of the milestones {self.milestones} must be later than the one before"

    def rate(self, step: int) -> float:
        passed = bisect.bisect_right(self.milestones, step) + (step // self.every if self.every else 0)
        return float(self.learning_rate * self.gamma**passed)

    def horizon(self) -> int:
        return max((*self.milestones, 4 * (self.every or 0)))
