"""Weights of PyTorch's other libraries: of live models and of files. Nothing in a file is executed."""

from __future__ import annotations

import contextlib
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as safetensors_bytes
from torch import nn

from ..core.checkpoint import replacing
from ..core.errors import CheckpointError, SpecError
from ..core.foreign import from_canonical, numbered, to_canonical
from ..core.source import Source
from ..core.spec import Spec
from ..core.state import State
from ..core.technique import Arrays

OWN = Source("torch")  # no rule: our names
SUFFIXES = (".pt", ".pth", ".bin", ".tar", ".safetensors")
WRAPPERS = ("state_dict", "model", "model_state_dict")


def is_live(item: Any) -> bool:
    """Whether this is a model of this framework, or its weights in memory."""
    return isinstance(item, nn.Module) or _is_state_dict(item)


def arrays_of(item: Any) -> Arrays:
    """The weights of a live model by name, without a copy where that can be."""
    return {name: _array(name, tensor) for name, tensor in _tensors(item).items()}


def write_into(item: Any, arrays: Arrays) -> None:
    """Copy arrays into a live model, in its precision."""
    tensors = _tensors(item)
    with torch.no_grad():
        for name, array in arrays.items():
            tensors[name].copy_(torch.from_numpy(np.require(array, requirements="CW")))


@contextlib.contextmanager
def opened(path: Path, spec: Spec, source: Source) -> Iterator[Mapping[str, Any]]:
    """The arrays of a file by name, each read when it is asked for.

    Raises CheckpointError for a damaged file, and for one that holds anything but tensors.
    """
    if path.suffix == ".safetensors":
        yield _safetensors(path)
        return
    options: dict[str, Any] = {"mmap": True} if zipfile.is_zipfile(path) else {}
    try:
        held = torch.load(path, map_location="cpu", weights_only=True, **options)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is damaged, or holds more than tensors; nothing in it was executed. "
            "Save the model's state_dict instead of the model"
        ) from error
    except Exception as error:  # torch.load lets through whatever a damaged archive makes its parts raise
        raise CheckpointError(f"{path} is not a readable PyTorch file ({error}); nothing was loaded") from error
    yield {name: _array(name, tensor) for name, tensor in _unwrapped(held, str(path)).items()}


def write(path: Path, spec: Spec, source: Source, arrays: Arrays) -> None:
    """Write arrays as a state_dict, complete or not at all. The suffix says in which format."""
    held = {numbered(name): np.require(array, requirements="CW") for name, array in arrays.items()}
    if path.suffix not in SUFFIXES:
        raise CheckpointError(f"{path} must end in {', '.join(SUFFIXES)}, which say how PyTorch's weights are written")
    with replacing(path) as file:
        if path.suffix == ".safetensors":
            file.write(safetensors_bytes(held, {"format": "pt"}))
        else:
            torch.save(OrderedDict((name, torch.from_numpy(array)) for name, array in held.items()), file)


def read_sibling(path: Path, spec: Spec | None) -> tuple[Spec, State]:
    """The spec and the canonical state of this side's own model, out of its state_dict.

    Raises SpecError where no spec is given, since a state_dict has none.
    """
    if spec is None:
        raise SpecError(f"{path} does not say which network it is of; give a spec")
    with opened(path, spec, OWN) as arrays:
        return spec, to_canonical(spec, OWN, arrays, f"the weights in {path}")


def write_sibling(path: Path, spec: Spec, state: State) -> None:
    """Write a canonical state so that this side's own model loads it strictly, complete or not at all."""
    write(path, spec, OWN, from_canonical(spec, OWN, state))


def _tensors(item: Any) -> Mapping[str, torch.Tensor]:
    return _unwrapped(item.state_dict(keep_vars=True) if isinstance(item, nn.Module) else item, "the model")


def _is_state_dict(item: Any) -> bool:
    return isinstance(item, Mapping) and bool(item) and all(isinstance(value, torch.Tensor) for value in item.values())


def _unwrapped(held: Any, label: str) -> Mapping[str, torch.Tensor]:
    """The state_dict inside of a training checkpoint, and without the prefix of `DataParallel`."""
    for key in WRAPPERS:
        if isinstance(held, Mapping) and not _is_state_dict(held) and _is_state_dict(held.get(key)):
            held = held[key]
    if not _is_state_dict(held):
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


def _safetensors(path: Path) -> Arrays:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: _array(name, file.get_tensor(name)) for name in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not a readable safetensors file ({error}); nothing was loaded") from error


def _array(name: str, tensor: torch.Tensor) -> np.ndarray:
    held = tensor.detach().cpu()
    if held.dtype == torch.bfloat16:  # which NumPy lacks; float32 holds each of its numbers
        held = held.float()
    try:
        return held.numpy()
    except (TypeError, RuntimeError) as error:
        raise CheckpointError(f"{name} is no plain array: {error}") from error
