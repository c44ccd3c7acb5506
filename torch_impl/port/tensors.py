"""The weights and buffers of a module by name, whether they are held as they are or computed from others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ...core.errors import StateError, nearest
from . import computed as computing
from .values import array_of

COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Place:
    """Where a tensor is held: an attribute of a module. A computed one is set by way of what it is computed from."""

    module: nn.Module
    attribute: str
    buffer: bool = False
    computed: bool = False

    def get(self) -> Tensor:
        """The tensor as the module uses it."""
        if self.computed:
            return computing.value(self.module, self.attribute)
        tensor: Tensor = getattr(self.module, self.attribute)
        return tensor

    def set(self, value: Tensor) -> None:
        """Copy a tensor into it. Raises StateError where what it is computed from cannot give these numbers."""
        with torch.no_grad():
            if self.computed:
                computing.assign(self.module, self.attribute, value)
            else:
                self.get().copy_(value)


class Tensors(Mapping[str, Place]):
    """Every parameter and persistent buffer of a module, once; `aliases` are the second names of tied ones."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.aliases: dict[str, str] = {}
        self._places: dict[str, Place] = {}
        first: dict[tuple[int, str], str] = {}
        for path, module in model.named_modules(remove_duplicate=False):
            if isinstance(module, parametrize.ParametrizationList) or ".parametrizations." in f".{path}.":
                continue
            for place in places(module):
                name = f"{path}.{place.attribute}" if path else place.attribute
                key = (id(module), place.attribute) if place.computed else (id(place.get()), "")
                if key in first:
                    self.aliases[name] = first[key]
                else:
                    first[key] = name
                    self._places[name] = place

    def __getitem__(self, name: str) -> Place:
        return self._places[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def names(self) -> dict[int, str]:
        """The names of the tensors that are held now, by identity."""
        return {id(place.get()): name for name, place in self._places.items()}

    def owners(self) -> dict[str, nn.Module]:
        """The module that holds each tensor."""
        return {name: place.module for name, place in self._places.items()}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """A copy of every tensor."""
        with torch.no_grad():
            return {name: array_of(place.get()) for name, place in self._places.items()}

    def write(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Copy arrays into the tensors of these names. Raises StateError before anything is changed."""
        found = {}
        for name, array in arrays.items():
            held = self.aliases.get(name, name)
            if held not in self._places:
                raise StateError(f"the PyTorch model has no tensor {name!r}{nearest(name, self._places)}", (name,))
            shape = tuple(self._places[held].get().shape)
            if shape != tuple(array.shape):
                raise StateError(
                    f"{name} has shape {shape} in the PyTorch model, and {tuple(array.shape)} was given", (name,)
                )
            found[held] = array
        for name, array in found.items():
            place = self._places[name]
            place.set(torch.tensor(array).to(place.get().dtype))


@contextlib.contextmanager
def kept(module: nn.Module | None, weights: bool = False) -> Iterator[None]:
    """Put the buffers of a module back afterwards, bitwise, counters as well; with `weights`, these too."""
    modules = list(module.modules()) if module is not None else []
    held = [(each, dict(each._buffers)) for each in modules]
    tensors = [tensor for _, buffers in held for tensor in buffers.values() if tensor is not None]
    if weights and module is not None:
        tensors += list(module.parameters())
    copies = [tensor.detach().clone() for tensor in tensors]
    try:
        yield
    finally:
        for each, buffers in held:
            each._buffers.update(buffers)
        with torch.no_grad():
            for tensor, copy in zip(tensors, copies, strict=True):
                tensor.copy_(copy)


def places(module: nn.Module) -> Iterator[Place]:
    """The tensors that a module itself holds; counters and what is not saved with it are left out."""
    for attribute in computing.names(module):
        yield Place(module, attribute, computed=True)
    sources = computing.sources(module)
    for attribute, parameter in module._parameters.items():
        if parameter is not None and attribute not in sources:
            yield Place(module, attribute)
    hidden = {*sources, *module._non_persistent_buffers_set, COUNTER}
    for attribute, buffer in module._buffers.items():
        if buffer is not None and attribute not in hidden:
            yield Place(module, attribute, buffer=True)
