"""Steps that work on weights alone, before any data reaches them: a kernel is standardised, a table scaled.

Their tensors lie as each framework has its weights, so that one side's cannot be held against the other's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .fingerprint import fingerprint, is_constant
from .layer import Step
from .layouts import Array


def of_weights(steps: Sequence[Step], weights: Iterable[Array]) -> set[int]:
    """The places of the steps whose every tensor comes of weights of more than one axis."""
    prints = {fingerprint(array) for array in weights if array.ndim > 1 and not is_constant(array)}
    alone: dict[int, bool] = {}
    found = set()
    for place, step in enumerate(steps):
        for array in step.inputs:
            if id(array) not in alone:
                known = array.dtype.kind == "f" and array.ndim > 1 and not is_constant(array)
                alone[id(array)] = known and fingerprint(array) in prints
        only = bool(step.inputs) and all(alone[id(array)] for array in step.inputs)
        for array in step.outputs:
            alone.setdefault(id(array), only)
        if only:
            found.add(place)
    return found
