"""Initial values: what the frameworks' own initialisers draw, against the distributions of the papers."""

from __future__ import annotations

import importlib
import math
import unittest
from typing import Any

import keras
import numpy as np
import torch
from diglot.core import registry
from diglot.core.errors import SpecError
from diglot.core.noise import Noise
from diglot.core.techniques.weight_initializer import CUT, CUT_DEVIATION
from parameterized import parameterized
from scipy import stats

from .agreement import agreement

SIDES = ("torch", "keras")
SHAPE = (3, 3, 80, 120)  # height, width, in, out
FANS = 9 * 80, 9 * 120
CHANCE = 1e-6
RANDOM = {
    name: registry.make(name)
    for name in registry.classes()["weight_initializer"].CHECKED
    if not name.endswith(("zeros", "ones", "orthogonal"))
}
TRAPS = {
    "he_normal of Keras is truncated": ("weight_initializer_he_truncated", keras.initializers.HeNormal()),
    "glorot_normal too": ("weight_initializer_xavier_truncated", keras.initializers.GlorotNormal()),
    "lecun_normal too": ("weight_initializer_lecun_normal", keras.initializers.LecunNormal()),
}


def build(spec: Any, side: str) -> Any:
    return importlib.import_module(registry.sibling(spec, side)).build(spec)


def sampled(spec: Any, side: str) -> np.ndarray:
    """A kernel of a convolution, drawn by the framework's own generator, in the canonical layout."""
    if side == "torch":
        torch.manual_seed(0)
        return build(spec, side)(torch.empty(120, 80, 3, 3)).permute(2, 3, 1, 0).numpy()
    keras.utils.set_random_seed(0)
    return keras.ops.convert_to_numpy(build(spec, side)(SHAPE))


def distribution(spec: Any) -> Any:
    """The distribution by the papers' formulas, of SciPy."""
    fan = sum(FANS) / 2 if "xavier" in spec.distribution else FANS[spec.mode == "fan_out"]
    variance = (2 / (1 + spec.negative_slope**2) if "he" in spec.distribution else 1) / fan
    deviation = spec.scale if spec.distribution in ("normal", "truncated_normal", "uniform") else (
        spec.gain * math.sqrt(variance))  # fmt: skip
    if spec.standard() == "uniform":
        limit = deviation if spec.distribution == "uniform" else math.sqrt(3) * deviation
        return stats.uniform(-limit, 2 * limit)
    if spec.standard() == "normal":
        return stats.norm(0, deviation)
    wide = deviation if spec.distribution == "truncated_normal" else deviation / CUT_DEVIATION
    return stats.truncnorm(-CUT, CUT, scale=wide)


def chance(sample: np.ndarray, wanted: Any) -> float:
    """How probable so large a Kolmogorov-Smirnov distance is."""
    return float(stats.kstest(sample.ravel().astype("float64"), wanted.cdf).pvalue)


class Distributions(unittest.TestCase):
    @parameterized.expand([(name, side) for name in RANDOM for side in SIDES])
    def test_native(self, name: str, side: str) -> None:
        self.assertGreater(chance(sampled(RANDOM[name], side), distribution(RANDOM[name])), CHANCE)

    @parameterized.expand([(name,) for name in RANDOM])
    def test_shared_draws(self, name: str) -> None:
        spec = RANDOM[name]
        values = spec.filled(spec.draws(Noise(3), "kernel", SHAPE))
        self.assertGreater(chance(values, distribution(spec)), CHANCE)

    @parameterized.expand(TRAPS.items())
    def test_keras_normal_distributions(self, name: str, case: tuple[str, Any]) -> None:
        preset, initializer = case
        spec = registry.make(preset, gain=1.0)
        keras.utils.set_random_seed(0)
        sample = keras.ops.convert_to_numpy(initializer(SHAPE))
        self.assertGreater(chance(sample, distribution(spec)), CHANCE)
        self.assertLess(chance(sample, distribution(spec.replace(normal_convention="untruncated"))), CHANCE)

    def test_pytorch_cuts_at_two_and_not_at_two_deviations(self) -> None:
        torch.manual_seed(0)
        sample = torch.nn.init.trunc_normal_(torch.empty(100, 200), std=0.02).numpy()
        self.assertGreater(chance(sample, stats.norm(0, 0.02)), CHANCE)

    def test_layers_left_alone(self) -> None:
        torch.manual_seed(0)
        keras.utils.set_random_seed(0)
        layer, dense = torch.nn.Linear(100, 300), keras.layers.Dense(300)
        dense.build((None, 100))
        self.assertGreater(chance(layer.weight.detach().numpy(), stats.uniform(-0.1, 0.2)), CHANCE)
        self.assertTrue(layer.bias.detach().numpy().any())
        limit = math.sqrt(6 / 400)
        self.assertGreater(chance(dense.kernel.numpy(), stats.uniform(-limit, 2 * limit)), CHANCE)
        self.assertFalse(dense.bias.numpy().any())

    def test_a_wrong_deviation_would_be_seen(self) -> None:
        spec = registry.make("weight_initializer_he_normal")
        self.assertLess(chance(1.05 * sampled(spec, "torch"), distribution(spec)), CHANCE)


class Values(unittest.TestCase):
    @parameterized.expand([(shape, side) for shape in ((7, 4), (3, 8), (2, 3, 2, 5), (1, 2, 2, 6)) for side in SIDES])
    def test_orthogonal(self, shape: tuple[int, ...], side: str) -> None:
        spec = registry.make("weight_initializer_orthogonal", gain=1.5)
        if side == "torch":
            tensor = build(spec, side)(torch.empty(shape[-1], shape[-2], *shape[:-2], dtype=torch.float64))
            matrix = tensor.reshape(tensor.shape[0], -1).numpy()
        else:
            matrix = keras.ops.convert_to_numpy(build(spec, side)(shape, dtype="float64")).reshape(-1, shape[-1])
        short = matrix if matrix.shape[0] < matrix.shape[1] else matrix.T
        product = short @ short.T / 1.5**2
        self.assertEqual(agreement(product, np.eye(len(short))).verdict, "equal")

    @parameterized.expand([("zeros", 0.0), ("ones", 1.0)])
    def test_constant(self, name: str, value: float) -> None:
        for side in SIDES:
            self.assertTrue((sampled(registry.make("weight_initializer", distribution=name), side) == value).all())

    def test_fans_of_a_depthwise_kernel(self) -> None:
        """Three by three, sixteen channels: the fans are exchanged."""
        spec = registry.make("weight_initializer_he_normal")
        modules = [importlib.import_module(registry.sibling(spec, side)) for side in SIDES]
        self.assertEqual(modules[0].spread(spec, (16, 1, 3, 3)), math.sqrt(2 / 9))
        self.assertEqual(modules[1].spread(spec, (3, 3, 16, 1)), math.sqrt(2 / 144))

    def test_truncated_draws_are_inside(self) -> None:
        spec = registry.make("weight_initializer_truncated_normal")
        draws = spec.draws(Noise(1), "kernel", (200, 100))
        self.assertLessEqual(float(np.abs(draws).max()), CUT)
        self.assertTrue(np.array_equal(draws, spec.draws(Noise(1), "kernel", (200, 100))))

    @parameterized.expand(["normal", "truncated_normal", "uniform", "zeros", "ones"])
    def test_gain_without_effect(self, name: str) -> None:
        with self.assertRaises(SpecError) as caught:
            registry.make("weight_initializer", distribution=name, gain=2.0)
        self.assertIn(f"gain 2.0 has no effect on {name}; set scale, or leave the gain at 1", str(caught.exception))
