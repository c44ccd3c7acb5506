"""What the parity of a generative adversarial network does not show: its turns, its bad input and Keras's own `fit`."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import torch
from diglot.core import backend, registry
from diglot.core.digit_score import confidence
from diglot.core.errors import SpecError
from diglot.core.noise import Noise, generator
from diglot.core.state import random_state
from diglot.core.technique import Arrays
from diglot.keras_impl.techniques import adversarial_loss as of_keras
from diglot.torch_impl.techniques import adversarial_loss as of_torch
from parameterized import parameterized

SMALL, WASSERSTEIN = registry.make("gan_small"), registry.make("gan_small_wasserstein")


class Recorder:
    """A learner that only keeps what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Arrays]] = []

    def do(self, verb: str, arrays: Arrays, step: int = 0) -> Arrays:
        self.asked.append((verb, arrays))
        return {}


def state_after(side: str, spec: Any, verb: str) -> tuple[Arrays, Arrays]:
    """Every weight before and after one update."""
    model = backend.load(side).build(spec, "float64")
    backend.load(side).set_state(model, random_state(spec, 0))
    learner = backend.load(side).learner(model, Noise(0))
    arrays = spec.example(generator(0, "example")) | {"shares": generator(0, "shares").random(spec.BATCH)}
    before = learner.state()
    learner.do(verb, arrays)
    return before, learner.state()


class Turns(unittest.TestCase):
    @parameterized.expand([(SMALL, "torch"), (WASSERSTEIN, "torch"), (SMALL, "keras")])
    def test_each_update_moves_its_own_network_alone(self, spec: Any, side: str) -> None:
        for name in ("generator", "discriminator"):
            before, after = state_after(side, spec, f"step_{name}")
            for weight in spec.weights():
                moved = not np.array_equal(before[weight.name], after[weight.name])
                self.assertEqual(moved, weight.name.startswith(f"{name}."), f"{weight.name} by {name}")

    def test_the_discriminator_takes_its_turns_first_each_on_draws_of_its_own(self) -> None:
        learner, course = Recorder(), WASSERSTEIN.course(WASSERSTEIN.lesson(generator(0, "lesson")), Noise(0))
        for step in range(6):
            course.take(learner, step)
        names = [verb for verb, _ in learner.asked]
        self.assertEqual(names, 2 * ["step_discriminator", "step_discriminator", "step_generator"])
        for name in ("latents", "shares"):
            draws = {arrays[name].tobytes() for _, arrays in learner.asked if name in arrays}
            self.assertEqual(len(draws), 6 if name == "latents" else 4)
        images = [arrays["images"] for _, arrays in learner.asked if "images" in arrays]
        self.assertEqual(len({image.tobytes() for batch in images[:2] for image in batch}), 12)  # one epoch
        self.assertLess(np.min(images), -0.5)  # as tanh gives them

    def test_a_check_covers_thirty_alternations(self) -> None:
        for name in type(SMALL).CHECKED:
            spec = registry.make(name)
            self.assertGreaterEqual(spec.STEPS, 30 * (spec.critic_steps + 1))


class Losses(unittest.TestCase):
    def test_a_flat_critic_has_a_penalty_without_a_gradient_and_not_nan(self) -> None:
        rule = registry.make("adversarial_loss_wasserstein")
        one, other = torch.ones(3, 2), torch.zeros(3, requires_grad=True)
        weight = torch.zeros(2, requires_grad=True)
        loss = of_torch.build(rule).penalty(lambda x: x @ weight, one, one, other.detach())
        loss.backward()
        self.assertEqual((loss.item(), weight.grad.tolist()), (rule.penalty, [0.0, 0.0]))
        variable = tf.Variable(tf.zeros(2))
        with tf.GradientTape() as tape:
            loss = of_keras.build(rule).penalty(
                lambda x: tf.linalg.matvec(x, variable), tf.ones((3, 2)), tf.ones((3, 2)), tf.zeros(3)
            )
        self.assertEqual((float(loss), tape.gradient(loss, variable).numpy().tolist()), (rule.penalty, [0.0, 0.0]))


class Document(unittest.TestCase):
    def test_the_default_has_the_layers_of_the_document(self) -> None:
        spec = registry.make("gan")
        generator = 100 * 12544 + 2 * 12544 + 25 * 256 * 128 + 2 * 128 + 25 * 128 * 64 + 2 * 64 + 25 * 64 + 1
        discriminator = 25 * 64 + 64 + 25 * 64 * 128 + 128 + 7 * 7 * 128 + 1
        self.assertEqual(spec.parameter_count(), generator + discriminator)
        self.assertEqual((spec.smallest, spec.last), ((7, 7, 256), (7, 7, 128)))


class BadInput(unittest.TestCase):
    @parameterized.expand(
        [
            ({"image_size": 30}, "image_size 30 is not a multiple of 4, .* or give fewer generator_widths$"),
            ({"kernel_size": 4}, "kernel_size 4 is even"),
            ({"generator_widths": (8,)}, "give two or more$"),
            ({"form": "wasserstein", "smoothing": 0.1}, "wasserstein has none; set smoothing=0.0$"),
            ({"latent_dim": 0}, "latent_dim must be a whole number, at least 1"),
            ({"batch_size": 1}, "batch_size must be a whole number, at least 2"),
        ]
    )
    def test_fields_that_do_not_fit(self, fields: dict[str, Any], sentence: str) -> None:
        with self.assertRaisesRegex(SpecError, sentence):
            registry.make("gan", **fields)

    def test_images_that_do_not_fit(self) -> None:
        with self.assertRaisesRegex(SpecError, r"shape \(8, 8, 1\), and those of the data have \(7, 7, 1\); resize"):
            SMALL.course({"images": np.zeros((12, 7, 7, 1))}, Noise(0))


class OrdinaryFit(unittest.TestCase):
    def test_fit_evaluate_and_a_file(self) -> None:
        model = backend.load("keras").build(WASSERSTEIN)
        images = generator(0, "images").uniform(-1, 1, (12, 6, 6, 2)).astype(np.float32)
        model.compile(generator_optimizer=keras.optimizers.Adam(), discriminator_optimizer="adam")
        history = model.fit(images, batch_size=6, epochs=2, verbose=0).history
        self.assertEqual(set(history), {"generator_loss", "discriminator_loss", "penalty"})
        scores = model.evaluate(images, batch_size=6, verbose=0, return_dict=True)
        self.assertEqual(set(scores), {"generator_loss", "discriminator_loss"})
        self.assertEqual(int(model.discriminator_optimizer.iterations), 2 * int(model.generator_optimizer.iterations))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "gan.keras"
            model.save(path)
            again = keras.saving.load_model(path)
        latents = np.ones((3, 4), np.float32)
        self.assertTrue(np.array_equal(model.generator(latents), again.generator(latents)))
        for name in ("generator_optimizer", "discriminator_optimizer"):
            pairs = zip(getattr(model, name).variables, getattr(again, name).variables, strict=True)
            self.assertTrue(all(np.array_equal(one, other) for one, other in pairs), name)


class Score(unittest.TestCase):
    def test_digits_are_known_and_noise_is_not(self) -> None:
        rng = generator(0, "patterns")
        patterns = np.eye(16).reshape(16, 4, 4, 1)[:3]
        labels = rng.integers(3, size=120)
        images = patterns[labels] + 0.01 * rng.random((120, 4, 4, 1))
        some = images[90:][labels[90:] > 0][:4]
        samples, asked = {"some": some, "noise": np.full((4, 4, 4, 1), 1 / 16)}, labels[90:][labels[90:] > 0][:4]
        wanted = np.array([*asked[:3], 3 - asked[3]])
        found = confidence(images[:90], labels[:90], images[90:], labels[90:], samples, wanted)
        self.assertEqual(found["classifier accuracy"], 1.0)
        self.assertEqual((found["confident on some"], found["classes among some"]), (1.0, 2.0))
        self.assertEqual(found["some of the class asked for"], 0.75)
        self.assertEqual((found["confident on noise"], found["classes among noise"]), (0.0, 0.0))


if __name__ == "__main__":
    unittest.main()
