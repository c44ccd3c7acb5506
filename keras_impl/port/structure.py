"""The tensors in the arguments and results of a call, in order, and the same call with others in their place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def is_tensor(value: Any) -> bool:
    """Whether a value is a tensor with numbers in it, or a variable."""
    return isinstance(value, (keras.Variable, tf.Variable)) or (tf.is_tensor(value) and hasattr(value, "numpy"))


def tensors(structure: Any, but: Collection[int] = ()) -> list[Any]:
    """Every tensor in lists, tuples and dictionaries, in their order; those whose `id` is in `but` are left out."""
    return [tensor for tensor in _walk(structure) if id(tensor) not in but]


def _walk(structure: Any) -> Iterator[Any]:
    if is_tensor(structure):
        yield structure
    elif isinstance(structure, Mapping):
        for value in structure.values():
            yield from _walk(value)
    elif isinstance(structure, (list, tuple)):
        for value in structure:
            yield from _walk(value)


def mapped(structure: Any, change: Callable[[Any], Any]) -> Any:
    """The same structure with every tensor changed."""
    if is_tensor(structure):
        return change(structure)
    if isinstance(structure, Mapping):
        return {key: mapped(value, change) for key, value in structure.items()}
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*(mapped(value, change) for value in structure))
    if isinstance(structure, (list, tuple)):
        items = [mapped(value, change) for value in structure]
        return tuple(items) if isinstance(structure, tuple) else items
    return structure


def flattened(structure: Any, name: str = "") -> dict[str, Any]:
    """The tensors of a result by name: `output` for a single one, keys or numbers with "/" between them otherwise."""
    if is_tensor(structure):
        return {name or "output": structure}
    found: dict[str, Any] = {}
    if isinstance(structure, Mapping):
        pairs = [(str(key), value) for key, value in structure.items()]
    elif isinstance(structure, (list, tuple)):
        pairs = [(str(index), value) for index, value in enumerate(structure)]
    else:
        return found
    for key, value in pairs:
        found |= flattened(value, f"{name}/{key}" if name else key)
    return found


def is_float(tensor: Any) -> bool:
    """Whether a tensor holds floating-point numbers."""
    return bool(tf.as_dtype(tensor.dtype).is_floating)


def as_array(value: Any) -> np.ndarray:
    """The numbers of a tensor, a variable or sparse rows; bfloat16 is widened to float32, since NumPy lacks it."""
    if isinstance(value, keras.Variable):
        value = value.value
    array = np.array(value.numpy()) if isinstance(value, tf.Variable) else tf.convert_to_tensor(value).numpy()
    return np.asarray(array, np.float32 if array.dtype == tf.bfloat16.as_numpy_dtype else None)
