"""How an optimizer trains one weight, in terms that both frameworks share, and in what two such rules differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import registry
from ..backend import SIDES
from ..compare import SIDES as TITLES
from ..errors import StateError
from ..technique import Optimizer

LABELS = dict(zip(SIDES, TITLES, strict=True))
FAMILIES = ("SGD", "Adam", "AdamW", "RMSprop", "Adafactor")

ARGUMENTS = {
    "torch": {
        "learning_rate": "lr", "beta_1": "betas[0]", "beta_2": "betas[1]", "epsilon": "eps", "rho": "alpha",
        "epsilon_1": "eps[0]", "epsilon_2": "eps[1]", "clip_threshold": "d", "decay_exponent": "-beta2_decay",
    },
    "keras": {"decay_exponent": "-beta_2_decay"},
}  # fmt: skip
"""What each framework calls a setting, where it has another word."""

WORDS = {
    ("epsilon_convention", "corrected"): "added after the bias correction",
    ("epsilon_convention", "uncorrected"): "added before the bias correction",
    ("epsilon_convention", "outside"): "added to the root",
    ("epsilon_convention", "inside"): "added inside the root",
    ("epsilon_convention", "squared"): "added to the squared gradient",
    ("epsilon_convention", "floor"): "a floor of the mean square",
    ("decay", "l2"): "added to the gradient (L2)",
    ("decay", "decoupled"): "taken from the weight (decoupled)",
    ("embedding", "added"): "squared after the rows of one token are added up",
    ("embedding", "apart"): "squared row by row, before the rows of one token are added up",
    ("parameter_scaling", "decayed"): "the size of the weight after its decay",
    ("parameter_scaling", "undecayed"): "the size of the weight before its decay",
}
"""Conventions that no setting of the frameworks' own classes changes, as a message tells them."""

UNITS = ("learning_rate", "velocity", "factored_axes")
"""Settings that are no matter of equal values: core/port/rates.py and core/port/slots.py see to them."""

SUBJECTS = {
    "epsilon_convention": "epsilon",
    "decay": "the weight decay",
    "embedding": "the gradient of an embedding",
    "parameter_scaling": "a step's scale",
}


@dataclass(frozen=True)
class Rule:
    """`family` is `sgd`, `adam`, `rmsprop` or `adafactor`; `settings` are the fields of that technique's spec.

    An AdamW is an `adam` whose `decay` is `decoupled`. Beside the spec's own there are `maximize`, `dampening`,
    `use_ema`, and how the gradient of an `embedding` is squared.
    """

    family: str
    settings: Mapping[str, Any]

    @property
    def rate(self) -> float:
        """The rate of the next step."""
        return float(self.settings["learning_rate"])

    def essential(self, embedding: bool) -> dict[str, Any]:
        """The settings that must be equal, as far as they make a difference."""
        kept = {name: value for name, value in self.settings.items() if name not in UNITS}
        idle = [] if embedding else ["embedding"]
        if not kept["weight_decay"]:
            idle += ["decay"]
            kept |= {"parameter_scaling": "undecayed"} if kept.get("parameter_scaling") == "decayed" else {}
        if not kept.get("momentum"):
            idle += ["nesterov", "dampening", *(["decay"] if self.family == "sgd" else [])]
        if not kept.get("epsilon", True):
            idle += ["epsilon_convention"]
        return {name: value for name, value in kept.items() if name not in idle}

    def slots(self, axes: int) -> tuple[str, ...]:
        """What is kept of a weight of so many axes."""
        on = self.settings.get
        if self.family == "sgd":
            return ("velocity",) if on("momentum") else ()
        if self.family == "adam":
            return ("m", "v", *(["v_max"] if on("amsgrad") else []))
        if self.family == "rmsprop":
            return ("v", *(["mean"] if on("centered") else []), *(["velocity"] if on("momentum") else []))
        return (*(("row", "column") if axes > 1 else ("v",)), *(["m"] if on("beta_1") else []))


@dataclass(frozen=True)
class Difference:
    """`key` is the word by which a caller accepts it. `weights` are those concerned, none where it is all of them."""

    key: str
    sentence: str
    weights: tuple[str, ...] = ()


def spec_of(rules: Mapping[str, Rule]) -> tuple[Optimizer, list[tuple[float, bool]]]:
    """The spec of an optimizer that follows these rules, and each weight's share of its rate and whether it decays.

    Raises StateError where no optimizer of Diglot does, or they differ in more than these two.
    """
    first = next(iter(rules.values()))
    decay = max(float(rule.settings["weight_decay"]) for rule in rules.values())
    base = max(rule.rate for rule in rules.values())
    shared = {name: value for name, value in first.settings.items() if name not in ("learning_rate", "weight_decay")}
    for name, rule in rules.items():
        own = {word: value for word, value in rule.settings.items() if word in shared}
        strange = [word for word in ("maximize", "use_ema", "dampening") if own.get(word)]
        unlike = [word for word in own if own[word] != shared[word]] + strange
        if unlike or rule.family != first.family or float(rule.settings["weight_decay"]) not in (0.0, decay):
            raise StateError(
                f"no one optimizer of Diglot follows the source's rule for {name} and the others "
                f"({', '.join(unlike) or 'weight_decay'}); build the target's optimizer yourself"
            )
    kind = "adamw" if first.family == "adam" and decay and shared["decay"] == "decoupled" else first.family
    fields = {**shared, "learning_rate": base, "weight_decay": decay}
    known = registry.make(kind).fields()
    spec = registry.make(kind, **{name: value for name, value in fields.items() if name in known})
    shares = [
        (rule.rate / base if base else 1.0, not decay or bool(rule.settings["weight_decay"])) for rule in rules.values()
    ]
    assert isinstance(spec, Optimizer)
    return spec, shares


def same(one: Any, other: Any) -> bool:
    """Whether two settings are the same number in float32, in which Keras keeps them, or the same word."""
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.float32(one) == np.float32(other))
    return bool(one == other)


def argument(side: str, setting: str) -> str:
    """What a side calls a setting."""
    return ARGUMENTS[side].get(setting, setting)


def differing(
    pairs: Iterable[tuple[str, Rule, Rule, bool]], sides: tuple[str, str], own: tuple[str, str]
) -> Iterator[Difference]:
    """In what the rules of (weight, source's rule, target's rule, is an embedding) differ, once for all weights.

    `sides` are the source's and the target's, and `own` the names of their optimizers' classes.
    """
    found: dict[tuple[str, Any, Any], list[str]] = {}
    count = 0
    for weight, one, other, embedding in pairs:
        count += 1
        if one.family != other.family:
            raise StateError(f"{own[0]} keeps another state than {own[1]}; hand over to an optimizer of the same kind")
        first, second = one.essential(embedding), other.essential(embedding)
        for setting in {**first, **second}:
            before, after = first.get(setting), second.get(setting)
            if setting in first and setting in second and not same(before, after):
                found.setdefault((setting, before, after), []).append(weight)
    for (setting, before, after), weights in found.items():
        told = _convention(setting, before, after, sides) or _number(setting, before, after, sides, own)
        yield Difference(setting, told, () if len(weights) == count else tuple(weights))


def _convention(setting: str, before: Any, after: Any, sides: tuple[str, str]) -> str:
    if setting not in SUBJECTS:
        return ""
    one, other = WORDS.get((setting, before), before), WORDS.get((setting, after), after)
    return f"{SUBJECTS[setting]} is {one} in {LABELS[sides[0]]} and {other} in {LABELS[sides[1]]}"


def _number(setting: str, before: Any, after: Any, sides: tuple[str, str], own: tuple[str, str]) -> str:
    words = [argument(side, setting) for side in sides]
    told = f"{words[0]} is {before!r} in {own[0]} and {words[1]} is {after!r} in {own[1]}"
    return told if setting in ("use_ema", "maximize", "dampening") else f"{told}, where it should be {before!r}"
