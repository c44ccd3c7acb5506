"""What every spec that learns in its own way must hold to: its course goes on bitwise, and moves what it says."""

from __future__ import annotations

import unittest
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from diglot.core import backend, floor, registry
from diglot.core.backend import SIDES
from diglot.core.learning import LearningSpec, study
from diglot.core.noise import Noise, generator
from diglot.core.spec import Spec, Tensor
from diglot.core.state import random_state
from diglot.core.technique import Arrays
from diglot.core.verdict import Verdict
from parameterized import parameterized

from .agreement import agreement

STEPS = {"dqn": 100, "policy_gradient": 40}  # behind the first updates
SMALLER = {"diffusion": {"widths": (4,)}}  # a single size of feature maps has every kind of weight, copy and slot
NAMES = [name for name in registry.architectures() if issubclass(registry.classes()[name], LearningSpec)]


def small(name: str) -> Any:
    return registry.make(registry.checked(name)[0]).rounded()


def started(spec: Any, side: str, steps: int = 0) -> tuple[Any, Any, Any]:
    """A model, its learner and its course, after some steps."""
    model = backend.load(side).build(spec, "float32")
    backend.load(side).set_state(model, random_state(spec, 0))
    learner = backend.load(side).learner(model, Noise(0))
    course = spec.course(spec.lesson(generator(0, "lesson")), Noise(0))
    for step in range(steps):
        course.take(learner, step)
    return model, learner, course


def random(tensor: Tensor, count: int) -> Any:
    """Samples of a tensor that a verb takes."""
    rng, shape = generator(0, tensor.name), (count, *tensor.shape[1:])
    return rng.integers(tensor.high, size=shape) if tensor.dtype == "int" else rng.random(shape, np.float32)


def copied(arrays: Arrays) -> Arrays:
    return {name: np.array(array) for name, array in arrays.items()}


class Learning(unittest.TestCase):
    def bitwise(self, one: Arrays, other: Arrays) -> None:
        self.assertEqual(list(one), list(other))
        for name, array in one.items():
            self.assertTrue(np.array_equal(array, other[name]), name)

    @parameterized.expand([(name, side) for name in NAMES for side in SIDES])
    def test_an_interrupted_training_goes_on_bitwise(self, name: str, side: str) -> None:
        spec, half = small(name).replace(**SMALLER.get(name, {})), STEPS.get(name, 4)
        _, learner, course = started(spec, side, half)
        kept, held = copied(learner.kept()), copied(course.state())
        for step in range(half, 2 * half):
            course.take(learner, step)
        _, other, again = started(spec, side)
        other.restore(kept)
        again.restore(held)
        for step in range(half, 2 * half):
            again.take(other, step)
        self.bitwise(learner.kept(), other.kept())
        self.bitwise(course.state(), again.state())

    @parameterized.expand([(name,) for name in NAMES])
    def test_optimizers_share_the_weights_among_them(self, name: str) -> None:
        for preset in registry.checked(name):
            spec = registry.make(preset)
            weights = [weight.name for weight in spec.weights() if weight.trainable]
            moved = [
                weight
                for weight in weights
                for _, prefix in spec.optimizers().values()
                if not prefix or weight.startswith(f"{prefix}.")
            ]
            self.assertEqual(sorted(moved), sorted(weights))

    def test_a_quantity_that_some_steps_lack_is_kept_for_the_others(self) -> None:
        class Course:
            def take(self, learner: Any, step: int) -> Arrays:
                return {"loss": np.array(float(step)), **({"rare": np.array(step)} if step % 2 else {})}

            def state(self) -> Arrays:
                return {}

            finish = lambda self, learner: {}  # noqa: E731

        class Learner:
            def state(self) -> Arrays:
                return {"w": np.zeros(1)}

        found = study(Learner(), Course(), 5)  # type: ignore[arg-type]
        self.assertEqual(found["loss"].tolist(), [0, 1, 2, 3, 4])
        self.assertEqual(found["rare"].tolist(), [1, 3])

    def test_an_epoch_takes_every_sample_once(self) -> None:
        spec = registry.make("vae_small", batch_size=4)
        course = spec.course({"images": np.zeros((13, 8, 8, 1))}, Noise(0))
        epochs = [np.concatenate([course.rows("x", 3 * epoch + place, 4) for place in range(3)]) for epoch in range(2)]
        for rows in epochs:
            self.assertEqual(len(set(rows.tolist())), 12)
        self.assertNotEqual(*(rows.tolist() for rows in epochs))


class OrdinaryFit(unittest.TestCase):
    """Keras's own `fit` trains by the model's `train_step`, and draws by itself what it is not given."""

    def test_vae(self) -> None:
        spec: Spec = registry.make("vae_small")
        model = backend.load("keras").build(spec)
        images = generator(0, "images").random((12, 8, 8, 1)).astype(np.float32)
        model.compile(keras.optimizers.Adam())
        history = model.fit(images, batch_size=6, epochs=2, verbose=0).history
        self.assertEqual(set(history), {"loss", "reconstruction", "kl"})
        self.assertEqual(set(model.evaluate(images, batch_size=6, verbose=0, return_dict=True)), set(history))
        self.assertEqual(model.predict([images, np.zeros((12, 3), np.float32)], verbose=0)[0].shape, images.shape)

    @parameterized.expand([("vae_small",), ("maml_small",), ("reptile_small_digits",)])
    def test_an_evaluation_in_parts_is_that_of_the_whole(self, name: str) -> None:
        spec = registry.make(name)
        step, model = spec.verbs()["step"], backend.load("keras").build(spec)
        batch = tf.data.Dataset.from_tensor_slices(tuple(random(tensor, 12) for tensor in step.takes))
        model.compile("sgd")
        whole, parts = (model.evaluate(batch.batch(size), verbose=0, return_dict=True) for size in (12, 8))
        self.assertEqual(set(whole), {tensor.name for tensor in step.gives})
        for key, value in whole.items():
            self.assertEqual(agreement(value, parts[key], floor.WIDE).verdict, Verdict.EQUAL, key)

    @parameterized.expand([("vae",), ("gan",), ("diffusion",), ("maml",), ("reptile",)])
    def test_a_step_reports_means_over_the_samples_of_the_epoch(self, name: str) -> None:
        model = backend.load("keras").build(small(name))
        model.compile()
        for _ in range(2):
            model.reset_metrics()
            model.reported((np.zeros((2, 3)), np.zeros((2, 1))), *range(len(model.REPORTED)))
            found = model.reported(np.zeros((6, 3)), *(4 * place for place in range(len(model.REPORTED))))
            means = {key: value.numpy().item() for key, value in found.items()}
            self.assertEqual(means, {key: 3.25 * place for place, key in enumerate(model.REPORTED)})
        weights = sum(weight.size for weight in model.spec.weights())
        self.assertEqual(sum(int(np.prod(weight.shape)) for weight in model.weights), weights)


if __name__ == "__main__":
    unittest.main()
