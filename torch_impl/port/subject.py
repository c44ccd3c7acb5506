"""A user's PyTorch model: a copy of it in float64, what it holds, and what it does."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...core.errors import InputError
from ...core.port.layer import BLOCK, CUSTOM, Step, Trace
from ...core.port.subject import Inputs
from ...core.technique import Arrays
from .alone import pulled, replayed
from .biased import biased
from .building import built, refusal
from .copying import halved, lowered, raised, uncomputed
from .known import kind_of
from .layers import layers
from .recognising import recognised
from .running import NARROW, WIDE, Raised, graded, in_mode, untouched
from .tensors import Tensors, kept
from .values import Seen, arguments, array_of, is_float, named, tensor_of
from .varying import varied
from .watching import Watch

DETACHED = (
    "no output of the PyTorch model depends on its weights or inputs as far as gradients go; "
    "take no_grad, inference_mode and detach out of its forward"
)


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
        self._kinds = {module: kind for module in model.modules() if (kind := kind_of(module)) is not None}
        self.layers, self._holders = layers(model, self.tensors, self._kinds)
        self._state: Arrays | None = state
        self._frozen = _frozen(model)
        self._observer: Watch | None = None
        self.biased: Collection[str] = ()
        self.half = ""
        self._random = torch.Generator().manual_seed(0).get_state()

    @graded
    def state(self) -> Arrays:
        """Every weight and persistent buffer by its own name."""
        if self._state is not None:
            return {name: array.copy() for name, array in self._state.items()}
        return self.tensors.arrays()

    def trains(self, tensor: str) -> bool:
        """Whether it requires a gradient."""
        return self.aliases.get(tensor, tensor) in self.trained

    def aside(self) -> list[str]:
        """Nothing: PyTorch keeps penalties in the user's own loop."""
        return []

    @graded
    def write(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Copy arrays into tensors of the copy. Raises StateError for an unknown name or another shape."""
        self.tensors.write(arrays)
        self._state = None

    @graded
    def run(self, inputs: Inputs, *, training: bool = False, watch: bool = True) -> Trace:
        """A forward pass. Raises InputError where the model does not take these inputs."""
        with self._running(training), torch.no_grad():
            if not watch:
                return Trace(_arrays(self._called(inputs), Seen()), [])
            observer = Watch(self.model, self.tensors, self._holders, self._kinds, self._frozen)
            self._observer = observer
            with observer.watching():
                outputs = self._called(inputs)
            return Trace(_arrays(outputs, observer.array), observer.steps)

    def _called(self, inputs: Inputs, given: tuple[Any, Any] | None = None) -> dict[str, Tensor]:
        args, kwargs = given or arguments(inputs, self.dtype)
        try:
            outputs = named(self.model(*args, **kwargs))
        except Exception as error:  # whatever the user's own code raises
            raise InputError(refusal(inputs, error, self._observer.place if self._observer else "")) from error
        if not outputs:
            raise InputError("the PyTorch model gives no tensor, so there is nothing to compare")
        return outputs

    @graded
    def gradients(self, inputs: Inputs, cotangents: Sequence[NDArray[Any] | None], *, training: bool = False) -> Arrays:
        """Zeros for what no output depends on. There is a cotangent for every output of floats, or None."""
        args, kwargs = arguments(inputs, self.dtype)
        given = dict(zip(_names(inputs), [*args, *kwargs.values()], strict=True))
        leaves = {f"input {name}": tensor.requires_grad_() for name, tensor in given.items() if is_float(tensor)}
        with self._all_trained(self.model), kept(self.model), self._running(training):
            places = {name: place for name, place in self.tensors.items() if not place.buffer}
            weights = {name: place.get() for name, place in places.items() if is_float(place.get())}
            wanted = weights | leaves
            called = [each.clone() if is_float(each) else each for each in given.values()]  # it may write into them
            whole = tuple(called[: len(args)]), dict(zip(kwargs, called[len(args) :], strict=True))
            pairs = _pairs(self._called(inputs, whole), cotangents)
            if pairs and wanted and not any(output.requires_grad for output, _ in pairs):
                raise InputError(DETACHED)
            directions = [tensor_of(cotangent, self.dtype) for _, cotangent in pairs]
            found = pulled([output for output, _ in pairs], directions, list(wanted.values()))
            return dict(zip(wanted, map(array_of, found), strict=True))

    @graded
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
        with kept(self.model, weights=True):
            for batch, wanted in zip(batches, targets, strict=True):
                with self._running(True):
                    pairs = _pairs(self._called(batch), wanted)
                    if not pairs:
                        raise InputError("the PyTorch model has no output of floats that it could be trained on")
                    known = [(torch.where(output == -math.inf, 0.0, output), target) for output, target in pairs]
                    errors = [(output - tensor_of(target, self.dtype)) ** 2 for output, target in known]
                    loss = torch.stack([error.mean() / 2 for error in errors]).sum()
                    if parameters and not loss.requires_grad:
                        raise InputError(DETACHED)
                    gradients = pulled([loss], [torch.ones_like(loss)], parameters)
                with torch.no_grad():
                    for parameter, gradient in zip(parameters, gradients, strict=True):
                        parameter.sub_(rate * gradient)
                losses.append(array_of(loss))
            found = {"loss": np.array(losses), **self.tensors.arrays()}
        return found

    @graded
    def replay(
        self, step: Step, inputs: Sequence[NDArray[Any]], cotangent: NDArray[Any] | None, *, training: bool = False
    ) -> Arrays:
        """One step alone, with other inputs."""
        before, module = self._buffers(step) if training else [], self._owner(step)
        with self._all_trained(module), kept(module if training else None), self._running(training):
            try:
                found = replayed(step.handle, self.tensors, inputs, cotangent, self.dtype, training)
            except (RuntimeError, TypeError, ValueError, IndexError) as error:
                raise InputError(f"{step.name} of the PyTorch model does not take these inputs: {error}") from error
            if training:
                found |= {f"buffer {name}": array_of(self.tensors[name].get()) for name in before}
        return found

    @property
    def narrow(self) -> str:
        """Where something was not in float64 in the last run that was watched, or the empty string."""
        found = self._observer.narrow if self._observer is not None else []
        return found[0] if found else ""

    @graded
    def learn(self, steps: Sequence[Step]) -> bool:
        """Find out which of the user's own modules are known layers; whether there were any."""
        own = [step for step in steps if step.role in (BLOCK, CUSTOM) and step.handle.module is not None]
        with self._running(False):
            found = {step.handle.module: recognised(step.handle.module, step) for step in own}
        self._kinds |= {module: kind for module, kind in found.items() if kind is not None}
        self.layers, self._holders = layers(self.model, self.tensors, self._kinds)
        return any(found.values())

    @graded
    def vary(self, step: Step, setting: str, value: Any) -> Step | None:
        """The same step with another value of a setting, or of `role`, whose value holds the settings as well."""
        return varied(step, setting, value)

    def _owner(self, step: Step) -> nn.Module:
        """The module that was called, or that holds what was given to a function."""
        if step.handle.module is not None:
            return step.handle.module  # type: ignore[no-any-return]
        return self.tensors[step.handle.weights[0]].module if step.handle.weights else nn.Module()

    def _buffers(self, step: Step) -> list[str]:
        held = {id(module._buffers) for module in self._owner(step).modules()}
        return [name for name, place in self.tensors.items() if place.buffer and id(place.module._buffers) in held]

    @contextlib.contextmanager
    def _running(self, training: bool) -> Iterator[None]:
        if training:
            self._state = None
        evened = biased(self.model, self.biased if training else ())
        with untouched(self.dtype), in_mode(self.model, training), Raised(self.wide), evened:
            torch.set_rng_state(self._random)  # its own, and never the same twice, so that what is drawn can be seen
            try:
                yield
            finally:
                self._random = torch.get_rng_state()

    @contextlib.contextmanager
    def _all_trained(self, module: nn.Module) -> Iterator[None]:
        frozen = [each for each in module.parameters() if not each.requires_grad and is_float(each)]
        for parameter in frozen:
            parameter.requires_grad_(True)
        try:
            yield
        finally:
            for parameter in frozen:
                parameter.requires_grad_(False)


@graded
def examine(model: Any, inputs: Inputs, precise: bool) -> Subject:
    """A subject of a module, or of what a factory makes.

    Raises InputError for anything else, for a model whose weights are nowhere, and for one that does not take the
    inputs.
    """
    made = model if isinstance(model, nn.Module) else None
    if made is None and not callable(model):
        raise InputError(
            f"{type(model).__name__} is no PyTorch model; "
            "give a torch.nn.Module, or a function without arguments that makes one"
        )
    weaker = "" if precise else "a comparison in float32 was asked for"
    if precise:
        found, weaker = _precise(made, model, inputs)
        if found is not None:
            return found
    with untouched(NARROW):
        copy = built(made, model, NARROW, inputs)
        weaker = "; ".join(filter(None, (weaker, _plainly(uncomputed(copy)))))
        state, half = Tensors(copy).arrays(), halved(copy)
        subject = Subject(lowered(copy), state, False, weaker)
        subject.half = half
    return _tried(subject, inputs)


def _precise(made: nn.Module | None, factory: Any, inputs: Inputs) -> tuple[Subject | None, str]:
    """A subject in float64; or None, and why there is none."""
    with untouched(WIDE):
        copy = built(made, factory, WIDE, inputs)
        plain = uncomputed(copy)
        state, half = Tensors(copy).arrays(), halved(copy)
        subject = Subject(raised(copy), state, True, _plainly(plain))
        subject.half = half
    try:
        found = _tried(subject, inputs)
    except InputError as error:
        why = f"{type(error.__cause__).__name__}: {error.__cause__}" if error.__cause__ else str(error)
        place = f"; it is left at {subject.narrow}" if subject.narrow else ""
        return None, f"the PyTorch model does not run in float64 ({why}{place})"
    if subject.narrow:
        return None, f"the PyTorch model leaves float64 at {subject.narrow}, though its weights are in it"
    return found, ""


def _plainly(names: list[str]) -> str:
    told = "weights that PyTorch computes from other tensors are compared and trained here as plain ones"
    return f"{told}: {', '.join(names)}" if names else ""


def _tried(subject: Subject, inputs: Inputs) -> Subject:
    """The subject, whose layers then have the settings that a run showed."""
    steps = subject.run(inputs).steps
    if subject.learn(steps):
        steps = subject.run(inputs).steps
    called = {step.layer: step.settings for step in reversed(steps) if step.layer}
    subject.layers = tuple(dataclasses.replace(layer, settings=called.get(layer.name, {})) for layer in subject.layers)
    return subject


def _frozen(model: nn.Module) -> set[nn.Module]:
    """The modules that stay in evaluation mode when the model is set to training."""
    model.train()
    found = {module for module in model.modules() if not module.training}
    model.eval()
    return found


def _pairs(outputs: Mapping[str, Tensor], others: Sequence[NDArray[Any] | None]) -> list[tuple[Tensor, NDArray[Any]]]:
    """The outputs of floats with what belongs to each, but for those that have None."""
    floats = {name: output for name, output in outputs.items() if is_float(output)}
    if len(floats) != len(others):
        raise InputError(
            f"the PyTorch model gave {len(floats)} outputs of floats ({', '.join(floats)}) where {len(others)} were "
            "expected; let it give the same ones in training as in evaluation mode"
        )
    return [(output, other) for output, other in zip(floats.values(), others, strict=True) if other is not None]


def _arrays(outputs: Mapping[str, Tensor], seen: Callable[[Tensor], NDArray[Any]]) -> Arrays:
    return {name: seen(tensor) for name, tensor in outputs.items()}


def _names(inputs: Inputs) -> list[str]:
    return list(inputs) if isinstance(inputs, Mapping) else [str(index) for index in range(len(inputs))]
