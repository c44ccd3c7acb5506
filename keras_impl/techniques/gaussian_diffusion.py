"""Gaussian diffusion. See core/techniques/gaussian_diffusion.py."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.gaussian_diffusion import GaussianDiffusion as Spec
from ..exact import constant


class Process:
    """The tables are float64, and what is taken from them has the precision of the images."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.betas = betas(spec)
        self.alpha_bars = tf.math.cumprod(1 - self.betas)
        self.reached = tf.concat([tf.ones(1, tf.float64), self.alpha_bars], axis=0)  # from time -1 on
        before = self.reached[:-1]
        self.start = tf.sqrt(before) * self.betas / (1 - self.alpha_bars)
        self.current = tf.sqrt(1 - self.betas) * (1 - before) / (1 - self.alpha_bars)
        self.posterior = self.betas * (1 - before) / (1 - self.alpha_bars)
        variances = self.posterior if spec.variance == "posterior" else self.betas
        inside = tf.cast(tf.range(spec.timesteps) > 0, tf.float64)  # the last step adds no noise
        self.deviations = tf.sqrt(variances) * inside
        self.times = tf.range(1, spec.sampling_steps + 1, dtype=tf.int64) * spec.timesteps // spec.sampling_steps - 1

    def noised(self, images: Any, noise: Any, times: Any) -> Any:
        kept = at(self.alpha_bars, times, images)
        return ops.sqrt(kept) * images + ops.sqrt(1 - kept) * noise

    def guided(self, conditional: Any, unconditional: Any) -> Any:
        guidance = constant(self.spec.guidance, conditional)
        return (1 + guidance) * conditional - guidance * unconditional

    def ddpm(self, images: Any, predicted: Any, noise: Any, times: Any) -> Any:
        image, _ = self.parted(images, predicted, times)
        mean = at(self.start, times, images) * image + at(self.current, times, images) * images
        return mean + at(self.deviations, times, images) * noise

    def ddim(self, images: Any, predicted: Any, noise: Any, times: Any, previous: Any) -> Any:
        image, direction = self.parted(images, predicted, times)
        kept, earlier = at(self.alpha_bars, times, images), at(self.reached, previous + 1, images)
        eta = constant(self.spec.eta, images)
        sigma = eta * ops.sqrt((1 - earlier) / (1 - kept)) * ops.sqrt(1 - kept / earlier)
        rest = ops.sqrt(ops.relu(1 - earlier - sigma**2))
        return ops.sqrt(earlier) * image + rest * direction + sigma * noise

    def parted(self, images: Any, predicted: Any, times: Any) -> tuple[Any, Any]:
        """The image that the predicted noise leaves, and the noise that the image leaves."""
        kept = at(self.alpha_bars, times, images)
        image = (images - ops.sqrt(1 - kept) * predicted) / ops.sqrt(kept)
        if not self.spec.clip_images:
            return image, predicted
        image = tf.clip_by_value(image, constant(-1.0, image), constant(1.0, image))
        return image, (images - ops.sqrt(kept) * image) / ops.sqrt(1 - kept)


def betas(spec: Spec) -> Any:
    """The variance of each step of the forward process."""
    if spec.schedule == "linear":
        ends = (tf.constant(end, tf.float64) for end in (spec.beta_start, spec.beta_end))
        return tf.linspace(*ends, spec.timesteps)
    shares = tf.range(spec.timesteps + 1, dtype=tf.float64) / spec.timesteps
    kept = tf.cos((shares + spec.offset) / (1 + spec.offset) * math.pi / 2) ** 2
    return tf.minimum(1 - kept[1:] / kept[:-1], spec.max_beta)


def at(values: Any, times: Any, images: Any) -> Any:
    """One value for each image, (batch, 1, ...)."""
    chosen = tf.cast(tf.gather(values, times), images.dtype)
    return ops.reshape(chosen, (-1, *(1,) * (len(images.shape) - 1)))


def build(spec: Spec) -> Process:
    return Process(spec)


def trace(spec: Spec, case: Arrays) -> Arrays:
    process, given = build(spec), {name: tf.convert_to_tensor(array) for name, array in case.items()}
    names = ("images", "noise", "predicted", "unconditional", "times", "previous")
    images, noise, predicted, unconditional, times, previous = (given[name] for name in names)
    result = {
        "betas": process.betas,
        "alpha_bars": process.alpha_bars,
        "posterior mean of the image": process.start,
        "posterior mean of the noised image": process.current,
        "posterior variances": process.posterior,
        "sampled times": process.times,
        "noised": process.noised(images, noise, times),
        "guided": process.guided(predicted, unconditional),
        "ddpm": process.ddpm(images, predicted, noise, times),
        "ddim": process.ddim(images, predicted, noise, times, previous),
    }
    return {name: tensor.numpy() for name, tensor in result.items()}
