"""Steps that are held together because they are given what partners gave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .layer import BLOCK, CUSTOM, Step
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


def certain(
    torch: Sequence[Step],
    keras: Sequence[Step],
    fixed: Iterable[Places],
    free: Sequence[Sequence[int]],
    alike: Callable[[Array, Array], bool],
) -> list[Places]:
    """Pairs of steps without weights that do the same with what partners gave, where there is no choice.

    Of several that do, those are held together that give the same numbers. The order of the run has no part in it.
    """
    partners: dict[int, int] = dict(fixed)
    known = [set(partners), set(partners.values())]
    roles: dict[tuple[str, int], list[int]] = {}
    for j in free[1]:
        roles.setdefault((keras[j].role, keras[j].outputs[0].size), []).append(j)
    makers = {j: _maker(keras, j, known[1]) for j in free[1]}
    groups: dict[tuple[str, int, int], list[int]] = {}
    for i in free[0]:
        groups.setdefault((torch[i].role, torch[i].outputs[0].size, _maker(torch, i, known[0])), []).append(i)
    added: list[Places] = []
    for (role, size, maker), ours in groups.items():  # in the order of the run, so that a pair leads to the next
        theirs = [j for j in roles.get((role, size), []) if makers[j] == partners.get(maker, -1)]
        if maker >= 0 and maker not in partners:
            continue
        if maker >= 0 and len(ours) == len(theirs) == 1:
            counts = [len({id(array) for array in steps[place].inputs}) for steps, (place,) in
                      ((torch, ours), (keras, theirs))]  # fmt: skip
            pairs = [(ours[0], theirs[0])] if counts[0] == counts[1] else []
        else:
            pairs = _same(torch, keras, ours, theirs, alike)
        partners |= dict(pairs)
        added += pairs
    return added


def _same(
    torch: Sequence[Step],
    keras: Sequence[Step],
    ours: Sequence[int],
    theirs: Sequence[int],
    alike: Callable[[Array, Array], bool],
) -> list[Places]:
    """The pairs that give the same numbers, each alone among all of them."""
    fits = [(i, j) for i in ours for j in theirs if alike(torch[i].outputs[0], keras[j].outputs[0])]
    return [(i, j) for i, j in fits if sum(i == one or j == other for one, other in fits) == 1]


def _maker(steps: Sequence[Step], place: int, known: set[int]) -> int:
    """The step that made a step's first tensor, behind what only moves numbers about; -1 for none.

    A block has a partner or is passed over, since a step within it made the tensor as well.
    """
    wanted: Array | None = steps[place].inputs[0] if steps[place].inputs else None
    for before in reversed(range(place)):
        step = steps[before]
        if wanted is None or not any(array is wanted for array in step.outputs):
            continue
        if before in known:
            return before
        if step.role in MOVING and step.inputs:
            wanted = step.inputs[0]
        elif step.role not in (BLOCK, CUSTOM):
            return before
    return -1


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
