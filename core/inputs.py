"""The inputs that a user gives to a network: arrays by name, with the declared axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError, SpecError, nearest
from .spec import Spec, Tensor
from .technique import Arrays
from .vision import ImageClassifier, ImageSpec

TEXT = {"tokens", "source", "target"}
LARGE = 64  # times an image's size: more than any network is checked with


def named(spec: Spec, inputs: Any, without: str = "") -> Arrays:
    """Arrays by the names of a spec's inputs, but for the one `without`; a single one may be given as the array itself.

    Raises InputError for a missing input, and for one that holds no numbers or has other axes than declared, for tokens
    that the network does not have, is too short for or that are padding alone, for sizes that do not agree, and for an
    image of a size that the network does not take.
    """
    declared = [tensor for tensor in spec.inputs() if tensor.name != without]
    if not isinstance(inputs, Mapping):
        if len(declared) > 1:
            raise InputError(f"{spec.name} takes its inputs by name: {', '.join(tensor.name for tensor in declared)}")
        inputs = {declared[0].name: inputs}
    result: Arrays = {}
    for tensor in declared:
        if tensor.name not in inputs:
            raise InputError(f"{spec.name} needs the input {tensor.name!r}{nearest(tensor.name, inputs)}")
        array = _array(spec, tensor, inputs[tensor.name])
        if isinstance(spec, ImageSpec):
            _sized(spec, array.shape[1], array.shape[2])
        if tensor.dtype == "int":
            _whole(spec, tensor, array)
        result[tensor.name] = array.astype("int64" if tensor.dtype == "int" else "float64")
    _agreeing(spec, declared, result)
    return result


def _array(spec: Spec, tensor: Tensor, given: Any) -> NDArray[Any]:
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise InputError(f"{spec.name} takes {tensor.name} as one array, whose rows are equally long") from error
    kinds = {"int": "iub" if tensor.high == 2 else "iu", "float": "fiu"}[tensor.dtype]
    if array.dtype.kind not in kinds or not _fits(tensor, array.shape):
        raise InputError(
            f"{spec.name} takes {tensor.name} as {tensor.dtype} ({tensor.axes.replace(' ', ', ')}), like "
            f"{tensor.shape}, not as {array.dtype} {array.shape}"
        )
    return array


def _whole(spec: Spec, tensor: Tensor, array: NDArray[Any]) -> None:
    """Raises InputError for whole numbers that are none of the network's tokens, or too many of them."""
    if not array.size:
        raise InputError(f"{spec.name} needs at least one number in {tensor.name}, not {array.shape}")
    wrong = np.argwhere((array < 0) | (array >= tensor.high))
    if len(wrong):
        place = ", ".join(map(str, wrong[0]))
        raise InputError(
            f"{spec.name} takes whole numbers from 0 to {tensor.high - 1} as {tensor.name}, and "
            f"{tensor.name}[{place}] is {array[tuple(wrong[0])]}"
        )
    if tensor.name not in TEXT:
        return
    longest = tensor.shape[1]
    if longest is not None and array.shape[1] > longest:
        raise InputError(f"{spec.name} takes at most {longest} {tensor.name} in a row, not {array.shape[1]}")
    padding = spec.fields().get("pad_token_id")
    empty = np.flatnonzero(np.all(array == padding, axis=1))
    if len(empty):
        raise InputError(f"row {empty[0]} of {tensor.name} is padding alone (token {padding}), so it says nothing")


def _agreeing(spec: Spec, declared: list[Tensor], arrays: Arrays) -> None:
    """Raises InputError where an axis of one name has two sizes. Channels may, and so may the time of two texts."""
    own = {"channels", "time"} if len(arrays.keys() & TEXT) > 1 else {"channels"}
    found: dict[str, tuple[str, int]] = {}
    for tensor in declared:
        for axis, size in zip(tensor.axes.split(), arrays[tensor.name].shape, strict=True):
            first, wanted = found.setdefault(axis, (tensor.name, size))
            if size != wanted and axis not in own:
                raise InputError(
                    f"{spec.name}: {axis} is {wanted} in {first} and {size} in {tensor.name}, and should be the same"
                )


def _fits(tensor: Tensor, shape: tuple[int, ...]) -> bool:
    """As many axes, and as many channels."""
    return len(shape) == len(tensor.shape) and (not tensor.axes.endswith("channels") or shape[-1] == tensor.shape[-1])


def _sized(spec: ImageSpec, height: int, width: int) -> None:
    if height != width:
        raise SpecError(f"{spec.name} takes square images, not of {height} by {width} pixels")
    other = spec.replace(image_size=height)
    if other != spec and _has_one_size(spec):
        raise SpecError(
            f"this {spec.name} takes images of {spec.image_size} pixels only, since it has a position for each patch, "
            f"and not of {height}; diglot.resize makes a network for these"
        )


def _has_one_size(spec: ImageSpec) -> bool:
    """Whether even a large network is checked at no other size than its own, as one of any size would be."""
    large = spec.replace(image_size=LARGE * spec.image_size)
    return isinstance(spec, ImageClassifier) and large.shrunk() == large
