"""Several small batches for one step."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import choice, whole
from ..technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class GradientAccumulation(Technique):
    """The gradients of several micro-batches are averaged over their samples, and the optimizer takes one step.

    Source: Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017, section 2.1 and remark 3:
    a step on k micro-batches is the step on all their samples at once, if the gradient is divided by all of them.

    With the mean gradient g_i of n_i samples, the step is taken with sum(n_i g_i) / sum(n_i), so micro-batches may be
    of unequal sizes. An epoch may end within a group; `incomplete` says what becomes of its micro-batches. No group
    reaches into the next epoch.

    What is computed over a batch is not the same: batch normalisation takes its statistics from each micro-batch, and
    moves its running statistics k times a step. Nor is a loss whose mean is not over samples: with an `ignore_index` or
    class weights it is over what counts in each micro-batch, and micro-batches are weighed by their samples. With SGD,
    two micro-batches of 8 and one batch of 16 were 2.4e-4 apart.

    Fields:
        micro_batches: symbol k; 1 is a step on each batch.
        incomplete: `step` averages over the samples that there are; `drop` leaves them out.

    Departs from the document: its loops divide each loss by k, which weighs the samples of a small last micro-batch
    more than others, and they leave the gradients of an incomplete group to the first step of the next epoch.

    Frameworks differ: PyTorch sums in `.grad`, so its users divide. Keras's `gradient_accumulation_steps` averages over
    micro-batches whatever their size, and lets a group reach into the next epoch, or lie there when training ends.
    """

    micro_batches: int = whole(4)
    incomplete: str = choice("step", "drop")

    EPOCHS: ClassVar[int] = 67
    SIZES: ClassVar[tuple[int, ...]] = (4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 2)
    RATE: ClassVar[float] = 2.0**-5
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "gradient_accumulation_of_three": {"micro_batches": 3},
        "gradient_accumulation_dropped": {"micro_batches": 3, "incomplete": "drop"},
    }
    CHECKED = ("gradient_accumulation", *PRESETS)

    def due(self, index: int, batches: int) -> bool:
        """Whether a group ends with the micro-batch of this index, counted from 0, of so many in the epoch."""
        return (index + 1) % self.micro_batches == 0 or (index + 1 == batches and self.incomplete == "step")

    def case(self, rng: np.random.Generator) -> Arrays:
        """A linear regression, (samples, features); the last micro-batch is smaller, and a group is incomplete."""
        samples = sum(self.SIZES)
        x = rng.standard_normal((samples, 5))
        return {
            "x": x,
            "y": x @ rng.standard_normal((5, 2)) + rng.standard_normal((samples, 2)),
            "kernel": rng.standard_normal((5, 2)),
        }

    def rule(self, case: Arrays) -> Arrays:
        """The kernel after every epoch of steps on whole groups, each taken as one large batch."""
        kernel, history = case["kernel"], []
        ends = [index for index in range(len(self.SIZES)) if self.due(index, len(self.SIZES))]
        edges = np.cumsum((0, *self.SIZES))[[0, *(end + 1 for end in ends)]]
        for _ in range(self.EPOCHS):
            for first, last in itertools.pairwise(edges):
                x, y = case["x"][first:last], case["y"][first:last]
                kernel = kernel - self.RATE * 2 * x.T @ (x @ kernel - y) / y.size
            history.append(kernel)
        return {"kernel": np.stack(history)}
