"""A user's PyTorch model: a copy of it in float64, what it holds, and what it does."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ...core.errors import InputError
from ...core.port.layer import Layer, Step, Trace
from ...core.port.subject import Inputs
from ...core.technique import Arrays
from .layers import layers
from .observing import Watch
from .raising import NARROW, WIDE, Raised, copied, in_mode, raised, untouched
from .replaying import pulled, replayed
from .tensors import Tensors
from .values import Seen, arguments, array_of, is_float, named, tensor_of


class Subject:
    """See core/port/subject.py."""

    side = "torch"

    def __init__(self, model: nn.Module, state: Arrays, wide: bool, weaker: str = "") -> None:
        self.model, self.wide, self.weaker = model, wide, weaker
        self.precision = "float64" if wide else "float32"
        self.dtype = WIDE if wide else NARROW
        self.tensors = Tensors(model)
        self.aliases: Mapping[str, str] = self.tensors.aliases
        self.trained = {name for name, place in self.tensors.items() if not place.buffer and place.get().requires_grad}
        self.layers, self._holders = layers(model, self.tensors)
        self._state: Arrays | None = state
        self._frozen = _frozen(model)
        self.narrow: list[str] = []

    def state(self) -> Arrays:
        """Every weight and persistent buffer by its own name."""
        if self._state is not None:
            return {name: array.copy() for name, array in self._state.items()}
        return self.tensors.arrays()

    def write(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Copy arrays into tensors of the copy. Raises StateError for an unknown name or another shape."""
        self.tensors.write(arrays)
        self._state = None

    def run(self, inputs: Inputs, *, training: bool = False, watch: bool = True) -> Trace:
        """A forward pass. Raises InputError where the model does not take these inputs."""
        args, kwargs = arguments(inputs, self.dtype)
        with self._running(training), torch.no_grad():
            if not watch:
                return Trace(_arrays(self.model(*args, **kwargs), Seen()), [])
            observer = Watch(self.model, self.tensors, self._holders, self._frozen)
            with observer.hooked():
                outputs = self.model(*args, **kwargs)
            found = Trace(_arrays(outputs, observer.array), observer.steps)
        return found

    def gradients(
        self, inputs: Inputs, cotangents: Sequence[NDArray[Any] | None], *, training: bool = False
    ) -> Arrays:
        """Zeros for what no output depends on. There is a cotangent for every output of floats, or None."""
        args, kwargs = arguments(inputs, self.dtype)
        given = dict(zip(_names(inputs), [*args, *kwargs.values()], strict=True))
        leaves = {f"input {name}": tensor.requires_grad_() for name, tensor in given.items() if is_float(tensor)}
        with self._all_trained(), self.tensors.kept(), self._running(training):
            weights = {name: place.get() for name, place in self.tensors.items() if not place.buffer}
            wanted = weights | leaves
            outputs = [output for output in named(self.model(*args, **kwargs)).values() if is_float(output)]
            pairs = [pair for pair in zip(outputs, cotangents, strict=True) if pair[1] is not None]
            directions = [tensor_of(cotangent, self.dtype) for _, cotangent in pairs]
            found = pulled([output for output, _ in pairs], directions, list(wanted.values()))
        return dict(zip(wanted, found, strict=True))

    def train(
        self,
        batches: Sequence[Inputs],
        targets: Sequence[Sequence[NDArray[Any] | None]],
        rate: float,
        *,
        still: Collection[str] = (),
    ) -> Arrays:
        """`loss` (steps), and every tensor after them."""
        losses = []
        unmoved = {id(self.tensors[name].get()) for name in still}
        held = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        parameters = [parameter for parameter in held if id(parameter) not in unmoved]
        with self.tensors.kept():
            for batch, wanted in zip(batches, targets, strict=True):
                args, kwargs = arguments(batch, self.dtype)
                with self._running(True):
                    outputs = [output for output in named(self.model(*args, **kwargs)).values() if is_float(output)]
                    pairs = [pair for pair in zip(outputs, wanted, strict=True) if pair[1] is not None]
                    loss = sum(((output - tensor_of(target, self.dtype)) ** 2).mean() / 2 for output, target in pairs)
                    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
                with torch.no_grad():
                    for parameter, gradient in zip(parameters, gradients, strict=True):
                        if gradient is not None:
                            parameter.sub_(rate * gradient)
                losses.append(array_of(loss))
            found = {"loss": np.array(losses), **self.tensors.arrays()}
        return found

    def replay(
        self, step: Step, inputs: Sequence[NDArray[Any]], cotangent: NDArray[Any] | None, *, training: bool = False
    ) -> Arrays:
        """One step alone, with other inputs."""
        before = self._buffers(step)
        with self._all_trained(), self.tensors.kept(), self._running(training):
            found = replayed(step.handle, self.tensors, inputs, cotangent, self.dtype, training)
            if training:
                found |= {f"buffer {name}": array_of(self.tensors[name].get()) for name in before}
        return found

    def vary(self, step: Step, setting: str, value: Any) -> Step | None:
        """The same step with another value of a setting."""
        return None

    def _buffers(self, step: Step) -> list[str]:
        modules = set(step.handle.module.modules()) if step.handle.module is not None else set()
        return [
            name
            for name, place in self.tensors.items()
            if place.buffer and (place.module in modules or name in step.handle.weights.values())
        ]

    @contextlib.contextmanager
    def _running(self, training: bool) -> Iterator[None]:
        self.narrow = []
        if training:
            self._state = None
        with untouched(self.dtype), in_mode(self.model, training), parametrize.cached(), Raised(self.wide) as casts:
            yield
        self.narrow = casts.narrow

    @contextlib.contextmanager
    def _all_trained(self) -> Iterator[None]:
        frozen = [
            parameter for parameter in self.model.parameters() if not parameter.requires_grad and is_float(parameter)
        ]
        for parameter in frozen:
            parameter.requires_grad_(True)
        try:
            yield
        finally:
            for parameter in frozen:
                parameter.requires_grad_(False)


def examine(model: Any, inputs: Inputs, precise: bool) -> Subject:
    """A subject of a module, or of what a factory makes. Raises InputError for anything else."""
    if isinstance(model, nn.Module):
        with untouched():
            user = model
            state = Tensors(model).arrays()
            copy = copied(user)
    elif callable(model):
        with untouched(WIDE if precise else NARROW):
            copy = model()
        if not isinstance(copy, nn.Module):
            raise InputError(f"the factory made {type(copy).__name__}, which is no torch.nn.Module; return the model")
        state = Tensors(copy).arrays()
    else:
        raise InputError(
            f"{type(model).__name__} is no PyTorch model; give a torch.nn.Module, or a function without arguments that makes one"
        )
    subject = Subject(raised(copy) if precise else copy, state, precise)
    trace = subject.run(inputs)
    subject.layers = tuple(_observed(layer, trace.steps) for layer in subject.layers)
    return subject


def _observed(layer: Layer, steps: list[Step]) -> Layer:
    settings = next((step.settings for step in steps if step.layer == layer.name and step.settings), {})
    return dataclasses.replace(layer, settings=settings)


def _frozen(model: nn.Module) -> set[nn.Module]:
    """The modules that stay in evaluation mode when the model is set to training."""
    model.train()
    found = {module for module in model.modules() if not module.training}
    model.eval()
    return found


def _arrays(outputs: Any, seen: Callable[[Tensor], NDArray[Any]]) -> Arrays:
    return {name: seen(tensor) for name, tensor in named(outputs).items()}


def _names(inputs: Inputs) -> list[str]:
    return list(inputs) if isinstance(inputs, Mapping) else [str(index) for index in range(len(inputs))]
