"""Files of PyTorch's weights, whole or in shards. Nothing in a file is executed."""

from __future__ import annotations

import contextlib
import pickle
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from ..core import shards
from ..core.errors import CheckpointError
from ..core.files.stored import reason

WRAPPERS = ("state_dict", "model", "model_state_dict")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Mapping[str, Any]]:
    """The arrays of a file or of the shards of an index by name, each read when it is asked for.

    Raises CheckpointError for a damaged file, and for one that holds anything but tensors.
    """
    with contextlib.ExitStack() as stack:
        if path.name.endswith(shards.INDEX):
            yield _joined(path, stack)
        else:
            yield _read(path, stack)


def _joined(index: Path, stack: contextlib.ExitStack) -> Mapping[str, Any]:
    """The arrays of all the shards of an index, those that it lists."""
    shards.complete(index)
    found: dict[str, Any] = {}
    for file, names in shards.shards_of(index).items():
        held = _read(index.parent / file, stack)
        if absent := [name for name in names if name not in held]:
            raise CheckpointError(f"{index} says that {file} holds {absent[0]}, and it does not; nothing was loaded")
        found |= {name: held[name] for name in names}
    return found


def _read(path: Path, stack: contextlib.ExitStack) -> Mapping[str, Any]:
    if path.suffix == ".safetensors":
        return _safetensors(path, stack)
    options: dict[str, Any] = {"mmap": True} if zipfile.is_zipfile(path) else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # PyTorch's, on the protocol of a pickle that it then refuses
            held = torch.load(path, map_location="cpu", weights_only=True, **options)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is damaged, or holds more than tensors; nothing in it was executed. "
            "Save the model's state_dict instead of the model"
        ) from error
    except Exception as error:  # torch.load lets through whatever a damaged archive makes its parts raise
        raise CheckpointError(f"{path} is not a readable PyTorch file ({reason(error)}); nothing was loaded") from error
    return {name: array_of(name, tensor) for name, tensor in unwrapped(held, str(path)).items()}


def is_state_dict(item: Any) -> bool:
    """Whether this is a mapping of tensors by name."""
    return isinstance(item, Mapping) and bool(item) and all(isinstance(value, torch.Tensor) for value in item.values())


def unwrapped(held: Any, label: str) -> Mapping[str, torch.Tensor]:
    """The state_dict inside of a training checkpoint, and without the prefix of `DataParallel`."""
    for key in WRAPPERS:
        if isinstance(held, Mapping) and not is_state_dict(held) and is_state_dict(held.get(key)):
            held = held[key]
    if not is_state_dict(held):
        kind = (
            f"a mapping with {', '.join(map(str, list(held)[:3]))}"
            if isinstance(held, Mapping)
            else type(held).__name__
        )
        raise CheckpointError(f"{label} holds no state_dict but {kind}")
    prefix = "module."
    if all(str(name).startswith(prefix) for name in held):
        held = {name.removeprefix(prefix): tensor for name, tensor in held.items()}
    return {str(name): tensor for name, tensor in held.items()}


class Stored:
    """An array in a safetensors file, which is read when NumPy asks for it."""

    def __init__(self, file: Any, name: str) -> None:
        self.file, self.name = file, name
        self.shape = tuple(file.get_slice(name).get_shape())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = array_of(self.name, self.file.get_tensor(self.name))
        return array if dtype is None else array.astype(dtype)


def _safetensors(path: Path, stack: contextlib.ExitStack) -> Mapping[str, Any]:
    try:
        file = stack.enter_context(safe_open(path, framework="pt"))
        return {name: Stored(file, name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not a readable safetensors file ({error}); nothing was loaded") from error


def array_of(name: str, tensor: torch.Tensor) -> np.ndarray:
    """A tensor as an array, without a copy where that can be. Raises CheckpointError for what NumPy has no type for."""
    held = tensor.detach().cpu()
    if held.dtype == torch.bfloat16:  # which NumPy lacks; float32 holds each of its numbers
        held = held.float()
    try:
        return held.numpy()
    except (TypeError, RuntimeError) as error:
        raise CheckpointError(f"{name} is no plain array: {error}") from error
