"""Attention: its scale, which places are masked, what True in a mask means, and which operand is which."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .found import Array, Found, digits
from .masking import FAR
from .softmaxes import softmax

ROWS = 16
ADDED = ", -inf in its mask masked out"
SEEN, UNSEEN = ", True in its mask attended to", ", True in its mask masked out"


def attended(query: Array, key: Array, value: Array, scale: float, blocked: Array | None, axis: int = -1) -> Array:
    """softmax(scale query key^T) value over the last two axes; what is blocked gets no weight."""
    scores = scale * query @ np.swapaxes(key, -1, -2)
    if blocked is not None:
        scores = np.where(blocked, -np.inf, scores)
    with np.errstate(all="ignore"):
        return np.asarray(softmax(scores, axis) @ value)


def additive(array: Array) -> bool:
    """Whether an array is a mask that is added to scores: zero where they stay, and far below it where they go."""
    if array.dtype.kind != "f" or not array.size:
        return False
    low = array <= FAR
    return bool(low.any() and np.all(array[~low] == 0))


def attention(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """Which attention of (query, key, value[, mask]) gives the output.

    All have three axes, or four with the heads in second or third place. With `query.kernel` (in, heads, depth) and
    its like among the tensors, the inputs are projected first: one input attends to itself.
    """
    y = np.asarray(output, np.float64)
    masks = [array for array in inputs if array.dtype.kind in "bui" or additive(array)]
    floats = [
        np.asarray(array, np.float64)
        for array in inputs
        if array.dtype.kind == "f" and array.ndim == y.ndim and not additive(array)
    ]
    if place := _mixed(masks, len(y)):  # a sample in which something is masked, for the first one is tried
        turned = np.roll(np.arange(len(y)), -place)
        floats = [array[turned] if len(array) == len(y) else array for array in floats]
        masks, y = [array[turned] if len(array) == len(y) else array for array in masks], y[turned]
    if "query.kernel" in tensors:
        yield from _projected(floats, masks, y, tensors)
        return
    if len(floats) < 3 or y.ndim not in (3, 4):
        return
    for heads, (words, order) in itertools.product(
        (1, 2) if y.ndim == 4 else (1,),
        (("", (0, 1, 2)), (", key and value swapped", (0, 2, 1)), (", query and key swapped", (1, 0, 2))),
    ):
        query, key, value = (np.swapaxes(floats[place], 1, heads)[:1] for place in order)
        if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
            continue
        added = floats[3:4] or masks[:1]
        yield from _grid(query, key, value, np.swapaxes(y, 1, heads)[:1], added, words, len(y))


def _grid(
    query: Array,
    key: Array,
    value: Array,
    y: Array,
    masks: Sequence[Array],
    words: str,
    batch: int,
    what: str = "attention",
) -> Iterator[Found]:
    depth, scores = query.shape[-1], (batch, *query.shape[1:-1], key.shape[-2])
    heads = query.shape[1] if query.ndim == 4 else 1
    if query.ndim == 4:
        query, key, value, y = (array[:, :1] for array in (query, key, value, y))
    scales = {
        f"scale 1 / sqrt({depth})": depth**-0.5,
        "no scale": 1.0,
        f"scale 1 / {depth}": 1 / depth,
        f"scale 1 / sqrt({depth * heads}), of all heads together": (depth * heads) ** -0.5,
        f"scale sqrt({depth})": depth**0.5,
        f"scale 1 / {depth}, as if 1 / sqrt({depth}) were applied twice": 1 / depth,
    }
    for (told, scale), (hidden, blocked) in itertools.product(scales.items(), _blockings(scores, masks, 1)):
        for axis, over in ((-1, ""), (-2, ", softmax over the queries")):
            here = blocked if blocked is None or blocked.ndim < 4 else blocked[:, :1]
            made = attended(query, key, value, scale, here, axis)
            if made.shape == y.shape and np.isfinite(made).all():
                yield Found(
                    "attention",
                    f"{what} with {told}{hidden}{over}{words}",
                    digits(made, y),
                    "{0} attended with " + told,
                )


def opposite(one: tuple[Sequence[Array], str], other: tuple[Sequence[Array], str]) -> bool:
    """Whether what one attention masks out is just what another attends to, by their inputs and formulas' names."""
    first, second = _hidden(*one), _hidden(*other)
    if first is None or second is None:
        return False
    first, second = np.squeeze(first), np.squeeze(second)
    return first.shape == second.shape and np.array_equal(first, ~second)


def _hidden(inputs: Sequence[Array], name: str) -> Array | None:
    """What a formula says that the mask among the inputs hides."""
    mask = next((array for array in inputs if array.dtype.kind in "bui" or additive(array)), None)
    if mask is None:
        return None
    words = {ADDED: mask <= FAR, SEEN: mask == 0, UNSEEN: mask != 0}
    return next((np.asarray(hidden) for told, hidden in words.items() if told in name), None)


def headed(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """Which attention in several heads gives (batch, time, channels), or this split into heads.

    The inputs are query, key and value in any order, (batch, time, channels) each, or one array that holds all three.
    """
    y = np.asarray(output, np.float64)
    if y.ndim not in (3, 4) or any(array.ndim != 3 or array.dtype.kind != "f" for array in inputs):
        return
    width = y.shape[-1] if y.ndim == 3 else y.shape[1] * y.shape[-1] if y.shape[2] == inputs[0].shape[1] else 0
    packed = len(inputs) == 1 and inputs[0].shape[-1] == 3 * width
    apart = len(inputs) == 3 and all(array.shape[-1] == width for array in inputs)
    if not width or not (packed or apart):
        return
    if y.ndim == 4:
        counts = [y.shape[1]]
        y = y.swapaxes(1, 2).reshape(len(y), -1, width)
    else:
        counts = [count for count in range(1, min(width, 64) + 1) if width % count == 0]
    for count in counts:
        for words, three in _threes(inputs, count):
            shapes = [array.shape for array in three]
            if shapes[1] != shapes[2] or shapes[0][2] != y.shape[1]:
                continue
            split = y[:1].reshape(1, y.shape[1], count, -1).swapaxes(1, 2)
            for found in _grid(three[0], three[1], three[2], split, (), words, 1, f"attention of {count} heads"):
                names = ", ".join(f"{{{place}}}" for place in range(len(inputs)))
                yield Found("attention", found.name, found.digits, f"{found.name}, of {names}")


PARTS = ("query", "key", "value")


def _threes(inputs: Sequence[Array], count: int) -> Iterator[tuple[str, tuple[Array, Array, Array]]]:
    """Query, key and value of the first sample, (1, heads, time, depth) each, as they may be meant."""
    for order in itertools.permutations(range(3)):
        told = (
            ""
            if order == (0, 1, 2)
            else f", its parts taken as {', '.join(PARTS[order.index(place)] for place in range(3))}"
        )
        if len(inputs) == 3:
            one, two, three = (_split(inputs[place][:1], count) for place in order)
            yield told, (one, two, three)
            continue
        whole = np.asarray(inputs[0][:1], np.float64)
        one, two, three = (_split(np.split(whole, 3, -1)[place], count) for place in order)
        yield told, (one, two, three)
        if count > 1:
            mixed = whole.reshape(1, whole.shape[1], count, 3, -1).transpose(3, 0, 2, 1, 4)
            yield f"{told}, head by head", (mixed[order[0]], mixed[order[1]], mixed[order[2]])


def _split(x: Array, count: int) -> Array:
    return np.asarray(x, np.float64).reshape(*x.shape[:-1], count, -1).swapaxes(1, 2)


def _blockings(scores: tuple[int, ...], masks: Sequence[Array], batch: int) -> Iterator[tuple[str, Array | None]]:
    """The places that may be masked, in words and as an array for the first samples of so many."""
    yield ", every place seen", None
    future = np.triu(np.ones(scores[-2:], bool), 1)
    yield ", causal", future
    if scores[-1] == scores[-2]:
        yield ", the past masked instead of the future", future.T
        yield ", each place masked from itself as well", np.triu(np.ones(scores[-2:], bool))
    for mask in masks:
        if mask.dtype.kind == "f" and not additive(mask):
            continue
        for shape in _places(mask.shape, scores):
            if mask.dtype.kind == "f":
                held = np.broadcast_to(mask.reshape(shape) <= FAR, scores)[:batch]
                yield ADDED, held
                yield f", causal and{ADDED[1:]}", held | future
                continue
            held = np.broadcast_to(mask.reshape(shape).astype(bool), scores)[:batch]
            yield SEEN, ~held
            yield UNSEEN, held
            yield ", causal and True in its mask attended to", ~held | future
            yield ", causal and True in its mask masked out", held | future


def _places(mask: tuple[int, ...], scores: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    shapes = [mask, (1,) * (len(scores) - len(mask)) + mask]
    if len(mask) == 2:
        shapes.append((mask[0], *(1,) * (len(scores) - 2), mask[1]))
    if len(mask) == 3:
        shapes.append((mask[0], *(1,) * (len(scores) - 3), *mask[1:]))
    for shape in dict.fromkeys(shapes):
        if len(shape) == len(scores) and all(have in (1, want) for have, want in zip(shape, scores, strict=True)):
            yield shape


def _mixed(masks: Sequence[Array], batch: int) -> int:
    """The first sample of which a mask hides a part."""
    for mask in masks:
        if mask.ndim > 1 and len(mask) == batch:
            for place, own in enumerate(mask <= FAR if mask.dtype.kind == "f" else mask):
                if np.any(own) and not np.all(own):
                    return place
    return 0


def _projected(
    inputs: Sequence[Array], masks: Sequence[Array], y: Array, tensors: Mapping[str, Array]
) -> Iterator[Found]:
    own = {name: np.asarray(tensor, np.float64) for name, tensor in tensors.items()}
    parts = ("query", "key", "value")
    if not inputs or any(f"{part}.kernel" not in own for part in (*parts, "output")) or inputs[0].ndim != 3:
        return
    count = own["query.kernel"].shape[1]
    given = [list(inputs[:3]) if len(inputs) >= 3 else [inputs[0], inputs[-1], inputs[-1]]]
    told = [""]
    if len(inputs) >= 3 and inputs[1].shape == inputs[2].shape:
        given.append([inputs[0], inputs[2], inputs[1]])
        told.append(", key and value swapped")
    if len(inputs) >= 2:
        given += [[inputs[0]] * 3, [inputs[-1]] * 3, [inputs[-1], inputs[0], inputs[0]]]
        told += [
            ", key and value taken from the query's tensor",
            ", the query taken from the key's tensor",
            ", the query's tensor and the key's swapped",
        ]
    width = own["query.kernel"].shape[1] * own["query.kernel"].shape[2]
    heads = [count, *(other for other in range(1, min(width, 64) + 1) if width % other == 0 and other != count)]
    for (words, three), number in itertools.product(zip(told, given, strict=True), heads):
        try:
            projected = [
                _heads(array, own[f"{part}.kernel"], own.get(f"{part}.bias"), number)
                for part, array in zip(parts, three, strict=True)
            ]
        except ValueError:
            continue
        kernel = own["output.kernel"].reshape(-1, own["output.kernel"].shape[-1])
        yield from _back(projected, masks, y[:1, :ROWS], len(y), kernel, own.get("output.bias"), words, number)


def _heads(x: Array, kernel: Array, bias: Array | None, heads: int) -> Array:
    made = x @ kernel.reshape(kernel.shape[0], -1)
    if bias is not None:
        made = made + bias.ravel()
    return np.swapaxes(made.reshape(*made.shape[:-1], heads, -1), 1, 2)


def _back(
    three: Sequence[Array],
    masks: Sequence[Array],
    y: Array,
    batch: int,
    kernel: Array,
    bias: Array | None,
    words: str,
    heads: int,
) -> Iterator[Found]:
    query, key, value = (array[:1] for array in three)
    depth, scores = query.shape[-1], (batch, *query.shape[1:-1], key.shape[-2])
    scales = {f"scale 1 / sqrt({depth})": depth**-0.5, "no scale": 1.0, f"scale 1 / {depth}": 1 / depth}
    scales[f"scale 1 / sqrt({depth * heads})"] = 1 / math.sqrt(depth * heads)
    for (told, scale), (hidden, blocked) in itertools.product(scales.items(), _blockings(scores, masks, 1)):
        hidden_here = None if blocked is None else blocked[..., :ROWS, :]
        mixed = np.swapaxes(attended(query[..., :ROWS, :], key, value, scale, hidden_here), 1, 2)
        made = mixed.reshape(*mixed.shape[:2], -1) @ kernel
        name = f"attention of {heads} heads with {told}{hidden}{words}"
        if made.shape == y.shape and np.isfinite(made).all():
            yield Found("attention", name, digits(made if bias is None else made + bias, y))
            if bias is not None and np.any(bias):
                yield Found("attention", f"{name}, without its output's bias", digits(made, y))
