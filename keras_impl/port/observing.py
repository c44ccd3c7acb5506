"""What a model did while it ran: every call of a layer, and of a function in a layer's own code, as a step."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
from keras import layers as kl
from keras.src.layers.convolutional.base_separable_conv import BaseSeparableConv

from ...core.port.layer import BLOCK, CUSTOM, Layer, Step
from ...core.port.roles import MOVING
from . import functions, replaying, separable, settings, watched
from .given import Told, bound, shape
from .held import known
from .naming import Names, children
from .patching import patched
from .replaying import Call
from .structure import as_array, is_float, is_tensor, tensors

_LOCAL = threading.local()
ATTENTIONS = (kl.MultiHeadAttention, kl.GroupQueryAttention)
RECURRENT = ("lstm", "gru", "rnn")
# The roles of functions whose weights are arguments, and so are no inputs.
GIVEN = frozenset({"convolution", "depthwise_convolution", "transposed_convolution", "embedding", "batch_norm",
                   "layer_norm", "rms_norm"})  # fmt: skip


class Recorder:
    """The steps of one run, in the order in which they ended. `ours` are the names of the weights that run, by `id`."""

    def __init__(self, names: Names, layers: Sequence[Layer], ours: Mapping[int, str]) -> None:
        self.names, self.ours = names, ours
        self.known = {layer.name: layer for layer in layers}
        self.buffers = {piece.tensor for layer in layers for slot in layer.slots if not slot.trainable
                        for piece in slot.pieces}  # fmt: skip
        self.steps: list[Step] = []
        self.path: list[str] = [""]
        self.hidden = 0
        self.counts: dict[str, int] = {}
        self.arrays: dict[int, tuple[Any, Any]] = {}

    def array(self, tensor: Any) -> Any:
        """The numbers of a tensor: one array for one tensor, however often it comes by."""
        if id(tensor) not in self.arrays:
            self.arrays[id(tensor)] = tensor, as_array(tensor)  # the tensor is kept, so its id stays its own
        return self.arrays[id(tensor)][1]

    def note(self, name: str, told: Told, call: Call, result: Any, layer: str = "") -> None:
        """Add a step."""
        into = tuple(self.array(tensor) for tensor in call.inputs)
        out = tuple(self.array(tensor) for tensor in tensors(result))
        role, found = told
        self.steps.append(Step(name, role, into, out, found, layer, call))

    def counted(self, function: str) -> str:
        """The name of the next call of a function in the layer that is running."""
        name = f"{self.path[-1]}:{function}"
        self.counts[name] = self.counts.get(name, -1) + 1
        return f"{name}#{self.counts[name]}"

    def function(self, told: str, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call of a function, which is a step if it is not part of another one."""
        every = tensors((args, kwargs))
        given = [tensor for tensor in every if not self._constant(tensor)]
        if self.hidden or not given:
            return original(*args, **kwargs)
        with self.hiding():
            result = original(*args, **kwargs)
        out = tensors(result)
        if not out or any(one is other for one in out for other in every) or self._turned(told, given, out):
            return result
        role, found = functions.tell(told, original, args, kwargs, result)
        weights = {id(tensor): self.ours[id(tensor)] for tensor in given if id(tensor) in self.ours}
        if told == "take" and id(given[0]) in weights:
            role = "embedding"
        if not any(map(is_float, out)) and (role not in MOVING or id(given[0]) not in self.arrays):
            return result
        weights = weights if role in GIVEN and len(weights) < len(given) else {}
        layer = next((self.names.owners[name] for name in weights.values()), "")
        fixed = {*weights, *(id(tensor) for tensor in every if self._constant(tensor))}
        if role in MOVING and any(map(is_float, given)):
            fixed |= {id(tensor) for tensor in given if not is_float(tensor)}
        call = Call(original, (args, kwargs), fixed=frozenset(fixed), tensors=tuple(weights.values()))
        self.note(self.counted(told), (role, found), call, result, layer if layer in self.known else "")
        return result

    def _constant(self, tensor: Any) -> bool:
        """Whether a tensor is a single number that came of no step, such as a root of a number of channels."""
        return len(tensor.shape) == 0 and id(tensor) not in self.arrays and id(tensor) not in self.ours

    def _turned(self, told: str, given: list[Any], out: list[Any]) -> bool:
        """Whether a function only turns what a layer has read from the end; that is then part of the layer's step."""
        if told not in ("flip", "reverse"):
            return False
        source = self.array(given[0])
        for step in self.steps:
            if step.role in RECURRENT and step.settings.get("reversed") and step.outputs[0] is source:
                step.outputs = (self.array(out[0]), *step.outputs[1:])
                step.handle = step.handle.replace(after=_turning)
                return True
        return False

    def layer(self, original: Callable[..., Any], layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call of a layer. What happens within a layer that is known is not told."""
        if self.hidden or not tensors((args, kwargs)):
            return original(layer, *args, **kwargs)
        path = self.names.paths.get(id(layer))
        path = self.counted(type(layer).__name__) if path is None else path
        if known(layer, {kl.Activation: True}):
            return self._activation(original, layer, path, args, kwargs)
        if known(layer, {BaseSeparableConv: True}):
            return separable.noted(self, original, layer, path, args, kwargs)
        if known(layer, settings.ROLES) is not None:
            return self.leaf(original, layer, path, args, kwargs)
        return self._block(original, layer, path, args, kwargs)

    def _block(self, original: Callable[..., Any], layer: Any, path: str, args: Any, kwargs: Any) -> Any:
        for tensor in tensors((args, kwargs)):
            self.array(tensor)
        self.path.append(path)
        try:
            result = original(layer, *args, **kwargs)
        finally:
            self.path.pop()
        holds = path if path in self.known else ""
        call = replaying.of_layer(layer, original, args, kwargs, False, *self.weights(layer))
        plain = CUSTOM if holds and not list(children(layer)) else BLOCK
        self.note(path, (plain, {}), call, result, holds)
        return result

    def _activation(self, original: Callable[..., Any], layer: Any, path: str, args: Any, kwargs: Any) -> Any:
        with self.inside(path) as steps:
            result = original(layer, *args, **kwargs)
        if is_tensor(result) and result is not args[0]:
            self.steps += self.single(steps, args[0], result, path)
        return result

    def leaf(self, original: Callable[..., Any], layer: Any, path: str, args: Any, kwargs: Any) -> Any:
        """The call of a layer that is known, and of its own activation behind it."""
        if isinstance(layer, ATTENTIONS):
            args, kwargs = replaying.ordered(layer, args, kwargs)
        with self.apart(layer, path) as applied, self.hiding():
            result = original(layer, *args, **kwargs)
        apart = len(applied) == 1
        ended = applied[0][0] if apart else result
        call = replaying.of_layer(layer, original, args, kwargs, apart, *self.weights(layer))
        into, out = [tuple(shape(one) for one in found) for found in (call.inputs, tensors(ended))]
        given = bound(layer.call, *call.given)
        told = settings.tell(settings.Observed(layer, given, into, out)) or (CUSTOM, {})
        self.note(path, told, call, ended, path if path in self.known else "")
        self.after(applied, path)
        return result

    @contextlib.contextmanager
    def apart(self, layer: Any, path: str) -> Iterator[list[tuple[Any, Any, list[Step]]]]:
        """A layer's own activation is seen by itself: what went in, what came out, and its steps."""
        activation = settings.fused(layer)
        applied: list[tuple[Any, Any, list[Step]]] = []
        if activation is None:
            yield applied
            return

        def apply(x: Any, *args: Any, **kwargs: Any) -> Any:
            hidden, self.hidden = self.hidden, 0
            try:
                with self.inside(path) as steps:
                    y = activation(x, *args, **kwargs)
            finally:
                self.hidden = hidden
            if y is not x:
                applied.append((x, y, steps))
            return y

        try:
            vars(layer)["activation"] = apply
            yield applied
        finally:
            vars(layer)["activation"] = activation

    def after(self, applied: list[tuple[Any, Any, list[Step]]], path: str) -> None:
        """The steps of an activation that was seen by itself."""
        if len(applied) == 1:
            x, y, steps = applied[0]
            self.steps += self.single(steps, x, y, f"{path}:activation")

    def single(self, steps: list[Step], x: Any, y: Any, name: str) -> list[Step]:
        """The steps between two tensors, which go by this name if there is but one."""
        inner = [step for step in steps if step.role not in MOVING]
        if len(inner) == 1 and inner[0].inputs[0] is self.array(x) and inner[0].outputs[0] is self.array(y):
            inner[0].name = name
            return inner
        return steps

    def weights(self, layer: Any) -> tuple[list[str], list[str]]:
        """The names of a layer's weights, and of its buffers."""
        found = [self.names.names[id(one)] for one in layer.weights if id(one) in self.names.names]
        return [name for name in found if name not in self.buffers], [name for name in found if name in self.buffers]

    @contextlib.contextmanager
    def inside(self, path: str) -> Iterator[list[Step]]:
        """What happens here goes into a list by itself."""
        before, self.steps = self.steps, []
        self.path.append(path)
        try:
            yield self.steps
        finally:
            self.steps = before
            self.path.pop()

    @contextlib.contextmanager
    def hiding(self) -> Iterator[None]:
        """What happens here is no step."""
        self.hidden += 1
        try:
            yield
        finally:
            self.hidden -= 1


def _turning(result: Any) -> Any:
    first, *rest = result if isinstance(result, (list, tuple)) else [result]
    return [keras.ops.flip(first, 1), *rest] if rest else keras.ops.flip(first, 1)


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
