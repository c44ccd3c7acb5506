"""The exponential moving average of weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import flag, fraction
from ..technique import Arrays, Technique

STEPS = 200


@dataclass(frozen=True, kw_only=True)
class ExponentialMovingAverage(Technique):
    """A copy of the weights that follows them slowly: average <- decay average + (1 - decay) weights.

    Source: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992, for the idea; the
    exponential form after Ho, Jain and Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020, appendix B.
    The warm-up is TensorFlow's: `tf.train.ExponentialMovingAverage`, argument `num_updates`.

    The first update, number 0, copies the weights, so nothing is biased towards zero and nothing has to be corrected.
    The built function takes the averages, the weights, and the number of the update.

    Fields:
        decay: symbol mu. An average looks back over some 1 / (1 - decay) steps.
        warmup: whether update t takes min(decay, (1 + t) / (10 + t)), so that an early average forgets sooner.

    Frameworks differ: PyTorch's `AveragedModel` and Keras's `use_ema` copy at the first update alike, and neither has
    the warm-up. Keras's optimizer keeps its averages to itself until they overwrite the weights.
    """

    decay: float = fraction(0.999)
    warmup: bool = flag(False)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "exponential_moving_average_warmup": {"decay": 0.6, "warmup": True},
    }
    CHECKED = ("exponential_moving_average", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"torch": "torch.optim.swa_utils.AveragedModel"}

    def rate(self, update: int) -> float:
        """The decay of an update, counted from 0."""
        if update == 0:
            return 0.0
        return min(self.decay, (1 + update) / (10 + update)) if self.warmup else self.decay

    def case(self, rng: np.random.Generator) -> Arrays:
        """Two weights as they are at each update."""
        return {"kernel": rng.standard_normal((STEPS, 5, 4)), "bias": rng.standard_normal((STEPS, 4))}

    def rule(self, case: Arrays) -> Arrays:
        result: Arrays = {}
        for name, weights in case.items():
            averages = [weights[0]]
            for update in range(1, len(weights)):
                rate = self.rate(update)
                averages.append(rate * averages[-1] + (1 - rate) * weights[update])
            result[name] = np.stack(averages)
        return result
