"""Mistakes in porting the binary cross-entropy."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from diglot.core import registry
from diglot.core.technique import Arrays
from diglot.keras_impl.precision import precision

from . import TechniqueBug

PLAIN = registry.make("binary_cross_entropy")
WEIGHTED = registry.make("binary_cross_entropy_weighted")
SMOOTHED = registry.make("binary_cross_entropy_weighted_smoothed")


@partial(TechniqueBug, "probabilities cut at 1e-7", PLAIN, "keras")
def cut(true: Any, spec: Any, case: Arrays) -> Arrays:
    with precision("float64"):
        logits = tf.convert_to_tensor(case["logits"])
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = keras.losses.BinaryCrossentropy()(case["targets"], tf.sigmoid(logits))
    return {"loss": loss.numpy(), "gradient": tape.gradient(loss, logits).numpy()}


@partial(TechniqueBug, "logits taken for probabilities", PLAIN, "keras")
def sigmoid_twice(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec, {**case, "logits": 1 / (1 + np.exp(-case["logits"]))})


@partial(TechniqueBug, "weight given to what is not asked for", WEIGHTED, "torch")
def weight_of_the_negative(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, {"logits": -case["logits"], "targets": 1 - case["targets"]})
    return {**result, "gradient": -result["gradient"]}


@partial(TechniqueBug, "weights divided out", WEIGHTED, "torch")
def normalised(true: Any, spec: Any, case: Arrays) -> Arrays:
    mean = (spec.pos_weight * case["targets"] + 1 - case["targets"]).mean()
    return {name: array / mean for name, array in true(spec, case).items()}


@partial(TechniqueBug, "smoothing towards 0 alone", SMOOTHED, "keras")
def smoothed_to_zero(true: Any, spec: Any, case: Arrays) -> Arrays:
    targets = case["targets"] * (1 - spec.label_smoothing)
    return true(spec.replace(label_smoothing=0.0), {**case, "targets": targets})


@partial(TechniqueBug, "sum over the questions, mean over the batch", SMOOTHED, "torch")
def summed(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {name: array * case["logits"].shape[1] for name, array in true(spec, case).items()}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
