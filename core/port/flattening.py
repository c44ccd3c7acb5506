"""Which features are which where a feature map is flattened, or one is made of features: each framework has its order.

PyTorch's `(channels height width)` is Keras's `(height width channels)`. What a run did says whether that is so: the
map's numbers are looked for in the flattened array, in every order of the map's axes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..axes import Array
from ..errors import InputError
from .fitting import sizes_in
from .layer import BLOCK, Step, Trace
from .roles import MOVING
from .units import Unit
from .wiring import Wiring

SPATIAL = frozenset(
    {"convolution", "depthwise_convolution", "transposed_convolution", "max_pool", "average_pool", "upsample",
     "zero_pad", "batch_norm", "group_norm"}
)  # fmt: skip
MIXING = frozenset(
    {"dense", "embedding", "lstm", "gru", "rnn", "attention", "matmul", "scaled_dot_product_attention", "custom",
     "concatenate", "global_average_pool", "global_max_pool", "mean", "sum"}
)  # fmt: skip
NORMS = frozenset({"batch_norm", "layer_norm", "rms_norm", "prelu"})
SPACES = {1: ("width",), 2: ("height", "width"), 3: ("depth", "height", "width")}
SAMPLE = 256


@dataclass(frozen=True)
class Folded:
    """The axes of a map that lie in one axis of features, by their places in the map; `shape` is the map's.

    `spatial` says whether the layers about it work on maps: then PyTorch has channels behind the batch.
    """

    shape: tuple[int, ...]
    axes: tuple[int, ...]
    spatial: bool | None


@dataclass(frozen=True)
class Order:
    """The names of the features' parts on both sides, and their sizes."""

    torch: tuple[str, ...]
    keras: tuple[str, ...]
    sizes: dict[str, int]


class Course:
    """A run, by what made each of its arrays and what took it."""

    def __init__(self, trace: Trace) -> None:
        self.steps = [step for step in trace.steps if step.role != BLOCK]
        self.makers: dict[int, Step] = {}
        self.takers: dict[int, list[Step]] = {}
        for step in self.steps:
            for array in step.inputs:
                self.takers.setdefault(id(array), []).append(step)
            for array in step.outputs:
                if all(array is not other for other in step.inputs):
                    self.makers.setdefault(id(array), step)

    def is_spatial(self, array: Array) -> bool | None:
        """Whether an array is a map, by the nearest layer that tells; None where none does."""
        return self._spatial(array, back=True)

    def beside(self, weight: Array) -> Array | None:
        """The map that a function takes together with a weight, which is found by its numbers."""
        for step in self.steps:
            for array in step.inputs:
                if array.shape == weight.shape and np.array_equal(array, weight):
                    others = [one for one in step.inputs if one is not array and one.ndim >= array.ndim]
                    return max(others, key=lambda one: one.ndim, default=None)
        return None

    def parts(self, step: Step | None, end: str) -> list[tuple[int, Folded | None]]:
        """The features that a layer takes, or gives, in their runs: how many, and how each was folded from a map.

        There are several where arrays were joined along the last axis, as a flattened map and a few numbers are.
        """
        arrays = (step.inputs if end == "before" else step.outputs) if step else ()
        if not arrays or not arrays[0].ndim:
            return []
        if end == "before":
            flat = self._last(arrays[0], lambda array: self._kept(array, back=True))
            maker = self.makers.get(id(flat))
            joined = [] if maker is None or maker.role != "concatenate" else list(maker.inputs)
            if joined and sum(one.shape[-1] for one in joined if one.ndim == flat.ndim) == flat.shape[-1]:
                return [(one.shape[-1], self._folded(one, back=True)) for one in joined if one.ndim == flat.ndim]
        return [(arrays[0].shape[-1], self._folded(arrays[0], back=end == "before"))]

    def _folded(self, features: Array, back: bool) -> Folded | None:
        flat = self._last(features, lambda array: self._kept(array, back))
        found = self._last(flat, lambda array: self._moved(array, back))
        return None if found is flat else _folded(found, flat, self._spatial(found, back))

    def _last(self, array: Array, follow: Callable[[Array], Iterator[Array]]) -> Array:
        for _ in range(len(self.makers) + 1):
            following = next(follow(array), None)
            if following is None:
                break
            array = following
        return array

    def _beside(self, array: Array, back: bool) -> Iterator[tuple[Step, tuple[Array, ...]]]:
        if back and id(array) in self.makers:
            yield self.makers[id(array)], self.makers[id(array)].inputs
        elif not back:
            yield from ((step, step.outputs) for step in self.takers.get(id(array), ()))

    def _kept(self, array: Array, back: bool) -> Iterator[Array]:
        """Through a step that leaves each feature where it is."""
        for step, others in self._beside(array, back):
            if step.role == "batch_norm" or step.role not in MOVING | MIXING | SPATIAL:
                yield from (one for one in others if one.shape == array.shape)

    def _moved(self, array: Array, back: bool) -> Iterator[Array]:
        """Through a step that only moves numbers about, or drops none in a run that is no training."""
        for step, others in self._beside(array, back):
            if step.role in MOVING or (step.role == "dropout" and back):
                yield from (one for one in others if one.size == array.size)

    def _spatial(self, array: Array, back: bool) -> bool | None:
        """Whether the nearest layer that tells works on maps; None where none does."""
        end = self._last(array, lambda one: self._kept(one, back))
        for step, _ in self._beside(end, back):
            if step.role in SPATIAL:
                return True
            if step.role in MIXING - {"concatenate", "custom"}:
                return False
        return None


def ends(role: str, slot: str, axis: str) -> tuple[str, ...]:
    """At which ends of a layer a weight's axis may be features of a flattened map: what it takes, or what it gives."""
    if role in NORMS and axis == "channels":
        return "before", "behind"
    if role in ("dense", "lstm", "gru", "rnn") and axis == "in" and slot.startswith("kernel"):
        return ("before",)
    return ("behind",) if role == "dense" and axis == "out" else ()


def refuse(unit: Unit, wiring: Wiring) -> None:
    """Refuse a dense layer beside a convolution whose features may be a flattened map, where no run tells.

    Raises InputError.
    """
    if unit.layer.role != "dense":
        return
    for end, near, size in (("before", wiring.before[unit], 2), ("behind", wiring.after[unit], 3)):
        for other in near:
            channels = _channels(other, end)
            if channels > 1 and unit.key[size] > channels and unit.key[size] % channels == 0:
                raise InputError(
                    f"{unit.layer.name} has {unit.key[size]} features beside {other.layer.name} with {channels} "
                    "channels, so a feature map may be flattened between them, which PyTorch and Keras do in another "
                    "order; give inputs=, of which a run tells"
                )


def _channels(unit: Unit, end: str) -> int:
    """The channels of the map that a convolution, or a normalisation of maps, gives or takes."""
    if unit.layer.role in ("batch_norm", "group_norm"):
        return int(unit.main().shape[0])
    if unit.layer.role not in SPATIAL:
        return 0
    sizes = sizes_in(unit.main())
    if "in" not in sizes:
        return sizes.get("channels", 0) * (sizes.get("multiplier", 1) if end == "before" else 1)
    return sizes["out" if end == "before" else "in"]


def turned(torch: Array | None, keras: Array | None, rank: int, course: Course) -> tuple[int, ...]:
    """The order in which Keras has the last axes of a map of PyTorch's; nothing where there is no map on both sides."""
    if torch is None or keras is None or torch.ndim != keras.ndim or torch.ndim < 3 or not 0 <= torch.ndim - rank < 2:
        return ()
    if np.moveaxis(torch, 1, -1).shape != keras.shape:
        return ()
    if torch.shape == keras.shape and course.is_spatial(torch) is False:
        return ()
    first = rank + 1 - torch.ndim  # the channels' place: behind the batch, where the weight has an axis for that
    return (*range(first), *range(first + 1, rank), first)


def orders(
    torch: list[tuple[int, Folded | None]], keras: list[tuple[int, Folded | None]]
) -> list[tuple[int, Order | None]]:
    """The order of each run of features on both sides; nothing where the runs are not the same."""
    if [width for width, _ in torch] != [width for width, _ in keras]:
        return []
    return [(width, order(one, other)) for (width, one), (_, other) in zip(torch, keras, strict=True)]


def apart(torch: list[tuple[int, Folded | None]], keras: Step | None, end: str, rank: int) -> Order | None:
    """The order of features that Keras does not flatten but takes, or gives, as a map; `keras` names all its axes."""
    arrays = (keras.inputs if end == "before" else keras.outputs) if keras else ()
    if len(torch) != 1 or not arrays or arrays[0].ndim != rank + 1:
        return None
    found = order(torch[0][1], Folded(arrays[0].shape, tuple(range(1, rank + 1)), None))
    return found and replace(found, keras=(*SPACES[rank - 1], "channels"))


def order(torch: Folded | None, keras: Folded | None) -> Order | None:
    """The features' order on both sides, or None where it is one and the same, or no map that both have is folded."""
    if torch is None or keras is None or len(torch.shape) != len(keras.shape) or len(torch.shape) - 2 not in SPACES:
        return None
    batch, channels, *space = torch.shape
    names = SPACES[len(space)]
    moved = (batch, *space, channels) == keras.shape
    if not moved or (torch.shape == keras.shape and torch.spatial is False) or _are_heads(torch, keras):
        return None
    ours = dict(enumerate(("batch", "channels", *names)))
    theirs = dict(enumerate(("batch", *names, "channels")))
    sizes = dict(zip(theirs.values(), keras.shape, strict=True))
    one = tuple(ours[axis] for axis in torch.axes if sizes[ours[axis]] > 1)
    other = tuple(theirs[axis] for axis in keras.axes if sizes[theirs[axis]] > 1)
    if one == other or sorted(one) != sorted(other):
        return None
    return Order(one, other, {name: sizes[name] for name in one})


def _are_heads(torch: Folded, keras: Folded) -> bool:
    """Whether no map is folded but heads and their depth, which PyTorch has before and behind time, or as Keras has.

    Where there are as many heads as a head is deep, sizes alone do not tell the two apart.
    """
    batch, second, third, *_ = torch.shape
    swapped = (batch, third, second, *torch.shape[3:]) == keras.shape
    return not torch.spatial and swapped and torch.axes == (1, 3) and keras.axes == (2, 3)


def _folded(found: Array, flat: Array, spatial: bool | None) -> Folded | None:
    """The order in which an array holds a map's numbers, told by the numbers themselves."""
    if found.ndim > 5:
        return None
    for axes in itertools.permutations(range(found.ndim)):
        turned = found.transpose(axes)
        if _same(turned, flat):
            folded = _trailing([(axis, found.shape[axis]) for axis in axes], flat.shape[-1])
            return Folded(found.shape, folded, spatial) if folded else None
    return None


def _same(turned: Array, flat: Array) -> bool:
    few = bool(np.array_equal(turned.flat[:SAMPLE], flat.flat[:SAMPLE]))
    return few and np.array_equal(turned.reshape(-1), flat.reshape(-1))


def _trailing(axes: Sequence[tuple[int, int]], size: int) -> tuple[int, ...]:
    """The last axes that make up so many features together; none where none do."""
    for count in range(1, len(axes) + 1):
        if math.prod(length for _, length in axes[-count:]) == size:
            return tuple(axis for axis, _ in axes[-count:])
    return ()
