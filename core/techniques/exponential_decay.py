"""A learning rate that is multiplied by the same factor again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..field import flag, positive, share, whole
from ..schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class ExponentialDecay(Schedule):
    """The rate times a factor for every so many steps, smoothly or in a staircase, without an end.

    Source: Szegedy et al., "Rethinking the inception architecture for computer vision", CVPR 2016, section 8: a rate of
    0.045 times 0.94 every two epochs.

    Step t is counted from 0: rate(t) = learning_rate gamma^(t / decay_steps); with `staircase` the exponent is rounded
    down, so that step `decay_steps` is the first with a smaller rate.

    Fields:
        learning_rate: the first rate.
        gamma: the factor.
        decay_steps: steps in which the rate is multiplied by it once.
        staircase: change the rate at whole multiples of `decay_steps` only.

    Raises SpecError for a value against its rule.

    Frameworks differ: PyTorch's `ExponentialLR` multiplies once for every call of `step`, with its factor, by the rate
    that the group has: its rounding adds up and another change of the rate stays in it; the sibling takes `LambdaLR`.
    Keras's `ExponentialDecay` is this, in float32 unless all its numbers are NumPy's float64.
    """

    learning_rate: float = positive(1e-3)
    gamma: float = share(0.96)
    decay_steps: int = whole(1)
    staircase: bool = flag(False)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "exponential_decay_smooth": {"gamma": 0.5, "decay_steps": 10},
        "exponential_decay_staircase": {"learning_rate": 0.045, "gamma": 0.94, "decay_steps": 7, "staircase": True},
    }
    CHECKED = ("exponential_decay", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {
        "torch": "torch.optim.lr_scheduler.ExponentialLR",
        "keras": "keras.optimizers.schedules.ExponentialDecay",
    }

    def rate(self, step: int) -> float:
        exponent = step // self.decay_steps if self.staircase else step / self.decay_steps
        return float(self.learning_rate * self.gamma**exponent)

    def horizon(self) -> int:
        return 5 * self.decay_steps + 20
