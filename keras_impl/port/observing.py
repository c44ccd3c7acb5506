"""What a model did while it ran: every call of a layer, and of a function in a layer's own code, as a step."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras import layers as kl

from ...core.port.layer import BLOCK, CUSTOM, Layer, Step
from ...core.port.roles import MOVING
from . import functions, replaying, settings, watched
from .naming import Names
from .patching import patched
from .replaying import Call
from .structure import as_array, is_tensor, tensors
from .weights import known

_LOCAL = threading.local()
ATTENTIONS = (kl.MultiHeadAttention, kl.GroupQueryAttention)


class Recorder:
    """The steps of one run, in the order in which they ended."""

    def __init__(self, names: Names, layers: Sequence[Layer]) -> None:
        self.names = names
        self.known = {layer.name: layer for layer in layers}
        self.steps: list[Step] = []
        self.path: list[str] = [""]
        self.hidden = 0
        self.counts: dict[str, int] = {}
        self.arrays: dict[int, tuple[Any, Any]] = {}
        self.strangers: list[str] = []

    def array(self, tensor: Any) -> Any:
        """The numbers of a tensor: one array for one tensor, however often it comes by."""
        if id(tensor) not in self.arrays:
            self.arrays[id(tensor)] = tensor, as_array(tensor)  # the tensor is kept, so its id stays its own
        return self.arrays[id(tensor)][1]

    def note(self, name: str, role: str, told: dict[str, Any], given: Any, outputs: Any, call: Call,
             layer: str = "") -> None:  # fmt: skip
        """Add a step."""
        into = tuple(self.array(tensor) for tensor in tensors(given))
        out = tuple(self.array(tensor) for tensor in tensors(outputs))
        self.steps.append(Step(name, role, into, out, told, layer, call))

    def counted(self, function: str) -> str:
        """The name of the next call of a function in the layer that is running."""
        name = f"{self.path[-1]}:{function}"
        self.counts[name] = self.counts.get(name, -1) + 1
        return f"{name}#{self.counts[name]}"

    def function(self, told: str, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call of a function, which is a step if it is not part of another one."""
        if self.hidden or not replaying.takes((args, kwargs)):
            return original(*args, **kwargs)
        with self.hiding():
            result = original(*args, **kwargs)
        out = tensors(result)
        if out and not any(one is other for one in out for other in tensors((args, kwargs))):
            role, found = functions.tell(told, original, args, kwargs, result)
            self.note(self.counted(told), role, found, (args, kwargs), result, Call(original, (args, kwargs)))
        return result

    def layer(self, original: Callable[..., Any], layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call of a layer. What happens within a layer that is known is not told."""
        if self.hidden or not replaying.takes((args, kwargs)):
            return original(layer, *args, **kwargs)
        path = self.names.paths.get(id(layer))
        if path is None:
            if layer.weights:
                self.strangers.append(layer.name)
            path = self.counted(type(layer).__name__)
        if known(layer, settings.ROLES) is not None:
            return self._leaf(original, layer, path, args, kwargs)
        return self._block(original, layer, path, args, kwargs)

    def _block(self, original: Callable[..., Any], layer: Any, path: str, args: Any, kwargs: Any) -> Any:
        self.path.append(path)
        try:
            result = original(layer, *args, **kwargs)
        finally:
            self.path.pop()
        holds = self.known[path].name if path in self.known else ""
        call = replaying.of_layer(layer, original, args, kwargs, False, *self._weights(layer))
        self.note(path, CUSTOM if holds else BLOCK, {}, call.given, result, call, holds)
        return result

    def _leaf(self, original: Callable[..., Any], layer: Any, path: str, args: Any, kwargs: Any) -> Any:
        if isinstance(layer, ATTENTIONS):
            args, kwargs = replaying.ordered(layer, args, kwargs)
        activation = settings.fused(layer)
        applied: list[tuple[Any, Any, list[Step]]] = []
        contents = vars(layer)
        with self.hiding():
            try:
                if activation is not None:
                    contents["activation"] = self._applying(activation, path, applied)
                result = original(layer, *args, **kwargs)
            finally:
                if activation is not None:
                    contents["activation"] = activation
        apart = len(applied) == 1 and is_tensor(applied[0][1]) and applied[0][1] is not applied[0][0]
        ended = applied[0][0] if apart else result
        call = replaying.of_layer(layer, original, args, kwargs, apart, *self._weights(layer))
        self._told(layer, path, call, ended)
        if apart:
            self.steps += _named(applied[0][2], applied[0][0], applied[0][1], f"{path}:activation", self)
        return result

    def _told(self, layer: Any, path: str, call: Call, ended: Any) -> None:
        into = tuple(functions.shape(tensor) for tensor in tensors(call.given))
        out = tuple(functions.shape(tensor) for tensor in tensors(ended))
        given = functions.bound(layer.call, *call.given)
        role, found = settings.tell(settings.Observed(layer, given, into, out)) or (CUSTOM, {})
        self.note(path, role, found, call.given, ended, call, path if path in self.known else "")

    def _applying(self, activation: Any, path: str, applied: list[tuple[Any, Any, list[Step]]]) -> Callable[..., Any]:
        def apply(x: Any, *args: Any, **kwargs: Any) -> Any:
            before, hidden, self.steps, self.hidden = self.steps, self.hidden, [], 0
            self.path.append(path)
            try:
                y = activation(x, *args, **kwargs)
                applied.append((x, y, self.steps))
            finally:
                self.steps, self.hidden = before, hidden
                self.path.pop()
            return y

        return apply

    def _weights(self, layer: Any) -> tuple[list[str], list[str]]:
        found = [self.names.names[id(one)] for one in layer.weights if id(one) in self.names.names]
        buffers = {piece.tensor for one in self.known.values() for slot in one.slots if not slot.trainable
                   for piece in slot.pieces}  # fmt: skip
        return [name for name in found if name not in buffers], [name for name in found if name in buffers]

    @contextlib.contextmanager
    def hiding(self) -> Iterator[None]:
        """What happens here is no step."""
        self.hidden += 1
        try:
            yield
        finally:
            self.hidden -= 1


def _named(steps: list[Step], x: Any, y: Any, name: str, recorder: Recorder) -> list[Step]:
    """The steps of an activation, which are one of that name if it was a single one."""
    into, out = recorder.array(x), recorder.array(y)
    inner = [step for step in steps if step.role not in MOVING]
    if len(inner) == 1 and inner[0].inputs[0] is into and inner[0].outputs[0] is out:
        inner[0].name = name
        return inner
    return steps


@contextlib.contextmanager
def recording(recorder: Recorder | None) -> Iterator[None]:
    """Every call that this thread makes is told to the recorder; to none if there is none."""
    if recorder is None:
        yield
        return
    before = getattr(_LOCAL, "recorder", None)
    with patched("watching", lambda: [*watched.patches(_function), watched.of_layers(_layer)]):
        _LOCAL.recorder = recorder
        try:
            yield
        finally:
            _LOCAL.recorder = before


def _function(told: str, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    recorder = getattr(_LOCAL, "recorder", None)
    return original(*args, **kwargs) if recorder is None else recorder.function(told, original, args, kwargs)


def _layer(original: Callable[..., Any], layer: keras.layers.Layer, args: Any, kwargs: Any) -> Any:
    recorder = getattr(_LOCAL, "recorder", None)
    return original(layer, *args, **kwargs) if recorder is None else recorder.layer(original, layer, args, kwargs)
