"""Adafactor, Lion, LAMB and Muon: the frameworks' own classes, groups and files, and what float32 and bfloat16 do."""

from __future__ import annotations

import copy
import io
import tempfile
import unittest
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import torch
from diglot.core import compare, floor, registry
from diglot.core.backend import Recipe
from diglot.core.checks import training
from diglot.core.errors import SpecError
from diglot.core.newton_schulz import bfloat16, orthogonalised
from diglot.core.noise import generator
from diglot.core.pair import Pair
from diglot.core.technique import Technique
from diglot.core.verdict import Verdict
from diglot.keras_impl import backend as keras_backend
from diglot.keras_impl.techniques import adafactor as keras_adafactor
from diglot.keras_impl.techniques import exponential_moving_average as keras_average
from diglot.keras_impl.techniques import muon as keras_muon
from diglot.torch_impl import backend as torch_backend
from diglot.torch_impl.newton_schulz import Orthogonal
from diglot.torch_impl.techniques import adafactor as torch_adafactor
from diglot.torch_impl.techniques import exponential_moving_average as torch_average
from diglot.torch_impl.techniques import muon as torch_muon
from parameterized import parameterized

from .agreement import agreement

NAMES = [(name,) for name in ("adafactor", "lion", "lamb", "muon", "muon_flattened")]
SHAPES = ((2, 2, 3, 4), (4, 3), (3, 5), (5,))  # Keras's order
STEPS = 5


def drawn(steps: int = STEPS, dtype: str = "float64") -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """Weights in Keras's order, and gradients for each step."""
    rng = generator(0, "modern optimizers")
    arrays = [[rng.standard_normal(shape).astype(dtype) for shape in SHAPES] for _ in range(steps + 1)]
    return arrays[0], arrays[1:]


def to_torch(array: np.ndarray) -> torch.Tensor:
    """From `height width in out` to `out in height width`."""
    last = array.ndim - 1
    return torch.tensor(array.transpose(*range(last, last - 2, -1), *range(last - 1)) if last else array)


def parameters(arrays: list[np.ndarray]) -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(to_torch(array).contiguous()) for array in arrays]


def variables(arrays: list[np.ndarray]) -> list[keras.Variable]:
    return [keras.Variable(array, dtype=array.dtype.name) for array in arrays]


def torch_steps(optimizer: torch.optim.Optimizer, weights: list[Any], gradients: list[list[np.ndarray]]) -> None:
    for arrays in gradients:
        for weight, array in zip(weights, arrays, strict=True):
            weight.grad = to_torch(array)
        optimizer.step()


def keras_steps(optimizer: Any, weights: list[Any], gradients: list[list[np.ndarray]]) -> None:
    for arrays in gradients:
        optimizer.apply([tf.convert_to_tensor(array) for array in arrays], weights)


def made(name: str, **fields: Any) -> Technique:
    return registry.make(name, **fields).rounded()


class Own(unittest.TestCase):
    """The siblings beside the frameworks' own classes, where their conventions are chosen."""

    def same(self, one: list[Any], other: list[Any], precision: str = floor.NARROW) -> None:
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            pair = [np.asarray(item.detach() if isinstance(item, torch.Tensor) else item) for item in (left, right)]
            self.assertEqual(agreement(*pair, precision).verdict, Verdict.EQUAL, SHAPES[index])

    def test_adafactor_of_pytorch(self) -> None:
        spec, (arrays, gradients) = made("adafactor_floor"), drawn()
        found = []
        for kind in (torch_adafactor.Adafactor, None):
            weights = parameters(arrays)
            optimizer = kind(weights, spec) if kind else torch_adafactor.build(spec, weights)
            torch_steps(optimizer, weights, gradients)
            kept = torch_adafactor.slots(optimizer, weights)
            found.append([*weights, *(item for items in kept.values() for item in items if item is not None)])
        self.assertIs(type(optimizer), torch.optim.Adafactor)
        for left, right in zip(*found, strict=True):
            self.assertEqual(agreement(left.detach(), right.detach()).verdict, Verdict.EQUAL)

    @parameterized.expand([
        ("adafactor", keras.optimizers.Adafactor, {"epsilon_1": 0.25, "weight_decay": 0.125, "learning_rate": 0.25},
         {"epsilon_1": 0.25, "weight_decay": 0.125, "beta_2_decay": -0.75, "epsilon_2": 0.5}),
        ("lamb_decoupled", keras.optimizers.Lamb, {"weight_decay": 0.125, "epsilon": 0.25},
         {"weight_decay": 0.125, "epsilon": 0.25, "beta_1": 0.75, "beta_2": 0.875}),
        ("lion", keras.optimizers.Lion, {"weight_decay": 0.125},
         {"weight_decay": 0.125, "beta_1": 0.75, "beta_2": 0.875}),
        ("muon_sum", keras.optimizers.Muon,
         {"weight_decay": 0.125, "rms_rate": 0.25, "coefficients": (3.5, -4.75, 2.0)},
         {"weight_decay": 0.125, "rms_rate": 0.25, "muon_a": 3.5, "muon_b": -4.75, "muon_c": 2.0, "momentum": 0.75,
          "adam_weight_decay": 0.125, "epsilon": 1e-7, "adam_beta_1": 0.75, "adam_beta_2": 0.875}),
    ])  # fmt: skip
    def test_of_keras(self, name: str, kind: type[Any], fields: dict[str, Any], options: dict[str, Any]) -> None:
        """With numbers that are short in binary, since Keras rounds its own to float32, where its Muon has to stay."""
        known = {
            "adafactor": {"decay_exponent": 0.75, "epsilon_2": 0.5},
            "muon_sum": {"momentum": 0.75, "adam_beta_1": 0.75, "adam_beta_2": 0.875},
        }
        spec = registry.make(name, **fields, **known.get(name, {"beta_1": 0.75, "beta_2": 0.875}))
        precision = floor.WIDE if name == "muon_sum" else floor.NARROW
        spec, (arrays, gradients) = spec.replace(learning_rate=0.25), drawn(dtype=precision)
        found = []
        for own in (False, True):
            weights = variables(arrays)
            optimizer = kind(0.25, **options) if own else keras_backend.sibling(spec).build(spec, weights)
            keras_steps(optimizer, weights, gradients)
            found.append(weights)
        self.same(*found, precision)

    def test_muon_of_pytorch(self) -> None:
        """The sibling's products, rounded to bfloat16 one by one, and PyTorch's own in bfloat16."""
        spec = registry.make("muon", precision="bfloat16", epsilon_convention="floor")
        arrays, gradients = drawn(2, "float32")
        arrays, gradients = arrays[1:3], [step[1:3] for step in gradients]
        found = []
        for own in (False, True):
            weights = parameters(arrays)
            optimizer = torch_muon.build(spec, weights) if own else Orthogonal(weights, spec)
            torch_steps(optimizer, weights, gradients)
            found.append(weights)
        self.assertIs(type(optimizer.parts[True][0]), torch.optim.Muon)
        self.same(*found, floor.WIDE)


class Groups(unittest.TestCase):
    @parameterized.expand(NAMES)
    def test_own_rate_and_decay(self, name: str) -> None:
        """Two groups are two optimizers, each with its own settings."""
        spec, (arrays, gradients) = made(name), drawn()
        sibling = torch_backend.sibling(spec)
        together, apart = parameters(arrays), parameters(arrays)
        groups = [
            {"params": together[:1], "lr": 0.25, "weight_decay": 0.5, "multiplier": 2.0},
            {"params": together[1:]},
        ]
        optimizer = sibling.build(spec, groups)
        self.assertEqual({group.get("multiplier") for group in optimizer.param_groups}, {2.0, None})
        torch_steps(optimizer, together, gradients)
        first = spec.replace(learning_rate=0.25, weight_decay=0.5)
        torch_steps(sibling.build(first, apart[:1]), apart[:1], [step[:1] for step in gradients])
        torch_steps(sibling.build(spec, apart[1:]), apart[1:], [step[1:] for step in gradients])
        for one, other in zip(together, apart, strict=True):
            np.testing.assert_array_equal(one.detach(), other.detach())

    @parameterized.expand(NAMES)
    def test_no_gradient(self, name: str) -> None:
        spec, (arrays, gradients) = made(name), drawn()
        weights = parameters(arrays)
        optimizer = torch_backend.sibling(spec).build(spec, weights)
        weights[1].grad = to_torch(gradients[0][1])
        optimizer.step()
        moved = [
            not np.array_equal(weight.detach(), to_torch(array)) for weight, array in zip(weights, arrays, strict=True)
        ]
        self.assertEqual(moved, [False, True, False, False])

    @parameterized.expand([("muon",), ("muon_bfloat16",)])
    def test_matrices_left_to_adamw(self, name: str) -> None:
        spec, (arrays, gradients) = made(name, adam_rate_ratio=0.5), drawn()
        weights, others = parameters(arrays), variables(arrays)
        torch_steps(torch_muon.build(spec, weights, tables=[weights[1]]), weights, gradients)
        keras_steps(keras_muon.build(spec, others, tables=[others[1]]), others, gradients)
        alone = parameters(arrays[1:2])
        torch_steps(torch_backend.sibling(spec.adamw()).build(spec.adamw(), alone), alone, [g[1:2] for g in gradients])
        np.testing.assert_array_equal(weights[1].detach(), alone[0].detach())
        for weight, other in zip(weights, others, strict=True):
            self.assertEqual(agreement(weight.detach(), to_torch(other.numpy())).verdict, Verdict.EQUAL)


class Kept(unittest.TestCase):
    @parameterized.expand(NAMES)
    def test_resumed_in_pytorch(self, name: str) -> None:
        """From a file, and from a copy: bitwise what a run without a break gives."""
        spec, (arrays, gradients) = made(name), drawn(dtype="float32")
        whole, resumed = parameters(arrays), parameters(arrays)
        sibling = torch_backend.sibling(spec)
        torch_steps(sibling.build(spec, whole), whole, gradients)
        optimizer = sibling.build(spec, resumed)
        torch_steps(optimizer, resumed, gradients[:2])
        file = io.BytesIO()
        torch.save(optimizer.state_dict(), file)
        file.seek(0)
        copied, copied_weights = copy.deepcopy((optimizer, resumed))
        optimizer = sibling.build(spec, resumed)
        optimizer.load_state_dict(torch.load(file, weights_only=True))
        for each, weights in ((optimizer, resumed), (copied, copied_weights)):
            torch_steps(each, weights, gradients[2:])
            for one, other in zip(whole, weights, strict=True):
                np.testing.assert_array_equal(one.detach(), other.detach())

    @parameterized.expand(NAMES)
    def test_saved_in_keras(self, name: str) -> None:
        spec, rng = made(name), generator(1, "saved")
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(3)])
        optimizer = keras_backend.sibling(spec).build(spec, model.trainable_variables)
        model.compile(optimizer, "mse", run_eagerly=True)
        x, y = rng.standard_normal((8, 6)).astype("float32"), rng.standard_normal((8, 3)).astype("float32")
        model.train_on_batch(x, y)
        with tempfile.TemporaryDirectory() as folder:
            model.save(f"{folder}/model.keras")
            read = keras.models.load_model(f"{folder}/model.keras")
        self.assertIs(type(read.optimizer), type(optimizer))
        for each in (model, read):
            keras_steps(
                each.optimizer,
                each.trainable_variables,
                [[np.ones(v.shape, "float32") for v in each.trainable_variables]],
            )
        for one, other in zip(model.get_weights(), read.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


class Gradients(unittest.TestCase):
    @parameterized.expand(NAMES)
    def test_of_an_embedding(self, name: str) -> None:
        """Rows of one repeated index are added up before anything else."""
        rows = tf.IndexedSlices(
            tf.constant([[1.0, 2, -1], [2, -3, 4], [1, 1, 1]]), tf.constant([1, 1, 0]), tf.constant([4, 3])
        )
        found = []
        for gradient in (rows, tf.convert_to_tensor(rows)):
            weights = variables([np.ones((4, 3), "float32")])
            optimizer = keras_backend.sibling(spec := made(name)).build(spec, weights)
            for _ in range(2):
                optimizer.apply([gradient], weights)
            found.append(weights[0].numpy())
        np.testing.assert_array_equal(*found)

    def test_a_row_and_a_column_of_zeros(self) -> None:
        """A dead input and a dead unit: in float32, where Keras's own divides 0 by 0, the siblings do not."""
        gradient = np.float32([[0, 0, 0], [0, 1, 2], [0, 3, 4]])
        spec, weight = made("adafactor"), np.ones((3, 3), "float32")
        own = variables([weight])
        keras_steps(keras.optimizers.Adafactor(), own, [[gradient]])
        self.assertTrue(np.isnan(own[0].numpy()).all())
        theirs, ours = parameters([weight]), variables([weight])
        torch_steps(torch_adafactor.build(spec, theirs), theirs, [[gradient]])
        keras_steps(keras_backend.sibling(spec).build(spec, ours), ours, [[gradient]])
        self.assertEqual(agreement(theirs[0].detach(), ours[0].numpy().T, floor.WIDE).verdict, Verdict.EQUAL)
        self.assertEqual(float(ours[0][0, 0]), 1.0)

    def test_zeros_under_pytorch_own_with_the_epsilon_of_the_paper(self) -> None:
        weights = parameters([np.ones((2, 3), "float32")])
        torch_steps(torch.optim.Adafactor(weights, eps=(1e-30, 1e-3)), weights, [[np.zeros((2, 3), "float32")]])
        self.assertTrue(weights[0].isnan().all())

    def test_memory_of_the_factors(self) -> None:
        """Keras's own keeps a number for each element of a matrix; the sibling keeps one for each row and column."""
        spec, sizes = made("adafactor"), []
        for own in (True, False):
            weights = variables([np.ones((30, 20), "float32")])
            optimizer = keras.optimizers.Adafactor() if own else keras_backend.sibling(spec).build(spec, weights)
            optimizer.build(weights)
            sizes.append(sum(int(np.prod(item.shape)) for item in optimizer.variables[2:]))
        self.assertEqual(sizes, [30 * 20 + 30 + 20, 30 + 20])


class NewtonSchulz(unittest.TestCase):
    @parameterized.expand([(8, 5), (5, 8), (6, 6), (54, 5)])
    def test_singular_values(self, rows: int, columns: int) -> None:
        """Five iterations leave those of a random matrix between 0.6 and 1.3, and the directions as they are."""
        matrix = generator(0, "matrix").standard_normal((rows, columns))
        found = orthogonalised(matrix, registry.make("muon").coefficients, 5, 1e-7, "added", "weight")
        left, _, right = np.linalg.svd(matrix, full_matrices=False)
        turned = left.T @ found @ right.T
        self.assertTrue(np.all((np.diag(turned) > 0.6) & (np.diag(turned) < 1.3)), np.diag(turned))
        self.assertEqual(agreement(turned, np.diag(np.diag(turned))).verdict, Verdict.EQUAL)

    def test_bfloat16(self) -> None:
        rng = generator(0, "bfloat16")
        array = rng.standard_normal(2000) * 10.0 ** rng.integers(
            -36, 38, 2000
        )  # TensorFlow takes subnormal ones for zero
        array = np.concatenate([array, [0.0, -0.0, np.inf, -np.inf, 1.00390625, 1.01171875, 3.4e38]])
        np.testing.assert_array_equal(bfloat16(array), torch.tensor(array).bfloat16().double())
        np.testing.assert_array_equal(bfloat16(array), tf.cast(tf.cast(array, "bfloat16"), "float64"))


class Composed(unittest.TestCase):
    def test_a_network_with_an_embedding(self) -> None:
        """Its table and positions are no kernels: they lie alike in both frameworks, where a kernel is transposed."""

        class Trained(Pair):
            def recipe(self, side: str) -> Recipe:
                return Recipe(made("muon"), made("cross_entropy"))

        worst = compare.worst(training(Trained(registry.make("transformer_lm_small_pre")), "float64").comparisons)
        assert worst is not None
        self.assertEqual(worst.verdict, Verdict.EQUAL, worst)

    @parameterized.expand([("adafactor",), ("adafactor_floor",)])
    def test_rows_and_columns_of_a_table(self, name: str) -> None:
        spec, table, gradient = made(name), np.ones((4, 3)), generator(0, "table").standard_normal((4, 3))
        one, other = torch.nn.Parameter(torch.tensor(table)), keras.Variable(table, dtype="float64")
        optimizers = torch_adafactor.build(spec, [one], tables=[one]), keras_adafactor.build(spec, [other], [other])
        one.grad = torch.tensor(gradient)
        optimizers[0].step()
        keras_steps(optimizers[1], [other], [[gradient]])
        rows = torch_adafactor.slots(optimizers[0], [one])["row"], keras_adafactor.slots(optimizers[1], [other])["row"]
        self.assertEqual(agreement(*(items[0].numpy() for items in rows)).verdict, Verdict.EQUAL)
        self.assertEqual(agreement(one.detach(), other.numpy()).verdict, Verdict.EQUAL)


class Averages(unittest.TestCase):
    @parameterized.expand([(False,), (True,)])
    def test_of_a_user_own_model(self, warmup: bool) -> None:
        """PyTorch's `AveragedModel` takes what is built; without the warm-up Keras's `use_ema` gives the same."""
        spec = made("exponential_moving_average", decay=0.75, warmup=warmup)
        arrays, gradients = drawn()
        layer = torch.nn.Linear(3, 5, dtype=torch.float64)
        layer.weight.data, layer.bias.data = to_torch(arrays[2]), to_torch(arrays[3])
        averaged = torch.optim.swa_utils.AveragedModel(layer, multi_avg_fn=torch_average.build(spec))
        sgd = torch.optim.SGD(layer.parameters(), lr=0.25)
        weights, averages = variables(arrays[2:]), variables(arrays[2:])
        optimizer = keras.optimizers.SGD(0.25, use_ema=True, ema_momentum=0.75)
        update = keras_average.build(spec)
        for step in gradients:
            torch_steps(sgd, [layer.weight, layer.bias], [step[2:]])
            averaged.update_parameters(layer)
            count = int(optimizer.iterations)
            keras_steps(optimizer, weights, [step[2:]])
            update(averages, weights, count)
        results = [averages[0].numpy(), averages[1].numpy()]
        for one, other in zip(averaged.module.parameters(), results, strict=True):
            self.assertEqual(agreement(one.detach(), to_torch(other)).verdict, Verdict.EQUAL)
        if not warmup:
            for one, other in zip(optimizer._model_variables_moving_average, results, strict=True):
                self.assertEqual(agreement(one.numpy(), other).verdict, Verdict.EQUAL)


class Refused(unittest.TestCase):
    @parameterized.expand([
        ("lion", {"beta_1": 0.0}, "lion: beta_1 must be above 0: the step would be the sign of the gradient alone"),
        ("lamb", {"least_norm": 2.0, "greatest_norm": 1.0}, "lamb: least_norm (2) must not be above greatest_norm (1)"),
        ("muon", {"iterations": 0}, "muon: iterations must be a whole number, at least 1, not 0"),
        ("adafactor", {"learning_rate": -0.1}, "adafactor: learning_rate must be a number above 0, not -0.1"),
    ])  # fmt: skip
    def test_in_one_sentence(self, name: str, fields: dict[str, Any], sentence: str) -> None:
        with self.assertRaises(SpecError) as caught:
            registry.make(name, **fields)
        self.assertEqual(str(caught.exception), sentence)
