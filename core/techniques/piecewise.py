"""A learning rate that is given in so many words: one number until a step, another until the next."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from ..field import rates, steps
from ..schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class Piecewise(Schedule):
    """Each rate until its boundary, and the last one without an end.

    Source: rates set by hand, as in Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional
    neural networks", NeurIPS 2012, section 5.

    Step t is counted from 0: it has rate i, where i is the number of boundaries that are at most t. So a boundary is
    the first step of its new rate. The unit may be an epoch as well: a boundary is then so many times an epoch's steps,
    by `Piecewise.by_epoch(rates, boundaries, steps_per_epoch)`.

    Fields:
        rates: one more than there are boundaries.
        boundaries: the first step of each rate but the first, each later than the one before.

    Departs from the document: its fine-tuning list names a rate for each of fifteen epochs, `[1e-3] * 5 + [1e-4] * 5 +
    [1e-5] * 5`, of which `piecewise_fine_tuning` is the shape in epochs. Its class asks the model for an attribute
    `optimizer` that the model does not have, and gives every group of weights the same rate; here each keeps its own
    factor.

    Raises SpecError for a value against its rule, for boundaries out of order, and for a number of rates that does not
    fit.

    Frameworks differ: PyTorch has no such schedule but `LambdaLR`. A boundary of Keras's `PiecewiseConstantDecay` is
    the last step of the rate before it.
    """

    rates: tuple[float, ...] = rates(1e-3, 1e-4, 1e-5)
    boundaries: tuple[int, ...] = steps(500, 1000)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "piecewise_fine_tuning": {"rates": (1e-3, 1e-4, 1e-5), "boundaries": (5, 10)},
        "piecewise_constant": {"rates": (0.02,), "boundaries": ()},
        "piecewise_rising": {"rates": (0.01, 0.1, 0.02), "boundaries": (1, 8)},
    }
    CHECKED = tuple(PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {
        "torch": "torch.optim.lr_scheduler.LambdaLR",
        "keras": "keras.optimizers.schedules.PiecewiseConstantDecay",
    }

    @classmethod
    def by_epoch(cls, rates: tuple[float, ...], boundaries: tuple[int, ...], steps_per_epoch: int) -> Piecewise:
        """The schedule whose boundaries are counted in epochs of so many steps."""
        return cls(rates=rates, boundaries=tuple(epoch * steps_per_epoch for epoch in boundaries))

    def constraints(self) -> Iterator[str]:
        if len(self.rates) != len(self.boundaries) + 1:
            wanted = len(self.boundaries) + 1
            yield f"{len(self.boundaries)} boundaries need {wanted} rates, one more, and there are {len(self.rates)}"
        if any(one >= other for one, other in zip(self.boundaries, self.boundaries[1:], strict=False)):
            yield f"each of the boundaries {self.boundaries} must be later than the one before"

    def rate(self, step: int) -> float:
        return self.rates[bisect.bisect_right(self.boundaries, step)]

    def horizon(self) -> int:
        return max(self.boundaries, default=0) + 4
