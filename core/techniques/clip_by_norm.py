"""Clipping of each gradient by its own norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..clipping import Clipping
from ..field import non_negative, positive
from ..technique import Arrays


@dataclass(frozen=True, kw_only=True)
class ClipByNorm(Clipping):
    """Scale each gradient on its own, so that its norm is at most `max_norm`.

    Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
    algorithm 1, for each weight. The gradient is multiplied by min(1, max_norm / (norm + epsilon)).

    Fields:
        max_norm: the threshold, of each weight's gradient.
        epsilon: added to the norm.

    The direction of the step changes, as the gradients of some weights are scaled and those of others are not. The
    built function takes a list of gradients and returns another; nothing is changed in place.

    Frameworks differ: this is Keras's `clipnorm`, which adds 0; PyTorch has none, and `clip_grad_norm_` called for one
    weight after another is this one, with its 1e-6. Keras takes the norm of an embedding's gradient row by row, before
    the rows of one repeated index are added up (1.34 is left of a token's gradients 1 and 2 where 1 is the largest
    norm); the sibling adds them up first. Where a norm is infinite, the infinite elements become NaN and the others
    zero on both sides, in this gradient alone.
    """

    max_norm: float = positive(1.0)
    epsilon: float = non_negative(0.0)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"clip_by_norm_with_epsilon": {"max_norm": 5.0, "epsilon": 1e-3}}
    CHECKED = ("clip_by_norm", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"keras": "tensorflow.clip_by_norm"}

    def clipped(self, gradients: Arrays, weights: Arrays) -> Arrays:
        norms = {name: float(np.linalg.norm(gradient)) for name, gradient in gradients.items()}
        return {
            name: gradient * (self.max_norm / max(norms[name] + self.epsilon, self.max_norm))
            for name, gradient in gradients.items()
        }
