"""What the schedules of the learning rate have in common: a rate for every step, which the next run goes on with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class Schedule(Technique):
    """A learning rate for each step, counted from 0; a subclass gives `rate` and `horizon`.

    A built schedule replaces the rate that the optimizer was built with, and sets the next one after every step of the
    optimizer. PyTorch's multiplies it by the `multiplier` of each group of weights, where a group has one; Keras's by
    its `factor`. A run that is cut off goes on with the rate of the next step.
    """

    BEYOND: ClassVar[int] = 6
    LEAST: ClassVar[int] = 200
    FACTOR: ClassVar[float] = 0.25

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        raise TypeError(f"{self.name} does not state its rate")

    def horizon(self) -> int:
        """The step by which the schedule has shown all that it does."""
        raise TypeError(f"{self.name} does not say how long it is tried")

    def warmup(self) -> int:
        """The steps in which the rate rises to its peak, which a training should outlast."""
        return 0

    def case(self, rng: np.random.Generator) -> Arrays:
        """The steps, from 0 to a few beyond the last change and two hundred at least."""
        return {"steps": np.arange(max(self.LEAST, self.horizon() + self.BEYOND))}

    def middle(self, case: Arrays) -> int:
        """The step before which the run is cut off and resumed, while there is something to go on with."""
        return (self.horizon() + self.BEYOND) // 2

    def rule(self, case: Arrays) -> Arrays:
        rates = np.array([self.rate(int(step)) for step in case["steps"]])
        return {
            "rates": rates,
            "rates times a factor": rates * self.FACTOR,
            "rates resumed": rates[self.middle(case) :],
        }
