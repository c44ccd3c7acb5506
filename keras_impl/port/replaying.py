"""One call, kept so that it can be made again with other tensors, and changed."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import activations
from keras.src import backend

from .structure import is_tensor, mapped, tensors


@dataclass(frozen=True)
class Call:
    """A call of a layer or a function. `places` are the positions of the step's inputs among the tensors of `given`.

    `held` are attributes of the layer that are others during the call; `before` is done to the tensors ahead of it, and
    `after` to its result. `tensors` are the names of the weights that it uses, and `buffers` those that it moves.
    """

    target: Callable[..., Any]
    given: tuple[tuple[Any, ...], dict[str, Any]]
    layer: Any = None
    masks: tuple[Any, ...] = ()
    held: Mapping[str, Any] = field(default_factory=dict)
    before: Callable[[list[Any]], list[Any]] | None = None
    after: Callable[[Any], Any] | None = None
    tensors: tuple[str, ...] = ()
    buffers: tuple[str, ...] = ()

    def make(self, inputs: Sequence[Any], training: bool) -> Any:
        """The result of the call with these tensors in the place of its own."""
        for tensor, mask in zip(inputs, self.masks, strict=False):
            if mask is not None:
                backend.set_keras_mask(tensor, mask)
        given = list(inputs) if self.before is None else self.before(list(inputs))
        remaining = iter(given)
        args, kwargs = mapped(self.given, lambda old: next(remaining))
        if self.layer is not None and self.layer._call_has_training_arg:
            kwargs = {**kwargs, "training": training}
        elif isinstance(self.layer, keras.Model):
            kwargs = {**kwargs, "training": training}
        with self._holding():
            result = self.target(*args, **kwargs)
        return result if self.after is None else self.after(result)

    def replace(self, **changes: Any) -> Call:
        """The same call but for these."""
        return dataclasses.replace(self, **changes)

    @contextlib.contextmanager
    def _holding(self) -> Iterator[None]:
        if self.layer is None:
            yield
            return
        contents = vars(self.layer)
        before = {key: contents[key] for key in self.held if key in contents}
        try:
            contents.update(self.held)
            yield
        finally:
            for key in self.held:
                contents.pop(key, None)
            contents.update(before)


def of_layer(layer: Any, original: Callable[..., Any], args: Any, kwargs: Any, fused: bool, names: Sequence[str],
             buffers: Sequence[str]) -> Call:  # fmt: skip
    """The call of a layer; of one with an activation of its own, without that."""
    held = {"activation": activations.linear} if fused else {}
    given = (args, {key: value for key, value in kwargs.items() if key != "training"})
    return Call(lambda *a, **k: original(layer, *a, **k), given, layer, masks_of(given), held,
                tensors=tuple(names), buffers=tuple(buffers))  # fmt: skip


def masks_of(given: Any) -> tuple[Any, ...]:
    """The mask that Keras has hung on each tensor of a call."""
    return tuple(backend.get_keras_mask(tensor) for tensor in tensors(given))


def ordered(layer: Any, args: Any, kwargs: Any) -> tuple[Any, dict[str, Any]]:
    """The arguments of an attention in the order query, key, value, mask, which is PyTorch's."""
    given = inspect.signature(layer.call).bind(*args, **kwargs).arguments
    given = {name: value for name, value in given.items() if value is not None}
    given.setdefault("key", given["value"])
    first = {name: given.pop(name) for name in ("query", "key", "value", "attention_mask") if name in given}
    return (), {**first, **given}


def takes(structure: Any) -> bool:
    """Whether there is a tensor in it."""
    return any(is_tensor(item) for item in tensors(structure))
