"""The variational autoencoder. See core/architectures/vae.py."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from ...core.architectures.vae import VAE as Spec
from ...core.noise import Noise
from .. import learning
from ..convolution import Conv2D, Conv2DTranspose
from ..model import SpecModel
from ..techniques import negative_elbo


@keras.saving.register_keras_serializable("diglot")
class VAE(SpecModel):
    REPORTED = ("loss", "reconstruction", "kl")

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.encoder = Encoder(spec)
        self.sampling = Sampling()
        self.decoder = Decoder(spec)
        self.objective = negative_elbo.build(spec.objective())

    def call(self, images: Any, noise: Any = None, training: bool = False) -> tuple[Any, ...]:
        mean, log_variance = self.encoder(images)
        latents = self.sampling(mean, log_variance, noise, training=training)
        return self.decoder(latents), mean, log_variance

    def terms(self, images: Any, noise: Any = None, training: bool = False) -> tuple[Any, ...]:
        return self.objective(images, *self(images, noise, training=training))

    def train_step(self, data: Any) -> dict[str, Any]:
        """What `fit` calls with a batch of images; with (images, noise), the noise is not drawn."""
        return self.reported(data, *self._learnt(*self._drawn(data)))

    def test_step(self, data: Any) -> dict[str, Any]:
        """What `evaluate` calls, with a batch as `fit` has it: the bound is of a sample, and not of the mean."""
        return self.reported(data, *self.terms(*self._drawn(data)))

    def _learnt(self, images: Any, noise: Any) -> tuple[Any, ...]:
        with tf.GradientTape() as tape:
            losses = self.terms(images, noise, training=True)
        weights = self.trainable_variables
        self.optimizer.apply(tape.gradient(losses[0], weights), weights)
        return losses

    def _drawn(self, data: Any) -> tuple[Any, Any]:
        """Images and noise."""
        if isinstance(data, tuple):
            return data
        shape = (ops.shape(data)[0], self.spec.latent_dim)
        return data, keras.random.normal(shape, dtype=data.dtype, seed=self.sampling.seed_generator)


class Encoder(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        size = spec.kernel_size
        self.convolutions = [Conv2D(width, size, strides=2, margin=size // 2) for width in spec.widths]
        self.flatten = layers.Flatten()
        self.mean = layers.Dense(spec.latent_dim)
        self.log_variance = layers.Dense(spec.latent_dim)

    def call(self, images: Any) -> tuple[Any, Any]:
        x = images
        for convolution in self.convolutions:
            x = ops.relu(convolution(x))  # (batch, height, width, channels) -> half as high and wide
        x = self.flatten(x)  # -> (batch, channels)
        return self.mean(x), self.log_variance(x)


class Sampling(layers.Layer):
    """z = mu + sigma epsilon: the mean itself in evaluation mode, unless epsilon is given."""

    def __init__(self) -> None:
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, mean: Any, log_variance: Any, noise: Any = None, training: bool = False) -> Any:
        if noise is None:
            if not training:
                return mean
            noise = keras.random.normal(ops.shape(mean), dtype=mean.dtype, seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_variance) * noise


class Decoder(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        size = spec.kernel_size
        height, width, channels = spec.smallest
        self.dense = layers.Dense(height * width * channels)
        self.unflatten = layers.Reshape((height, width, channels))
        self.convolutions = [
            Conv2DTranspose(width, size, strides=2, margin=size // 2, extra=1) for width in reversed(spec.widths)
        ]
        self.head = Conv2DTranspose(spec.in_channels, size, margin=size // 2)

    def call(self, latents: Any) -> Any:
        x = self.unflatten(ops.relu(self.dense(latents)))  # (batch, latents) -> (batch, height, width, channels)
        for convolution in self.convolutions:
            x = ops.relu(convolution(x))  # -> twice as high and wide
        return self.head(x)


class Learner(learning.Learner):
    def __init__(self, model: VAE, noise: Noise | None = None) -> None:
        super().__init__(model, noise)
        model.compile(self.optimizers["network"])

    def step(self, images: Any, noise: Any) -> tuple[Any, ...]:
        return self.model._learnt(images, noise)

    def terms(self, images: Any, noise: Any) -> tuple[Any, ...]:
        return self.model.terms(images, noise)

    def encode(self, images: Any) -> tuple[Any, Any]:
        return self.model.encoder(images)

    def decode(self, latents: Any) -> Any:
        return self.model.decoder(latents)


def build(spec: Spec) -> VAE:
    return VAE(spec)
