"""Weights of PyTorch's other libraries: of live models and of files. Nothing in a file is executed."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save as safetensors_bytes
from torch import nn

from ..core.checkpoint import replacing
from ..core.errors import CheckpointError
from ..core.foreign import from_canonical, numbered
from ..core.source import Source
from ..core.spec import Spec
from ..core.state import State
from ..core.technique import Arrays
from . import reading

OWN = Source("torch")  # no rule: our names
SUFFIXES = (".pt", ".pth", ".bin", ".tar", ".safetensors")


def is_live(item: Any) -> bool:
    """Whether this is a model of this framework, or its weights in memory."""
    return isinstance(item, nn.Module) or reading.is_state_dict(item)


def arrays_of(item: Any) -> Arrays:
    """The weights of a live model by name, without a copy where that can be."""
    return {name: reading.array_of(name, tensor) for name, tensor in _tensors(item).items()}


def write_into(item: Any, arrays: Arrays) -> None:
    """Copy arrays into a live model, in its precision."""
    tensors = _tensors(item)
    with torch.no_grad():
        for name, array in arrays.items():
            tensors[name].copy_(torch.from_numpy(np.require(array, requirements="CW")))


@contextlib.contextmanager
def opened(path: Path, spec: Spec, source: Source) -> Iterator[Mapping[str, Any]]:
    """The arrays of a file or of the shards of an index by name, each read when it is asked for.

    Raises CheckpointError for a damaged file, and for one that holds anything but tensors.
    """
    with reading.opened(path) as arrays:
        yield arrays


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


def write_sibling(path: Path, spec: Spec, state: State) -> None:
    """Write a canonical state so that this side's own model loads it strictly, complete or not at all."""
    write(path, spec, OWN, from_canonical(spec, OWN, state))


def _tensors(item: Any) -> Mapping[str, torch.Tensor]:
    return reading.unwrapped(item.state_dict(keep_vars=True) if isinstance(item, nn.Module) else item, "the model")
