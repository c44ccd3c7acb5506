"""Steps that are held together because they are given what partners gave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .layer import Step
from .layouts import Array
from .roles import MOVING

Places = tuple[int, int]


def followed(
    torch: Sequence[Step],
    keras: Sequence[Step],
    found: Iterable[Places],
    free: Sequence[Sequence[int]],
    score: Callable[[Step, Step], float],
) -> list[Places]:
    """Pairs of steps without partners whose first tensors are what partners gave.

    Branches of one model may run in another order than in the other, so that their places tell nothing.
    """
    partners, added = dict(found), []
    taken = set(partners.values())
    ours, theirs = (
        {place: _source(steps, place) for place in places}
        for steps, places in zip((torch, keras), free, strict=True)
    )  # fmt: skip
    for i, source in ours.items():  # in the order of the run, so that a pair leads to the next
        if i in partners or source not in partners:
            continue
        fits = [j for j, other in theirs.items() if j not in taken and other == partners[source]]
        best = max(fits, key=lambda j: score(torch[i], keras[j]), default=None)
        if best is not None and score(torch[i], keras[best]) > 0:
            partners[i] = best
            taken.add(best)
            added.append((i, best))
    return added


def _source(steps: Sequence[Step], place: int) -> int:
    """The step that made a step's first tensor, behind what only moves numbers about; -1 for none."""
    wanted: Array | None = steps[place].inputs[0] if steps[place].inputs else None
    for before in reversed(range(place)):
        step = steps[before]
        if wanted is not None and step.name and any(array is wanted for array in step.outputs):
            if step.role not in MOVING or not step.inputs:
                return before
            wanted = step.inputs[0]
    return -1
