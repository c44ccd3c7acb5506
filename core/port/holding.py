"""Steps paired by the weights that both hold, one by one or one for several."""

from __future__ import annotations

from collections.abc import Sequence

from .layer import BLOCK, CUSTOM, Step
from .mapping import WeightMapping

SEPARATORS = {"torch": ".", "keras": "/"}


def holds(step: Step, layer: str, side: str) -> bool:
    """Whether a layer is the step's own, or one within it."""
    owner = step.layer or (step.name if step.role in (BLOCK, CUSTOM) else "")
    if step.role == BLOCK and not step.name:
        return True
    return bool(owner) and (layer == owner or layer.startswith(owner + SEPARATORS[side]))


def weights_of(steps: Sequence[Step], mapping: WeightMapping, side: int) -> list[frozenset[str]]:
    """The names of the matches whose weights each step holds."""
    by_layer: dict[str, set[str]] = {}
    for match in mapping.matches:
        by_layer.setdefault(match.layers[side], set()).add(match.name)
    word = list(SEPARATORS)[side]
    return [
        frozenset(name for layer, names in by_layer.items() if holds(step, layer, word) for name in names)
        for step in steps
    ]


def by_weights(
    torch: Sequence[Step], keras: Sequence[Step], ours: list[frozenset[str]], theirs: list[frozenset[str]]
) -> list[tuple[int, int]]:
    """Pairs that hold the same weights: of one role first, and then what lies around what has found no partner."""
    found: list[tuple[int, int]] = []
    covered: set[str] = set()
    sets = sorted({weights for weights in ours if weights} & set(theirs), key=lambda names: (len(names), min(names)))
    for weights in sets:
        if weights <= covered:
            continue
        one = [i for i, names in enumerate(ours) if names == weights and torch[i].name]
        other = [i for i, names in enumerate(theirs) if names == weights and keras[i].name]
        if not one or not other:
            continue
        leaves = [[i for i in one if torch[i].role != BLOCK], [i for i in other if keras[i].role != BLOCK]]
        if leaves[0] and leaves[1]:
            one, other = _alike_in_depth((torch, leaves[0]), (keras, leaves[1]))
        else:
            one, other = _outermost(torch, one), _outermost(keras, other)
        pairs = list(zip(one, other, strict=False))
        found += pairs
        if pairs:
            covered |= weights
    return found


def _alike_in_depth(*sides: tuple[Sequence[Step], list[int]]) -> tuple[list[int], list[int]]:
    """The innermost calls on both sides, or both sides' own classes where one side has nothing else."""
    classes = [[i for i in places if steps[i].role == CUSTOM] for steps, places in sides]
    if all(classes) and any(len(own) == len(places) for own, (_, places) in zip(classes, sides, strict=True)):
        sides = tuple((steps, own) for (steps, _), own in zip(sides, classes, strict=True))
    one, other = (_innermost(steps, places) for steps, places in sides)
    return one, other


def _innermost(steps: Sequence[Step], places: list[int]) -> list[int]:
    """The calls of one step among several that hold the same weights: of a known role rather than a custom one."""
    known = [i for i in places if steps[i].role != CUSTOM] or places
    name = steps[known[0]].name.partition(":")[0]
    return [i for i in known if steps[i].name.partition(":")[0] == name]


def _outermost(steps: Sequence[Step], places: list[int]) -> list[int]:
    name = min((steps[i].name for i in places), key=len)
    return [i for i in places if steps[i].name == name]
