"""Mistakes in porting the focal loss."""

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

PLAIN = registry.make("focal")
SOFTMAX = registry.make("focal_softmax")
GENTLE = registry.make("focal_gentle")
WEIGHTED = registry.make("focal_softmax_weighted")


def native(loss_of: Any, case: Arrays) -> Arrays:
    """What a loss of Keras's own makes of the case."""
    with precision("float64"):
        logits = tf.convert_to_tensor(case["logits"])
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = loss_of(logits)
    return {"loss": loss.numpy(), "gradient": tape.gradient(loss, logits).numpy()}


@partial(TechniqueBug, "probabilities cut at 1e-7", SOFTMAX, "keras")
def cut(true: Any, spec: Any, case: Arrays) -> Arrays:
    loss = keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=spec.gamma, from_logits=True)
    return native(lambda logits: loss(np.eye(logits.shape[-1])[case["targets"]], logits), case)


@partial(TechniqueBug, "power of 1 - p_t without a gradient at 0", GENTLE, "keras")
def power(true: Any, spec: Any, case: Arrays) -> Arrays:
    loss = keras.losses.BinaryFocalCrossentropy(gamma=spec.gamma, from_logits=True)
    return native(lambda logits: loss(case["targets"], logits), case)


@partial(TechniqueBug, "alpha off, as in Keras's default", PLAIN, "keras")
def without_alpha(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(alpha=None), case)


@partial(TechniqueBug, "alpha for both classes alike", PLAIN, "torch")
def one_alpha(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {name: spec.alpha * array for name, array in true(spec.replace(alpha=None), case).items()}


@partial(TechniqueBug, "focusing on what is right: p_t for 1 - p_t", PLAIN, "torch")
def reversed_focus(true: Any, spec: Any, case: Arrays) -> Arrays:
    p = 1 / (1 + np.exp(-case["logits"] * (2 * case["targets"] - 1)))
    weight = spec.alpha * case["targets"] + (1 - spec.alpha) * (1 - case["targets"])
    return {**true(spec, case), "loss": np.asarray(-(weight * p**spec.gamma * np.log(p)).mean())}


@partial(TechniqueBug, "factor that the gradient does not pass through", SOFTMAX, "torch")
def constant_factor(true: Any, spec: Any, case: Arrays) -> Arrays:
    powers = np.exp(case["logits"] - case["logits"].max(axis=-1, keepdims=True))
    p, target = powers / powers.sum(axis=-1, keepdims=True), np.eye(powers.shape[-1])[case["targets"]]
    factor = (1 - (p * target).sum(axis=-1, keepdims=True)) ** spec.gamma
    return {**true(spec, case), "gradient": factor * (p - target) / case["targets"].size}


@partial(TechniqueBug, "gamma left at the framework's default", WEIGHTED, "keras")
def default_gamma(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(gamma=2.0), case)


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
