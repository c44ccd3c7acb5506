"""The losses of a generator and of its discriminator. See core/techniques/adversarial_loss.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.adversarial_loss import AdversarialLoss as Spec
from ..exact import constant


class AdversarialLoss:
    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def generator(self, fake_logits: Any) -> Any:
        if self.spec.form == "wasserstein":
            return -ops.mean(fake_logits)
        return ops.mean(ops.softplus(-fake_logits))

    def discriminator(self, fake_logits: Any, real_logits: Any) -> Any:
        if self.spec.form == "wasserstein":
            return ops.mean(fake_logits) - ops.mean(real_logits)
        reals = ops.softplus(real_logits) - constant(1 - self.spec.smoothing, real_logits) * real_logits
        return ops.mean(reals) + ops.mean(ops.softplus(fake_logits))

    def penalty(self, critic: Callable[[Any], Any], images: Any, fakes: Any, shares: Any) -> Any:
        shares = ops.reshape(shares, (-1, *[1] * (images.ndim - 1)))  # (batch) -> (batch, 1, ...)
        mixed = ops.stop_gradient(shares * images + (1 - shares) * fakes)
        with tf.GradientTape() as tape:
            tape.watch(mixed)
            scores = critic(mixed)
        slopes = tape.gradient(scores, mixed)
        squares = ops.sum(ops.square(slopes), axis=tuple(range(1, slopes.ndim)))  # (batch, ...) -> (batch)
        flat = squares == 0
        norms = ops.where(flat, squares, ops.sqrt(ops.where(flat, ops.ones_like(squares), squares)))
        return constant(self.spec.penalty, norms) * ops.mean(ops.square(norms - 1))


def build(spec: Spec) -> AdversarialLoss:
    return AdversarialLoss(spec)


def trace(spec: Spec, case: Arrays) -> Arrays:
    given = {name: tf.convert_to_tensor(array) for name, array in case.items()}
    fakes, reals, weights = given["fake_logits"], given["real_logits"], (given["kernel"], given["head"])
    losses = build(spec)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(list(given.values()))
        generator, discriminator = losses.generator(fakes), losses.discriminator(fakes, reals)
        penalty = losses.penalty(
            lambda x: tf.linalg.matvec(tf.tanh(x @ weights[0]), weights[1]),
            given["images"],
            given["fakes"],
            given["shares"],
        )
    names = ("gradient of fake_logits", "gradient of real_logits", "gradient of kernel", "gradient of head")
    found = (*tape.gradient(discriminator, (fakes, reals)), *tape.gradient(penalty, weights))
    result = {
        "generator loss": generator,
        "discriminator loss": discriminator,
        "gradient of fake_logits to the generator": tape.gradient(generator, fakes),
        "penalty": penalty,
        **dict(zip(names, found, strict=True)),
    }
    return {name: tensor.numpy() for name, tensor in result.items()}
