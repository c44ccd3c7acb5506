"""Tensors inside of nested arguments and results, and the arrays that stand for them."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...core import compare
from ...core.verdict import Verdict


def tensors_in(tree: Any) -> list[Tensor]:
    """The tensors of nested tuples, lists, mappings and dataclasses, in their order."""
    return [tensor for _, tensor in leaves(tree)]


def leaves(tree: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors with their names: keys, fields and positions, joined by dots. What is no tensor is left out."""
    if isinstance(tree, Tensor):
        yield name, tree
        return
    for key, value in _children(tree):
        yield from leaves(value, f"{name}.{key}" if name else key)


def _children(tree: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        yield from ((str(key), value) for key, value in tree.items())
    elif isinstance(tree, tuple | list):
        yield from zip(getattr(tree, "_fields", map(str, range(len(tree)))), tree, strict=True)
    elif dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        yield from ((field.name, getattr(tree, field.name)) for field in dataclasses.fields(tree))


def replaced(tree: Any, change: Callable[[Tensor], Any]) -> Any:
    """The same nested arguments with every tensor changed; in lists of their own, and with copies of what has a state.

    So what a model goes on to write into a list or a cache does not reach them.
    """
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, slice):
        return slice(*(replaced(part, change) for part in (tree.start, tree.stop, tree.step)))
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(replaced(value, change) for value in tree))
    if type(tree) in (tuple, list):
        return type(tree)(replaced(value, change) for value in tree)
    if type(tree) is dict or (isinstance(tree, dict) and tensors_in(tree)):
        return {key: replaced(value, change) for key, value in tree.items()}
    if hasattr(tree, "__dict__") and not isinstance(tree, nn.Module | type) and not callable(tree):
        try:
            return copy.deepcopy(tree)
        except (TypeError, RuntimeError):  # what cannot be copied is no cache of tensors
            return tree
    return tree


def named(outputs: Any) -> dict[str, Tensor]:
    """A model's outputs by name; a single tensor is `output`."""
    return {"output": outputs} if isinstance(outputs, Tensor) else dict(leaves(outputs))


def is_float(tensor: Any) -> bool:
    """Whether this is a tensor of floats."""
    return isinstance(tensor, Tensor) and tensor.is_floating_point()


def tensor_of(array: NDArray[Any] | Any, dtype: torch.dtype) -> Tensor:
    """A tensor of an array's own kind: floats in `dtype`, integers in int64, truth values as they are. A copy."""
    held = np.asarray(array)
    if held.dtype == np.bool_:
        return torch.tensor(held)
    if np.issubdtype(held.dtype, np.integer):
        return torch.tensor(held.astype(np.int64))
    return torch.tensor(held).to(dtype)


def arguments(
    inputs: Sequence[NDArray[Any]] | Mapping[str, NDArray[Any]], dtype: torch.dtype
) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """What a model is called with: positions for a sequence, keywords for a mapping."""
    if isinstance(inputs, Mapping):
        return (), {name: tensor_of(array, dtype) for name, array in inputs.items()}
    return tuple(tensor_of(array, dtype) for array in inputs), {}


def array_of(tensor: Tensor) -> NDArray[Any]:
    """A copy as an array; half precision is widened to float32, since NumPy lacks bfloat16."""
    held = tensor.detach().cpu().resolve_conj().resolve_neg()
    if held.is_sparse:
        held = held.to_dense()
    if held.dtype in (torch.bfloat16, torch.float16):
        held = held.float()
    array: NDArray[Any] = np.array(held.numpy())
    return array


def alike(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are the same but for rounding in the last places of the largest number."""
    first, second = array_of(one), array_of(other)
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    unit = float(np.spacing(np.max(np.abs(second)))) if second.size else 0.0
    return compare.pair("", first, second, unit).verdict is Verdict.EQUAL


class Seen:
    """One array for one tensor, as long as nothing has been written into it."""

    def __init__(self) -> None:
        self._held: dict[tuple[int, int], tuple[Tensor, NDArray[Any]]] = {}

    def __call__(self, tensor: Tensor) -> NDArray[Any]:
        """The array of a tensor as it is now. The tensor is kept alive, so that its identity stays its own."""
        key = (id(tensor), -1 if tensor.is_inference() else tensor._version)
        if key not in self._held:
            self._held[key] = tensor, array_of(tensor)
        return self._held[key][1]
