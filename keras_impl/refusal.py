"""How a layer refuses what it is given: by one sentence, at once or when a graph is run."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..core.errors import InputError


def refused(sentence: str) -> InputError:
    """An error to whose sentence Keras does not add the layer's arguments."""
    error = InputError(sentence)
    error._keras_call_info_injected = True  # type: ignore[attr-defined]
    return error


def provided(holds: Any, sentence: str, tensor: Any) -> Any:
    """The tensor itself, in a graph that says the sentence and stops where this does not hold.

    What uses the tensor waits for that. Left to itself, the graph may say something else before.
    """
    with tf.control_dependencies([tf.debugging.Assert(holds, [sentence])]):
        return tf.identity(tensor)
