"""A user's Keras model as core/port sees it. See core/port/subject.py."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ...core.errors import InputError, StateError, nearest
from ...core.port.layer import Layer, Step, Trace
from ...core.port.subject import Inputs
from ...core.technique import Arrays
from . import raising, settings, varying, weights
from .making import arguments, built, made
from .naming import Names, named
from .observing import Recorder, recording
from .raising import Raised, told
from .replaying import Call
from .structure import as_array, flattened, tensors


class Subject:
    """A user's Keras model with weights of its own, in float64 or, where that cannot be, in the types that it has."""

    side = "keras"

    def __init__(self, model: Any, names: Names, precision: str, weaker: str = "", lifted: bool = False) -> None:
        self.model, self.names, self.precision, self.weaker = model, names, precision, weaker
        self.aliases: Mapping[str, str] = dict(names.aliases)
        self.layers: tuple[Layer, ...] = weights.layers(names, settings.static)
        self.raised = Raised(names, precision == "float64", lifted)
        self.written: set[str] = set()
        self.biased: Collection[str] = ()
        self.half = raising.halved(names)
        self.ours = {**names.names, **{id(one): name for name, one in self.raised.variables.items()}}
        held = {piece.tensor for layer in self.layers for slot in layer.slots for piece in slot.pieces}
        self.loose = [name for name in self.raised.variables if name not in held]

    def state(self) -> Arrays:
        held = {name: as_array(variable) for name, variable in self.names.variables.items() if name not in self.written}
        ours = self.raised.values()
        return {name: held.get(name, ours[name]) for name in self.names.variables if name not in self.loose}

    def trains(self, tensor: str) -> bool:
        return self._is_trained(self.aliases.get(tensor, tensor))

    def aside(self) -> list[str]:
        found = []
        for name, variable in self.names.variables.items():
            for what in ("regularizer", "constraint"):
                if (held := getattr(variable, what, None)) is not None:
                    found.append(f"{what} {type(held).__name__} of `{name}`")
        return found

    def write(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        given = {self.aliases.get(name, name): array for name, array in arrays.items()}
        for name, array in given.items():
            if name not in self.raised.variables:
                raise StateError(
                    f"the Keras model has no weight {name!r}{nearest(name, self.raised.variables)}", (name,)
                )
            if tuple(array.shape) != tuple(self.raised.variables[name].shape):
                wanted = tuple(self.raised.variables[name].shape)
                raise StateError(f"{name} of the Keras model is {wanted} and not {tuple(array.shape)}", (name,))
        self.raised.put(dict(given))
        self.written |= set(given)

    def run(self, inputs: Inputs, *, training: bool = False, watch: bool = True) -> Trace:
        recorder = Recorder(self.names, self.layers, self.ours) if watch else None
        before = self.raised.values(self.loose)
        with self.raised.alive(training):
            args, kwargs = self._given(inputs)
            with recording(recorder):
                result = self.model(*args, **kwargs, **self._mode(training))
            outputs = {name: recorder.array(tensor) if recorder else as_array(tensor)
                       for name, tensor in flattened(result).items()}  # fmt: skip
        self.raised.put(before)
        if training:
            self.written |= set(self._buffers())
        return Trace(outputs, recorder.steps if recorder else [])

    def gradients(self, inputs: Inputs, cotangents: Sequence[NDArray[Any] | None], *, training: bool = False) -> Arrays:
        before = self.raised.values(None if training else self.loose)
        try:
            with self.raised.alive(training):
                args, kwargs = self._given(inputs)
                sources: dict[str, Any] = {name: self.raised.variables[name] for name in self._parameters()}
                keys = list(inputs) if isinstance(inputs, Mapping) else range(len(inputs))
                for key, tensor in zip(keys, tensors((args, kwargs)), strict=True):
                    if tensor.dtype.is_floating:
                        sources[f"input {key}"] = tensor
                with tf.GradientTape() as tape:
                    tape.watch(list(sources.values()))
                    outputs = flattened(self.model(*args, **kwargs, **self._mode(training))).values()
                return _pulled(tape, [one for one in outputs if one.dtype.is_floating], sources, cotangents)
        finally:
            self.raised.put(before)

    def train(
        self,
        batches: Sequence[Inputs],
        targets: Sequence[Sequence[NDArray[Any] | None]],
        rate: float,
        *,
        still: Collection[str] = (),
    ) -> Arrays:
        before = self.raised.values()
        moved = [name for name in self._parameters() if self._is_trained(name) and name not in still]
        trained = {name: self.raised.variables[name] for name in moved}
        losses = []
        try:
            with self.raised.alive(True):
                for batch, wanted in zip(batches, targets, strict=True):
                    args, kwargs = self._given(batch)
                    with tf.GradientTape() as tape:
                        found = [one for one in flattened(self.model(*args, **kwargs, **self._mode(True))).values()
                                 if one.dtype.is_floating]  # fmt: skip
                        loss = _loss(found, wanted)
                    gradients = tape.gradient(loss, list(trained.values()))
                    for variable, gradient in zip(trained.values(), gradients, strict=True):
                        if gradient is not None:
                            variable.assign_sub(_like(rate, variable) * tf.convert_to_tensor(gradient))
                    losses.append(as_array(loss))
            return {"loss": np.stack(losses), **self.raised.values()}
        finally:
            self.raised.put(before)

    def replay(
        self, step: Step, inputs: Sequence[NDArray[Any]], cotangent: NDArray[Any] | None, *, training: bool = False
    ) -> Arrays:
        call: Call = step.handle
        before = self.raised.values([*self.loose, *call.tensors, *call.buffers] if training else self.loose)
        try:
            with self.raised.alive(training):
                given = [self._tensor(array, like) for array, like in zip(inputs, step.inputs, strict=True)]
                sources = {f"input {i}": tensor for i, tensor in enumerate(given) if tensor.dtype.is_floating}
                sources |= {name: self.raised.variables[name] for name in call.tensors}
                if cotangent is None:
                    outputs = tensors(call.make(given, training))
                    result: Arrays = {}
                else:
                    with tf.GradientTape() as tape:
                        tape.watch(list(sources.values()))
                        outputs = tensors(call.make(given, training))
                    floats = [one for one in outputs if one.dtype.is_floating][:1]
                    result = _pulled(tape, floats, sources, [cotangent])
                if training:
                    result |= {f"buffer {name}": as_array(self.raised.variables[name]) for name in call.buffers}
                return {"output": as_array(outputs[0]), **result}
        except Exception as error:
            raise InputError(f"{step.name or 'the model'} cannot be run by itself: {told(error)}") from error
        finally:
            self.raised.put(before)

    def vary(self, step: Step, setting: str, value: Any) -> Step | None:
        return varying.varied(step, setting, value)

    def _given(self, inputs: Inputs) -> tuple[list[Any], dict[str, Any]]:
        given = {key: self._tensor(array) for key, array in inputs.items()} if isinstance(inputs, Mapping) else [
            self._tensor(array) for array in inputs]  # fmt: skip
        return arguments(self.model, given)

    def _tensor(self, array: NDArray[Any], like: Any = None) -> Any:
        floats = np.issubdtype(array.dtype, np.floating)
        kind = like.dtype if like is not None else self.precision if floats else array.dtype
        return tf.convert_to_tensor(np.asarray(array, dtype=kind))

    def _mode(self, training: bool) -> dict[str, bool]:
        takes = isinstance(self.model, keras.Model) or self.model._call_has_training_arg
        return {"training": training} if takes else {}

    def _buffers(self) -> list[str]:
        parameters = set(self._parameters())
        return [name for name in self.raised.variables if name not in parameters]

    def _parameters(self) -> list[str]:
        found = [piece.tensor for layer in self.layers for slot in layer.slots if slot.trainable
                 for piece in slot.pieces]  # fmt: skip
        return list(dict.fromkeys(name for name in found if self.raised.variables[name].dtype.is_floating))

    def _is_trained(self, name: str) -> bool:
        owned = {id(variable) for variable in self.model.trainable_variables}
        variable = self.names.variables[name]
        return id(variable) in owned or (isinstance(variable, tf.Variable) and bool(variable.trainable))


def _like(value: float, tensor: Any) -> Any:
    return tf.constant(np.asarray(value, dtype=tensor.dtype.as_numpy_dtype))


def _loss(outputs: Sequence[Any], targets: Sequence[NDArray[Any]]) -> Any:
    known = [tf.where(tf.math.is_inf(one) & (one < 0), tf.zeros_like(one), one) for one in outputs]
    terms = [_like(0.5, one) * tf.reduce_mean(tf.square(one - tf.constant(target, one.dtype)))
             for one, target in zip(known, targets, strict=True) if target is not None]  # fmt: skip
    return tf.add_n(terms) if terms else tf.constant(0.0)


def _pulled(tape: Any, outputs: Sequence[Any], sources: Mapping[str, Any], cotangents: Sequence[Any]) -> Arrays:
    pairs = [pair for pair in zip(outputs, cotangents, strict=True) if pair[1] is not None]
    given = [tf.constant(np.asarray(array, dtype=one.dtype.as_numpy_dtype)) for one, array in pairs]
    found = tape.gradient([one for one, _ in pairs], list(sources.values()), given)
    return {name: as_array(tf.zeros_like(source) if gradient is None else gradient)
            for (name, source), gradient in zip(sources.items(), found, strict=True)}  # fmt: skip


def examine(model: Any, inputs: Inputs, precise: bool) -> Subject:
    """See core/port/subject.py."""
    if isinstance(model, keras.layers.Layer):
        return _examined(model, inputs, precise)
    if precise:
        with contextlib.suppress(InputError):  # what holds float32 is made in float32, and raised as an instance is
            found = _examined(made(model, True), inputs, True)
            if not found.weaker:
                return found
    return _examined(made(model, False), inputs, precise)


def _examined(model: Any, inputs: Inputs, precise: bool) -> Subject:
    built(model, inputs)
    names = named(model)
    own = Subject(model, names, "float32")
    if precise:
        found = Subject(model, names, "float64")
        own.weaker = raising.doubt(found, own, inputs)
        if not own.weaker:
            return found
    if not own.half:
        return own
    lifted = Subject(model, names, "float32", own.weaker, lifted=True)
    try:
        lifted.run(inputs, watch=False)
    except Exception as error:  # whatever the user's own code raises where a type is another than it was
        kept = f"nor does it run in float32, so that it kept {own.half} ({told(error)})"
        own.weaker, own.half = "; ".join(filter(None, (own.weaker, kept))), ""
        return own
    return lifted
