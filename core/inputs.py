"""The inputs that a user gives to a network: arrays by name, with the declared axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import SpecError, nearest
from .spec import Spec, Tensor
from .technique import Arrays
from .vision import ImageClassifier, ImageSpec

LARGE = 64  # times an image's size: more than any network is checked with


def named(spec: Spec, inputs: Any) -> Arrays:
    """Arrays by the names of a spec's inputs; a network of one input may be given the array itself.

    Raises SpecError for a missing input, and for one that holds no numbers or has other axes than declared, or is an
    image of a size that the network does not take.
    """
    declared = spec.inputs()
    if not isinstance(inputs, Mapping):
        if len(declared) > 1:
            raise SpecError(f"{spec.name} takes its inputs by name: {', '.join(tensor.name for tensor in declared)}")
        inputs = {declared[0].name: inputs}
    result: Arrays = {}
    for tensor in declared:
        if tensor.name not in inputs:
            raise SpecError(f"{spec.name} needs the input {tensor.name!r}{nearest(tensor.name, inputs)}")
        array = np.asarray(inputs[tensor.name])
        if array.dtype.kind not in ("iu" if tensor.dtype == "int" else "fiu") or not _fits(tensor, array.shape):
            raise SpecError(
                f"{spec.name} takes {tensor.name} as {tensor.dtype} ({tensor.axes.replace(' ', ', ')}), like "
                f"{tensor.shape}, not as {array.dtype} {array.shape}"
            )
        if isinstance(spec, ImageSpec):
            _sized(spec, array.shape[1], array.shape[2])
        result[tensor.name] = array.astype("int64" if tensor.dtype == "int" else "float64")
    return result


def _fits(tensor: Tensor, shape: tuple[int, ...]) -> bool:
    """As many axes, and as many channels; other sizes are the network's own affair."""
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
