"""How much speaks for two steps of two models being the same: what they do, and the numbers that they give."""

from __future__ import annotations

import numpy as np

from .layer import Step
from .layouts import Array

ACTIVATIONS = frozenset(
    {"relu", "relu6", "sigmoid", "tanh", "silu", "softplus", "softsign", "mish", "selu", "hard_sigmoid", "hard_swish",
     "log_sigmoid", "exponential", "gelu", "leaky_relu", "elu", "softmax", "log_softmax", "hardtanh"}
)  # fmt: skip
FAMILIES = (
    ACTIVATIONS,
    frozenset({"max_pool", "average_pool"}),
    frozenset({"global_max_pool", "global_average_pool", "mean", "sum"}),
    frozenset({"add", "subtract", "multiply", "divide"}),
    frozenset({"zero_pad", "pad"}),
)
ALIKE = 16.0  # a pair that gives the same numbers goes before several that only do the same
DIGITS = 1e6  # numbers that agree to so many parts are taken for the same, to tell alike steps apart


def score(one: Step, other: Step) -> float:
    """How much speaks for two steps without weights being the same; 0 for what cannot be."""
    if one.outputs[0].size != other.outputs[0].size:
        return 1.0 if one.role == other.role and len(one.outputs[0].shape) == len(other.outputs[0].shape) else 0.0
    same = one.role == other.role
    if not same and not any({one.role, other.role} <= family for family in FAMILIES):
        return ALIKE if alike(one.outputs[0], other.outputs[0]) else 0.0
    return (3.0 if same else 1.0) + (ALIKE if alike(one.outputs[0], other.outputs[0]) else 0.0)


def alike(one: Array, other: Array) -> bool:
    """Whether two arrays may hold the same numbers, in any order."""
    first, second = (np.asarray(array, dtype=np.float64) for array in (one, other))
    if not first.size or first.size != second.size:
        return False
    for measure in (np.sum, lambda array: np.sum(array * array), np.max, np.min):
        values = float(measure(first)), float(measure(second))
        scale = max(float(np.sum(np.abs(first))) if measure is np.sum else 0.0, abs(values[0]), abs(values[1]))
        if not abs(values[0] - values[1]) * DIGITS <= scale:
            return False
    return True
