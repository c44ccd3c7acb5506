"""Steps that are given the same tensors on both sides, in another order."""

from __future__ import annotations

from collections.abc import Sequence

from .layer import Step
from .layouts import Array
from .likeness import alike

COMMUTING = frozenset({"add", "multiply", "maximum", "minimum"})


def reordered(torch: tuple[Step, Sequence[Step]], keras: tuple[Step, Sequence[Step]]) -> str:
    """How the orders differ in which two steps take the same tensors, or "" where they do not, or take others.

    Each step comes with all of its side's, by which the tensors are named.
    """
    (one, before), (other, above) = torch, keras
    if one.role in COMMUTING or len(one.inputs) < 2 or len(one.inputs) != len(other.inputs):
        return ""
    places = [[place for place, theirs in enumerate(other.inputs) if alike(ours, theirs)] for ours in one.inputs]
    order = [found[0] for found in places if len(found) == 1]
    if sorted(order) != list(range(len(one.inputs))) or order == sorted(order):
        return ""
    ours, theirs = (_listed(step.inputs, steps) for step, steps in ((one, before), (other, above)))
    return f"both take the same tensors, PyTorch in the order {ours}, and Keras in the order {theirs}"


def _listed(arrays: Sequence[Array], steps: Sequence[Step]) -> str:
    made = {id(array): step.name for step in reversed(steps) for array in step.outputs if step.name}
    return ", ".join(f"`{made[id(array)]}`" if id(array) in made else "an input" for array in arrays)
