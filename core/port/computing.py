"""Two steps told apart by what they compute: each side's result as a formula of what went in, or of the other's."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from .. import verdict
from ..formulas.attention import opposite
from ..formulas.found import MARGIN, Found, digits, explains
from ..formulas.precisions import ROUNDINGS, holds, narrowed
from .evidence import Array, Cause, Replayed, labels, told
from .identifying import identified
from .layer import Step
from .roles import SLOTS

SHARP = 12.0
"""With more digits than this, nothing of a formula was held in float32."""
WRITTEN = 3
"""A number of no more places is one that a person writes."""
FEWEST, MORE = 6, 2
"""The places of a number that are tried first where two read alike, and those that are told beyond the first apart."""


def needed(replay: Replayed) -> float:
    """How many digits a formula must give, by the weaker of the two sides."""
    return min(verdict.IDENTIFIED[subject.precision] for subject in (replay.torch, replay.keras))


def by_formula(replay: Replayed) -> Cause | None:
    """What each side computes, if that tells the two apart; or how the one's result becomes the other's."""
    inputs, torch = replay.arrays("torch")
    taken, keras = replay.arrays("keras")
    if not _floats(torch) or not _floats(keras):
        return None
    if text := _broken(replay, torch, keras):
        return Cause(text)
    common = digits(torch, keras)
    if common >= 15:
        return None
    least = needed(replay)
    names = labels(replay)
    inputs, taken = _complete(inputs, replay.steps[0]), _complete(taken, replay.steps[1])
    ours = identified(_usable(inputs), torch, replay.tensors("torch"), least)
    theirs = identified(_usable(taken), keras, replay.tensors("keras"), least)
    if not ours and torch.ndim > 2 and np.moveaxis(torch, -1, 1).shape == torch.shape:
        ours = identified(_usable(inputs), np.moveaxis(torch, -1, 1), replay.tensors("torch"), least)
    if pair := telling(ours, theirs, common):
        one, other = pair
        how = _each(one.digits, other.digits)
        text = f"{names[0]} computes {one.name}, {names[1]} {_short(one.name, other.name)} ({how})"
        inverted = opposite((inputs, one.name), (taken, other.name))
        why = ": the one masks out what the other attends to" if inverted else _rounding(one, other)
        return Cause(text + why, "", True)
    for one_name, other_name, known, made in ((names[0], names[1], torch, keras), (names[1], names[0], keras, torch)):
        if link := related(known, made, least, common):
            text = f"what {other_name} gives is {link.of(f'what {one_name} gives')} (to {told(link.digits)})"
            return Cause(text, "", True)
    if text := constant(torch, keras, replay.tensors("torch"), max(least, common + MARGIN)):
        return Cause(f"{names[1]} {text} {names[0]}", "", True)
    narrow = narrowed(torch, keras)
    if narrow and (narrow[1] != "float32" or any(_floats(array) and not holds(array) for array in inputs)):
        place = 0 if narrow[0] == "PyTorch" else 1
        text = f"what {names[place]} gives holds {narrow[1]} numbers only: it was cast to half precision or narrower"
        if narrow[1] == "float32":
            text = f"what {names[place]} gives holds float32 numbers only: it was cast on the way, or a constant was"
        return Cause(text)
    if found := _rounded(inputs, torch, keras, replay, common):
        return found
    if pair := same(ours, theirs):
        blunt, sharp = (names[0], names[1]) if pair[0].digits < pair[1].digits else (names[1], names[0])
        low, high = sorted((pair[0].digits, pair[1].digits))
        if low < SHARP <= high:
            text = f"both compute {pair[0].name}, {sharp} to {told(high)} and {blunt} to {told(low)}"
            return Cause(f"{text}, as if it held a constant or an intermediate in float32")
        kinds = [sharing(step) for step in replay.steps]
        if kinds[0] != kinds[1]:
            told_apart = [_spoken(kind) for kind in kinds]
            text = f"both compute {pair[0].name}, but {names[0]} {told_apart[0]} and {names[1]} {told_apart[1]}"
            return Cause(f"{text}: another tensor as an input (a key or a value)", "", True)
        return None
    for ways, name, lost in ((ours, names[0], names[1]), (theirs, names[1], names[0])):
        if sure := _sure(ways, common):
            return Cause(f"{name} computes {sure.name} (to {told(sure.digits)}), and {lost} something else")
    counts = [len({id(array) for array in step.inputs}) for step in replay.steps]
    if counts[0] != counts[1]:
        more, fewer = (0, 1) if counts[0] > counts[1] else (1, 0)
        if "kernel" in SLOTS.get(replay.steps[more].role, ()):
            return Cause(f"{names[more]} is given its kernel, and {names[fewer]} has its own: the two are not the same")
        text = f"{names[more]} is given {counts[more]} tensors and {names[fewer]} {counts[fewer]}"
        return Cause(f"{text}: an initial state, a mask or another input is missing on one side")
    return None


def _complete(inputs: tuple[Array, ...], step: Step) -> tuple[Array, ...]:
    """The inputs and those that only this side has, such as an initial state, as they are in its own run."""
    kinds = sharing(step)
    places = list(dict.fromkeys(kinds))
    if len(places) == len(kinds):
        return (*inputs, *(np.asarray(array) for array in step.inputs[len(inputs) :]))
    known = dict(zip(places, inputs, strict=False))  # one that is given twice is among the inputs once
    return tuple(known.get(kind, np.asarray(step.inputs[kind])) for kind in kinds)


def _rounded(inputs: Iterable[Array], torch: Array, keras: Array, replay: Replayed, common: float) -> Cause | None:
    """Whether one side computes the other's formula of inputs that it rounds to a narrower type first."""
    names, arrays = labels(replay), _usable(inputs)
    for place, (own, other) in enumerate(((torch, keras), (keras, torch))):
        wide = identified(arrays, other, replay.tensors(("keras", "torch")[place]), needed(replay))
        if not wide:
            continue
        for kind, function in ROUNDINGS.items():
            given = [function(array) if _floats(array) else array for array in arrays]
            if all(np.array_equal(one, before) for one, before in zip(given, arrays, strict=True)):
                continue
            for found in identified(given, own, replay.tensors(("torch", "keras")[place]), needed(replay)):
                if found.name == wide[0].name and explains(found.digits, common):
                    text = f"{names[place]} computes {found.name} of its input rounded to {kind}"
                    return Cause(
                        f"{text} (to {told(found.digits)}), and {names[1 - place]} of the input itself", "", True
                    )
    return None


def sharing(step: Step) -> tuple[int, ...]:
    """Which inputs of a step are the same array: (0, 1, 1) for a query, and one tensor as key and value."""
    arrays = list(step.inputs)
    return tuple(
        next(place for place, other in enumerate(arrays) if other.shape == array.shape and np.array_equal(other, array))
        for array in arrays
    )


def _spoken(kinds: tuple[int, ...]) -> str:
    """What a step takes: "takes one tensor for all of its 3 inputs"."""
    count = len(set(kinds))
    return f"takes {'one tensor' if count == 1 else f'{count} tensors'} for its {len(kinds)} inputs"


def telling(ours: Iterable[Found], theirs: Iterable[Found], common: float) -> tuple[Found, Found] | None:
    """A formula of each side that are not the same and that explain the difference.

    Those of one family go first, and among them those whose numbers a person would write: of a batch of one, a
    normalisation is some line too.
    """
    pairs = [
        (one, other)
        for one, other in itertools.product(ours, theirs)
        if explains(min(one.digits, other.digits), common)
    ]
    pairs = [apart for pair in pairs if (apart := _apart(*pair))]
    alike = sorted(
        (pair for pair in pairs if pair[0].family == pair[1].family),
        key=lambda pair: not all(map(_is_written, (*pair[0].numbers, *pair[1].numbers))),
    )
    return next(iter([*alike, *pairs]), None)


def _is_written(value: float) -> bool:
    return abs(float(f"{value:.{WRITTEN}g}") - value) <= 1e-6 * abs(value)


def _apart(one: Found, other: Found) -> tuple[Found, Found] | None:
    """Two formulas in names that differ: with as many places of their numbers as it takes, if these differ at all."""
    if one.name != other.name:
        return one, other
    for places in range(FEWEST, int(min(one.digits, other.digits)) - 1):
        finer = one.finer(places), other.finer(places)
        if finer[0].name != finer[1].name:
            return one.finer(places + MORE), other.finer(places + MORE)
    return None


def _rounding(one: Found, other: Found) -> str:
    """Which side's numbers are the other's as float32 holds them, as the end of a sentence."""
    if not one.numbers or len(one.numbers) != len(other.numbers):
        return ""
    for wide, narrow, which in ((one, other, "latter"), (other, one, "former")):
        given, held = np.array(wide.numbers), np.array(narrow.numbers)
        rounded = ROUNDINGS["float32"](given)
        if np.any(rounded != given) and digits(rounded, held) >= SHARP > digits(given, held):
            return f": the {which} is the number as float32 holds it"
    return ""


def same(ours: Iterable[Found], theirs: Iterable[Found]) -> tuple[Found, Found] | None:
    """A formula that both sides are."""
    return next(((one, other) for one, other in itertools.product(ours, theirs) if one.name == other.name), None)


def related(one: Array, other: Array, least: float, common: float) -> Found | None:
    """The formula by which one result becomes the other."""
    return _sure(identified((one,), other, {}, least), common)


def constant(torch: Array, keras: Array, tensors: dict[str, Array], least: float) -> str:
    """Whether the results differ by a summand or a factor that is the same for every sample and place."""
    if torch.shape != keras.shape or torch.ndim < 2 or torch.size // torch.shape[-1] < 3:
        return ""
    rows, others = (array.reshape(-1, array.shape[-1]) for array in (torch, keras))
    apart = np.median(others - rows, 0)
    if digits(rows + apart, others) >= least and np.any(apart):
        named = [f"`{name}`" for name, tensor in tensors.items() if digits(tensor, apart) >= least]
        lacking = [f"`{name}`" for name, tensor in tensors.items() if digits(tensor, -apart) >= least]
        if named:
            return f"adds {named[0]} once more than"
        if lacking:
            return f"adds {lacking[0]} once less than"
        return "differs by a constant per channel, as if a bias were missing on one side or added twice, from"
    with np.errstate(all="ignore"):
        ratio = np.median(np.where(rows == 0, np.nan, others / rows), 0)
    if np.isfinite(ratio).all() and digits(rows * ratio, others) >= least:
        named = [f"`{name}`" for name, tensor in tensors.items() if digits(tensor, ratio) >= least]
        lacking = [
            f"`{name}`" for name, tensor in tensors.items() if digits(tensor * ratio, np.ones_like(ratio)) >= least
        ]
        if named or lacking:
            return f"multiplies by {(named or lacking)[0]} once {'more' if named else 'less'} than"
        return "differs by a factor per channel, as if a scale were missing on one side, from"
    return ""


def _usable(inputs: Iterable[Array]) -> list[Array]:
    """The inputs with a float one first, since formulas begin with it."""
    arrays = list(inputs)
    return sorted(arrays, key=lambda array: not _floats(array))


def _floats(array: Array) -> bool:
    return bool(np.issubdtype(array.dtype, np.floating))


def _broken(replay: Replayed, torch: Array, keras: Array) -> str:
    names = labels(replay)
    counts = [int(np.sum(~np.isfinite(array))) for array in (torch, keras)]
    if bool(counts[0]) == bool(counts[1]):
        return ""
    place = 0 if counts[0] else 1
    size = (torch, keras)[place].size
    many = f"{counts[place]} of {size} values that {names[place]} gives are not finite"
    return f"{many}, on the same input as {names[1 - place]}"


def _sure(found: Iterable[Found], common: float) -> Found | None:
    return next((one for one in found if explains(one.digits, common)), None)


def _each(one: float, other: float) -> str:
    if told(one) == told(other):
        return f"each to {told(one)}"
    return f"to {told(one)} and {told(other)}"


def _short(one: str, other: str) -> str:
    """The second name without what it shares with the first: "gelu in the exact form", "the tanh approximation"."""
    words, start = other.split(), " in the "
    if start in one and start in other and one.split(start)[0] == other.split(start)[0]:
        return "the " + other.split(start, 1)[1]
    return " ".join(words)
