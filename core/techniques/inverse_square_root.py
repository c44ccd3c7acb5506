"""A learning rate that rises linearly and falls with the inverse square root of the step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from ..field import positive, whole
from ..schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class InverseSquareRoot(Schedule):
    """Linear to the peak, then in proportion to one over the square root of the step, without an end.

    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017, section 5.3, eq. 3.

    rate = factor d_model^-0.5 min(n^-0.5, n warmup_steps^-1.5) for step n, which the paper counts from 1. The built
    schedule and `rate` count t from 0 as every schedule here does, so n = t + 1. The first step has the peak divided by
    `warmup_steps`, not zero as in `warmup_cosine`, and step t = warmup_steps - 1 the peak itself, which is
    factor / sqrt(d_model warmup_steps). The built schedule replaces the rate that the optimizer was built with.

    Fields:
        factor: of the whole; 1 in the paper.
        d_model: width of the network, by which wider ones get smaller rates.
        warmup_steps: steps until the peak, the peak included; 1 starts at the peak.

    `InverseSquareRoot.with_peak(learning_rate, warmup_steps)` gives the same curve by its peak.

    Raises SpecError for a value against its rule.

    Frameworks differ: neither has this schedule. PyTorch's `LambdaLR` counts from 0, where the paper's formula divides
    by zero. A Keras schedule of Python numbers computes in float32 even in float64, so the sibling's are tensors.
    """

    factor: float = positive(1.0)
    d_model: int = whole(512)
    warmup_steps: int = whole(4000)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "inverse_square_root_small": {"d_model": 8, "warmup_steps": 7},
        "inverse_square_root_peak": {"factor": 0.002, "d_model": 1, "warmup_steps": 10},
        "inverse_square_root_no_warmup": {"factor": 0.3, "d_model": 24, "warmup_steps": 1},
    }
    CHECKED = tuple(PRESETS)

    @classmethod
    def with_peak(cls, learning_rate: float, warmup_steps: int) -> Self:
        """The schedule whose largest rate is `learning_rate`; the width of the network is then left out."""
        return cls(factor=learning_rate * math.sqrt(warmup_steps), d_model=1, warmup_steps=warmup_steps)

    def peak(self) -> float:
        """The largest rate."""
        return self.rate(self.warmup_steps - 1)

    def rate(self, step: int) -> float:
        number = step + 1
        rising, falling = number / math.sqrt(self.warmup_steps**3), 1 / math.sqrt(number)
        return self.factor / math.sqrt(self.d_model) * min(rising, falling)

    def warmup(self) -> int:
        return self.warmup_steps

    def horizon(self) -> int:
        return 4 * self.warmup_steps
