"""What is said of weights that have no counterpart, or several of which nothing tells which is right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..errors import StateError
from .layer import Slot
from .units import Unit
from .words import likeness

NAMES = {"torch": "PyTorch", "keras": "Keras"}
SHOWN = 6
"""So many weights are told by name in a sentence; of the others, how many there are."""

Left = Mapping[str, Sequence[tuple[Unit, Slot]]]


def unmatched(left: Left) -> StateError:
    """The error that names the weights of both sides that are left over, and the likeliest of the other side's."""
    said = []
    for side, other in (("torch", "keras"), ("keras", "torch")):
        if left[side]:
            names = [_described(slot) for _, slot in left[side]]
            said.append(f"{NAMES[side]} alone has {_listed(names)}{_candidates(left[side][0], left[other])}")
    weights = tuple(piece.tensor for side in NAMES for _, slot in left[side] for piece in slot.pieces)
    return StateError(
        f"not every weight has a counterpart: {'; '.join(said)}; leave them out with ignore=, or say in map= or a map "
        "file which is which",
        weights,
    )


def ambiguous(torch: Sequence[Unit], keras: Sequence[Unit], traced: bool) -> StateError:
    """The error that shows layers of one kind, of which neither numbers nor places nor names tell which is which."""
    ours, theirs = [unit.main().pieces[0].tensor for unit in torch], [unit.main().pieces[0].tensor for unit in keras]
    why = "take the same tensor, and neither numbers nor names decide"
    if not traced:
        why = "the models hold their layers in other orders; give inputs=, of which a run may tell"
    return StateError(
        f"which of PyTorch's {_listed(ours)} is which of Keras's {_listed(theirs)} cannot be told: all have shape "
        f"{torch[0].main().shape} and {why}; or say it in map={{{ours[0]!r}: {theirs[0]!r}, …}} or in a map file",
        (*ours, *theirs),
    )


def _described(slot: Slot) -> str:
    return f"{' + '.join(piece.tensor for piece in slot.pieces)} {slot.shape}"


def _listed(names: Sequence[str]) -> str:
    names = list(dict.fromkeys(names))
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _candidates(lost: tuple[Unit, Slot], others: Sequence[tuple[Unit, Slot]]) -> str:
    """The likeliest weights for one that is left over, by size and name."""
    slot, name = lost[1], lost[1].pieces[0].tensor
    ranked = sorted(
        others,
        key=lambda one: (
            math.prod(one[1].shape) != math.prod(slot.shape),
            len(one[1].shape) != len(slot.shape),
            -likeness(name, one[1].pieces[0].tensor),
        ),
    )
    if not ranked:
        return ""
    return f" (nearest to the first: {' or '.join(_described(one) for _, one in ranked[:2])})"
