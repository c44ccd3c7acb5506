"""One call, kept so that it can be made again with other tensors, and changed."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import activations
from keras.src import backend

from .structure import mapped, tensors

Holding = tuple[Any, str, Any]  # an object, one of its attributes, and its value during the call


@dataclass(frozen=True)
class Call:
    """A call of a layer or a function. `given` are its arguments; those whose `id` is in `fixed` are no inputs.

    `held` are attributes that are others during the call; `before` is done to the inputs ahead of it, and `after` to
    its result. `tensors` are the names of the weights that it uses, and `buffers` those that it moves.
    """

    target: Callable[..., Any]
    given: tuple[tuple[Any, ...], dict[str, Any]]
    layer: Any = None
    fixed: frozenset[int] = frozenset()
    held: tuple[Holding, ...] = ()
    before: Callable[[list[Any]], list[Any]] | None = None
    after: Callable[[Any], Any] | None = None
    tensors: tuple[str, ...] = ()
    buffers: tuple[str, ...] = ()
    masks: tuple[Any, ...] = ()

    @property
    def inputs(self) -> list[Any]:
        """The tensors that the step is given."""
        return tensors(self.given, self.fixed)

    def make(self, inputs: Sequence[Any], training: bool) -> Any:
        """The result of the call with these tensors in the place of its own."""
        for tensor, mask in zip(inputs, self.masks, strict=False):
            if mask is not None:
                backend.set_keras_mask(tensor, mask)
        with self._holding():
            remaining = iter(inputs if self.before is None else self.before(list(inputs)))
            args, kwargs = mapped(self.given, lambda old: old if id(old) in self.fixed else next(remaining))
            if self.layer is not None and takes_training(self.layer):
                kwargs = {**kwargs, "training": training}
            result = self.target(*args, **kwargs)
            return result if self.after is None else self.after(result)

    def replace(self, **changes: Any) -> Call:
        """The same call but for these."""
        return dataclasses.replace(self, **changes)

    def hold(self, *held: Holding) -> Call:
        """The same call with further attributes changed."""
        return self.replace(held=(*self.held, *held))

    @contextlib.contextmanager
    def _holding(self) -> Iterator[None]:
        before = [(vars(owner), key, key in vars(owner), vars(owner).get(key)) for owner, key, _ in self.held]
        try:
            for owner, key, value in self.held:
                vars(owner)[key] = value
            yield
        finally:
            for contents, key, there, value in reversed(before):
                if there:
                    contents[key] = value
                else:
                    contents.pop(key, None)


def takes_training(layer: Any) -> bool:
    """Whether a layer is told if it is in training mode."""
    return isinstance(layer, keras.Model) or bool(layer._call_has_training_arg)


def of_layer(layer: Any, original: Callable[..., Any], args: Any, kwargs: Any, fused: bool, names: Sequence[str],
             buffers: Sequence[str]) -> Call:  # fmt: skip
    """The call of a layer; of one with an activation of its own, without that. A mask given by name is no input."""
    held: tuple[Holding, ...] = ((layer, "activation", activations.linear),) if fused else ()
    given = (args, {key: value for key, value in kwargs.items() if key != "training"})
    fixed = frozenset(id(tensor) for tensor in tensors(kwargs.get("mask")))
    masks = tuple(backend.get_keras_mask(tensor) for tensor in tensors(given, fixed))

    def target(*args: Any, **kwargs: Any) -> Any:
        return original(layer, *args, **kwargs)

    return Call(target, given, layer, fixed, held, tensors=tuple(names), buffers=tuple(buffers), masks=masks)


def ordered(layer: Any, args: Any, kwargs: Any) -> tuple[Any, dict[str, Any]]:
    """The arguments of an attention in the order query, key, value, mask, which is PyTorch's."""
    given = inspect.signature(layer.call).bind(*args, **kwargs).arguments
    given = {name: value for name, value in given.items() if value is not None}
    given.setdefault("key", given["value"])
    first = {name: given.pop(name) for name in ("query", "key", "value", "attention_mask") if name in given}
    return (), {**first, **given}
