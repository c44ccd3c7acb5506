"""An attention that both sides have in several steps: what each makes of its queries, keys and values, side by side."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..backend import SIDES
from ..formulas.attention import additive
from ..formulas.found import digits
from ..formulas.masking import FAR
from ..formulas.scoring import SURE, bias_told, mask_told, rotated, scale_told, scored, shares
from ..formulas.softmaxes import softmax
from .evidence import Array
from .layer import BLOCK, CUSTOM, Step
from .porting import Porting
from .roles import CHANCE, MOVING

WHOLE = frozenset({"attention", "scaled_dot_product_attention"})
PRODUCTS = frozenset({"matmul", "einsum"})
FUSED = "scaled_dot_product_attention"
THROUGH = MOVING | CHANCE | {"concatenate", "multiply", "add", "subtract", "neg", "divide", "rms_norm", "layer_norm"}
"""The roles of steps between a projection and the product that it goes into: heads are cut, scaled and rotated."""
WORDS = ("heads", "scale", "scale of what is multiplied", "mask", "bias", "query", "key", "groups")


@dataclass(frozen=True)
class Core:
    """One attention of a run. `start` and `end` are the places of its first step and of the one that takes its result.

    Queries, keys and values are (batch, heads, time, depth) as the products take them, `weights` the softmax's result,
    and `raw` the queries and the keys before they were scaled or rotated, where that is found.
    """

    name: str
    start: int
    end: int
    query: Array
    key: Array
    weights: Array
    raw: tuple[Array | None, Array | None]


def cause(porting: Porting, torch: int, keras: int) -> tuple[str, str, str] | None:
    """Why two attentions differ around places of both runs, with the names of their steps; None where nothing tells.

    Either place is -1 where it is not known.
    """
    found = [list(_cores(porting.traces[side].steps)) for side in SIDES]
    if len(found[0]) != len(found[1]):
        return None
    for one, other in zip(*found, strict=True):
        if _within(one, torch) and _within(other, keras):
            text = _differing(one, other)
            return (one.name, other.name, text) if text else None
    return None


def _within(core: Core, place: int) -> bool:
    return place < 0 or core.start <= place <= core.end


def _differing(one: Core, other: Core) -> str:
    """The properties in which the two differ, as a sentence."""
    ours, theirs = (told(core) for core in (one, other))
    words = [word for word in WORDS if word in ours and word in theirs and ours[word] != theirs[word]]
    if not words:
        return ""
    sides = [", ".join(described[word] for word in words) for described in (ours, theirs)]
    return f"the attentions differ: PyTorch's `{one.name}` has {sides[0]}, and Keras's `{other.name}` {sides[1]}"


def told(core: Core) -> dict[str, str]:
    """What an attention does, in words: its heads, scale, mask and bias, how it rotates, and who shares keys."""
    heads, depth = core.query.shape[1], core.query.shape[-1]
    found = {"heads": f"{heads} heads"}
    unit = 1.0
    for name, raw, made in (("query", core.raw[0], core.query), ("key", core.raw[1], core.key)):
        if raw is None:
            continue
        size = float(np.sqrt(np.sum(made**2) / np.sum(raw**2)))
        unit *= size
        if turned := rotated(raw, made / size):
            found[name] = f"{'queries' if name == 'query' else 'keys'} {turned}"
    if groups := shares(core.key):
        if len(set(groups)) < heads:
            found["groups"] = f"heads that take the keys {', '.join(str(group + 1) for group in groups)}"
    if (way := scored(core.query, core.key, core.weights)) is not None:
        known = "scale" if all(raw is not None for raw in core.raw) else "scale of what is multiplied"
        found[known] = scale_told(way.scale * unit, depth, heads)
        found["mask"] = mask_told(way.seen)
        found["bias"] = bias_told(way.bias, way.seen)
    return found


def _cores(steps: Sequence[Step]) -> Iterator[Core]:
    """The attentions of a run, in their order."""
    makers: dict[int, int] = {}
    for place, step in enumerate(steps):
        if step.role not in (BLOCK, CUSTOM):
            for array in step.outputs:
                if all(array is not other for other in step.inputs):
                    makers.setdefault(id(array), place)
    for place, step in enumerate(steps):
        if step.role == FUSED and len(step.inputs) >= 3:
            if core := _fused(steps, makers, place):
                yield core
        elif step.role == "softmax" and step.inputs and (core := _spelt(steps, makers, place)):
            yield core


def _spelt(steps: Sequence[Step], makers: dict[int, int], place: int) -> Core | None:
    """An attention by its softmax: the product before it, and the one behind."""
    weights = steps[place].outputs[0]
    before = next((at for at in _back(steps, makers, weights, PRODUCTS) if len(steps[at].inputs) == 2), None)
    if before is None or weights.ndim not in (3, 4):
        return None
    behind = next((at for at in range(place + 1, len(steps)) if steps[at].role in PRODUCTS), place)
    product = steps[before]
    both = _turned(product.inputs[0], product.inputs[1], product.outputs[0])
    return both and _core(steps, makers, product, (before, behind), both, _headed(weights))


def _fused(steps: Sequence[Step], makers: dict[int, int], place: int) -> Core | None:
    """An attention that is one function, whose weights are computed again by its settings, and tried on its result."""
    step = steps[place]
    query, key, value = step.inputs[:3]
    if any(array.ndim != 4 for array in (query, key, value)):
        return None
    for axis in (1, 2):
        q, k, v = (np.swapaxes(array, 1, axis) for array in (query, key, value))
        if q.shape[-1] != k.shape[-1] or q.shape[1] % k.shape[1]:
            continue
        k, v = (np.repeat(array, q.shape[1] // k.shape[1], 1) for array in (k, v))
        for blocked in _blocked(step, (*q.shape[:-1], k.shape[-2])):
            scale = step.settings.get("scale")
            scores = q @ np.swapaxes(k, -1, -2) * (q.shape[-1] ** -0.5 if scale is None else float(scale)) + blocked
            weights = softmax(scores, -1)
            if digits(np.swapaxes(weights @ v, 1, axis), step.outputs[0]) >= SURE:
                return _core(steps, makers, step, (place, place), (q, k), weights)
    return None


def _blocked(step: Step, scores: tuple[int, ...]) -> Iterator[Array]:
    """What may be added to the scores: by the mask given, in either sense, and by the setting."""
    future = np.triu(np.full(scores[-2:], -np.inf), 1) if step.settings.get("causal") else np.zeros(scores[-2:])
    masks = [array for array in step.inputs[3:] if array.ndim <= len(scores)]
    for mask in masks:
        if mask.dtype.kind == "f":
            yield np.broadcast_to(np.where(mask <= FAR, -np.inf, mask) if additive(mask) else mask, scores) + future
        else:
            for hidden in (mask == 0, mask != 0):
                yield np.broadcast_to(np.where(hidden, -np.inf, 0.0), scores) + future
    if not masks:
        yield future


def _core(
    steps: Sequence[Step],
    makers: dict[int, int],
    product: Step,
    places: tuple[int, int],
    both: tuple[Array, Array],
    weights: Array,
) -> Core | None:
    """The core of the queries and keys that a product takes."""
    raw, starts = [], [places[0]]
    for array, made in zip(product.inputs, both, strict=False):
        source = _source(steps, makers, array, made)
        raw.append(source)
        starts += _back(steps, makers, array, None)
    end = places[1] + 1
    while end < len(steps) and steps[end].role in (*MOVING, *CHANCE):
        end += 1
    return Core(product.name, min(starts), end, both[0], both[1], weights, (raw[0], raw[1]))


def _back(steps: Sequence[Step], makers: dict[int, int], array: Array, wanted: frozenset[str] | None) -> list[int]:
    """The steps on the way back from a tensor: to those of the wanted roles, or all of them up to the projections."""
    found: list[int] = []
    way, known = [array], set()
    while way:
        at = makers.get(id(way.pop()), -1)
        if at < 0 or at in known:
            continue
        known.add(at)
        step = steps[at]
        if wanted is not None and step.role in wanted:
            found.append(at)
        elif not step.layer or step.role in CHANCE or (wanted is None and step.role in THROUGH):
            if wanted is None:
                found.append(at)
            if wanted is not None or step.role in THROUGH:
                way += step.inputs
    return found


def _source(steps: Sequence[Step], makers: dict[int, int], array: Array, made: Array) -> Array | None:
    """A projection's own numbers as heads, found where nothing has been computed with them yet."""
    for at in sorted(_back(steps, makers, array, None)):
        for given in steps[at].inputs:
            if at >= 0 and steps[at].role in MOVING and (laid := _laid(given, made)) is not None:
                return laid
    return None


def _laid(given: Array, made: Array) -> Array | None:
    """A tensor in the shape of heads, where its numbers are turned or scaled to theirs: their lengths tell."""
    batch, heads, time, depth = made.shape
    for few in {heads, *(count for count in range(1, heads) if heads % count == 0)}:
        if given.size != batch * few * time * depth:
            continue
        for shape, axes in (((batch, time, few, depth), (0, 2, 1, 3)), ((batch, few, time, depth), (0, 1, 2, 3))):
            split = given.reshape(shape).transpose(axes)
            for repeat in (np.repeat, _tiled) if few < heads else (np.repeat,):
                whole = repeat(split, heads // few, 1)
                one, other = (np.sum(array**2, -1) for array in (whole, made))
                if one.any() and digits(one * (np.sum(other) / np.sum(one)), other) >= SURE:
                    return np.asarray(whole, np.float64)
    return None


def _tiled(array: Array, count: int, axis: int) -> Array:
    return np.concatenate([array] * count, axis)


def _turned(query: Array, key: Array, product: Array) -> tuple[Array, Array] | None:
    """Queries and keys as (batch, heads, time, depth), of which the product (batch, heads, queries, keys) is made."""
    if query.ndim != key.ndim or query.ndim not in (3, 4):
        return None
    orders = [(0, 1, 2), (0, 2, 1)] if query.ndim == 3 else [(0, 1, 2, 3), (0, 2, 1, 3), (0, 1, 3, 2), (0, 2, 3, 1)]
    for one, other in itertools.product(orders, repeat=2):
        q, k = query.transpose(one), key.transpose(other)
        if q.shape[:-2] != k.shape[:-2] or q.shape[-1] != k.shape[-1]:
            continue
        made = q @ np.swapaxes(k, -1, -2)
        if made.shape == product.shape and digits(made, product) >= SURE:
            return _headed(q), _headed(k)
    return None


def _headed(array: Array) -> Array:
    """(batch, time, depth) as one head."""
    return np.asarray(array if array.ndim == 4 else array[:, None], np.float64)
