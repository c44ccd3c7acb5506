"""What is handed over from one optimizer to the other, and all in which the training would then go on otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .. import moving
from ..technique import Arrays
from . import rates, rule, slots
from .held import Held
from .mapping import Match, WeightMapping
from .rule import LABELS, Difference


@dataclass
class Transition:
    """What is handed over: the mapping, each side's tensors and what its optimizer holds of them."""

    mapping: WeightMapping
    source: Held
    target: Held
    accept: Sequence[str] = ()

    def step(self) -> int | None:
        """The one count of steps of the source. Raises StateError where two of its counts differ."""
        counts = {name: held.steps for name, held in self.source.trained.items() if held.started}
        counted = {name: steps for name, steps in counts.items() if steps is not None}
        found = moving.counted(counted)
        return found if found is not None else self.source.position

    def shared(self) -> list[tuple[Match, str, str]]:
        """The weights that both optimizers train, with a tensor of each."""
        found = []
        for match in self.mapping.matches:
            ones, others = (slots.pieces(match, held) for held in (self.source, self.target))
            found += [(match, ones[0].tensor, others[0].tensor)] if ones and others else []
        return found

    def differences(self, states: Mapping[str, Arrays], step: int) -> Iterator[Difference]:
        """All that would make the training go on otherwise than it would have."""
        source, target = self.source, self.target
        sides, own = (source.side, target.side), (source.name, target.name)
        for held in (source, target):
            yield from (Difference(key, told) for key, told in held.differences.items())
        for match in self.mapping.matches:
            trains = [bool(slots.pieces(match, held)) for held in (source, target)]
            if trains[0] != trains[1]:
                first, second = (LABELS[sides[index]] for index in (trains.index(True), trains.index(False)))
                yield Difference("trained", f"{first}'s optimizer trains it, and {second}'s does not", (match.name,))
        shared = self.shared()
        yield from rule.differing(
            (
                (match.name, source.trained[one].rule, target.trained[other].rule, match.axes.startswith("tokens "))
                for match, one, other in shared
            ),
            sides,
            own,
        )
        if any(held.rule.family == "adafactor" for held in source.trained.values()):
            yield from slots.factors(self.mapping, source, target)
        for held in (source, target):
            yield from slots.summed(self.mapping, held, states[held.side])
            yield from slots.tied(self.mapping, held)
        yield from self._unstarted()
        if self._apart():
            told = (
                f"{source.schedule} is at step {source.position} and {source.name} at step {step}; a schedule that is "
                "stepped once an epoch has no counterpart in Keras, whose schedules go by the optimizer's steps"
            )
            yield Difference("schedule", told)
        elif not source.differences and not target.differences:
            names = [(match.name, one, other) for match, one, other in shared]
            yield from rates.differing(names, source, target, step)[0]
        yield from self._velocities()

    def _apart(self) -> bool:
        """Whether the source's schedule is at another step than its optimizer."""
        return self.source.position is not None and self.source.position != self.step()

    def _unstarted(self) -> Iterator[Difference]:
        idle = tuple(name for name, held in self.source.trained.items() if not held.started)
        if idle and any(held.steps is not None for held in self.source.trained.values()):
            told = (
                f"{LABELS[self.source.side]} has not stepped it yet and would count from 0, where Keras has one count"
            )
            yield Difference("started", told, idle)

    def _velocities(self) -> Iterator[Difference]:
        if (self.source.schedule or self.target.schedule) and self.converted():
            told = "one side accumulates gradients and the other whole steps, the rate included, which is the same only"
            yield Difference("velocity", f"{told} while the rate is constant")

    def converted(self) -> list[str]:
        """The weights whose velocities the two sides keep in different units."""
        return [
            match.name
            for match, one, other in self.shared()
            for kinds in [[held.trained[name].rule.settings.get("velocity") for held, name in
                           ((self.source, one), (self.target, other))]]
            if kinds[0] != kinds[1] and "velocity" in self.target.trained[other].slots
        ]  # fmt: skip

    def told(self, step: int | None) -> list[str]:
        """What the user should know of what has been left as it is."""
        found = []
        if not (self._apart() or self.source.differences or self.target.differences):
            shared = [(match.name, one, other) for match, one, other in self.shared()]
            found += rates.differing(shared, self.source, self.target, step or 0)[1]
        if self.converted() and not (self.source.schedule or self.target.schedule):
            found.append(
                "the velocity is kept in other units now, which is the same as long as the rate is not changed; an "
                "optimizer that is built by the source's rule needs no such care"
            )
        if step is None and self.target.side == "keras":
            found.append("PyTorch's SGD counts no steps, so Keras's iterations are as they were")
        if names := [name for names in self.mapping.ignored.values() for name in names]:
            found.append(f"ignored weights start with a new state: {', '.join(names)}")
        return found
