"""Every call of a module or a function while a model runs, as a step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ...core.port.layer import BLOCK, CUSTOM, Step
from ...core.port.roles import MOVING
from . import known
from .settings import described
from .tensors import Tensors
from .values import Seen, is_float, tensors_in

IGNORED = frozenset(
    {"data", "grad", "real", "set_", "backward", "copy", "register_hook", "retain_grad", "fill", "zero"}
)


@dataclass
class Call:
    """What a step called, with which arguments. `weights` are names of tensors that are arguments, but no inputs.

    `target` is called with the arguments; `name` is a function's bare name, and `module` the module that was called.
    """

    target: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[Tensor, ...]
    module: nn.Module | None = None
    name: str = ""
    weights: dict[int, str] = field(default_factory=dict)


@dataclass
class _Frame:
    """A module that is being run. `closed` is set within one that is a single step."""

    path: str
    module: nn.Module
    closed: bool
    counts: dict[str, int] = field(default_factory=dict)
    call: Call | None = None
    before: tuple[Any, ...] = ()


class Watch(TorchFunctionMode):
    """Inside, what a model calls is recorded in `steps`. `holders` are the names of layers by their modules."""

    def __init__(
        self, model: nn.Module, tensors: Tensors, holders: dict[nn.Module, str], frozen: set[nn.Module]
    ) -> None:
        super().__init__()
        self.model, self.holders, self.frozen = model, holders, frozen
        self.paths = {module: name or type(model).__name__ for name, module in model.named_modules()}
        self.owners = tensors.owners()
        self.names = tensors.names()
        self.steps: list[Step] = []
        self.array = Seen()
        self.stack: list[_Frame] = []
        self.paused = False

    @contextlib.contextmanager
    def hooked(self) -> Iterator[None]:
        """The modules of the model report their calls, and so do functions."""
        handles = []
        for module in self.paths:
            handles.append(module.register_forward_pre_hook(self._paused(self._enter), with_kwargs=True))
            handles.append(module.register_forward_hook(self._paused(self._leave), with_kwargs=True))
        try:
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _paused(self, hook: Callable[..., None]) -> Callable[..., None]:
        def quietly(*args: Any) -> None:
            self.paused = True
            try:
                hook(*args)
            finally:
                self.paused = False

        return quietly

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        closed = bool(self.stack) and self.stack[-1].closed
        frame = _Frame(self.paths[module], module, closed or known.base_of(module) is not None)
        self.stack.append(frame)
        if not closed:
            args, kwargs = known.ordered(module, args, kwargs)
            inputs = tuple(tensors_in((args, kwargs)))
            frame.call = Call(module, args, kwargs, inputs, module)
            frame.before = tuple(map(self.array, inputs))

    def _leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        frame = self.stack.pop()
        if frame.call is None:
            return
        results = tuple(map(self.array, tensors_in(output)))
        kind = known.base_of(module)
        layer = self.holders.get(module, "")
        if kind is None:
            role, settings = (CUSTOM if layer and not list(module.children()) else BLOCK), {}
        else:
            values = known.module_values(module, kind) | {"frozen": module in self.frozen}
            role, settings = described(known.MODULES[kind][0], values, *_shapes(frame.before, results))
        self.steps.append(Step(frame.path, role, frame.before, results, settings, layer, frame.call))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.paused or not self.stack or self.stack[-1].closed:
            return func(*args, **kwargs)
        inputs = tensors_in((args, kwargs))
        name = known.bare(func)
        if not inputs or name in IGNORED or not name:
            return func(*args, **kwargs)
        call, layer = self._call(func, name, args, kwargs, inputs)
        before = tuple(map(self.array, call.inputs))
        result = func(*args, **kwargs)
        self._add(name, call, before, result, layer)
        return result

    def _call(self, func: Any, name: str, args: Any, kwargs: Any, inputs: list[Tensor]) -> tuple[Call, str]:
        role = known.FUNCTIONS[name][0] if name in known.FUNCTIONS else ""
        held = {id(tensor): self.names[id(tensor)] for tensor in inputs[1:] if id(tensor) in self.names}
        if role not in known.GIVEN:
            held = {}
        given = tuple(tensor for tensor in inputs if id(tensor) not in held)
        owners = {self.owners[name] for name in held.values()}
        layer = next((self.holders[module] for module in owners if module in self.holders), "")
        return Call(func, tuple(args), dict(kwargs), given, None, name, held), layer

    def _add(self, name: str, call: Call, before: tuple[Any, ...], result: Any, layer: str) -> None:
        outputs = tensors_in(result)
        known_one = name in known.FUNCTIONS
        role = known.FUNCTIONS[name][0] if known_one else name
        if not outputs or not (role in MOVING or any(map(is_float, outputs))):
            return
        results = tuple(map(self.array, outputs))
        settings: dict[str, Any] = {}
        if known_one:
            values = known.bound(name, call.args, call.kwargs)
            if name[-2:-1].isdigit() and name.endswith("d"):
                values["rank"] = int(name[-2])
            role, settings = described(role, values, *_shapes(before, results))
        frame = self.stack[-1]
        number = frame.counts.get(name, 0)
        frame.counts[name] = number + 1
        self.steps.append(Step(f"{frame.path}:{name}#{number}", role, before, results, settings, layer, call))


def _shapes(before: tuple[Any, ...], after: tuple[Any, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(before[0].shape) if before else (), tuple(after[0].shape) if after else ()
