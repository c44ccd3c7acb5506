"""Units that no sample activates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import non_negative
from ..technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class DeadUnits(Technique):
    """The units of a layer whose activation is 0 for every sample, so that no gradient passes through them.

    Source: Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models", ICML 2013 workshop,
    section 2: a rectified unit that is never active takes no step of gradient descent.

    The built function takes activations, (batch, ..., units) or with the units on another `axis`, and gives one truth
    value for each unit. A feature map is one unit for each channel, which lives where any position of it does.

    `watch(spec, model, inputs)` runs a model once in evaluation and gives the share of dead units behind every ReLU, by
    the name of the layer in which it stands; the second ReLU of one layer is NAME:2. It sees layers, `activation`
    arguments and functions alike, and changes nothing: PyTorch's operations are observed as they are dispatched, and on
    the Keras side they are found in the traced graph. It does not see a ReLU inside a compiled or scripted part, a loop
    or a condition of the graph, nor one that is fused with, or written as, another operation (`maximum`, `clamp`).
    PyTorch's tensors of 4 and 5 axes have their units on axis 1, all others on the last: behind a 1-D convolution,
    (batch, channels, length), positions would be taken for units.

    Fields:
        threshold: activations no larger in size than this count as 0.

    Departs from the document: it analyses gradients alone; a dead unit shows in them only by a zero among others.
    """

    threshold: float = non_negative(0.0)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"dead_units_nearly": {"threshold": 0.25}}
    CHECKED = ("dead_units", *PRESETS)

    def numbered(self, name: str, taken: Iterable[str]) -> str:
        """The name of the next ReLU of a layer."""
        count = 1 + sum(other.partition(":")[0] == name for other in taken)
        return name if count == 1 else f"{name}:{count}"

    def case(self, rng: np.random.Generator) -> Arrays:
        """What a ReLU is given by a dense layer and on an image; some units die of it, some nearly, some barely not."""
        case = {"dense": rng.standard_normal((6, 8)), "image": rng.standard_normal((3, 4, 2, 8))}
        for array in case.values():
            array[..., :2] = -np.abs(array[..., :2])
            array[..., 2:4] *= 0.01
            array[..., 4] = -1.0
            array[(-1,) * (array.ndim - 1)][4] = 2.0  # the last position of the last sample only
        return case

    def rule(self, case: Arrays) -> Arrays:
        result: Arrays = {}
        for name, array in case.items():
            small = np.abs(np.maximum(array, 0.0)) <= self.threshold
            dead = np.asarray(small.reshape(-1, array.shape[-1]).all(axis=0))
            result |= {f"dead of {name}": dead, f"share of {name}": np.asarray(dead.mean())}
        return result
