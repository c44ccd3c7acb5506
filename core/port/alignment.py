"""Which step of one model's run is which of the other's: by the weights that both hold, then by role and order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..technique import Arrays
from .apart import of_weights
from .following import certain, followed
from .holding import SEPARATORS, by_weights, weights_of
from .layer import BLOCK, CUSTOM, Step, Trace
from .layouts import inner
from .likeness import alike, score
from .mapping import WeightMapping
from .ordering import by_order, increasing, segments
from .paired import Paired, Sources, distinct
from .roles import CHANCE, MOVING
from .several import spans

CELL = "_cell"


def aligned(torch: Trace, keras: Trace, mapping: WeightMapping, states: Mapping[str, Arrays]) -> list[Paired]:
    """The pairs of steps, in PyTorch's order. What moves numbers about or works on weights alone has no part in it."""
    runs = torch.steps, keras.steps
    held = [weights_of(torch.steps, mapping, 0), weights_of(keras.steps, mapping, 1)]
    fixed = by_weights(torch.steps, keras.steps, *held)
    closed = [pair for pair in fixed if not all(_open(steps, i) for steps, i in zip(runs, pair, strict=True))]
    inside = [_inside(steps, [pair[side] for pair in closed], side) for side, steps in enumerate(runs)]
    for side, (steps, name) in enumerate(zip(runs, SEPARATORS, strict=True)):
        inside[side] |= of_weights(steps, states[name].values())
    free = [
        [i for i, step in enumerate(steps) if i not in inside[side] and not held[side][i] and _counts(step)]
        for side, steps in enumerate(runs)
    ]
    found = [*fixed, *certain(torch.steps, keras.steps, fixed, free, alike)]
    taken = [{pair[side] for pair in found} for side in (0, 1)]
    free = [[i for i in places if i not in taken[side]] for side, places in enumerate(free)]
    for ours, theirs in segments(increasing(found), free[0], free[1]):
        found += by_order(torch.steps, keras.steps, ours, theirs)
    found += followed(torch.steps, keras.steps, found, free, score)
    looped = _looped(torch.steps, keras.steps, fixed, held)
    pairs = [
        Paired(one, other, (i, j), held[0][i], (_arguments(i, one), _arguments(j, other)))
        for i, j in sorted(set(found) - set(looped))
        for one, other in [(torch.steps[i], keras.steps[j])]
    ]
    pairs += [pair for pair in looped.values() if pair is not None]
    covered = {name for i, _ in fixed for name in held[0][i]}
    return sorted([*pairs, *spans(torch.steps, keras.steps, held, covered)], key=lambda pair: pair.places)


def _looped(
    torch: Sequence[Step], keras: Sequence[Step], fixed: Iterable[tuple[int, int]], held: list[list[frozenset[str]]]
) -> dict[tuple[int, int], Paired | None]:
    """The pairs of a recurrent cell that one side calls at every moment and a layer that the other calls once.

    The cell's last call stands for all of them where its result lies as the layer's does, and cannot be replayed.
    """
    result: dict[tuple[int, int], Paired | None] = {}
    for i, j in fixed:
        cells = [steps[place].role.endswith(CELL) for steps, place in ((torch, i), (keras, j))]
        if cells[0] == cells[1]:
            continue
        steps, place, weights = (torch, i, held[0]) if cells[0] else (keras, j, held[1])
        last = max(k for k, step in enumerate(steps) if step.name == steps[place].name and weights[k] == weights[place])
        one, other = (last, j) if cells[0] else (i, last)
        fits = inner(torch[one].outputs[0], keras[other].outputs[0]) is not None
        result[i, j] = Paired(torch[one], keras[other], (one, other), held[0][i], whole=False) if fits else None
    return result


def _arguments(place: int, step: Step) -> Sources:
    return tuple((place, argument) for argument in distinct(step))


def _counts(step: Step) -> bool:
    return step.role not in MOVING and step.role not in {BLOCK, CUSTOM, *CHANCE} and bool(step.outputs)


def _open(steps: Sequence[Step], place: int) -> bool:
    """Whether a step is a block or a class of the user's own, in whose own code steps were seen that compute."""
    name = steps[place].name
    return steps[place].role in (BLOCK, CUSTOM) and any(
        _counts(step) and step.name.startswith(f"{name}:") for step in steps
    )


def _inside(steps: Sequence[Step], chosen: Iterable[int], side: int) -> set[int]:
    """The steps within the blocks that have found a partner as a whole."""
    word = list(SEPARATORS.values())[side]
    owners = {steps[i].name for i in chosen if steps[i].role in (BLOCK, CUSTOM)}
    return {
        i
        for i, step in enumerate(steps)
        for owner in owners
        if step.name != owner and (not owner or step.name.startswith((owner + word, owner + ":")))
    }
