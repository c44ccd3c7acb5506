"""A learning rate that falls as a power of the steps that are left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..field import fraction, positive, whole
from ..schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class Polynomial(Schedule):
    """From the peak to a fraction of it, along a power of the share of steps that are left, then constant.

    Source: Chen et al., "DeepLab", TPAMI 40 (2018), section 4.1.2, the policy "poly" with a power of 0.9; a power of 1
    is the linear decay of Devlin et al., "BERT" (2019), appendix A.2.

    Step t is counted from 0: rate(t) = peak (f + (1 - f) (1 - t / total_steps)^power) up to `total_steps`, and peak f
    from there on.

    Fields:
        learning_rate: the peak.
        total_steps: the step from which the rate is constant.
        power: of the share that is left; 1 is a line, and a larger one falls faster at first.
        final_fraction: the last rate as a fraction f of the peak.

    Raises SpecError for a value against its rule.

    Frameworks differ: PyTorch's `PolynomialLR` falls to zero only, after 5 steps unless told, and multiplies the rate
    that the group has by the quotient of two powers, so that its rounding adds up and another change of the rate stays
    in it; the sibling takes `LambdaLR`. Keras's `PolynomialDecay` takes the last rate itself, and its default is 1e-4,
    however small the first one is.
    """

    learning_rate: float = positive(1e-3)
    total_steps: int = whole(100)
    power: float = positive(1.0)
    final_fraction: float = fraction(0.0)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "polynomial_floor": {"total_steps": 30, "power": 2.0, "final_fraction": 0.1},
        "polynomial_root": {"total_steps": 17, "power": 0.9},
    }
    CHECKED = ("polynomial", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {
        "torch": "torch.optim.lr_scheduler.PolynomialLR",
        "keras": "keras.optimizers.schedules.PolynomialDecay",
    }

    def rate(self, step: int) -> float:
        left = 1 - min(step, self.total_steps) / self.total_steps
        return float(self.learning_rate * (self.final_fraction + (1 - self.final_fraction) * left**self.power))

    def horizon(self) -> int:
        return self.total_steps
