"""The canonical state: drawn by name and seed, within the distributions that a spec declares, and fitted strictly."""

from __future__ import annotations

import math
import unittest
from typing import Any

import numpy as np
import torch
from diglot.core import registry
from diglot.core.errors import DiglotError, StateError
from diglot.core.spec import Weight
from diglot.core.state import State, fit, initial_state, random_state
from diglot.torch_impl.layout import to_native
from parameterized import parameterized
from scipy import stats

import diglot

PRESETS = [(preset,) for name in registry.architectures() for preset in registry.checked(name)]
RARE = 1e-9  # how often a correct sampler would fail; the seeds are fixed, so the answer is always the same
SEEDS = range(5)


def same(one: State, other: State) -> bool:
    return list(one) == list(other) and all(
        one[name].dtype == other[name].dtype and one[name].tobytes() == other[name].tobytes() for name in one
    )


def drawn(name: str, fields: dict[str, Any], seed: int) -> list[tuple[Weight, np.ndarray]]:
    spec = diglot.spec(name, **fields)
    state = initial_state(spec, seed, "float64")
    return [(weight, state[weight.name]) for weight in spec.weights()]


class Seeds(unittest.TestCase):
    @parameterized.expand(PRESETS)
    def test_the_seed_decides(self, preset: str) -> None:
        spec = diglot.spec(preset)
        for draw in (diglot.initial_state, random_state):
            self.assertTrue(same(draw(spec, 3), draw(spec, 3)))
            one, other = draw(spec, 3), draw(spec, 4)
            for weight in spec.weights():
                fixed = draw is diglot.initial_state and weight.init.name in ("zeros", "ones")
                self.assertEqual(np.array_equal(one[weight.name], other[weight.name]), fixed)

    @parameterized.expand(PRESETS)
    def test_precision_only_rounds(self, preset: str) -> None:
        spec = diglot.spec(preset)
        exact = initial_state(spec, 5, "float64")
        self.assertTrue(same(diglot.initial_state(spec, 5), initial_state(spec, 5, "float32")))
        for dtype in ("float32", "float16"):
            rounded = {name: array.astype(dtype) for name, array in exact.items()}
            self.assertTrue(same(initial_state(spec, 5, dtype), rounded))

    @parameterized.expand(PRESETS)
    def test_names_and_shapes_are_the_specs(self, preset: str) -> None:
        spec = diglot.spec(preset)
        for state in (diglot.initial_state(spec), random_state(spec)):
            shapes = [(name, array.shape) for name, array in state.items()]
            self.assertEqual(shapes, [(weight.name, weight.shape) for weight in spec.weights()])
            fit(spec, state)

    def test_a_draw_depends_on_its_own_name_only(self) -> None:
        fields = {"input_shape": (12,), "output_dim": 5}
        small = diglot.spec("mlp", hidden_dims=(16, 8), **fields)
        large = diglot.spec("mlp", hidden_dims=(16, 8, 7, 3), batch_norm=True, **fields)
        for draw in (diglot.initial_state, random_state):
            one, other = draw(small, 2), draw(large, 2)
            for name in one:
                if name != "head.kernel":
                    self.assertEqual(one[name].tobytes(), other[name].tobytes(), name)

    def test_two_weights_of_one_shape_differ(self) -> None:
        state = diglot.initial_state(diglot.spec("transformer_lm_small"))
        kernels = {array.tobytes() for name, array in state.items() if array.shape == (8, 8)}
        self.assertEqual(len(kernels), 8)


class Distributions(unittest.TestCase):
    """Sums of squares lie in the chi-square interval, and the whole sample passes Kolmogorov and Smirnov's test."""

    def follows(self, array: np.ndarray, standard: Any, scale: float) -> None:
        flat = array.reshape(-1) / scale
        self.assertGreater(stats.kstest(flat, standard.cdf).pvalue, RARE)
        low, high = stats.chi2.interval(1 - RARE, flat.size)
        if standard is stats.norm:
            self.assertTrue(low < float(flat @ flat) < high)

    @parameterized.expand(
        [
            ("mlp", {"hidden_dims": (300, 200)}),
            ("mlp", {"input_shape": (9, 8, 3), "hidden_dims": (50,)}),
            ("transformer_lm_small", {"d_model": 64, "d_ff": 100}),
        ]
    )
    def test_xavier_uniform(self, name: str, fields: dict[str, Any]) -> None:
        for seed in SEEDS:
            for weight, array in drawn(name, fields, seed):
                if weight.init.name == "xavier_uniform":
                    bound = math.sqrt(6 / (weight.shape[0] + weight.shape[1]))
                    self.assertLessEqual(float(np.max(np.abs(array))), bound)
                    self.follows(array, stats.uniform(-1, 2), bound)

    @parameterized.expand(
        [
            ("he_normal", "mlp", {"hidden_dims": (300, 200), "weight_init": "he"}),
            ("he_normal_fan_out", "resnet_small_imagenet", {"width": 16}),
            ("normal", "mlp", {"hidden_dims": (300, 200), "weight_init": "normal"}),
            ("normal", "transformer_lm_small_pre", {"vocab_size": 90, "d_model": 64}),
        ]
    )
    def test_normal(self, init: str, name: str, fields: dict[str, Any]) -> None:
        for seed in SEEDS:
            chosen = [(weight, array) for weight, array in drawn(name, fields, seed) if weight.init.name == init]
            self.assertTrue(chosen)
            for weight, array in chosen:
                receptive = math.prod(weight.shape[:-2])
                variance = {
                    "he_normal": 2 / (receptive * weight.shape[-2]),
                    "he_normal_fan_out": 2 / (receptive * weight.shape[-1]),
                    "normal": 0.02**2,
                }[init]
                self.follows(array, stats.norm, math.sqrt(variance))

    def test_zeros_and_ones(self) -> None:
        for (preset,) in PRESETS:
            for weight, array in drawn(preset, {}, 0):
                if weight.init.name in ("zeros", "ones"):
                    self.assertEqual(set(array.flat), {float(weight.init.name == "ones")})
                    self.assertEqual(weight.init.name == "ones", weight.role in ("gamma", "scale", "variance"))

    @parameterized.expand(PRESETS)
    def test_fans_are_pytorchs(self, preset: str) -> None:
        for weight in diglot.spec(preset).weights():
            if weight.role == "kernel":
                native = torch.from_numpy(to_native(np.zeros(weight.shape), weight.axes, weight.factors))
                self.assertEqual(weight.fans(), torch.nn.init._calculate_fan_in_and_fan_out(native))


class ForChecks(unittest.TestCase):
    @parameterized.expand(PRESETS)
    def test_nothing_is_zero_or_one(self, preset: str) -> None:
        for seed in SEEDS:
            for name, array in random_state(diglot.spec(preset), seed).items():
                self.assertEqual(array.dtype, np.float64)
                self.assertTrue(np.all(np.isfinite(array)))
                self.assertFalse(np.any((array == 0) | (array == 1)), name)
                self.assertEqual(len(np.unique(array)), array.size)
                if name.endswith((".variance", ".gamma")):
                    self.assertTrue(np.all(array > 0))


def without(state: State, *names: str) -> State:
    return {name: array for name, array in state.items() if name not in names}


class Fitting(unittest.TestCase):
    def setUp(self) -> None:
        self.spec = diglot.spec("mlp_small")
        self.state = diglot.initial_state(self.spec)

    def refused(self, state: Any) -> StateError:
        with self.assertRaises(StateError) as caught:
            fit(self.spec, state)
        self.assertIsInstance(caught.exception, DiglotError)
        self.assertEqual(len(str(caught.exception).splitlines()), 1)
        return caught.exception

    def test_every_missing_weight_is_named(self) -> None:
        gone = ("hidden.0.norm.mean", "head.bias")
        error = self.refused(without(self.state, *gone))
        self.assertIn("missing: hidden.0.norm.mean (16,), head.bias (5,)", str(error))
        self.assertEqual(error.weights, gone)
        self.assertEqual(self.refused({}).weights, tuple(self.state))

    @parameterized.expand([(weight.name,) for weight in diglot.spec("mlp_small").weights()])
    def test_an_extra_weight_is_named_with_the_nearest(self, name: str) -> None:
        message = str(self.refused({**self.state, f"{name}_": self.state[name]}))
        self.assertIn(f"extra: {name}_ {self.state[name].shape}; did you mean ", message)
        self.assertIn(repr(name), message)

    def test_every_misshapen_weight_is_named_with_both_shapes(self) -> None:
        error = self.refused({**self.state, "head.kernel": np.zeros((5, 8)), "head.bias": np.zeros(())})
        self.assertIn("head.kernel is (5, 8) and should be (8, 5), head.bias is () and should be (5,)", str(error))
        self.assertEqual(error.weights, ("head.kernel", "head.bias"))

    def test_all_at_once(self) -> None:
        state = {**without(self.state, "head.bias"), "head.bais": np.zeros(5), "head.kernel": np.zeros((8, 5, 1))}
        message = str(self.refused(state))
        for part in ("missing: head.bias (5,)", "extra: head.bais (5,); did you mean 'head.bias'", "(8, 5, 1)"):
            self.assertIn(part, message)

    def test_a_name_that_is_no_string(self) -> None:
        self.assertIn("extra: 1 (5,)", str(self.refused({**self.state, 1: np.zeros(5)})))

    @parameterized.expand([("int64",), ("uint8",), ("bool",), ("complex128",), ("object",), ("longdouble",), ("S4",)])
    def test_refused_kind(self, dtype: str) -> None:
        error = self.refused({**self.state, "head.bias": np.zeros(5, dtype)})
        self.assertIn(
            f"head.bias of mlp must hold float64, float32 or float16 numbers, not {np.dtype(dtype)}", str(error)
        )

    @parameterized.expand([("float64",), ("float32",), ("float16",), (">f8",), ("<f4",), (">f2",)])
    def test_accepted_kind(self, dtype: str) -> None:
        fit(self.spec, {name: array.astype(dtype) for name, array in self.state.items()})

    @parameterized.expand([("none", None), ("word", "abc"), ("ragged", [[1.0], [1.0, 2.0]]), ("dict", {})])
    def test_what_is_no_array(self, case: str, value: Any) -> None:
        self.assertIn("head.bias", str(self.refused({**self.state, "head.bias": value})))

    def test_lists_of_numbers_are_arrays(self) -> None:
        fit(self.spec, {name: array.tolist() for name, array in self.state.items()})
