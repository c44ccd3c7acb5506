"""A network that writes, fed token by token. See `Decoder` in core/backend.py."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..core.backend import Call
from .cache import Cache

STEPS: weakref.WeakKeyDictionary[keras.Model, Any] = weakref.WeakKeyDictionary()


class CachedDecoder:
    """Each step computes the new positions alone; `watched` runs them in evaluation mode and records calls.

    Where nobody watches, a step is a graph, which is traced once for a model.
    """

    def __init__(
        self, model: keras.Model, inputs: list[Any], watched: Callable[[dict[str, Call]], Any], eager: bool
    ) -> None:
        self.model, self.inputs, self.watched, self.eager = model, inputs, watched, eager
        self.cache: Cache | None = None
        self.calls: dict[str, Call] = {}

    def step(self, tokens: np.ndarray) -> np.ndarray:
        """The logits after the last of these tokens, (batch, time) -> (batch, channels)."""
        self.calls.clear()
        with self._watching():
            if self.cache is None:
                self.cache = self.model.start(len(tokens), *self.inputs)
            given = tf.convert_to_tensor(tokens)
            if self.eager:
                logits = self.model.decode(given, self.cache)
            else:
                logits, kept = traced(self.model, self.cache)(given, self.cache.tensors())
                self.cache.load(list(kept))
        return logits[:, -1].numpy()

    def reorder(self, rows: np.ndarray) -> None:
        """Go on with these rows, in this order; one may be there several times."""
        self.cache.load([tf.gather(tensor, rows) for tensor in self.cache.tensors()])

    def _watching(self) -> AbstractContextManager[None]:
        return self.watched(self.calls)


def traced(model: keras.Model, cache: Cache) -> Any:
    """A model's step as a graph over any batch and any number of positions: (tokens, kept) -> (logits, kept)."""
    if model not in STEPS:
        model_of, inside = weakref.ref(model), copy.deepcopy(cache)  # whose tensors are symbolic while it is traced

        def step(tokens: Any, kept: list[Any]) -> tuple[Any, list[Any]]:
            inside.load(kept)
            return model_of().decode(tokens, inside), inside.tensors()

        kept = [tf.TensorSpec(open_shape(tensor.shape), tensor.dtype) for tensor in cache.tensors()]
        STEPS[model] = tf.function(step, input_signature=[tf.TensorSpec((None, None), tf.int64), kept])
    return STEPS[model]


def open_shape(shape: Any) -> list[int | None]:
    """The shape of what is kept, whose batch and positions vary: (batch, time), or (batch, heads, time, channels)."""
    return [size if axis in (1, 3) and len(shape) > 2 else None for axis, size in enumerate(shape)]
