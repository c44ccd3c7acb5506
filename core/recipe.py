"""How a network is trained: the techniques that work together, and the order in which they do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from .errors import SpecError
from .technique import Technique
from .techniques.parameter_groups import ParameterGroups
from .techniques.progressive_unfreezing import ProgressiveUnfreezing


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

    Raises SpecError for what is no technique; for a schedule together with a plateau, as both set the rate; for two
    that multiply it; and for mixing with a loss that takes no probabilities.
    """

    optimizer: Technique
    loss: Technique
    schedule: Technique | None = None
    clip: Technique | None = None
    groups: Technique | None = None
    unfreezing: Technique | None = None
    accumulation: Technique | None = None
    precision: Technique | None = None
    average: Technique | None = None
    plateau: Technique | None = None
    stopping: Technique | None = None
    augmentation: Technique | None = None
    mixing: Technique | None = None
    curriculum: Technique | None = None
    flow: Technique | None = None
    dead: Technique | None = None

    def __post_init__(self) -> None:
        for name, value in self.techniques():
            if not isinstance(value, Technique):
                raise SpecError(f"{name} of a recipe must be a technique, such as diglot.spec('adam'), not {value!r}")
        if self.schedule and self.plateau:
            raise SpecError(f"{self.schedule.name} and {self.plateau.name} both set the rate; leave one of them out")
        if self.mixing and self.loss.fields().get("targets", "probabilities") == "indices":
            raise SpecError(
                f"{self.mixing.name} gives probabilities, and {self.loss.name} takes class indices; "
                "set its targets='probabilities'"
            )
        if self.unfreezing and self.groups and self.groups.fields()["multipliers"]:
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
        if not isinstance(self.unfreezing, ProgressiveUnfreezing):
            return self.groups if isinstance(self.groups, ParameterGroups) else None
        no_decay = self.groups.fields()["no_decay"] if self.groups else ()
        return ParameterGroups(no_decay=no_decay, multipliers=self.unfreezing.multipliers())

    def described(self) -> dict[str, Any]:
        """What JSON can hold of it."""
        return {name: {"technique": value.name, **value.fields()} for name, value in self.techniques()}
