"""What `build` returns is an ordinary model of its framework: everything that its users do with one works."""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import torch
from diglot.core import registry
from diglot.core.errors import StateError
from diglot.core.noise import generator
from diglot.core.recipe import Recipe
from diglot.core.spec import Spec
from diglot.keras_impl import fitting
from diglot.torch_impl.layout import to_native
from parameterized import parameterized

import diglot


def single(name: str) -> list[tuple[str]]:
    """The first checked preset of an architecture that has a single output, if any."""
    return [(preset,) for preset in registry.checked(name) if len(diglot.spec(preset).outputs()) == 1][:1]


PRESETS = [found for name in registry.architectures() for found in single(name)]
SEVERAL = [("transformer_lm_small_bert",)]  # inputs, and outputs
SEVERAL += [(registry.checked(name)[0],) for name in registry.architectures() if not single(name)]
OWN_STEPS = ("diffusion_small", "maml_small", "reptile_small")  # whose `fit` test_learning.py tries
FRESH = """
import pathlib, sys
import diglot, diglot.keras_impl, keras, numpy as np
for path in pathlib.Path(sys.argv[1]).glob("*.keras"):
    model = keras.models.load_model(path)
    given = np.load(path.with_suffix(".npz"))
    state, x = diglot.get_state(model), [given[name] for name in given.files]
    x = x if len(x) > 1 else x[0]
    np.savez(path.with_suffix(".npz"), **state)
    again = diglot.build(model.spec, "keras")
    diglot.set_state(again, state)
    pairs = zip(*[keras.tree.flatten(each.predict(x, verbose=0)) for each in (model, again)], strict=True)
    assert all((one == other).all() for one, other in pairs), path
"""


def inputs(spec: Spec) -> tuple[np.ndarray, ...]:
    arrays = spec.example(generator(1, "ordinary"))
    given = [arrays[tensor.name] for tensor in spec.inputs()]
    return tuple(array.astype("float32") if array.dtype.kind == "f" else array for array in given)


def native(spec: Spec) -> tuple[torch.Tensor, ...]:
    pairs = zip(inputs(spec), spec.inputs(), strict=True)
    return tuple(torch.from_numpy(np.ascontiguousarray(to_native(array, tensor.axes))) for array, tensor in pairs)


def identical(one: Any, other: Any) -> bool:
    """Whether two results of a PyTorch model are, with auxiliary outputs or not."""
    pairs = zip(*[each if isinstance(each, tuple) else (each,) for each in (one, other)], strict=True)
    return all(torch.equal(*pair) for pair in pairs)


class PyTorch(unittest.TestCase):
    @parameterized.expand(PRESETS)
    def test_state_dict_save_and_load(self, preset: str) -> None:
        spec = diglot.spec(preset)
        net, other, x = diglot.build(spec, "torch"), diglot.build(spec, "torch"), native(spec)
        file = io.BytesIO()
        torch.save(net.state_dict(), file)
        file.seek(0)
        other.load_state_dict(torch.load(file, weights_only=True))
        self.assertTrue(identical(net.eval()(*x), other.eval()(*x)))

    @parameterized.expand(PRESETS)
    def test_export(self, preset: str) -> None:
        net, x = diglot.build(diglot.spec(preset), "torch").eval(), native(diglot.spec(preset))
        exported = torch.export.export(net, x).module()
        self.assertTrue(identical(net(*x), exported(*x)))

    @parameterized.expand(PRESETS)
    def test_compile(self, preset: str) -> None:
        net, x = diglot.build(diglot.spec(preset), "torch").eval(), native(diglot.spec(preset))
        compiled = torch.compile(net, backend="eager", fullgraph=True)
        self.assertTrue(identical(net(*x), compiled(*x)))

    @parameterized.expand(PRESETS)
    def test_own_dropout_outside_a_check(self, preset: str) -> None:
        spec = diglot.spec(preset)
        net, x = diglot.build(spec, "torch").train(), native(spec)
        torch.manual_seed(0)
        draws = [net(*x) for _ in range(2)]
        rate = spec.fields().get("dropout_rate", 0.0) if spec.fields().get("num_classes") != 0 else 0.0
        self.assertEqual(identical(*draws), not rate)


class Keras(unittest.TestCase):
    @parameterized.expand([item for item in PRESETS if diglot.spec(*item).weights() and item[0] not in OWN_STEPS])
    def test_compile_and_fit(self, preset: str) -> None:
        spec = diglot.spec(preset)
        batch = spec.example(generator(2, "fit"), 8)
        x, y = {tensor.name: batch[tensor.name] for tensor in spec.inputs()}, batch[spec.targets().name]
        model = diglot.build(spec, "keras")
        loss = keras.losses.MeanSquaredError()
        if spec.loss() == "cross_entropy":
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        count = len(spec.outputs())
        # Of a network of a hundred weights, Keras takes three times as long to trace a step of Adam as the rest of it.
        model.compile("sgd", loss if count == 1 else [loss] * count)
        history = model.fit(x, y if count == 1 else (y,) * count, batch_size=4, epochs=3, verbose=0).history
        self.assertEqual(len(history["loss"]), 3)
        self.assertTrue(np.all(np.isfinite(history["loss"])))

    def test_save_and_load_in_a_fresh_process(self) -> None:
        """Only `import diglot.keras_impl` is needed there; the states come back bitwise, and the models predict."""
        states = {}
        with tempfile.TemporaryDirectory() as folder:
            for (preset,) in PRESETS:
                spec = diglot.spec(preset)
                model = diglot.build(spec, "keras")
                model.save(Path(folder) / f"{preset}.keras")
                np.savez(Path(folder) / f"{preset}.npz", *inputs(spec))
                states[preset] = diglot.get_state(model)
            done = subprocess.run([sys.executable, "-c", FRESH, folder], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            for preset, state in states.items():
                with np.load(Path(folder) / f"{preset}.npz") as read:
                    self.assertEqual(set(read.files), set(state))
                    self.assertTrue(all(np.array_equal(read[name], state[name]) for name in state))

    @parameterized.expand(PRESETS + SEVERAL)
    def test_export(self, preset: str) -> None:
        spec = diglot.spec(preset)
        model, x = diglot.build(spec, "keras"), inputs(spec)
        with tempfile.TemporaryDirectory() as folder:
            model.export(folder, verbose=False)
            loaded = tf.saved_model.load(folder)
            served = loaded.serve(*x)
        shapes = [[found.shape for found in keras.tree.flatten(result)] for result in (served, model(*x))]
        self.assertEqual(*shapes)

    def test_a_compiled_model_is_loaded_in_a_fresh_process(self) -> None:
        """Diglot's own optimizers, schedules and losses are registered by the same import."""
        spec = diglot.spec("mlp_small")
        batch = {name: array.astype("float32") if array.dtype.kind == "f" else array
                 for name, array in spec.example(generator(3, "compiled")).items()}  # fmt: skip
        recipe = Recipe(
            registry.make("adam"), registry.make("cross_entropy_smoothed"), schedule=registry.make("warmup_cosine")
        )
        model = diglot.build(spec, "keras")
        fitting.fit(model, [batch] * 2, recipe)
        with tempfile.TemporaryDirectory() as folder:
            model.save(f"{folder}/model.keras")
            code = "import sys, diglot.keras_impl, keras; model = keras.models.load_model(sys.argv[1]); model.optimizer"
            line = [sys.executable, "-c", code, f"{folder}/model.keras"]
            done = subprocess.run(line, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_float64_survives_saving(self) -> None:
        model = diglot.build(diglot.spec("mlp_small"), "keras", "float64")
        with tempfile.TemporaryDirectory() as folder:
            model.save(f"{folder}/model.keras")
            read = keras.models.load_model(f"{folder}/model.keras")
        self.assertEqual({variable.dtype for variable in read.weights}, {"float64"})
        self.assertEqual(keras.config.floatx(), "float32")


class Both(unittest.TestCase):
    @parameterized.expand([("torch",), ("keras",)])
    def test_a_state_too_large_for_the_model(self, side: str) -> None:
        spec = diglot.spec("mlp_small_gelu")
        model = diglot.build(spec, side)
        before = diglot.get_state(model)
        state = {name: array.astype("float64") for name, array in before.items()}
        state["head.bias"][0] = 1e300
        with self.assertRaisesRegex(StateError, "head.bias of mlp holds numbers that are too large"):
            diglot.set_state(model, state)
        after = diglot.get_state(model)
        self.assertTrue(all(np.array_equal(before[name], after[name]) for name in before))

    @parameterized.expand([("resnet_small", 17), ("resnet_small_imagenet", 48), ("transformer_lm_small_pre", 5)])
    def test_other_sizes_than_the_spec_says(self, preset: str, size: int) -> None:
        field = "image_size" if "resnet" in preset else "max_len"
        other = diglot.spec(preset, **{field: size})
        spec = diglot.spec(preset)
        results = diglot.build(spec, "torch")(*native(other)), diglot.build(spec, "keras")(*inputs(other))
        self.assertEqual(*(result.shape for result in results))

    @parameterized.expand(PRESETS)
    def test_state_crosses(self, preset: str) -> None:
        """Of every other preset, the matrix holds the round trip to the same bits."""
        spec = diglot.spec(preset)
        state = diglot.initial_state(spec, seed=3)
        net, model = diglot.build(spec, "torch"), diglot.build(spec, "keras")
        diglot.set_state(net, state)
        diglot.set_state(model, diglot.get_state(net))
        read = diglot.get_state(model)
        self.assertEqual(list(read), list(state))
        self.assertTrue(all(np.array_equal(read[name], state[name]) for name in state))

    @parameterized.expand([(side,) for side in ("torch", "keras")])
    def test_initial_values_follow_the_spec(self, side: str) -> None:
        """Each framework's own initialiser draws within the bounds that the spec declares."""
        spec = diglot.spec("mlp", hidden_dims=(300, 200), batch_norm=True)
        state = diglot.get_state(diglot.build(spec, side))
        for weight in spec.weights():
            value = state[weight.name]
            if weight.init.name == "xavier_uniform":
                bound = np.sqrt(6 / sum(weight.fans()))
                self.assertLessEqual(np.abs(value).max(), bound)
                self.assertGreater(np.abs(value).max(), 0.95 * bound)
            else:
                self.assertEqual(set(value.flat), {float(weight.init.name == "ones")})
