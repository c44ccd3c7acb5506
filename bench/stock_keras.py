"""Training steps as tutorials publish them, of Keras's stock layers: what the siblings' steps are held against.

Each function takes a spec and gives the calls of one step, by verb: a function of NumPy arrays, compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

Step = Callable[[dict[str, Any]], float]


def compiled(function: Callable[..., Any]) -> Step:
    graph = tf.function(function)

    def step(arrays: dict[str, Any]) -> float:
        given = {
            name: tf.convert_to_tensor(array if array.dtype.kind == "i" else array.astype(np.float32))
            for name, array in arrays.items()
        }
        return float(graph(given))

    return step


def vae(spec: Any) -> dict[str, Step]:
    height, width, channels = spec.smallest
    encoder = keras.Sequential(
        [
            *(layers.Conv2D(width, 3, strides=2, padding="same", activation="relu") for width in spec.widths),
            layers.Flatten(),
            layers.Dense(2 * spec.latent_dim),
        ]
    )
    decoder = keras.Sequential(
        [
            layers.Dense(height * width * channels, activation="relu"),
            layers.Reshape((height, width, channels)),
            *(
                layers.Conv2DTranspose(width, 3, strides=2, padding="same", activation="relu")
                for width in reversed(spec.widths)
            ),
            layers.Conv2DTranspose(spec.in_channels, 3, padding="same"),
        ]
    )
    encoder.build((None, spec.image_size, spec.image_size, spec.in_channels))
    decoder.build((None, spec.latent_dim))
    weights = [*encoder.trainable_variables, *decoder.trainable_variables]
    optimizer = keras.optimizers.Adam(spec.learning_rate)
    optimizer.build(weights)

    def step(given: Any) -> Any:
        images = given["images"]
        with tf.GradientTape() as tape:
            mean, log_variance = tf.split(encoder(images), 2, axis=1)
            decoded = decoder(mean + tf.exp(0.5 * log_variance) * tf.random.normal(tf.shape(mean)))
            terms = tf.nn.sigmoid_cross_entropy_with_logits(images, decoded)
            kl = -0.5 * tf.reduce_sum(1 + log_variance - mean**2 - tf.exp(log_variance), axis=1)
            loss = tf.reduce_mean(tf.reduce_sum(terms, axis=(1, 2, 3)) + kl)
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    return {"step": compiled(step)}


def gan(spec: Any) -> dict[str, Step]:
    height, width, channels = spec.smallest
    size, blocks = spec.kernel_size, []
    for width_of, stride in zip(spec.generator_widths[1:], spec.strides, strict=True):
        blocks += [
            layers.Conv2DTranspose(width_of, size, stride, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
        ]
    generator = keras.Sequential(
        [
            layers.Dense(height * width * channels, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Reshape((height, width, channels)),
            *blocks,
            layers.Conv2DTranspose(spec.in_channels, size, 2, padding="same", activation="tanh"),
        ]
    )
    discriminator = keras.Sequential(
        [
            *(
                layer
                for width_of in spec.discriminator_widths
                for layer in (
                    layers.Conv2D(width_of, size, 2, padding="same"),
                    layers.LeakyReLU(0.2),
                    layers.Dropout(spec.dropout_rate),
                )
            ),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    generator.build((None, spec.latent_dim))
    discriminator.build((None, spec.image_size, spec.image_size, spec.in_channels))
    first = keras.optimizers.Adam(spec.discriminator_rate, beta_1=spec.beta_1)
    second = keras.optimizers.Adam(spec.generator_rate, beta_1=spec.beta_1)
    first.build(discriminator.trainable_variables)
    second.build(generator.trainable_variables)
    loss_of = keras.losses.BinaryCrossentropy(from_logits=True)

    def step_discriminator(given: Any) -> Any:
        images = given["images"]
        fakes = generator(tf.random.normal((tf.shape(images)[0], spec.latent_dim)), training=True)
        weights = discriminator.trainable_variables
        with tf.GradientTape() as tape:
            real, fake = discriminator(images, training=True), discriminator(fakes, training=True)
            loss = loss_of(tf.ones_like(real), real) + loss_of(tf.zeros_like(fake), fake)
        first.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    def step_generator(given: Any) -> Any:
        weights = generator.trainable_variables
        with tf.GradientTape() as tape:
            fakes = generator(tf.random.normal(tf.shape(given["latents"])), training=True)
            judged = discriminator(fakes, training=True)
            loss = loss_of(tf.ones_like(judged), judged)
        second.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    return {"step_discriminator": compiled(step_discriminator), "step_generator": compiled(step_generator)}


def unet(spec: Any) -> keras.Model:
    def block(x: Any, embedding: Any, width: int) -> Any:
        h = layers.Conv2D(width, 3, padding="same")(ops.silu(layers.GroupNormalization(spec.groups)(x)))
        h = h + layers.Dense(width)(embedding)[:, None, None, :]
        h = layers.Conv2D(width, 3, padding="same")(ops.silu(layers.GroupNormalization(spec.groups)(h)))
        return h + (x if x.shape[-1] == width else layers.Conv2D(width, 1)(x))

    images = keras.Input((spec.image_size, spec.image_size, spec.in_channels))
    times, labels = keras.Input((), dtype="int64"), keras.Input((), dtype="int64")
    rates = np.exp(-np.log(10000) * np.arange(spec.widths[0] // 2) / (spec.widths[0] // 2)).astype(np.float32)
    turned = ops.cast(times, "float32")[:, None] * rates
    waves = ops.concatenate([ops.sin(turned), ops.cos(turned)], axis=1)
    embedding = layers.Dense(spec.hidden)(layers.Dense(spec.hidden, activation="silu")(waves))
    embedding = ops.silu(embedding + layers.Embedding(spec.num_classes + 1, spec.hidden)(labels))
    x = layers.Conv2D(spec.widths[0], 3, padding="same")(images)
    skips = [x]
    for index, (_, width) in enumerate(spec.down()):
        x = block(x, embedding, width)
        skips.append(x)
        level, place = divmod(index + 1, spec.blocks)
        if not place and level < len(spec.widths):
            x = layers.Conv2D(width, 3, strides=2, padding="same")(x)
            skips.append(x)
    x = block(x, embedding, spec.widths[-1])
    size, last = x.shape[1], spec.widths[-1]
    places = ops.reshape(layers.GroupNormalization(spec.groups)(x), (-1, size * size, last))
    attended = layers.MultiHeadAttention(spec.num_heads, last // spec.num_heads)(places, places)
    x = block(x + ops.reshape(attended, (-1, size, size, last)), embedding, last)
    for index, (_, width) in enumerate(spec.up()):
        x = block(ops.concatenate([x, skips.pop()], axis=-1), embedding, width)
        level, place = divmod(index + 1, spec.blocks + 1)
        if not place and level < len(spec.widths):
            x = layers.Conv2D(width, 3, padding="same")(layers.UpSampling2D()(x))
    x = ops.silu(layers.GroupNormalization(spec.groups)(x))
    return keras.Model([images, times, labels], layers.Conv2D(spec.in_channels, 3, padding="same")(x))


def diffusion(spec: Any) -> dict[str, Step]:
    network, average = unet(spec), unet(spec)
    weights = network.trainable_variables
    optimizer = keras.optimizers.Adam(spec.learning_rate)
    optimizer.build(weights)
    kept = tf.constant(np.cumprod(1 - np.linspace(1e-4, 0.02, spec.timesteps)), tf.float32)

    def step(given: Any) -> Any:
        images, labels = given["images"], given["labels"]
        count = tf.shape(images)[0]
        times, noise = (
            tf.random.uniform((count,), maxval=spec.timesteps, dtype=tf.int64),
            tf.random.normal(tf.shape(images)),
        )
        share = tf.gather(kept, times)[:, None, None, None]
        labels = tf.where(
            tf.random.uniform((count,)) < spec.label_dropout, tf.cast(spec.num_classes, labels.dtype), labels
        )
        with tf.GradientTape() as tape:
            predicted = network([tf.sqrt(share) * images + tf.sqrt(1 - share) * noise, times, labels], training=True)
            loss = tf.reduce_mean((predicted - noise) ** 2)
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        for old, new in zip(average.trainable_variables, weights, strict=True):
            old.assign(spec.ema_decay * old + (1 - spec.ema_decay) * new)
        return loss

    return {"step": compiled(step)}


def dense(inputs: int, *widths: int) -> keras.Model:
    network = keras.Sequential(
        [*(layers.Dense(width, activation="relu") for width in widths[:-1]), layers.Dense(widths[-1])]
    )
    network.build((None, inputs))
    return network


def dqn(spec: Any) -> dict[str, Step]:
    network, target = (dense(spec.observation_size, *spec.widths, spec.actions) for _ in range(2))
    weights = network.trainable_variables
    optimizer = keras.optimizers.Adam(spec.learning_rate)
    optimizer.build(weights)
    huber = keras.losses.Huber()

    def step(given: Any) -> Any:
        following = target(given["next_observations"])
        best = tf.one_hot(tf.argmax(network(given["next_observations"]), axis=1), spec.actions)
        worth = tf.reduce_sum(following * best, axis=1)
        wanted = given["rewards"] + spec.discount * (1 - given["terminated"]) * worth
        with tf.GradientTape() as tape:
            taken = tf.one_hot(given["actions"], spec.actions)
            loss = huber(wanted, tf.reduce_sum(network(given["observations"]) * taken, axis=1))
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    return {"step": compiled(step)}


def policy_gradient(spec: Any) -> dict[str, Step]:
    policy, critic = (dense(spec.observation_size, *spec.widths, outputs) for outputs in (spec.actions, 1))
    weights = [*policy.trainable_variables, *critic.trainable_variables]
    optimizer = keras.optimizers.Adam(1e-3, global_clipnorm=0.5)
    optimizer.build(weights)

    def step(given: Any) -> Any:
        with tf.GradientTape() as tape:
            shape, size = tf.shape(given["rewards"]), spec.observation_size
            values, following = (
                tf.reshape(critic(tf.reshape(given[name], (-1, size))), shape)  # (time, environments)
                for name in ("observations", "next_observations")
            )
            errors = given["rewards"] + spec.discount * (1 - given["terminated"]) * following - values
            fading = spec.discount * spec.gae_lambda * (1 - given["ended"])
            gained = tf.scan(
                lambda running, item: item[0] + item[1] * running,
                (errors, fading),
                tf.zeros_like(errors[0]),
                reverse=True,
            )
            returns, gained = tf.stop_gradient(gained + values), tf.stop_gradient(gained)
            logits = policy(tf.reshape(given["observations"], (-1, size)))
            log_p = tf.reshape(tf.nn.log_softmax(logits), (shape[0], shape[1], spec.actions))
            taken = tf.reduce_sum(log_p * tf.one_hot(given["actions"], spec.actions), axis=-1)
            entropy = -tf.reduce_mean(tf.reduce_sum(tf.exp(log_p) * log_p, axis=-1))
            loss = -tf.reduce_mean(taken * gained) + 0.5 * tf.reduce_mean((values - returns) ** 2) - 0.01 * entropy
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    return {"step": compiled(step)}


def maml(spec: Any) -> dict[str, Step]:
    network = dense(spec.in_features, *spec.hidden_dims, spec.out_features)
    weights = network.trainable_variables
    optimizer = keras.optimizers.Adam(spec.learning_rate)
    optimizer.build(weights)

    activation = keras.activations.get(spec.activation)

    def predicted(values: Any, x: Any) -> Any:
        for index in range(0, len(values) - 2, 2):
            x = activation(x @ values[index] + values[index + 1])
        return x @ values[-2] + values[-1]

    def of_task(task: Any) -> Any:
        values = [tf.convert_to_tensor(weight) for weight in weights]
        for _ in range(spec.inner_steps):
            with tf.GradientTape() as inner:
                inner.watch(values)
                loss = tf.reduce_mean((predicted(values, task[0]) - task[1]) ** 2)
            slopes = inner.gradient(loss, values)
            values = [value - spec.inner_rate * slope for value, slope in zip(values, slopes, strict=True)]
        return tf.reduce_mean((predicted(values, task[2]) - task[3]) ** 2)

    def step(given: Any) -> Any:
        tasks = tuple(given[name] for name in ("support_inputs", "support_targets", "query_inputs", "query_targets"))
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.map_fn(of_task, tasks, fn_output_signature=tf.float32))
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    return {"step": compiled(step)}
