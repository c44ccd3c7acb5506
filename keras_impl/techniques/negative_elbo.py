"""The negative evidence lower bound. See core/techniques/negative_elbo.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.negative_elbo import NegativeELBO as Spec
from ..exact import constant


def build(spec: Spec) -> Callable[..., tuple[Any, ...]]:
    def loss(images: Any, decoded: Any, mean: Any, log_variance: Any) -> tuple[Any, ...]:
        if spec.likelihood == "bernoulli":
            terms = tf.nn.sigmoid_cross_entropy_with_logits(images, decoded)
        else:
            offset = constant(math.log(spec.std) + 0.5 * math.log(2 * math.pi), images)
            terms = 0.5 * ops.square((images - decoded) / constant(spec.std, images)) + offset
        reconstruction = ops.mean(ops.sum(terms, axis=tuple(range(1, terms.ndim))))  # (batch, ...) -> (batch) -> ()
        kl = 0.5 * ops.mean(ops.sum(ops.square(mean) + ops.exp(log_variance) - log_variance - 1, axis=1))
        return reconstruction + constant(spec.beta, kl) * kl, reconstruction, kl

    return loss


def trace(spec: Spec, case: Arrays) -> Arrays:
    given = [tf.convert_to_tensor(case[name]) for name in ("decoded", "mean", "log_variance")]
    with tf.GradientTape() as tape:
        tape.watch(given)
        losses = build(spec)(tf.convert_to_tensor(case["images"]), *given)
    found = tape.gradient(losses[0], given)
    names = ("gradient of decoded", "gradient of mean", "gradient of log_variance")
    result = dict(zip(("loss", "reconstruction", "kl"), losses, strict=True)) | dict(zip(names, found, strict=True))
    return {name: tensor.numpy() for name, tensor in result.items()}
