"""Clipping of each unit's gradient by the norm of its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..clipping import Clipping
from ..errors import InputError
from ..field import positive
from ..technique import Arrays


@dataclass(frozen=True, kw_only=True)
class AdaptiveGradientClipping(Clipping):
    """Scale each unit's gradient, so that its norm is at most `clipping` times the norm of the unit's weights.

    Source: Brock et al., "High-performance large-scale image recognition without normalization", ICML 2021, eq. 3, unit
    by unit: G_i <- lambda |W_i|* / |G_i| G_i where |G_i| > lambda |W_i|*, with |W_i|* = max(|W_i|, epsilon).

    A unit is an output feature: what leads to it is one row of a dense kernel, or all of a convolution's kernel for one
    feature. A bias, a gain, and every array with at most one axis that is longer than 1, is one unit as a whole, as in
    the authors' code.

    Fields:
        clipping: symbol lambda.
        epsilon: least norm of a unit's weights, so that weights of zero can move.

    The built function takes a list of gradients and the list of their weights, and returns a list of gradients; nothing
    is changed in place. The paper leaves the last dense layer out: so give the gradients of the others.

    Raises InputError where the weights are not given, or are not as many as the gradients.

    Frameworks differ: neither has it. A unit is the first axis in PyTorch and the last in Keras. So what is laid out
    otherwise must be left out: an embedding's table, the same in both, whose rows would be units in PyTorch and whose
    columns in Keras; and a depthwise kernel, of which Keras keeps the channels one axis before the last.
    """

    clipping: float = positive(0.01)
    epsilon: float = positive(1e-3)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "adaptive_gradient_clipping_strong": {"clipping": 0.001, "epsilon": 1.0}
    }
    CHECKED = ("adaptive_gradient_clipping", *PRESETS)

    def case(self, rng: np.random.Generator) -> Arrays:
        """Weights `weight.NAME`, one unit zero, and gradients of some ten times as much as is let through; or less."""
        shapes = {"kernel": (5, 4), "bias": (4,), "convolution": (2, 3, 2, 4)}
        case: Arrays = {f"weight.{name}": rng.standard_normal(shape) for name, shape in shapes.items()}
        case["weight.kernel"][:, 1] = 0.0
        for kind, factor in zip(self.SETS, (10.0, 0.8), strict=True):
            for name, shape in shapes.items():
                case[f"{kind}.{name}"] = factor * self.clipping * rng.standard_normal(shape)
        return case

    def clipped(self, gradients: Arrays, weights: Arrays) -> Arrays:
        result = {}
        for name, gradient in gradients.items():
            largest = self.clipping * np.maximum(unit_norms(weights[name]), self.epsilon)
            result[name] = gradient * (largest / np.maximum(unit_norms(gradient), largest))
        return result


def is_one_unit(shape: tuple[int, ...]) -> bool:
    """Whether an array is one unit as a whole: a number, or a vector in whatever rank."""
    return sum(size > 1 for size in shape) <= 1


def unit_norms(array: NDArray[Any]) -> NDArray[Any]:
    """The norm of each unit, the last axis, with the rank of the array."""
    axes = None if is_one_unit(array.shape) else tuple(range(array.ndim - 1))
    norms: NDArray[Any] = np.sqrt((array**2).sum(axis=axes, keepdims=True))
    return norms


def require_weights(gradients: list[Any], weights: Any) -> None:
    """Raises InputError where there is not a weight for each gradient."""
    if weights is None or len(weights) != len(gradients):
        count = "none" if weights is None else len(weights)
        raise InputError(
            f"adaptive_gradient_clipping: {len(gradients)} gradients need as many weights, not {count}; give both lists"
        )
