"""How mixing is run on a case, and the mixture of the targets. See core/mixing.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from ..core.mixing import Mixing, require_classes
from ..core.technique import Arrays


def mixed_targets(spec: Mixing, targets: Any, parameters: Arrays, like: Any) -> Any:
    """The classes of each sample and its partner as probabilities (batch, classes), in the precision of `like`."""
    if not tf.is_symbolic_tensor(targets):
        require_classes(spec, int(np.min(targets)), int(np.max(targets)))
    classes = ops.one_hot(ops.cast(targets, "int64"), spec.num_classes, dtype=like.dtype)
    weight = ops.cast(parameters["weight"], like.dtype)[:, None]
    return weight * classes + (1 - weight) * ops.take(classes, parameters["partner"], axis=0)


def trace_mixing(build: Callable[..., Any], spec: Mixing, case: Arrays) -> Arrays:
    """The images, what other samples there are, and the targets, mixed."""
    result: Arrays = {}
    for name, array in case.items():
        if name != "targets":
            samples, targets = build(spec)(tf.convert_to_tensor(array), case["targets"], spec.drawn(case))
            result |= {name: samples.numpy(), "targets": targets.numpy()}
    return result
