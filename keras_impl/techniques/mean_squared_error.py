"""The mean squared error. See core/techniques/mean_squared_error.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from ...core.technique import Arrays
from ...core.techniques.mean_squared_error import MeanSquaredError as Spec


def build(spec: Spec) -> Callable[..., Any]:
    return keras.losses.MeanSquaredError()


def trace(spec: Spec, case: Arrays) -> Arrays:
    outputs = tf.convert_to_tensor(case["outputs"])
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        loss = build(spec)(case["targets"], outputs)
    return {"loss": loss.numpy(), "gradient": tape.gradient(loss, outputs).numpy()}
