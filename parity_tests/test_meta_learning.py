"""Meta-learning: the tasks, the parallel form against the loop, and MAML and Reptile against what they must come to."""

from __future__ import annotations

import unittest
from typing import Any

import numpy as np
import tensorflow as tf
import torch
from diglot.core import backend, registry
from diglot.core.backend import SIDES
from diglot.core.errors import SpecError
from diglot.core.learning import study
from diglot.core.meta_learning import random_digits
from diglot.core.noise import Noise, generator
from diglot.core.state import random_state
from diglot.core.verdict import Verdict
from parameterized import parameterized

from .agreement import agreement

NAMES = ("maml_small", "reptile_small_digits")
BOTH = [(f"{name} {side}", name, side) for name in NAMES for side in SIDES]


def prepared(name: str, side: str, **fields: Any) -> tuple[Any, Any]:
    """A learner of random weights in float64, and its course, which keeps the model."""
    spec = registry.make(name, **fields).rounded()
    side_of = backend.load(side)
    model = side_of.build(spec, "float64")
    side_of.set_state(model, random_state(spec, 0))
    course = spec.course(spec.lesson(generator(0, "lesson")), Noise(0))
    course.model = model  # which Keras's learner only refers to
    return side_of.learner(model, Noise(0)), course


class Forms(unittest.TestCase):
    @parameterized.expand(BOTH)
    def test_all_tasks_at_once_as_one_after_another(self, case: str, name: str, side: str) -> None:
        at_once, in_turn = (study(*prepared(name, side, parallel=parallel), 2) for parallel in (True, False))
        self.assertEqual(list(at_once), list(in_turn))
        for key in at_once:
            self.assertEqual(agreement(at_once[key], in_turn[key]).verdict, Verdict.EQUAL, key)

    @parameterized.expand([(side,) for side in SIDES])
    def test_goes_on_bitwise(self, side: str) -> None:
        learner, course = prepared("maml_small", side)
        for step in range(2):
            course.take(learner, step)
        kept = learner.kept()
        course.take(learner, 2)
        other, again = prepared("maml_small", side)
        other.restore(kept)
        again.take(other, 2)
        whole = learner.state()
        for key, array in other.state().items():
            np.testing.assert_array_equal(array, whole[key], key)


class Oracles(unittest.TestCase):
    def test_maml_as_it_is_published(self) -> None:
        learner, course = prepared("maml_small", "torch")
        model, spec = learner.model, learner.spec
        sets = course.drawn("tasks", 0, spec.task_batch, course.sizes())
        tasks = [torch.tensor(array) for pair in sets for array in pair]
        total = torch.zeros((), dtype=torch.float64)
        for inputs, targets, queries, wanted in zip(*tasks, strict=True):
            weights = model.own()
            for _ in range(spec.inner_steps):
                loss = ((model.predicted(weights, inputs) - targets) ** 2).mean()
                slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
                weights = {
                    name: weight - spec.inner_rate * slope
                    for (name, weight), slope in zip(weights.items(), slopes, strict=True)
                }
            total = total + ((model.predicted(weights, queries) - wanted) ** 2).mean() / spec.task_batch
        expected = torch.autograd.grad(total, list(model.own().values()))
        learner.optimizers["network"].step = lambda: None
        self.assertEqual(agreement(course.take(learner, 0)["query_loss"], total.item()).verdict, Verdict.EQUAL)
        for weight, gradient in zip(model.own().values(), expected, strict=True):
            self.assertEqual(agreement(weight.grad.numpy(), gradient.numpy()).verdict, Verdict.EQUAL)

    @parameterized.expand([(side,) for side in SIDES])
    def test_reptile_of_one_task_goes_all_the_way(self, side: str) -> None:
        learner, course = prepared("reptile_small", side, task_batch=1, outer_rate=1.0, inner_steps=2)
        (x, y), (queries, _) = course.drawn("tasks", 0, 1, (4, 5))
        asked = course.asked(learner, "adapt", (x, y), queries)[:, 2]
        twice = {"inputs": np.stack([x, x], 1), "targets": np.stack([y, y], 1)}
        learner.do("step", twice, 0)
        found = course.asked(learner, "adapt", (x, y), queries)[:, 0]
        self.assertEqual(agreement(found, asked).verdict, Verdict.EQUAL)

    def test_keras_fits(self) -> None:
        learner, course = prepared("maml_small", "keras")
        sets = course.drawn("tasks", 0, 3, course.sizes())
        batch = tuple(array for pair in sets for array in pair)
        model = backend.load("keras").build(learner.spec, "float64")
        backend.load("keras").set_state(model, random_state(learner.spec, 0))
        rule = learner.spec.adam()
        model.compile(backend.load("keras").sibling(rule).build(rule, model.trainable_variables))
        history = model.fit(tf.data.Dataset.from_tensors(batch), epochs=2, verbose=0, shuffle=False).history
        self.assertEqual(
            agreement(history["query_loss"][0], course.take(learner, 0)["query_loss"]).verdict, Verdict.EQUAL
        )
        self.assertLess(history["query_loss"][1], history["query_loss"][0])


class Scores(unittest.TestCase):
    def test_joint_training_is_scored_where_it_can_learn(self) -> None:
        for name, joint in (("maml_small", True), ("maml_small_digits", False)):
            learner, course = prepared(name, "torch")
            self.assertEqual(any("joint" in score for score in course.scores(learner)), joint)
            self.assertEqual("joint" in course.pictures(learner)["error by gradient steps"].labels, joint)

    @parameterized.expand([(side,) for side in SIDES])
    def test_slots_are_zero_before_the_first_step(self, side: str) -> None:
        learner, _ = prepared("maml_small", side)
        slots = {name: array for name, array in learner.state().items() if " of " in name}
        self.assertEqual(len(slots), 4 * len(learner.weights["joint"]))
        self.assertFalse(any(array.any() for array in slots.values()))


class Drawn(unittest.TestCase):
    def test_sinusoids(self) -> None:
        course = registry.make("maml").course({}, Noise(0))
        (x, y), (queries, _) = course.drawn("tasks", 3, 500, (10, 7))
        self.assertEqual((x.shape, queries.shape), ((500, 10, 1), (500, 7, 1)))
        self.assertLess(np.abs(x).max(), 5)
        self.assertTrue(1 < np.abs(y).max() < 5)
        np.testing.assert_array_equal(course.drawn("tasks", 3, 500, (10, 7))[1][0], queries)
        self.assertFalse(np.any(course.drawn("tasks", 4, 500, (10, 7))[1][0] == queries))

    def test_digits(self) -> None:
        spec = registry.make("maml_digits")
        data = random_digits(generator(0, "digits"), 20)
        data["images"] += 10 * data["labels"][:, None, None]  # a pixel tells its class
        course = spec.course(data, Noise(0))
        for held_out, classes in ((False, range(7)), (True, range(7, 10))):
            (x, y), (queries, wanted) = course.drawn("tasks", 0, 40, (5, 10), held_out)
            self.assertEqual((x.shape, wanted.shape), ((40, 15, 64), (40, 30)))
            self.assertEqual(set(np.unique(x // 10).astype(int)), set(classes))
            for task in range(40):
                self.assertFalse({row.tobytes() for row in x[task]} & {row.tobytes() for row in queries[task]})
                named = {int(label): set((x[task][y[task] == label] // 10).ravel()) for label in range(3)}
                self.assertEqual([len(found) for found in named.values()], [1, 1, 1])
                self.assertEqual({found for (found,) in named.values()}, set((queries[task] // 10).ravel()))
            self.assertGreater(len({tuple(task[::5, 0] // 10) for task in x}), 5)  # in another order of labels


class BadInput(unittest.TestCase):
    @parameterized.expand([("maml",), ("reptile",)])
    def test_more_ways_than_classes(self, name: str) -> None:
        with self.assertRaises(SpecError) as caught:
            registry.make(name, family="digits", ways=4)
        self.assertEqual(
            str(caught.exception),
            f"{name}: ways 4 is above 3, the classes of digits that are held out to judge by; choose at most 3",
        )
        registry.make(name, family="sinusoids", ways=4)

    @parameterized.expand([("maml", {"shots": 8, "queries": 13}), ("reptile", {"shots": 7, "inner_steps": 3})])
    def test_more_samples_than_there_are(self, name: str, fields: dict[str, int]) -> None:
        data = random_digits(generator(0, "digits"), 20)
        with self.assertRaises(SpecError) as caught:
            registry.make(name, family="digits", **fields).course(data, Noise(0))
        self.assertEqual(
            str(caught.exception),
            f"{name}: a task takes 21 samples of each class, and class 0 has 20; choose fewer shots or queries",
        )


if __name__ == "__main__":
    unittest.main()
