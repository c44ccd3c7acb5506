"""Stochastic depth with draws that both sides share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import fraction
from ..noise import Noise
from ..technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class StochasticDepth(Technique):
    """In training, a sample loses a whole residual branch with probability `rate`; the others' is divided by 1 - rate.

    Source: Huang et al., "Deep networks with stochastic depth", ECCV 2016; section 3, where the survival probability
    p of a branch is 1 - rate. It stands at the end of the branch, before the addition.

    The built layer takes and returns the branch, (batch, ...), with any number of axes behind the batch.

    Fields:
        rate: probability that a sample's branch is dropped.

    As a regulariser: a network of random depth in each step. The paper drops the deepest branches most, in a line from
    0 to the last rate; that is the architecture's, which has a rate for each branch. It acts in training mode alone,
    and rate 0 is none. The running statistics within a branch still see the samples that lose it.

    In a check the draws are those of `core/noise.py`, by the layer's name and the step; otherwise the framework's.

    Departs from paper: the paper draws once for a whole batch and multiplies by p in testing; here each sample has a
    draw of its own and the branch is divided by p in training ("inverted", as in dropout), as users of both do.

    Frameworks differ: neither has it as a layer. Keras's dropout draws once for a sample where its noise shape is
    (batch, 1, ..., 1); PyTorch's has no noise shape, so it is given ones of that shape.
    """

    rate: float = fraction(0.5)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"stochastic_depth_light": {"rate": 0.1}}
    CHECKED = ("stochastic_depth", *PRESETS)
    SEED = 20260103
    BATCH = 16

    def case(self, rng: np.random.Generator) -> Arrays:
        """A branch `x` (batch, height, width, channels), and the gradient with respect to the output."""
        shape = (self.BATCH, 3, 2, 5)
        return {"x": rng.standard_normal(shape), "cotangent": rng.standard_normal(shape)}

    def noise(self) -> Noise:
        """The shared draws of the case, for the layer named `stochastic_depth`."""
        return Noise(self.SEED)

    def rule(self, case: Arrays) -> Arrays:
        keep = self.noise().keep_mask("stochastic_depth", (len(case["x"]), 1, 1, 1), self.rate)
        return {
            "training output": case["x"] * keep / (1 - self.rate),
            "evaluation output": case["x"],
            "gradient": case["cotangent"] * keep / (1 - self.rate),
        }
