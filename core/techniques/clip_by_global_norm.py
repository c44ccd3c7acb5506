"""Clipping of all gradients by their common norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..clipping import Clipping
from ..field import non_negative, positive
from ..technique import Arrays


@dataclass(frozen=True, kw_only=True)
class ClipByGlobalNorm(Clipping):
    """Scale all gradients together, so that the norm of all their elements is at most `max_norm`.

    Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
    algorithm 1. Every gradient is multiplied by min(1, max_norm / (norm + epsilon)).

    Fields:
        max_norm: the threshold.
        epsilon: added to the norm. Above 0, what is clipped stays a little below the threshold, and a norm that is less
            than epsilon below the threshold is clipped too.

    The built function takes a list of gradients and returns another; nothing is changed in place.

    Frameworks differ: PyTorch's `clip_grad_norm_` is global, changes the gradients in place and adds 1e-6; Keras's
    `clipnorm` is for each weight on its own, `global_clipnorm` is this, and both add 0. Keras and TensorFlow take the
    norm of an embedding's gradient row by row, before the rows of one repeated index are added up (sqrt(5) for the true
    3, where one token has the gradients 1 and 2); the sibling adds them up first. Where the norm is infinite, every
    element becomes NaN in Keras and TensorFlow; in PyTorch the infinite ones do, and the others become zero.
    """

    max_norm: float = positive(1.0)
    epsilon: float = non_negative(1e-6)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "clip_by_global_norm_without_epsilon": {"max_norm": 5.0, "epsilon": 0.0}
    }
    CHECKED = ("clip_by_global_norm", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {
        "torch": "torch.nn.utils.clip_grad_norm_",
        "keras": "tensorflow.clip_by_global_norm",
    }

    def clipped(self, gradients: Arrays, weights: Arrays) -> Arrays:
        scale = self.max_norm / max(self.length(gradients) + self.epsilon, self.max_norm)
        return {name: gradient * scale for name, gradient in gradients.items()}
