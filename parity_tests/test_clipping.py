"""Clipping: each framework's own, embeddings, what is infinite, and the paper's code."""

from __future__ import annotations

import importlib
import unittest
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import torch
from diglot.core import backend, compare, floor, registry
from diglot.core.backend import Recipe
from diglot.core.checks import training
from diglot.core.errors import InputError
from diglot.core.noise import generator
from diglot.core.pair import Pair
from parameterized import parameterized

from .agreement import agreement

NAMES = ("clip_by_global_norm", "clip_by_norm", "clip_by_value", "adaptive_gradient_clipping")
GRADIENTS = [3 * generator(3, "clipping").standard_normal(shape).astype("float32") for shape in ((5, 4), (4,))]
WEIGHTS = [generator(4, "clipping").standard_normal(shape).astype("float32") for shape in ((5, 4), (4,))]


def clipped(side: str, spec: Any, gradients: list[Any], weights: Any = None) -> list[np.ndarray]:
    module = importlib.import_module(registry.sibling(spec, side))
    tensor = torch.tensor if side == "torch" else tf.convert_to_tensor
    given = [gradient if isinstance(gradient, tf.IndexedSlices) else tensor(gradient) for gradient in gradients]
    return [gradient.numpy() for gradient in module.clip(spec, given, weights)]


def native(side: str, name: str) -> list[np.ndarray]:
    """What the framework's own clipping makes of the gradients, with a limit of 1."""
    if side == "torch":
        parameters = [torch.nn.Parameter(torch.tensor(weight)) for weight in WEIGHTS]
        for parameter, gradient in zip(parameters, GRADIENTS, strict=True):
            parameter.grad = torch.tensor(gradient)
        {
            "clip_by_global_norm": lambda: torch.nn.utils.clip_grad_norm_(parameters, 1.0),
            "clip_by_norm": lambda: [torch.nn.utils.clip_grad_norm_([parameter], 1.0) for parameter in parameters],
            "clip_by_value": lambda: torch.nn.utils.clip_grad_value_(parameters, 1.0),
        }[name]()
        return [parameter.grad.numpy() for parameter in parameters]  # type: ignore[union-attr]
    option = {"clip_by_global_norm": "global_clipnorm", "clip_by_norm": "clipnorm", "clip_by_value": "clipvalue"}[name]
    variables = [keras.Variable(weight) for weight in WEIGHTS]
    optimizer = keras.optimizers.SGD(1.0, **{option: 1.0})
    optimizer.apply([tf.convert_to_tensor(gradient) for gradient in GRADIENTS], variables)
    return [weight - variable.numpy() for weight, variable in zip(WEIGHTS, variables, strict=True)]


class Frameworks(unittest.TestCase):
    @parameterized.expand([(name, side) for name in NAMES[:3] for side in backend.SIDES])
    def test_own(self, name: str, side: str) -> None:
        fields = {"clip_value": 1.0} if name == "clip_by_value" else {"max_norm": 1.0}
        if name != "clip_by_value":
            fields["epsilon"] = 1e-6 if side == "torch" else 0.0
        for one, other in zip(clipped(side, registry.make(name, **fields), GRADIENTS), native(side, name), strict=True):
            self.assertEqual(agreement(one, other, floor.WIDE).verdict, "equal")


class Rows(unittest.TestCase):
    """An embedding's gradient that holds two rows for one index, which must be added up first."""

    @parameterized.expand([(name,) for name in NAMES])
    def test_repeated_index(self, name: str) -> None:
        spec = registry.make(name)
        rows = tf.IndexedSlices(tf.constant([[3.0, 0.0], [4.0, 0.3]]), tf.constant([1, 1]), tf.constant([3, 2]))
        weights = [np.ones((3, 2), "float32")]
        (dense,) = clipped("keras", spec, [np.array([[0, 0], [7, 0.3], [0, 0]], "float32")], weights)
        (found,) = clipped("keras", spec, [rows], weights)
        np.testing.assert_array_equal(found, dense)

    def test_keras_own_norm_is_wrong(self) -> None:
        """The norm of 1 and 2 in place of that of 3."""
        variable = keras.Variable(np.zeros((3, 1)), dtype="float64")
        rows = tf.IndexedSlices(tf.constant([[1.0], [2.0]], tf.float64), tf.constant([1, 1]), tf.constant([3, 1]))
        keras.optimizers.SGD(1.0, clipnorm=1.0).apply([rows], [variable])
        self.assertEqual(agreement(variable.numpy()[1], np.array([-3 / np.sqrt(5)])).verdict, "equal")

    def test_keras_own_values_are_wrong(self) -> None:
        """Each row is cut alone, and two rows of one index add up to twice the value."""
        variable = keras.Variable(np.zeros((3, 2), "float32"))
        rows = tf.IndexedSlices(tf.constant([[3.0, 0.0], [4.0, 0.3]]), tf.constant([1, 1]), tf.constant([3, 2]))
        keras.optimizers.SGD(1.0, clipvalue=1.0).apply([rows], [variable])
        self.assertEqual(variable.numpy()[1, 0], -2.0)


class Infinite(unittest.TestCase):
    @parameterized.expand(list(backend.SIDES))
    def test_value(self, side: str) -> None:
        found = clipped(side, registry.make("clip_by_value"), [np.array([np.inf, -np.inf, np.nan, 0.1])])[0]
        np.testing.assert_array_equal(found, [0.5, -0.5, np.nan, 0.1])

    @parameterized.expand(list(backend.SIDES))
    def test_norm(self, side: str) -> None:
        first, second = clipped(side, registry.make("clip_by_norm"), [np.array([np.inf, 1.0]), np.array([0.5, 0.5])])
        np.testing.assert_array_equal(first, [np.nan, 0.0])
        np.testing.assert_array_equal(second, [0.5, 0.5])

    @parameterized.expand([("torch", [np.nan, 0.0]), ("keras", [np.nan, np.nan])])
    def test_global_norm(self, side: str, expected: list[float]) -> None:
        (found,) = clipped(side, registry.make("clip_by_global_norm"), [np.array([np.inf, 1.0])])
        np.testing.assert_array_equal(found, expected)

    @parameterized.expand([(name, side) for name in NAMES for side in backend.SIDES])
    def test_zero_gradients_stay(self, name: str, side: str) -> None:
        (found,) = clipped(side, registry.make(name), [np.zeros((3, 2))], [torch.zeros(3, 2).double()])
        np.testing.assert_array_equal(found, np.zeros((3, 2)))


class Trained(Pair):
    clip = registry.make("clip_by_norm")

    def recipe(self, side: str) -> Recipe:
        loss = registry.make("cross_entropy").rounded()
        return Recipe(registry.make("sgd", learning_rate=0.1).rounded(), loss, clip=self.clip.rounded())


class Recipes(unittest.TestCase):
    @parameterized.expand([("clip_by_norm", {"max_norm": 0.25}), ("adaptive_gradient_clipping", {"clipping": 0.125})])
    def test_a_network_trains_alike(self, name: str, fields: dict[str, float]) -> None:
        """Twenty steps, each weight in its framework's layout."""
        pair = Trained(registry.make("mlp_small_gelu"))
        pair.clip = registry.make(name, **fields)
        worst = compare.worst(training(pair, "float64").comparisons)
        assert worst is not None
        self.assertEqual(worst.verdict, "equal", worst)


class Adaptive(unittest.TestCase):
    @parameterized.expand(list(backend.SIDES))
    def test_no_unit_is_above_the_limit(self, side: str) -> None:
        """Of the framework's own weights, by the axis on which it keeps the units."""
        spec, axis = registry.make("adaptive_gradient_clipping"), 1 if side == "torch" else 0
        weights = [torch.nn.Parameter(torch.tensor(weight)) if side == "torch" else keras.Variable(weight)
                   for weight in WEIGHTS]  # fmt: skip
        found = clipped(side, spec, GRADIENTS, weights)
        for index, along in enumerate((axis, None)):
            share = np.linalg.norm(found[index], axis=along) / np.linalg.norm(WEIGHTS[index], axis=along)
            limit = np.full_like(share, spec.clipping)
            self.assertEqual(agreement(share, limit, floor.WIDE).verdict, "equal")

    @parameterized.expand(list(backend.SIDES))
    def test_weights_are_needed(self, side: str) -> None:
        for weights, count in ((None, "none"), (WEIGHTS[:1], "1")):
            with self.assertRaises(InputError) as caught:
                clipped(side, registry.make("adaptive_gradient_clipping"), GRADIENTS, weights)
            sentence = f"2 gradients need as many weights, not {count}; give both lists"
            self.assertEqual(str(caught.exception), f"adaptive_gradient_clipping: {sentence}")
