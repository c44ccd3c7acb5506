"""Steps that do different things and agree all the same, since no number of these inputs reaches the difference."""

from __future__ import annotations

import numpy as np

from ..backend import SIDES
from ..errors import DiglotError
from ..verdict import Verdict
from .findings import Fault
from .layer import BLOCK, CUSTOM, Step
from .locating import Search
from .porting import Porting
from .replaying import Replaying
from .roles import CHANCE, MOVING, settings_of
from .trying import described

NEUTRAL = frozenset({"add", "subtract", "multiply", "divide", "pow"})
FACTORS = (10.0, 100.0)
NAMES = {"torch": "PyTorch", "keras": "Keras"}
UNTRIED = frozenset({"bias", "dropout", "rate", "broadcast", "unbiased", "momentum", "frozen", "masked"})


def unreached(search: Search) -> Fault | None:
    """The first pair of steps of other roles or settings that agrees on these inputs, and parts on larger ones."""
    for index, pair in enumerate(search.porting.pairs):
        if not pair.whole or not _differ(pair.torch, pair.keras):
            continue
        for factor in FACTORS:
            if _parts(search, index, factor):
                told = [described(step.role, step.settings) for step in (pair.torch, pair.keras)]
                text = (
                    f"on these inputs they agree, and on {factor:g} times larger ones they part: PyTorch's "
                    f"`{pair.torch.name}` is {told[0]}, Keras's `{pair.keras.name}` {told[1]}"
                )
                return Fault(pair.torch.name, pair.keras.name, pair.torch.role, text, index)
    return None


def _differ(one: Step, other: Step) -> bool:
    if {one.role, other.role} & {BLOCK, CUSTOM}:
        return False
    names = [name for name in settings_of(one.role) if name not in UNTRIED]
    return one.role != other.role or any(one.settings.get(name) != other.settings.get(name) for name in names)


def _parts(search: Search, index: int, factor: float) -> bool:
    replaying = Replaying(search.porting, index)
    if not replaying.possible or not all(array.dtype.kind == "f" for array in replaying.given):
        return False
    if not search.agrees(index, False):  # by themselves they are not given what they are in their models
        return False
    replaying.given = [array * factor for array in replaying.given]
    try:
        found = [item for item in replaying.compared() if item.name == "output"]
    except DiglotError:
        return False
    return any(item.verdict is Verdict.DIFFERENT and not item.complaint for item in found)


def idle(porting: Porting) -> list[str]:
    """Sentences on steps that one side alone has, and that changed nothing of these inputs."""
    found = []
    for place, side in enumerate(SIDES):
        taken = {pair.places[place] for pair in porting.pairs}
        for number, step in enumerate(porting.traces[side].steps):
            known = number in taken or step.role in {BLOCK, CUSTOM, *CHANCE, *MOVING}
            if not known and step.inputs and step.outputs and _idle(step):
                found.append(
                    f"{NAMES[side]}'s `{step.name}` ({step.role.replace('_', ' ')}) changed nothing of these inputs, "
                    "and the other model has no such step: give inputs that reach it"
                )
    return found


def _idle(step: Step) -> bool:
    """Whether a step gave back its input, other than as it always does: times 1 and plus 0 are no matter of inputs."""
    if step.role in NEUTRAL and len(step.inputs) == 1:
        return False
    one, other = step.inputs[0], step.outputs[0]
    return one is not other and one.shape == other.shape and one.dtype.kind == "f" and bool(np.array_equal(one, other))
