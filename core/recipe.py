"""How a network is trained: the techniques that work together, and the order in which they do."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from typing import Any, get_args, get_type_hints

from .clipping import Clipping
from .errors import SpecError
from .loss import Loss
from .mixing import Mixing
from .schedule import Schedule
from .technique import Optimizer, Technique
from .techniques.augment import Augment
from .techniques.curriculum import Curriculum
from .techniques.dead_units import DeadUnits
from .techniques.early_stopping import EarlyStopping
from .techniques.exponential_moving_average import ExponentialMovingAverage
from .techniques.gradient_accumulation import GradientAccumulation
from .techniques.gradient_flow import GradientFlow
from .techniques.mixed_precision import MixedPrecision
from .techniques.parameter_groups import ParameterGroups
from .techniques.progressive_unfreezing import ProgressiveUnfreezing
from .techniques.reduce_on_plateau import ReduceOnPlateau

KINDS: dict[type[Technique], str] = {
    Optimizer: "an optimizer, such as diglot.spec('adam')",
    Loss: "a loss, such as diglot.spec('cross_entropy')",
    Schedule: "a schedule, such as diglot.spec('warmup_cosine')",
    Clipping: "a way of clipping, such as diglot.spec('clip_by_global_norm')",
    Mixing: "a way of mixing samples, such as diglot.spec('mixup')",
}


@dataclass(frozen=True)
class Recipe:
    """An optimizer and a loss, and whatever else is to work with them; None is without.

    A step goes in this order, on both sides: the batch is augmented and mixed; the network computes, in half precision
    if there is a `precision`; the loss is weighed by the samples of the batch and scaled; gradients are summed until a
    group is complete; their sum is unscaled, divided by the samples, and seen to be finite, or the step is skipped; it
    is measured; it is clipped; the optimizer steps at the rate of the schedule, decay included; the scale is updated;
    and unless the step was skipped, the schedule and the average of the weights move on.
    At the end of an epoch the held-out samples are evaluated, with the averaged weights where there are some; then the
    rate may fall by `plateau`, and `stopping` may end the training.

    Raises SpecError for what is not of the kind that its place takes; for a schedule together with a plateau, as both
    set the rate; for two that multiply it; and for mixing with a loss that takes no probabilities.
    """

    optimizer: Optimizer
    loss: Loss
    schedule: Schedule | None = None
    clip: Clipping | None = None
    groups: ParameterGroups | None = None
    unfreezing: ProgressiveUnfreezing | None = None
    accumulation: GradientAccumulation | None = None
    precision: MixedPrecision | None = None
    average: ExponentialMovingAverage | None = None
    plateau: ReduceOnPlateau | None = None
    stopping: EarlyStopping | None = None
    augmentation: Augment | None = None
    mixing: Mixing | None = None
    curriculum: Curriculum | None = None
    flow: GradientFlow | None = None
    dead: DeadUnits | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value, optional = getattr(self, field.name), field.default is not MISSING
            if not (isinstance(value, kind(field.name)) or (value is None and optional)):
                raise SpecError(_misplaced(field.name, value))
        if self.schedule and self.plateau:
            raise SpecError(f"{self.schedule.name} and {self.plateau.name} both set the rate; leave one of them out")
        if self.mixing and self.loss.fields().get("targets", "probabilities") == "indices":
            raise SpecError(
                f"{self.mixing.name} gives probabilities, and {self.loss.name} takes class indices; "
                "set its targets='probabilities'"
            )
        if self.unfreezing and self.groups and self.groups.multipliers:
            names = f"{self.groups.name} and {self.unfreezing.name}"
            raise SpecError(f"{names} both multiply the rate; leave the multipliers to one of them")

    def techniques(self) -> Iterator[tuple[str, Technique]]:
        """Those that there are, by their place."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                yield field.name, value

    def layout(self) -> ParameterGroups | None:
        """The groups of weights, with the rates of what unfreezes among them."""
        if self.unfreezing is None:
            return self.groups
        no_decay = self.groups.no_decay if self.groups else ()
        return ParameterGroups(no_decay=no_decay, multipliers=self.unfreezing.multipliers())

    def described(self) -> dict[str, Any]:
        """What JSON can hold of it."""
        return {name: {"technique": value.name, **value.fields()} for name, value in self.techniques()}


@functools.cache
def kind(place: str) -> type[Technique]:
    """The class of what a place of a recipe takes."""
    hint = get_type_hints(Recipe)[place]
    found: type[Technique] = (get_args(hint) or (hint,))[0]
    return found


def _misplaced(place: str, value: Any) -> str:
    """What is wrong with what was given for a place, and where it belongs."""
    wanted = KINDS.get(kind(place), f"diglot.spec({kind(place).spec_name()!r})")
    others = [field.name for field in fields(Recipe) if isinstance(value, kind(field.name))]
    given = value.name if isinstance(value, Technique) else repr(value)
    hint = f"; that is for `{others[0]}`" if others else ""
    return f"{place} of a recipe must be {wanted}, not {given}{hint}"
