"""A user's own Keras model: what it holds, without running it, and the one place that writes into it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ...core.errors import InputError, StateError, nearest
from ...core.technique import Arrays
from . import settings, weights
from .naming import named
from .structure import as_array

BATCH = 2
LENGTHS = (8, 32)  # of an axis of any size, in sequences and in pictures


class Live:
    """The layers and the tensors of a live model, by the names that its Subject gives them."""

    side = "keras"

    def __init__(self, model: Any) -> None:
        self.names = named(model)
        self.aliases: Mapping[str, str] = self.names.aliases
        self.layers = weights.layers(self.names, settings.static)

    def state(self) -> Arrays:
        """A copy of every weight and buffer that a layer holds."""
        held = {piece.tensor for layer in self.layers for slot in layer.slots for piece in slot.pieces}
        return {name: as_array(variable) for name, variable in self.names.variables.items() if name in held}

    def dtypes(self) -> dict[str, str]:
        """The type that the model itself holds each of them in, such as `bfloat16`."""
        return {name: tf.as_dtype(variable.dtype).name for name, variable in self.names.variables.items()}


def live(model: Any) -> Live:
    """What a live model holds. Raises InputError for weights that are not there yet."""
    if not model.built or not (model.weights or all(layer.built for layer in model._flatten_layers())):
        raise InputError("the Keras model has no weights before it is built; call it once on a batch, or give inputs=")
    return Live(model)


def write_live(model: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Copy arrays into tensors of a live model, by its Subject's names; all of them or none.

    Raises StateError for an unknown name, another shape, and numbers too large for a tensor's type.
    """
    variables = named(model).variables
    for name, array in arrays.items():
        if name not in variables:
            raise StateError(f"the Keras model has no weight {name!r}{nearest(name, variables)}", (name,))
        if tuple(array.shape) != tuple(variables[name].shape):
            wanted = tuple(variables[name].shape)
            raise StateError(f"{name} of the Keras model is {wanted} and not {tuple(array.shape)}", (name,))
        narrowed = tf.cast(array, variables[name].dtype)
        if narrowed.dtype.is_floating and not np.array_equal(as_array(tf.math.is_finite(narrowed)), np.isfinite(array)):
            dtype = narrowed.dtype.name
            raise StateError(f"{name} is {dtype} in the Keras model, and numbers are too large for it", (name,))
    before = {name: as_array(variables[name]) for name in arrays}
    try:
        for name, array in arrays.items():
            variables[name].assign(tf.cast(array, variables[name].dtype))
    except BaseException:
        for name, array in before.items():
            variables[name].assign(tf.cast(array, variables[name].dtype))
        raise


def drawn(model: Any) -> Iterator[list[NDArray[Any]]]:
    """Inputs that a model which knows their shapes may take: of the declared types, or of small whole numbers."""
    tensors = getattr(model, "inputs", None)
    known = [(one.shape, one.dtype) for one in tensors] if isinstance(tensors, list) else _built(model)
    if not known:
        return
    rng = np.random.default_rng(0)
    shapes = [(BATCH, *(size or LENGTHS[len(shape) > 3] for size in shape[1:])) for shape, _ in known]
    whole = [rng.integers(0, 2, shape) for shape in shapes]
    floats = [rng.standard_normal(shape) for shape in shapes]
    declared = [tf.as_dtype(dtype).is_floating for _, dtype in known]
    yield [real if is_float else number for is_float, real, number in zip(declared, floats, whole, strict=True)]
    if any(declared):
        yield whole


def _built(model: Any) -> list[tuple[tuple[int | None, ...], str]]:
    """The shapes on which a model of the user's own class was built, in the order of its arguments."""
    found = []
    for shape in (getattr(model, "_build_shapes_dict", None) or {}).values():
        if not isinstance(shape, tuple | list) or not all(size is None or isinstance(size, int) for size in shape):
            return []
        found.append((tuple(shape), "float32"))
    return found
