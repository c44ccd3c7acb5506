"""What reaches a layer differs though every layer before agrees: both tensors as formulas of the earlier ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .. import verdict
from ..formulas.activations import FIXED, activation, scaling
from ..formulas.attention import headed
from ..formulas.combining import combining
from ..formulas.found import Found, axes_names, digits, explains, factor, sample, settled
from ..formulas.masking import fills, masking
from ..formulas.movements import movement
from ..formulas.orders import in_another_order
from ..formulas.precisions import narrowed
from ..formulas.reductions import reduction
from .choosing import chosen, whole
from .evidence import Array, Cause, told
from .identifying import identified

NEAREST, NEAR, PAIRED = 3, 24, 12
SHARED, OTHERS = " plus what is the same for every sample", "PyTorch's"


@dataclass(frozen=True)
class Expressed:
    """A tensor in terms of earlier ones, the `operands`; `found` is the formula, None for such a tensor as it is.

    `inner` is what is done to an operand first: "relu of ".
    """

    digits: float
    operands: tuple[str, ...]
    found: Found | None = None
    inner: str = ""

    @property
    def text(self) -> str:
        names = [f"{self.inner}`{name}`" for name in self.operands]
        return self.found.of(*names) if self.found else f"{names[0]} as it is"

    @property
    def effort(self) -> int:
        return len(self.operands) if self.found else 0


@np.errstate(all="ignore")
def between(before: Mapping[str, Array], torch: Array, keras: Array) -> Cause | None:
    """The likely cause of a difference between two tensors, by the earlier ones on which both sides agree, or None.

    `before` is in the order of execution, the latest last; all arrays are in Keras's layout.
    """
    torch, keras = np.asarray(torch), np.asarray(keras)
    if torch.size and keras.size and whole(torch) and whole(keras):
        return chosen(before, torch, keras)
    if not all(array.size and np.issubdtype(array.dtype, np.floating) for array in (torch, keras)):
        return None
    if np.squeeze(torch).shape == np.squeeze(keras).shape and torch.shape != keras.shape:
        torch, keras = np.squeeze(torch), np.squeeze(keras)
    if held := fills(torch, keras):
        text = "both mask the same places, which a softmax makes zero, and agree elsewhere"
        return Cause(f"{text}: PyTorch by {held[0]:g} and Keras by {held[1]:g}", "", True)
    common = digits(torch, keras)
    least = verdict.IDENTIFIED["float32" if np.float32 in (torch.dtype, keras.dtype) else "float64"]
    latest = reversed(list(before.items()))
    earlier = [(name, array) for name, array in latest if array.dtype.kind == "f" and array.size][:NEAR]
    ours, theirs = (sorted(expressed(earlier, array, least), key=lambda one: one.effort) for array in (torch, keras))
    if ours and ours[0].found is not None and ours[0].found.name in TURNED:  # in PyTorch's own layout
        return between(before, torch.swapaxes(0, 1), keras)
    for one, other in sorted(itertools.product(ours, theirs), key=lambda pair: pair[0].effort + pair[1].effort):
        if one.text != other.text and explains(min(one.digits, other.digits), common):
            return Cause(f"{_both(one, other)} (to {told(min(one.digits, other.digits))})", "", True)
    if found := _shared(earlier, torch, keras, least) or _apart(earlier, torch, keras, least):
        return found
    for backwards in (False, True):
        given, made = (keras, torch) if backwards else (torch, keras)
        first, second = ("Keras", "PyTorch") if backwards else ("PyTorch", "Keras")
        if way := next((way for way in identified((given,), made, {}, least) if explains(way.digits, common)), None):
            text = f"what {second} passes on is {way.of(f'what {first} passes on')} (to {told(way.digits)})"
            return Cause(text, "", True)
    if moved := in_another_order(torch, keras, least):
        text = f"both pass on the same numbers, {moved}"
        return Cause(f"{text}: a reshape, a transposition or the order of what is joined differs", "", True)
    if (narrow := narrowed(torch, keras)) and narrow[1] != "float32":  # weights themselves may be no wider
        return Cause(f"what {narrow[0]} passes on holds {narrow[1]} numbers only: it was cast on the way")
    for side, rest, ways in (("PyTorch", "Keras", ours), ("Keras", "PyTorch", theirs)):
        sure = next((one for one in ways if explains(one.digits, common)), None)
        if sure is not None:
            known = f"{side} passes on {sure.text} (to {told(sure.digits)})"
            rest_is = "what other operations made of it" if sure.found is None else "something else"
            return Cause(f"{known}, and {rest} {rest_is}: one is missing on one side, or layers are swapped")
    return None


def _both(one: Expressed, other: Expressed) -> str:
    """What both sides pass on, and what that comes to."""
    if one.found is None and other.found is None:
        text = f"PyTorch takes `{one.operands[0]}` and Keras `{other.operands[0]}`"
        return f"{text}: another tensor as its input, or its inputs in another order"
    text = f"PyTorch passes on {one.text}, and Keras {other.text}"
    for full, bare, side in ((one, other, "Keras"), (other, one, "PyTorch")):
        if full.found is not None and bare.found is None and bare.operands[0] in full.operands:
            return f"{text}: {side} lacks {_operation(full.found)}"
    names = [item.found.name for item in (one, other) if item.found is not None]
    if len(names) == 2 and all(CONCATENATED in name for name in names):
        return f"{text}: in another order"
    return text


INNER = {name: FIXED[name] for name in ("relu", "tanh", "silu", "sigmoid", "gelu in the exact form", "square")}
CONCATENATED = "concatenated"
TURNED = {f"its input with {axes_names((0, 1), ndim)} swapped" for ndim in (2, 3, 4, 5)}


def _operation(found: Found) -> str:
    """What a formula does, in a word or two: "the addition", "relu"."""
    if found.family == "combining":
        words = {
            " plus ": "the addition",
            " times ": "the product",
            " minus ": "the subtraction",
            " over ": "the division",
        }
        return next((word for key, word in words.items() if key in found.phrase), "the operation")
    if found.family == "scaling":
        return "the scale"
    return {"masking": "the mask", "movement": "the change of places"}.get(found.family, found.name)


def expressed(earlier: Sequence[tuple[str, Array]], target: Array, least: float) -> Iterator[Expressed]:
    """The ways to write a tensor in terms of one or more earlier ones, the latest of these first."""
    earlier = [(name, _laid(array, target)) for name, array in earlier]
    for name, array in earlier:
        if array.shape == target.shape and digits(array, target) >= least:
            yield Expressed(digits(array, target), (name,))
    for place, (name, array) in enumerate(earlier):
        families = None if place < NEAREST else (activation, scaling, movement, masking)
        for found in identified((array,), target, {}, least, families):
            if found.phrase != "{0} itself":
                yield Expressed(found.digits, (name,), found)
    for name, array in earlier[:PAIRED]:
        if array.size <= target.size:
            continue
        for inner, function in INNER.items():
            for found in identified((function(array),), target, {}, least, (reduction,)):
                yield Expressed(found.digits, (name,), found, f"{inner} of ")
    for (first, one), (second, other) in itertools.combinations(earlier[:PAIRED], 2):
        for found in _fitting((one, other), target, least):
            if "alone" not in found.name:
                yield Expressed(found.digits, (first, second), found)
    for count, near in ((1, 6), (3, 4)):
        for several in itertools.combinations(earlier[:near], count):
            names = tuple(name for name, _ in reversed(several))
            for found in identified([array for _, array in reversed(several)], target, {}, least, (headed,)):
                yield Expressed(found.digits, names, found)
    for three in itertools.combinations(earlier[:5], 3):
        for found in _fitting([array for _, array in three], target, least):
            if all(f"{{{number}}}" in found.phrase for number in range(3)):
                yield Expressed(found.digits, tuple(name for name, _ in three), found)


def _laid(array: Array, target: Array) -> Array:
    """The same numbers in the target's shape, where only axes of length one tell the two apart."""
    if array.shape != target.shape and np.squeeze(array).shape == np.squeeze(target).shape:
        return array.reshape(target.shape)
    return array


@np.errstate(all="ignore")
def reordered(torch: Sequence[Array], keras: Sequence[Array]) -> Cause | None:
    """Whether a step is given the same tensors on both sides in another order; all arrays in Keras's layout."""
    if len(torch) != len(keras) or not 2 <= len(torch) <= 6:
        return None
    taken = []
    for other in keras:
        near = [digits(np.asarray(_laid(one, other)), other) for one in torch]
        best = int(np.argmax(near))
        if near[best] < verdict.IDENTIFIED["float32"] or best in taken:
            return None
        taken.append(best)
    if taken == sorted(taken):
        return None
    order = ", ".join(str(place + 1) for place in taken)
    return Cause(f"both take the same tensors in another order: Keras's are PyTorch's numbers {order}", "", True)


def _fitting(arrays: Sequence[Array], target: Array, least: float) -> Iterator[Found]:
    if any(array.ndim != target.ndim for array in arrays):
        return
    yield from identified(arrays, target, {}, least, (combining,))


def _shared(earlier: Sequence[tuple[str, Array]], torch: Array, keras: Array, least: float) -> Cause | None:
    """Both add to a multiple of one earlier tensor what is the same for every sample, such as a positional encoding."""
    for name, array in earlier:
        one, other = _affine(array, torch, least), _affine(array, keras, least)
        if one is None or other is None:
            continue
        texts = []
        for scale, rest in (one, other):
            head = f"`{name}`" if abs(scale - 1) < 1e-9 else f"{factor(scale, array.shape)} times `{name}`"
            texts.append(f"{head}{SHARED}" if np.any(rest) else head)
        if texts[0] != texts[1]:
            return Cause(f"PyTorch passes on {texts[0]}, and Keras {texts[1]}", "", True)
        way = next(iter(identified((one[1],), other[1], {}, least)), None)
        if way is not None and way.phrase != "{0} itself":
            head = texts[0].removesuffix(SHARED)
            text = f"both add to {head} what is the same for every sample, such as a positional encoding"
            return Cause(f"{text}; Keras's is {way.of(OTHERS)}", "", True)
        return Cause(
            f"both pass on {texts[0]}, such as a positional encoding, and the two encodings differ "
            f"(in {int(digits(one[1], other[1]))} digits they agree)"
        )
    return None


def _affine(array: Array, target: Array, least: float) -> tuple[float, Array] | None:
    """The factor and the rest, if the target is a multiple of an array plus something that all samples share."""
    if array.shape != target.shape or array.ndim < 2 or array.shape[0] < 2:
        return None
    x, y = array[1:] - array[:1], target[1:] - target[:1]
    scale = settled(y[np.abs(x) > 1e-6] / x[np.abs(x) > 1e-6])
    if not scale or digits(scale * x, y) < least:
        return None
    rest = target[:1] - scale * array[:1]
    small = np.max(np.abs(rest)) < 1e-9 * max(float(np.max(np.abs(target))), 1e-300)
    return scale, np.zeros_like(rest) if small else rest


def _apart(earlier: Sequence[tuple[str, Array]], torch: Array, keras: Array, least: float) -> Cause | None:
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
        if scale and digits(scale * array, difference) >= least:
            times = "" if abs(abs(scale) - 1) < 1e-9 else f"{factor(abs(scale), array.shape)} times "
            side, rest = ("Keras", "PyTorch") if scale > 0 else ("PyTorch", "Keras")
            return Cause(f"{side} adds {times}`{name}`, and {rest} does not", "", True)
        with np.errstate(all="ignore"):
            for side, rest, one, other in (("Keras", "PyTorch", torch, keras), ("PyTorch", "Keras", keras, torch)):
                if digits(one * array, other) >= least:
                    return Cause(f"{side} multiplies by `{name}`, and {rest} does not", "", True)
    return None
