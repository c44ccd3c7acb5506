"""Every call of a module or a function while a model runs, as a step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ...core.port.layer import BLOCK, CUSTOM, Step
from ...core.port.roles import MOVING
from . import arguing, functional, known
from .telling import described
from .tensors import Tensors
from .unrolling import unrolled
from .values import Seen, is_float, replaced, tensors_in

# What asks about a tensor, or changes nothing that flows through a model.
SILENT = frozenset({"data", "grad", "real", "set", "backward", "register_hook", "retain_grad", "fill", "zero", "copy"})


@dataclass
class Call:
    """What a step called, with which arguments. `inputs` are the tensors among them in whose places others may come.

    `module` is the module that was called, or `name` the function's bare name. `weights` are the names of those of
    the model's own tensors that are arguments. `renamed` are attributes of the module that do not have
    PyTorch's own names: {value: attribute}.
    """

    target: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[Tensor, ...]
    module: nn.Module | None = None
    name: str = ""
    weights: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Frame:
    """A module that is being run. `closed` is set within one that is a single step, which then has no call."""

    path: str
    closed: bool
    call: Call | None = None
    before: tuple[NDArray[Any], ...] = ()


class Watch(TorchFunctionMode):
    """Inside, what a model calls is recorded in `steps`.

    `holders` are the names of layers by their modules, `kinds` what those modules are that are one step, and `frozen`
    those that are never in training mode.
    `narrow` are the places at which something was not in float64.
    """

    def __init__(
        self,
        model: nn.Module,
        tensors: Tensors,
        holders: Mapping[nn.Module, str],
        kinds: Mapping[nn.Module, known.Kind],
        frozen: Set[nn.Module],
    ) -> None:
        super().__init__()
        self.holders, self.kinds, self.frozen = holders, kinds, frozen
        self.paths = {module: name for name, module in model.named_modules()}
        self.owners, self.names = tensors.owners(), tensors.names()
        self.array = Seen()
        self.steps: list[Step] = []
        self.narrow: list[str] = []
        self._stack: list[_Frame] = []
        self._counts: dict[str, int] = {}
        self._paused = False

    @property
    def place(self) -> str:
        """The name of the module that is running, or at which a run has broken off."""
        return next((frame.path for frame in reversed(self._stack) if frame.path), "")

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """The modules of the model report their calls, and so do functions."""
        handles = []
        for module in self.paths:
            handles.append(module.register_forward_pre_hook(self._quietly(self._enter), with_kwargs=True))
            handles.append(module.register_forward_hook(self._quietly(self._leave), with_kwargs=True))
        try:
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _quietly(self, hook: Callable[..., None]) -> Callable[..., None]:
        def run(*args: Any) -> None:
            self._paused = True
            try:
                hook(*args)
            finally:
                self._paused = False

        return run

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        inside = bool(self._stack) and self._stack[-1].closed
        frame = _Frame(self.paths[module], inside or module in self.kinds)
        self._stack.append(frame)
        if not inside:
            args, kwargs = arguing.ordered(module, _held(args), _held(kwargs), module in self.kinds)
            inputs = tuple(tensors_in((args, kwargs)))
            frame.call = Call(module, args, kwargs, inputs, module)
            frame.before = tuple(map(self.array, inputs))
            self._check(frame.path or "the inputs", list(inputs))

    def _leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        frame = self._stack.pop()
        while frame.path != self.paths[module]:  # one that raised what the user's own code has caught
            frame = self._stack.pop()
        if frame.call is None:
            return
        tensors = tensors_in(output)
        self._check(frame.path or "the model itself", tensors)
        results = tuple(map(self.array, tensors))
        kind, layer, settings = self.kinds.get(module), self.holders.get(module, ""), {}
        if kind is None:
            role = CUSTOM if module in self.holders and not any(module.children()) else BLOCK
        else:
            values = arguing.by_name(module, frame.call.args, frame.call.kwargs) | known.module_values(module, kind)
            values["frozen"] = module in self.frozen or values.get("frozen", False)
            frame.call.renamed = kind.renamed
            role, settings = described(kind.role, values, *_shapes(frame.before, results))
        parts = unrolled(module, frame.path, frame.call.args, tensors) if isinstance(module, nn.RNNBase) else []
        for part in parts:
            call = Call(part.target, part.args, {}, tuple(tensors_in(part.args)), part.module, part.function)
            told = settings | part.settings if part.layer else part.settings
            given, made = (tuple(map(self.array, tensors_in(each))) for each in (part.args, part.outputs))
            self.steps.append(Step(part.name, role if part.layer else part.role, given, made, told, part.layer, call))
        if parts:
            role, settings, layer = BLOCK, {}, ""
        self.steps.append(Step(frame.path, role, frame.before, results, settings, layer, frame.call))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = arguing.bare(func)
        if self._paused or not self._stack or self._stack[-1].closed or not name or name in SILENT:
            return func(*args, **kwargs)
        inputs = tensors_in((args, kwargs))
        call, layer = self._call(func, name, args, kwargs, inputs)
        before = tuple(map(self.array, call.inputs)) if inputs else ()
        self._check(f"{self._stack[-1].path}:{name}", inputs)
        result = func(*args, **kwargs)
        if name == "setitem":  # the only operator whose result is its first argument
            result, call.target = args[0], _assigned
        outputs = tensors_in(result)
        self._check(f"{self._stack[-1].path}:{name}", outputs)
        if inputs:
            self._add(name, call, before, outputs, layer)
        return result

    def _check(self, place: str, tensors: list[Tensor]) -> None:
        if any(tensor.is_floating_point() and tensor.dtype != torch.float64 for tensor in tensors):
            self.narrow.append(place)

    def _call(self, func: Any, name: str, args: Any, kwargs: Any, inputs: list[Tensor]) -> tuple[Call, str]:
        role = functional.FUNCTIONS[name][0] if name in functional.FUNCTIONS else ""
        own = [tensor for tensor in inputs[1:] if id(tensor) in self.names] if role in functional.GIVEN else []
        places = {id(tensor) for tensor in own}
        given = tuple(tensor for tensor in inputs if id(tensor) not in places)
        weights = tuple(dict.fromkeys(self.names[id(tensor)] for tensor in own))
        layer = next((self.holders[self.owners[name]] for name in weights if self.owners[name] in self.holders), "")
        return Call(func, _held(args), _held(kwargs), given, None, name, weights), layer

    def _add(self, name: str, call: Call, before: tuple[Any, ...], outputs: list[Tensor], layer: str) -> None:
        role = functional.FUNCTIONS[name][0] if name in functional.FUNCTIONS else name
        if not outputs or not (role in MOVING or any(map(is_float, outputs))):
            return
        results = tuple(map(self.array, outputs))
        settings: dict[str, Any] = {}
        if name in functional.FUNCTIONS:
            values = arguing.bound(name, call.args, call.kwargs)
            if name.endswith(("1d", "2d", "3d")):
                values["rank"] = int(name[-2])
            role, settings = described(role, values, *_shapes(before, results))
        path = f"{self._stack[-1].path}:{name}"
        number = self._counts[path] = self._counts.get(path, -1) + 1
        self.steps.append(Step(f"{path}#{number}", role, before, results, settings, layer, call))


def _assigned(tensor: Tensor, place: Any, value: Any) -> Tensor:
    """A tensor with other numbers in a part of it."""
    whole = tensor.clone()
    whole[place] = value
    return whole


def _held(arguments: Any) -> Any:
    """The same arguments in lists of their own, which the model's code does not go on to fill."""
    return replaced(arguments, lambda tensor: tensor)


def _shapes(before: tuple[Any, ...], after: tuple[Any, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(before[0].shape) if before else (), tuple(after[0].shape) if after else ()
