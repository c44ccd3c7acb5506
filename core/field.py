"""The fields of a spec: each carries the rule that its value must obey, so a wrong value is named with its rule."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

from .errors import SpecError, nearest


def _field(default: Any, rule: str, allows: Callable[[Any], bool]) -> Any:
    return dataclasses.field(default=default, metadata={"rule": rule, "allows": allows})


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _real(value: Any) -> bool:
    # Compared and not converted: a whole number too large for a float would raise. NaN compares as false.
    return (_whole(value) or isinstance(value, float)) and -sys.float_info.max <= value <= sys.float_info.max


def choice(default: str, *others: str) -> Any:
    """One of a few words."""
    allowed = (default, *others)
    return _field(default, f"one of {', '.join(allowed)}", lambda value: isinstance(value, str) and value in allowed)


def flag(default: bool) -> Any:
    """True or False."""
    return _field(default, "True or False", lambda value: isinstance(value, bool))


def whole(default: int, least: int = 1) -> Any:
    """A whole number with a least value."""
    return _field(default, f"a whole number, at least {least}", lambda value: _whole(value) and value >= least)


def optional_whole(default: int | None, least: int = 0) -> Any:
    """A whole number with a least value, or None."""
    return _field(
        default,
        f"None or a whole number, at least {least}",
        lambda value: value is None or (_whole(value) and value >= least),
    )


def any_whole(default: int | None) -> Any:
    """Any whole number, negative ones included, or None."""
    return _field(default, "None or a whole number", lambda value: value is None or _whole(value))


def sizes(default: tuple[int, ...], lengths: tuple[int, ...] | None = None) -> Any:
    """A tuple of positive whole numbers, of one of the given lengths."""
    rule = "a tuple of positive whole numbers" + (
        f" of length {' or '.join(map(str, lengths))}" if lengths else ", not empty"
    )
    return _field(
        default,
        rule,
        lambda value: (
            isinstance(value, tuple)
            and all(_whole(size) and size > 0 for size in value)
            and (len(value) in lengths if lengths else len(value) > 0)
        ),
    )


def words(default: tuple[str, ...] = ()) -> Any:
    """A tuple of words, which may be empty."""
    return _field(
        default,
        "a tuple of words",
        lambda value: isinstance(value, tuple) and all(isinstance(word, str) and word for word in value),
    )


def factors(default: tuple[tuple[str, float], ...]) -> Any:
    """A tuple of pairs of a word and a number above zero, which may be empty."""
    return _field(
        default,
        "a tuple of pairs of a word and a number above 0",
        lambda value: (
            isinstance(value, tuple)
            and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value)
            and all(isinstance(word, str) and word and _real(factor) and factor > 0 for word, factor in value)
        ),
    )


def word(default: str) -> Any:
    """A word that no list can hold in advance, such as the name of another spec."""
    return _field(default, "a word", lambda value: isinstance(value, str) and value != "")


def numbers(default: tuple[float, ...]) -> Any:
    """A tuple of numbers, as many as in the default."""
    return _field(
        default,
        f"a tuple of {len(default)} numbers",
        lambda value: isinstance(value, tuple) and len(value) == len(default) and all(map(_real, value)),
    )


def channels(default: tuple[float, ...]) -> Any:
    """A tuple of numbers, one for each channel of however many."""
    return _field(
        default,
        "a tuple of numbers, one for each channel",
        lambda value: isinstance(value, tuple) and len(value) > 0 and all(map(_real, value)),
    )


def fraction(default: float) -> Any:
    """A number in [0, 1)."""
    return _field(default, "a number, at least 0 and below 1", lambda value: _real(value) and 0 <= value < 1)


def optional_share(default: float | None) -> Any:
    """A number in (0, 1], or None."""
    return _field(
        default,
        "None or a number above 0 and at most 1",
        lambda value: value is None or (_real(value) and 0 < value <= 1),
    )


def share(default: float) -> Any:
    """A number in (0, 1]."""
    return _field(default, "a number above 0 and at most 1", lambda value: _real(value) and 0 < value <= 1)


def steps(*default: int) -> Any:
    """A tuple of steps of a run, which may be empty."""
    return _field(
        default,
        "an empty tuple or one of whole numbers, at least 1",
        lambda value: isinstance(value, tuple) and all(_whole(step) and step > 0 for step in value),
    )


def rates(*default: float) -> Any:
    """A tuple of positive numbers, not empty."""
    return _field(
        default,
        "a tuple of numbers above 0",
        lambda value: isinstance(value, tuple) and len(value) > 0 and all(_real(item) and item > 0 for item in value),
    )


def positive(default: float) -> Any:
    """A number above zero."""
    return _field(default, "a number above 0", lambda value: _real(value) and value > 0)


def optional_positive(default: float | None) -> Any:
    """A number above zero, or None."""
    return _field(default, "None or a number above 0", lambda value: value is None or (_real(value) and value > 0))


def non_negative(default: float) -> Any:
    """A number, zero or above."""
    return _field(default, "a number, at least 0", lambda value: _real(value) and value >= 0)


def optional_positives(default: tuple[float, ...] | None) -> Any:
    """A tuple of positive numbers, or None."""
    return _field(
        default,
        "None or a tuple of numbers above 0",
        lambda value: (
            value is None
            or (isinstance(value, tuple) and len(value) > 0 and all(_real(item) and item > 0 for item in value))
        ),
    )


def validate(spec: Any, name: str) -> None:
    """Check each field of a spec against its rule; lists become tuples, so that a spec from JSON equals the original.

    Raises SpecError with the field, the value and the rule.
    """
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        allows = field.metadata.get("allows")
        if isinstance(value, list):
            pairs = tuple(tuple(item) if isinstance(item, list) else item for item in value)
            object.__setattr__(spec, field.name, pairs if allows and allows(pairs) else tuple(value))
            value = getattr(spec, field.name)
        if allows is not None and not allows(value):
            raise SpecError(f"{name}: {field.name} must be {field.metadata['rule']}, not {value!r}")


def unknown(spec: type[Any], name: str, given: dict[str, Any]) -> None:
    """Raises SpecError for a field that this spec does not have, with the nearest ones."""
    known = [field.name for field in dataclasses.fields(spec)]
    for field in given:
        if field not in known:
            hint = nearest(field, known) or f"; its fields are {', '.join(known)}"
            raise SpecError(f"{name} has no field {field!r}{hint}")
