"""Clipping of each element of the gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..clipping import Clipping
from ..field import positive
from ..technique import Arrays


@dataclass(frozen=True, kw_only=True)
class ClipByValue(Clipping):
    """Cut each element of the gradients at a value and at its negative.

    Source: Mikolov, "Statistical language models based on neural networks" (2012), as Pascanu, Mikolov and Bengio
    describe it in "On the difficulty of training recurrent neural networks", ICML 2013, section 3.2.

    Fields:
        clip_value: the largest absolute value.

    The direction of the step changes towards the diagonals. The built function takes a list of gradients and returns
    another; nothing is changed in place.

    Frameworks differ: PyTorch's `clip_grad_value_` changes the gradients in place; Keras's `clipvalue` is an argument
    of the optimizer, and cuts an embedding's gradient row by row, before the rows of one repeated index are added up,
    so that their sum may be above the value; the sibling adds them up first. An infinite element becomes the value on
    both sides, and NaN stays NaN.
    """

    clip_value: float = positive(0.5)

    LIMIT: ClassVar[str] = "clip_value"
    CHECKED = ("clip_by_value",)
    NATIVE: ClassVar[dict[str, str]] = {
        "torch": "torch.nn.utils.clip_grad_value_",
        "keras": "tensorflow.clip_by_value",
    }

    def length(self, gradients: Arrays) -> float:
        return float(max(np.abs(gradient).max() for gradient in gradients.values()))

    def clipped(self, gradients: Arrays, weights: Arrays) -> Arrays:
        return {
            name: np.where(np.abs(gradient) > self.clip_value, np.sign(gradient) * self.clip_value, gradient)
            for name, gradient in gradients.items()
        }
