"""The diffusion model. See core/architectures/diffusion.py."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from ...core.architectures.diffusion import Diffusion as Spec
from ...core.noise import Noise
from .. import learning
from ..convolution import Conv2D
from ..embedding import Embedding, angles
from ..model import SpecModel
from ..refusal import provided, refused
from ..techniques import exponential_moving_average, gaussian_diffusion
from . import multi_head_attention


@keras.saving.register_keras_serializable("diglot")
class Diffusion(SpecModel):
    REPORTED = ("loss",)

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.time = TimeEmbedding(spec)
        self.label = Embedding(spec.num_classes + 1, spec.hidden) if spec.num_classes else None
        self.stem = Conv2D(spec.widths[0], 3, margin=1)
        self.down = [ResidualBlock(spec, *widths) for widths in spec.down()]
        self.downsample = [Conv2D(width, 3, strides=2, margin=1) for width in spec.widths[:-1]]
        last = spec.widths[-1]
        self.middle = [ResidualBlock(spec, last, last), ResidualBlock(spec, last, last)]
        self.attention = Attention(spec)
        self.up = [ResidualBlock(spec, *widths) for widths in spec.up()]
        self.upsample = [Upsample(width) for width in reversed(spec.widths[1:])]
        self.norm = layers.GroupNormalization(spec.groups, epsilon=spec.norm_epsilon)
        self.head = Conv2D(spec.in_channels, 3, margin=1)
        self.process = gaussian_diffusion.build(spec.process())
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, images: Any, times: Any, labels: Any = None) -> Any:
        embedding = self.time(times)  # (batch) -> (batch, channels)
        if self.label is not None:
            embedding = embedding + self.label(labels)
        embedding = ops.silu(embedding)
        x = self.stem(images)
        skips = [x]
        for index, block in enumerate(self.down):
            x = block(x, embedding)
            skips.append(x)
            level, place = divmod(index + 1, self.spec.blocks)
            if not place and level <= len(self.downsample):
                x = self.downsample[level - 1](x)  # (batch, height, width, channels) -> half as high and wide
                skips.append(x)
        x = self.middle[0](x, embedding)
        x = self.middle[1](self.attention(x), embedding)
        for index, block in enumerate(self.up):
            x = block(ops.concatenate([x, skips.pop()], axis=-1), embedding)
            level, place = divmod(index + 1, self.spec.blocks + 1)
            if not place and level <= len(self.upsample):
                x = self.upsample[level - 1](x)  # -> twice as high and wide
        return self.head(ops.silu(self.norm(x)))

    def error(self, images: Any, noise: Any, times: Any, labels: Any = None, dropped: Any = None) -> Any:
        """The mean squared error of the predicted noise. `dropped` are the labels that are left out."""
        noised = self.process.noised(images, noise, times)
        if labels is not None:
            labels = ops.where(ops.cast(dropped, "bool"), ops.full_like(labels, self.spec.num_classes), labels)
        return ops.mean(ops.square(self(noised, times, labels) - noise))

    def guided(self, images: Any, times: Any, labels: Any = None) -> Any:
        """The noise that a sampler takes: with guidance, of a prediction with the labels and one without."""
        if not self.spec.guidance:
            return self(images, times, labels)
        labels = ops.concatenate([labels, ops.full_like(labels, self.spec.num_classes)])
        predicted = self(ops.concatenate([images, images]), ops.concatenate([times, times]), labels)
        return self.process.guided(*ops.split(predicted, 2))

    def ddpm(self, images: Any, noise: Any, times: Any, labels: Any = None) -> Any:
        return self.process.ddpm(images, self.guided(images, times, labels), noise, times)

    def ddim(self, images: Any, noise: Any, times: Any, previous: Any, labels: Any = None) -> Any:
        return self.process.ddim(images, self.guided(images, times, labels), noise, times, previous)

    def train_step(self, data: Any) -> dict[str, Any]:
        """What `fit` calls with a batch of images in [-1, 1], and their labels; the rest is drawn.

        An average of the weights is the optimizer's, `use_ema`.
        """
        return self.reported(data, self._learnt(*self._drawn(data)))

    def test_step(self, data: Any) -> dict[str, Any]:
        """What `evaluate` calls, with a batch as `fit` has it."""
        return self.reported(data, self.error(*self._drawn(data)))

    def _learnt(self, *batch: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = self.error(*batch)
        weights = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    def _drawn(self, data: Any) -> Any:
        """Images, noise, times, and where there are classes labels, and which of them are left out."""
        images, labels = data[:2] if isinstance(data, tuple) else (data, None)
        count, seed = ops.shape(images)[0], self.seed_generator
        noise = keras.random.normal(ops.shape(images), dtype=images.dtype, seed=seed)
        times = keras.random.randint((count,), 0, self.spec.timesteps, dtype="int64", seed=seed)
        if self.label is None:
            return images, noise, times
        if labels is None:
            raise refused(f"{self.spec.name} has {self.spec.num_classes} classes, so it is fitted to images and labels")
        dropped = keras.random.uniform((count,), seed=seed) < self.spec.label_dropout
        return images, noise, times, labels, dropped


class TimeEmbedding(layers.Layer):
    """Sines and cosines of the time, and two dense layers."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        turned = angles(spec.timesteps, spec.widths[0])
        self.waves = np.concatenate([np.sin(turned), np.cos(turned)], axis=1)
        self.expand = layers.Dense(spec.hidden)
        self.contract = layers.Dense(spec.hidden)

    def call(self, times: Any) -> Any:
        inside = ops.all((times >= 0) & (times < len(self.waves)))
        text = f"times lie outside the steps, which are 0 to {len(self.waves) - 1}"
        if tf.executing_eagerly():
            if not inside:
                raise refused(text)
        elif tf.is_symbolic_tensor(times):
            times = provided(inside, text, times)
        waves = tf.gather(ops.convert_to_tensor(self.waves, dtype=self.compute_dtype), times)
        return self.contract(ops.silu(self.expand(waves)))  # (batch) -> (batch, channels)


class ResidualBlock(layers.Layer):
    def __init__(self, spec: Spec, inputs: int, width: int) -> None:
        super().__init__()
        self.norm1 = layers.GroupNormalization(spec.groups, epsilon=spec.norm_epsilon)
        self.conv1 = Conv2D(width, 3, margin=1, use_bias=False)
        self.embedding = layers.Dense(width)
        self.norm2 = layers.GroupNormalization(spec.groups, epsilon=spec.norm_epsilon)
        self.conv2 = Conv2D(width, 3, margin=1)
        self.shortcut = Conv2D(width, 1) if inputs != width else None

    def call(self, x: Any, embedding: Any) -> Any:
        h = self.conv1(ops.silu(self.norm1(x)))
        h = h + self.embedding(embedding)[:, None, None, :]
        h = self.conv2(ops.silu(self.norm2(h)))
        return h + (x if self.shortcut is None else self.shortcut(x))


class Attention(layers.Layer):
    """Self-attention between the places of a feature map, added to it."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.norm = layers.GroupNormalization(spec.groups, epsilon=spec.norm_epsilon)
        self.heads = multi_head_attention.build(spec.attention())

    def call(self, x: Any) -> Any:
        batch, height, width, channels = ops.shape(x)
        # (batch, height, width, channels) -> (batch, time, channels)
        places = ops.reshape(self.norm(x), (batch, height * width, channels))
        attended = self.heads(places, places, places)
        return x + ops.reshape(attended, (batch, height, width, channels))


class Upsample(layers.Layer):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.nearest = layers.UpSampling2D(2)
        self.conv = Conv2D(width, 3, margin=1)

    def call(self, x: Any) -> Any:
        return self.conv(self.nearest(x))


class Learner(learning.Learner):
    def __init__(self, model: Diffusion, noise: Noise | None = None) -> None:
        super().__init__(model, noise)
        model.compile(self.optimizers["network"])
        self.follow = exponential_moving_average.build(self.spec.average())

    def step(self, *batch: Any) -> Any:
        updates = tf.identity(self.optimizers["network"].iterations)  # before this one
        loss = self.model._learnt(*batch)
        self.follow(self.copies["average"].trainable_variables, self.model.trainable_variables, updates)
        return loss

    def error(self, *batch: Any) -> Any:
        return self.copies["average"].error(*batch)

    def ddpm(self, *arrays: Any) -> Any:
        return self.copies["average"].ddpm(*arrays)

    def ddim(self, *arrays: Any) -> Any:
        return self.copies["average"].ddim(*arrays)


def build(spec: Spec) -> Diffusion:
    return Diffusion(spec)
