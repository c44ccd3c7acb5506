"""A half-finished training goes on in the other framework: the weights, and all that the optimizer has come to."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..axes import parse
from ..backend import load
from ..errors import SpecError, StateError, nearest
from ..technique import Arrays
from . import slots, transferring
from .held import Held, Trainer
from .mapping import WeightMapping
from .rule import LABELS, Difference, Rule
from .transition import Transition

KEYS = (
    "amsgrad", "beta_1", "beta_2", "centered", "clip_threshold", "dampening", "decay", "decay_exponent", "embedding",
    "epsilon", "epsilon_1", "epsilon_2", "epsilon_convention", "factored_axes", "learning_rate", "maximize", "momentum",
    "nesterov", "parameter_scaling", "relative_step", "rho", "schedule", "started", "summed", "tied", "trained",
    "use_ema", "velocity", "weight_decay",
)  # fmt: skip
"""What may differ between two optimizers, if the caller accepts it."""


OWN = {"learning_rate", "schedule", "started", "summed", "tied", "trained"}
"""Of these, the differences that are no matter of the optimizer's class."""


@dataclass(frozen=True)
class HandedOver:
    """`optimizer` and `schedule` are the target's, `step` is where it goes on, None where nothing counts steps.

    `notes` are sentences on what Diglot cannot see or has left as it is, and on what the caller has accepted.
    """

    optimizer: Any
    schedule: Any
    mapping: WeightMapping
    step: int | None
    notes: tuple[str, ...] = ()


def trainer(side: str) -> Trainer:
    """What a side knows of optimizers."""
    load(side)
    package = __name__.removesuffix(".core.port.handover")
    found: Trainer = importlib.import_module(f"{package}.{side}_impl.port.handover")
    return found


@dataclass
class End:
    """One end of a hand-over. `optimizer` is None where one is to be built; `state` holds the model's arrays by name.

    Of the target, it is the state that it is given.
    """

    side: str
    model: Any
    optimizer: Any
    schedule: Any
    state: Arrays


def prepared(
    mapping: WeightMapping, source: End, target: End, accept: str | Sequence[str] = ()
) -> Callable[[], HandedOver]:
    """The last act of a hand-over, which nothing refuses any more; the weights themselves are the caller's to write.

    Raises StateError that lists all that would go on otherwise and is not accepted; nothing is then changed.
    """
    keys = accepted(accept)
    ours = trainer(source.side).read(source.model, source.optimizer, source.schedule)
    if not any(held.started for held in ours.trained.values()):
        raise StateError(
            f"{ours.name} has taken no step with these weights, so there is nothing to hand over; diglot.transfer "
            "moves the weights alone"
        )
    side, optimizer = trainer(target.side), target.optimizer
    schedule = target.schedule
    if optimizer is None:
        if ours.schedule and schedule is None:
            raise StateError(
                f"the rate of {ours.name} follows {ours.schedule}, so what is built needs target_schedule: "
                "a schedule of Keras, or a function that makes one of PyTorch from the optimizer"
            )
        rules, told = built_like(mapping, ours, target.side, begins=schedule is not None)
        optimizer = side.build(target.model, rules, told)
        schedule = side.scheduled(optimizer, schedule)
    theirs = side.read(target.model, optimizer, schedule)
    transition = Transition(mapping, ours, theirs, keys)
    step = transition.step()
    if theirs.schedule and theirs.side == "torch" and step is not None and (theirs.position or 0) > step:
        raise StateError(
            f"the target's schedule is at step {theirs.position} and the source at {step}; build a new schedule"
        )
    states = {source.side: source.state, target.side: target.state}
    notes = refuse(list(transition.differences(states, step or 0)), keys, built=target.optimizer is None)
    notes += (
        [f"{theirs.name} of {LABELS[target.side]} was built by the rule of {ours.name}"]
        if target.optimizer is None
        else []
    )
    notes += [*ours.notes, *theirs.notes, *transition.told(step)]
    found = slots.moved(mapping, ours, theirs)
    untrained = slots.untrained(mapping, ours, theirs) if target.optimizer is None else []

    def finish() -> HandedOver:
        if frozen := side.freeze(target.model, untrained):
            told = f"{LABELS[target.side]}'s {', '.join(frozen)} were frozen, since {ours.name} does not train them"
            notes.append(told)
        side.write(target.model, optimizer, found, step, schedule)
        return HandedOver(optimizer, schedule, mapping, step, tuple(dict.fromkeys(notes)))

    return finish


def built_like(mapping: WeightMapping, source: Held, side: str, begins: bool) -> tuple[dict[str, Rule], list[str]]:
    """The source's rules by the other side's tensors, and those tensors that are tables.

    With `begins` the rates are those of the first step, from which a schedule of PyTorch is made.
    """
    rules: dict[str, Rule] = {}
    tables: dict[str, None] = {}
    first = source.rates([0]) if begins and source.side == "keras" else {}
    for match in mapping.matches:
        for one in slots.pieces(match, source)[:1]:
            rule = source.trained[one.tensor].rule
            if one.tensor in first:
                rule = Rule(rule.family, {**rule.settings, "learning_rate": float(first[one.tensor][0])})
            for other in match.torch if side == "torch" else match.keras:
                rules.setdefault(other.tensor, rule)
                if len(parse(match.axes)) > 1 and one.axes == other.axes:
                    tables[other.tensor] = None
    return rules, list(tables)


def refuse(found: Sequence[Difference], accept: Sequence[str], *, built: bool) -> list[str]:
    """Raise StateError for all differences that are not accepted; those that are, as sentences.

    `built` says that the target's optimizer is one that already follows the source's rule, as far as any does.
    """
    told: dict[tuple[str, str], list[str]] = {}
    for each in found:
        told.setdefault((each.key, each.sentence), []).extend(each.weights)
    sentences: dict[str, list[str]] = {key: [] for key, _ in told}
    for (key, sentence), weights in told.items():
        sentences[key].append(_of(weights) + sentence)
    left = {key: texts for key, texts in sentences.items() if key not in accept}
    if left:
        listed = "; ".join(f"{key}: {text}" for key, texts in left.items() for text in texts)
        names = ", ".join(map(repr, left)) + ("," if len(left) == 1 else "")
        helps = not built and not set(left) <= OWN
        build = "leave out the target's optimizer to have one built by the source's rule, " if helps else ""
        raise StateError(
            f"the training would not go on as it would have: {listed}. Mend it, {build}or accept it with "
            f"accept=({names})",
            tuple(dict.fromkeys(weight for weights in told.values() for weight in weights)),
        )
    return [f"accepted, {key}: {text}" for key, texts in sentences.items() for text in texts]


def _of(weights: Sequence[str]) -> str:
    if not weights:
        return ""
    more = f" and {len(weights) - 2} others" if len(weights) > 3 else ""
    return f"{', '.join(weights[: 2 if more else 3])}{more}: "


def accepted(accept: str | Sequence[str]) -> tuple[str, ...]:
    """The keys of differences that a caller accepts. Raises SpecError for one that there is not."""
    given = tuple(accept) if isinstance(accept, Iterable) and not isinstance(accept, str) else (accept,)
    for key in given:
        if key not in KEYS:
            raise SpecError(
                f"accept names what may differ between two optimizers, not {key!r}{nearest(str(key), KEYS)}"
            )
    return given


def hand_over(
    source_model: Any,
    source_optimizer: Any,
    target_model: Any,
    target_optimizer: Any = None,
    map: Any = None,
    *,
    inputs: Any = None,
    torch_inputs: Any = None,
    source_schedule: Any = None,
    target_schedule: Any = None,
    ignore: str | Sequence[str] = (),
    accept: str | Sequence[str] = (),
) -> HandedOver:
    """See diglot.hand_over."""
    accepted(accept)
    carriage = transferring.carriage(
        source_model, target_model, map, inputs=inputs, torch_inputs=torch_inputs, ignore=ignore
    )
    back = transferring.side_of(source_model)
    source = End(back, source_model, source_optimizer, source_schedule, carriage.states[back])
    held = {**carriage.states[carriage.to], **carriage.arrays}
    target = End(carriage.to, target_model, target_optimizer, target_schedule, held)
    finish = prepared(carriage.mapping, source, target, accept)
    carriage.write()
    return finish()
