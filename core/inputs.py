"""The inputs that a user gives to a network: arrays by name, with the declared axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import SpecError, nearest
from .spec import Spec, Tensor
from .technique import Arrays


def named(spec: Spec, inputs: Any) -> Arrays:
    """Arrays by the names of a spec's inputs; a network of one input may be given the array itself.

    Raises SpecError for a missing input, and for one that holds no numbers or has other axes than declared.
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
        result[tensor.name] = array.astype("int64" if tensor.dtype == "int" else "float64")
    return result


def _fits(tensor: Tensor, shape: tuple[int, ...]) -> bool:
    """As many axes, and as many channels; other sizes are the network's own affair."""
    return len(shape) == len(tensor.shape) and (not tensor.axes.endswith("channels") or shape[-1] == tensor.shape[-1])
