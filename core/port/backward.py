"""Two steps that agree forward and part on the way back."""

from __future__ import annotations

import numpy as np

from ..formulas.found import digits, factor, settled
from .evidence import Array, Cause, Replayed, labels


def by_gradients(replay: Replayed) -> Cause | None:
    """Why gradients differ where results do not: stopped, scaled, or passed through as they are.

    Each side is given its own input and a cotangent of ones, which lies alike in every layout; gradients are then
    compared in sorted order.
    """
    found = []
    for subject, step in zip((replay.torch, replay.keras), replay.steps, strict=True):
        if not step.outputs or step.outputs[0].dtype.kind != "f":
            return None
        found.append(subject.replay(step, step.inputs, np.ones_like(step.outputs[0])))
    names = labels(replay)
    ours, theirs = ([made[key] for key in sorted(made) if key.startswith("input ")] for made in found)
    moving = [[bool(np.any(array)) for array in side] for side in (ours, theirs)]
    for place in (0, 1):
        if ours and theirs and not any(moving[place]) and any(moving[1 - place]):
            return Cause(
                f"forward agrees; the gradient of its input is zero in {names[place]} and not in {names[1 - place]}: "
                "a stop_gradient, a detach, or an operation without a gradient",
                "",
                True,
            )
    weights = [[key for key in made if key != "output" and not key.startswith(("input ", "buffer "))] for made in found]
    for place in (0, 1):
        lost, held = weights[place], weights[1 - place]
        frozen = [key for key in lost if not np.any(found[place][key])]
        if (held and not lost) or (lost and len(frozen) == len(lost) and _moves(found[1 - place], held)):
            what = "has no gradient" if not lost else "has a gradient of zero"
            return Cause(
                f"forward agrees; the weights of {names[place]} {what.replace('has', 'have')}, and those of "
                f"{names[1 - place]} have one: frozen, or used through a detached copy",
                "",
                True,
            )
    if rows := _still(found[0], found[1], weights):
        place, some = rows
        return Cause(
            f"forward agrees; the gradient of {some} of its table is zero in {names[place]} and not in "
            f"{names[1 - place]}: a padding index, which is not trained",
            "",
            True,
        )
    for one, other in zip(ours, theirs, strict=False):
        if told := _scaled(one, other):
            return Cause(f"forward agrees; Keras's gradient of the input is {told} times PyTorch's", "", True)
    return None


def _still(one: dict[str, Array], other: dict[str, Array], weights: list[list[str]]) -> tuple[int, str] | None:
    """The side on which some rows of the only weight, a matrix on both, have no gradient; and these rows."""
    if any(len(names) != 1 for names in weights):
        return None
    tables = [one[weights[0][0]], other[weights[1][0]]]
    if tables[0].ndim != 2 or tables[0].shape != tables[1].shape:
        return None
    moving = [np.any(table, 1) for table in tables]
    for place in (0, 1):
        rows = np.flatnonzero(~moving[place] & moving[1 - place])
        if rows.size and not np.any(~moving[1 - place] & moving[place]):
            return place, f"row{'s' * (rows.size > 1)} {', '.join(str(row) for row in rows[:5])}"
    return None


def _moves(found: dict[str, Array], names: list[str]) -> bool:
    return any(np.any(found[name]) for name in names)


def _scaled(one: Array, other: Array) -> str:
    if one.size != other.size or not np.any(one):
        return ""
    for sign in (1.0, -1.0):
        first, second = np.sort(one.ravel()), np.sort(sign * other.ravel())
        ratio = settled(second[first != 0] / first[first != 0])
        if ratio and digits(first * ratio, second) > 8 and abs(ratio * sign - 1) > 1e-9:
            return factor(sign * ratio, one.shape)
    return ""
