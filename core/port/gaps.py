"""What reaches a layer differs though every layer before agrees: both tensors as formulas of the earlier ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .. import verdict
from .evidence import Array, Cause, told
from .formulas.activations import activation, scaling
from .formulas.combining import combining
from .formulas.found import Found, digits, explains, factor, sample, settled
from .formulas.masking import masking
from .formulas.movements import movement
from .identifying import identified

NEAREST, NEAR, PAIRED = 3, 24, 12
SHARED, OTHERS = " plus what is the same for every sample", "PyTorch's"
NEEDED = verdict.IDENTIFIED["float64"]


@dataclass(frozen=True)
class Expressed:
    """A tensor in terms of earlier ones; the fewer operands the simpler."""

    text: str
    digits: float
    operands: int


def between(before: Mapping[str, Array], torch: Array, keras: Array) -> Cause | None:
    """The likely cause of a difference between two tensors, by the earlier ones on which both sides agree, or None.

    `before` is in the order of execution, the latest last; all arrays are in Keras's layout.
    """
    torch, keras = np.asarray(torch), np.asarray(keras)
    if not all(array.size and np.issubdtype(array.dtype, np.floating) for array in (torch, keras)):
        return None
    common = digits(torch, keras)
    latest = reversed(list(before.items()))
    earlier = [(name, array) for name, array in latest if array.dtype.kind == "f" and array.size][:NEAR]
    ours, theirs = (sorted(expressed(earlier, array), key=lambda one: one.operands) for array in (torch, keras))
    for one, other in sorted(itertools.product(ours, theirs), key=lambda pair: pair[0].operands + pair[1].operands):
        if one.text != other.text and explains(min(one.digits, other.digits), common):
            least = told(min(one.digits, other.digits))
            return Cause(f"PyTorch passes on {one.text}, and Keras {other.text} (to {least})", "", True)
    if found := _shared(earlier, torch, keras):
        return found
    if found := _apart(earlier, torch, keras):
        return found
    for backwards in (False, True):
        given, made = (keras, torch) if backwards else (torch, keras)
        first, second = ("Keras", "PyTorch") if backwards else ("PyTorch", "Keras")
        if way := next((way for way in identified((given,), made, {}) if explains(way.digits, common)), None):
            text = f"what {second} passes on is {way.of(f'what {first} passes on')} (to {told(way.digits)})"
            return Cause(text, "", True)
    for side, rest, ways in (("PyTorch", "Keras", ours), ("Keras", "PyTorch", theirs)):
        sure = next((one for one in ways if explains(one.digits, common)), None)
        if sure is not None:
            return Cause(f"{side} passes on {sure.text} (to {told(sure.digits)}), and {rest} something else")
    return None


def expressed(earlier: Sequence[tuple[str, Array]], target: Array) -> Iterator[Expressed]:
    """The ways to write a tensor in terms of one or two earlier ones, the latest of these first."""
    for name, array in earlier:
        if array.shape == target.shape and digits(array, target) >= NEEDED:
            yield Expressed(f"`{name}` as it is", digits(array, target), 0)
    for place, (name, array) in enumerate(earlier):
        families = None if place < NEAREST else (activation, scaling, movement, masking)
        for found in identified((array,), target, {}, families=families):
            if found.family != "scaling" or found.phrase != "{0} itself":
                yield Expressed(found.of(f"`{name}`"), found.digits, 1)
    for (first, one), (second, other) in itertools.combinations(earlier[:PAIRED], 2):
        for found in _fitting((one, other), target):
            if "alone" not in found.name:
                yield Expressed(found.of(f"`{first}`", f"`{second}`"), found.digits, 2)
    for three in itertools.combinations(earlier[:5], 3):
        for found in _fitting([array for _, array in three], target):
            if all(f"{{{number}}}" in found.phrase for number in range(3)):
                yield Expressed(found.of(*(f"`{label}`" for label, _ in three)), found.digits, 3)


def _fitting(arrays: Sequence[Array], target: Array) -> Iterator[Found]:
    if any(array.ndim != target.ndim for array in arrays):
        return
    yield from identified(arrays, target, {}, families=(combining,))


def _shared(earlier: Sequence[tuple[str, Array]], torch: Array, keras: Array) -> Cause | None:
    """Both add to a multiple of one earlier tensor what is the same for every sample, such as a positional encoding."""
    for name, array in earlier:
        one, other = _affine(array, torch), _affine(array, keras)
        if one is None or other is None:
            continue
        texts = []
        for scale, rest in (one, other):
            head = f"`{name}`" if abs(scale - 1) < 1e-9 else f"{factor(scale, array.shape)} times `{name}`"
            texts.append(f"{head}{SHARED}" if np.any(rest) else head)
        if texts[0] != texts[1]:
            return Cause(f"PyTorch passes on {texts[0]}, and Keras {texts[1]}", "", True)
        way = next(iter(identified((one[1],), other[1], {})), None)
        if way is not None and way.phrase != "{0} itself":
            head = texts[0].removesuffix(SHARED)
            text = f"both add to {head} what is the same for every sample, such as a positional encoding"
            return Cause(f"{text}; Keras's is {way.of(OTHERS)}", "", True)
        return Cause(
            f"both pass on {texts[0]}, such as a positional encoding, and the two encodings differ "
            f"(in {int(digits(one[1], other[1]))} digits they agree)"
        )
    return None


def _affine(array: Array, target: Array) -> tuple[float, Array] | None:
    """The factor and the rest, if the target is a multiple of an array plus something that all samples share."""
    if array.shape != target.shape or array.ndim < 2 or array.shape[0] < 2:
        return None
    x, y = array[1:] - array[:1], target[1:] - target[:1]
    scale = settled(y[np.abs(x) > 1e-6] / x[np.abs(x) > 1e-6])
    if not scale or digits(scale * x, y) < NEEDED:
        return None
    rest = target[:1] - scale * array[:1]
    small = np.max(np.abs(rest)) < 1e-9 * max(float(np.max(np.abs(target))), 1e-300)
    return scale, np.zeros_like(rest) if small else rest


def _apart(earlier: Sequence[tuple[str, Array]], torch: Array, keras: Array) -> Cause | None:
    """The two differ by an earlier tensor, added or multiplied on one side only."""
    if torch.shape != keras.shape:
        return None
    difference = keras - torch
    for name, array in earlier:
        if array.shape != torch.shape:
            continue
        few = sample(array.size, 256)
        base = array.flat[few]
        scale = settled(difference.flat[few][base != 0] / base[base != 0])
        if scale and digits(scale * array, difference) >= NEEDED:
            times = "" if abs(abs(scale) - 1) < 1e-9 else f"{factor(abs(scale), array.shape)} times "
            side, rest = ("Keras", "PyTorch") if scale > 0 else ("PyTorch", "Keras")
            return Cause(f"{side} adds {times}`{name}`, and {rest} does not", "", True)
        with np.errstate(all="ignore"):
            for side, rest, one, other in (("Keras", "PyTorch", torch, keras), ("PyTorch", "Keras", keras, torch)):
                if digits(one * array, other) >= NEEDED:
                    return Cause(f"{side} multiplies by `{name}`, and {rest} does not", "", True)
    return None
