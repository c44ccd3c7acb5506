"""The generative adversarial network. See core/architectures/gan.py."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from ...core.architectures.gan import GAN as Spec
from ...core.noise import Noise
from ...core.techniques.dropout import Dropout
from .. import learning
from ..convolution import Conv2D, Conv2DTranspose
from ..model import SpecModel
from ..techniques import adversarial_loss, batch_norm, dropout


@keras.saving.register_keras_serializable("diglot")
class GAN(SpecModel):
    REPORTED = ("generator_loss", "discriminator_loss", "penalty")

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.generator = Generator(spec)
        self.discriminator = Discriminator(spec)
        self.objective = adversarial_loss.build(spec.objective())
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, latents: Any, images: Any, training: bool = False) -> tuple[Any, ...]:
        generated = self.generator(latents, training=training)
        return *self.judged(generated, images, training=training), generated

    def judged(self, fakes: Any, images: Any, training: bool = False) -> tuple[Any, Any]:
        logits = self.discriminator(ops.concatenate([fakes, images]), training=training)
        count = ops.shape(fakes)[0]
        return logits[:count], logits[count:]

    def discriminator_losses(
        self, images: Any, latents: Any, shares: Any = None, training: bool = False
    ) -> tuple[Any, ...]:
        with still(self.generator):
            fakes = ops.stop_gradient(self.generator(latents, training=training))
        loss = self.objective.discriminator(*self.judged(fakes, images, training=training))
        if shares is None:
            return (loss,)
        return loss, self.objective.penalty(lambda x: self.discriminator(x, training=training), images, fakes, shares)

    def generator_loss(self, latents: Any, training: bool = False) -> Any:
        return self.objective.generator(
            self.discriminator(self.generator(latents, training=training), training=training)
        )

    def compile(self, generator_optimizer: Any = "adam", discriminator_optimizer: Any = "adam", **options: Any) -> None:
        super().compile(optimizer=None, **options)
        self.generator_optimizer = keras.optimizers.get(generator_optimizer)
        self.discriminator_optimizer = keras.optimizers.get(discriminator_optimizer)

    def get_compile_config(self) -> dict[str, Any] | None:
        names = ("generator_optimizer", "discriminator_optimizer")
        return {name: getattr(self, name) for name in names} if self.compiled else None

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    def train_step(self, images: Any) -> dict[str, Any]:
        """What `fit` calls with a batch of images in [-1, 1]: all updates of one alternation, on draws of its own.

        All updates of the discriminator see these images, where the course and Gulrajani's algorithm 1 take new ones.
        """
        for _ in range(self.spec.critic_steps):
            losses = self._update_discriminator(images, *self._drawn(images))
        latents, *_ = self._drawn(images)
        return self.reported(images, self._update_generator(latents), *losses)

    def test_step(self, images: Any) -> dict[str, Any]:
        """What `evaluate` calls: both losses in evaluation mode, without the penalty."""
        latents, *_ = self._drawn(images)
        return self.reported(images, self.generator_loss(latents), *self.discriminator_losses(images, latents))

    def _drawn(self, images: Any) -> tuple[Any, ...]:
        """Latents for as many fakes as there are images, and shares where the loss asks for them."""
        batch, options = ops.shape(images)[0], {"dtype": images.dtype, "seed": self.seed_generator}
        latents = keras.random.normal((batch, self.spec.latent_dim), **options)
        return (latents, keras.random.uniform((batch,), **options)) if self.spec.form == "wasserstein" else (latents,)

    def _update_discriminator(self, *given: Any) -> tuple[Any, ...]:
        losses = lambda: self.discriminator_losses(*given, training=True)  # noqa: E731
        return self._updated(self.discriminator, self.discriminator_optimizer, losses)

    def _update_generator(self, latents: Any) -> Any:
        losses = lambda: (self.generator_loss(latents, training=True),)  # noqa: E731
        return self._updated(self.generator, self.generator_optimizer, losses)[0]

    def _updated(self, network: Any, optimizer: Any, losses_of: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
        with tf.GradientTape() as tape:
            losses = losses_of()
            total = sum(losses)
        weights = network.trainable_variables
        optimizer.apply(tape.gradient(total, weights), weights)
        return losses


class Generator(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        size, widths = spec.kernel_size, spec.generator_widths
        height, width, channels = spec.smallest
        self.dense = layers.Dense(height * width * channels, use_bias=False)
        self.norm = batch_norm.build(spec.norm(), height * width * channels, image=False)
        self.unflatten = layers.Reshape((height, width, channels))
        self.convolutions = [
            Conv2DTranspose(width, size, strides=stride, margin=size // 2, extra=stride - 1, use_bias=False)
            for width, stride in zip(widths[1:], spec.strides, strict=True)
        ]
        self.norms = [batch_norm.build(spec.norm(), width) for width in widths[1:]]
        self.head = Conv2DTranspose(spec.in_channels, size, strides=2, margin=size // 2, extra=1)

    def call(self, latents: Any, training: bool = False) -> Any:
        x = ops.relu(self.norm(self.dense(latents), training=training))
        x = self.unflatten(x)  # (batch, channels) -> (batch, height, width, channels)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = ops.relu(norm(convolution(x), training=training))  # -> as high and wide at first, and then twice
        return ops.tanh(self.head(x))  # -> twice as high and wide


class Discriminator(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        size = spec.kernel_size
        self.negative_slope = spec.negative_slope
        self.convolutions = [Conv2D(width, size, strides=2, margin=size // 2) for width in spec.discriminator_widths]
        rule = Dropout(rate=spec.dropout_rate)
        self.dropouts = [dropout.build(rule, image=True) for _ in spec.discriminator_widths]
        self.flatten = layers.Flatten()
        self.head = layers.Dense(1, use_bias=spec.form != "wasserstein")

    def call(self, images: Any, training: bool = False) -> Any:
        x = images
        for convolution, drop in zip(self.convolutions, self.dropouts, strict=True):
            x = ops.leaky_relu(convolution(x), negative_slope=self.negative_slope)  # -> half as high and wide
            x = drop(x, training=training)
        return self.head(self.flatten(x))  # (batch, height, width, channels) -> (batch, 1)


@contextlib.contextmanager
def still(network: layers.Layer) -> Iterator[None]:
    """Batch normalisation by the batch that leaves the running statistics where they are."""
    norms = [layer for layer in network._flatten_layers() if isinstance(layer, layers.BatchNormalization)]
    before = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 1.0
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum


class Learner(learning.Learner):
    def __init__(self, model: GAN, noise: Noise | None = None) -> None:
        super().__init__(model, noise)
        model.compile(self.optimizers["generator"], self.optimizers["discriminator"])

    def step_discriminator(self, images: Any, latents: Any, shares: Any = None) -> tuple[Any, ...]:
        return self.model._update_discriminator(images, latents, shares)

    def step_generator(self, latents: Any) -> Any:
        return self.model._update_generator(latents)

    def generate(self, latents: Any) -> Any:
        return self.model.generator(latents)

    def judge(self, images: Any) -> Any:
        return self.model.discriminator(images)


def build(spec: Spec) -> GAN:
    return GAN(spec)
