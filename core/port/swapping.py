"""Two pairs of steps of which each comes before the other on one side."""

from __future__ import annotations

from collections.abc import Sequence

from .layer import BLOCK, CUSTOM, Step
from .paired import Paired


def swapped(index: int, pairs: Sequence[Paired], torch: Sequence[Step], keras: Sequence[Step]) -> str:
    """That what a step gives flows into another in PyTorch, and the other way round in Keras, or ""."""
    own = pairs[index]
    others = [other for other in pairs if other is not own and own.weights and other.weights]
    for other in sorted(others, key=lambda one: one.torch.role != own.torch.role):
        if _flows(torch, own.places[0], other.places[0]) and _flows(keras, other.places[1], own.places[1]):
            return (
                f"by their weights PyTorch's `{own.torch.name}` and `{other.torch.name}` are Keras's "
                f"`{own.keras.name}` and `{other.keras.name}`, which run in the other order there: the layers, or "
                "their weights, are swapped"
            )
    return ""


def _flows(steps: Sequence[Step], first: int, second: int) -> bool:
    """Whether what one step gives reaches another."""
    made = {id(array) for array in steps[first].outputs}
    for step in steps[first + 1 : second]:
        if step.role not in (BLOCK, CUSTOM) and any(id(array) in made for array in step.inputs):
            made |= {id(array) for array in step.outputs}
    return first < second and any(id(array) in made for array in steps[second].inputs)
