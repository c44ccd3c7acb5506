"""What of a training is at fault, where the network itself agrees: the first quantity that differs, in the first step.

That step is the last one of the shortest training that differs, so that nothing which it has contaminated is blamed.
Quantities are compared in the order in which they are computed. A step whose losses all agree and whose weights do not
is at fault in the update: in the gradients, or in the optimizer.
"""

from __future__ import annotations

from . import checks
from .compare import Comparison
from .learning import LearningSpec
from .locate import Fault
from .locate import locate as locate_part
from .pair import Pair
from .verdict import Verdict


def locate(pair: Pair) -> Fault | None:
    """The part at fault where the network differs by itself, or else the first quantity that does."""
    agrees = all(
        item.verdict is Verdict.EQUAL
        for check in (checks.forward_training, checks.gradients)
        for item in check(pair, "float64").comparisons
    )
    return (None if agrees else locate_part(pair)) or _quantity(pair)


def _quantity(pair: Pair) -> Fault | None:
    """What differs in the shortest training that does: lengths are doubled until one does, and then halved between."""
    spec = pair.spec
    assert isinstance(spec, LearningSpec)
    equal, steps = 0, 1
    while not (unequal := _unequal(pair, steps)):
        if steps == spec.STEPS:
            return None
        equal, steps = steps, min(2 * steps, spec.STEPS)
    while steps - equal > 1:
        middle = (equal + steps) // 2
        if found := _unequal(pair, middle):
            steps, unequal = middle, found
        else:
            equal = middle
    return Fault(_named(spec, unequal[0].name), _described(unequal[0], steps))


def _unequal(pair: Pair, steps: int) -> list[Comparison]:
    return [item for item in pair.learning(steps) if item.verdict is not Verdict.EQUAL]


def _named(spec: LearningSpec, name: str) -> str:
    """A weight or a slot of it is the update's of its optimizer, and a copy's weight the copy's."""
    for copy in spec.COPIES:
        if name.startswith(f"{copy} "):
            return copy
    weight = name.rpartition(" of ")[2]
    if weight not in {item.name for item in spec.weights()}:
        return name
    owners = [
        key for key, (_, prefix) in spec.optimizers().items() if weight.startswith(f"{prefix}." if prefix else "")
    ]
    return f"update of {owners[0]}" if owners else name


def _described(item: Comparison, steps: int) -> str:
    when = f"within {steps} step{'s' * (steps > 1)} of training"
    if item.complaint:
        return f"every part agrees by itself, and {item.name} {when} does not: {item.complaint}"
    size = f"differs by {item.difference:.1e}, {item.ratio:.1e} noise floors"
    return f"{item.name} {size} {when}, and every part agrees by itself"
