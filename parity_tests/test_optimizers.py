"""Optimizers: the frameworks' own classes as oracles, groups of weights, closures, resuming, and embeddings."""

from __future__ import annotations

import io
import unittest
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import torch
from diglot.core import floor, practice, registry
from diglot.core.noise import generator
from diglot.core.technique import Optimizer
from diglot.core.verdict import Verdict
from diglot.keras_impl import backend as keras_backend
from diglot.keras_impl.precision import precision
from diglot.torch_impl import backend as torch_backend
from parameterized import parameterized

from .agreement import agreement

MINE = ("sgd", "adam", "adamw", "nadam", "rmsprop", "adagrad", "adadelta")
CHECKED = [(preset, registry.make(preset).rounded()) for name in MINE for preset in registry.checked(name)]
EVERY = [(name,) for name, kind in registry.classes().items() if issubclass(kind, Optimizer)]

# Each with Keras's conventions, and the native class with the same numbers.
KERAS: dict[str, tuple[dict[str, Any], Any]] = {
    "sgd": (
        {"momentum": 0.9, "nesterov": True, "velocity": "update", "decay": "decoupled", "weight_decay": 0.01},
        lambda s: keras.optimizers.SGD(s.learning_rate, s.momentum, s.nesterov, weight_decay=s.weight_decay),
    ),
    "adam": (
        {"epsilon_convention": "uncorrected"},
        lambda s: keras.optimizers.Adam(s.learning_rate, s.beta_1, s.beta_2, s.epsilon),
    ),
    "adamw": (
        {"epsilon_convention": "uncorrected"},
        lambda s: keras.optimizers.AdamW(s.learning_rate, s.weight_decay, s.beta_1, s.beta_2, s.epsilon),
    ),
    "nadam": (
        {"momentum_decay": 1.0, "weight_decay": 0.01, "decay": "decoupled"},
        lambda s: keras.optimizers.Nadam(s.learning_rate, s.beta_1, s.beta_2, s.epsilon, s.weight_decay),
    ),
    "rmsprop": (
        {"epsilon_convention": "inside", "velocity": "update", "momentum": 0.9, "centered": True, "epsilon": 1e-4},
        lambda s: keras.optimizers.RMSprop(s.learning_rate, s.rho, s.momentum, s.epsilon, s.centered),
    ),
    "adagrad": (
        {"epsilon_convention": "inside", "epsilon": 1e-7, "initial_accumulator_value": 0.1},
        lambda s: keras.optimizers.Adagrad(s.learning_rate, s.initial_accumulator_value, s.epsilon),
    ),
    "adadelta": (
        {"decay": "decoupled", "weight_decay": 0.01},
        lambda s: keras.optimizers.Adadelta(s.learning_rate, s.rho, s.epsilon, s.weight_decay),
    ),
}


def weights_and_gradients(dtype: torch.dtype = torch.float64) -> tuple[list[torch.nn.Parameter], list[torch.Tensor]]:
    """Two weights, and the gradients of six steps of each."""
    rng = generator(0, "optimizers")
    weights = [torch.nn.Parameter(torch.tensor(rng.standard_normal(shape), dtype=dtype)) for shape in ((3, 2), (2,))]
    return weights, [torch.tensor(rng.standard_normal((6, *weight.shape)), dtype=dtype) for weight in weights]


def stepped(optimizer: Any, weights: list[Any], gradients: list[torch.Tensor], steps: range) -> list[np.ndarray]:
    for step in steps:
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient[step].clone()
        optimizer.step()
    return [weight.detach().numpy().copy() for weight in weights]


def built(spec: Optimizer, weights: list[Any]) -> torch.optim.Optimizer:
    return torch_backend.sibling(spec).build(spec, weights)


class OwnClasses(unittest.TestCase):
    @parameterized.expand([(name,) for name in MINE])
    def test_pytorch(self, name: str) -> None:
        """The default is PyTorch's convention, and gives its own class; but for NAdam, whose product is exact here."""
        spec = registry.make(name)
        (weights, gradients), (others, _) = weights_and_gradients(), weights_and_gradients()
        optimizer = built(spec, weights)
        native = getattr(torch.optim, spec.NATIVE["torch"].rpartition(".")[2] if spec.NATIVE else "")
        self.assertIsInstance(optimizer, native)
        if name == "nadam":
            self.addCleanup(torch.set_default_dtype, torch.get_default_dtype())
            torch.set_default_dtype(torch.float64)
        else:
            self.assertIs(type(optimizer), native)
        groups = {key: value for key, value in optimizer.param_groups[0].items() if key in optimizer.defaults}
        given = {key: value for key, value in groups.items() if key != "decoupled_weight_decay" or name == "nadam"}
        oracle = native(others, **given)
        for one, other in zip(
            stepped(optimizer, weights, gradients, range(6)), stepped(oracle, others, gradients, range(6)), strict=True
        ):
            np.testing.assert_array_equal(one, other)

    @parameterized.expand([(name,) for name in MINE])
    def test_keras(self, name: str) -> None:
        """NAdam's own class has 0.96 in float32, so that it agrees to float32 alone."""
        fields, native = KERAS[name]
        spec = registry.make(name, **fields).rounded()
        sibling = keras_backend.sibling(spec)
        (weights, gradients), found = weights_and_gradients(), []
        with precision("float64"):
            for own in (False, True):
                variables = [keras.Variable(weight.detach().numpy(), dtype="float64") for weight in weights]
                optimizer = native(spec) if own else sibling.build(spec, variables)
                for step in range(6):
                    optimizer.apply([tf.constant(gradient[step].numpy()) for gradient in gradients], variables)
                slots = sibling.slots(optimizer, variables)
                found.append([each.numpy() for each in (*variables, *(one for slot in slots.values() for one in slot))])
        for ours, theirs in zip(*found, strict=True):
            verdict = agreement(ours, theirs, floor.WIDE if name == "nadam" else floor.NARROW).verdict
            self.assertEqual(verdict, Verdict.EQUAL)


class Practice(unittest.TestCase):
    @parameterized.expand(EVERY)
    def test_every_optimizer_learns(self, name: str) -> None:
        spec = registry.make(name).rounded()
        losses = spec.practised(spec.case(generator(0, name)))["practice loss"]
        self.assertEqual(losses.shape, (200,))
        self.assertLess(losses[-practice.BATCHES :].mean(), losses[: practice.BATCHES].mean())


class Groups(unittest.TestCase):
    @parameterized.expand(CHECKED)
    def test_pytorch_groups_are_obeyed(self, name: str, spec: Optimizer) -> None:
        """One optimizer with two groups is two optimizers, bit for bit, and keeps the groups' further keys."""
        (weights, gradients), (others, _) = weights_and_gradients(), weights_and_gradients()
        own = [{"lr": 0.5, "weight_decay": 0.25, "multiplier": 0.5}, {"weight_decay": 0.0, "multiplier": 2.0}]
        optimizer = built(spec, [{"params": [weight], **group} for weight, group in zip(weights, own, strict=True)])
        together = stepped(optimizer, weights, gradients, range(6))
        specs = spec.replace(learning_rate=0.5, weight_decay=0.25), spec.replace(weight_decay=0.0)
        for index, alone in enumerate(specs):
            apart = stepped(built(alone, [others[index]]), [others[index]], [gradients[index]], range(6))
            np.testing.assert_array_equal(together[index], apart[0])
            group = optimizer.param_groups[index]
            self.assertEqual([group["multiplier"], len(group["params"])], [own[index]["multiplier"], 1])
            self.assertEqual([group["lr"], group["weight_decay"]], [alone.learning_rate, alone.weight_decay])

    @parameterized.expand(CHECKED)
    def test_pytorch_resumes(self, name: str, spec: Optimizer) -> None:
        """From a file in the middle to the same bits, in float32 too."""
        for dtype in (torch.float64, torch.float32):
            (weights, gradients), (others, _), file = (
                weights_and_gradients(dtype),
                weights_and_gradients(dtype),
                io.BytesIO(),
            )
            optimizer = built(spec, weights)
            for other, array in zip(others, stepped(optimizer, weights, gradients, range(3)), strict=True):
                other.data = torch.tensor(array)
            torch.save(optimizer.state_dict(), file)
            again = built(spec, others)
            again.load_state_dict(torch.load(io.BytesIO(file.getvalue())))
            through, resumed = (
                stepped(each, kept, gradients, range(3, 6)) for each, kept in ((optimizer, weights), (again, others))
            )
            for one, other in zip(through, resumed, strict=True):
                np.testing.assert_array_equal(one, other)

    @parameterized.expand(CHECKED)
    def test_closure_before_decay(self, name: str, spec: Optimizer) -> None:
        """A closure sees the weights as they were, and its loss is given back."""
        spec = spec.replace(weight_decay=0.5)
        (weights, _), (others, _) = weights_and_gradients(), weights_and_gradients()

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = sum((weight**3).sum() for weight in weights)
            loss.backward()
            return loss

        optimizer = built(spec, weights)
        loss = optimizer.step(closure)
        self.assertEqual(loss.item(), sum((weight**3).sum() for weight in others).item())
        twin = stepped(built(spec, others), others, [3 * weight.detach()[None] ** 2 for weight in others], range(1))
        for weight, other in zip(weights, twin, strict=True):
            np.testing.assert_array_equal(weight.detach().numpy(), other)


class Keras(unittest.TestCase):
    @parameterized.expand(CHECKED)
    def test_from_config(self, name: str, spec: Optimizer) -> None:
        optimizer = keras_backend.sibling(spec).build(spec, [keras.Variable(np.zeros(2))])
        again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
        self.assertIs(type(again), type(optimizer))
        self.assertEqual(again.get_config(), optimizer.get_config())

    @parameterized.expand(CHECKED)
    def test_rows_of_one_index_are_added_up_first(self, name: str, spec: Optimizer) -> None:
        """Two tokens of one index with the gradients 1 and 2 are one gradient of 3."""
        found = []
        for sparse in (True, False):
            table = keras.Variable(np.ones((3, 1), np.float32))
            optimizer = keras_backend.sibling(spec).build(spec, [table])
            rows = tf.IndexedSlices(tf.constant([[1.0], [2.0]]), tf.constant([1, 1]), tf.constant([3, 1]))
            for _ in range(2):
                optimizer.apply([rows if sparse else tf.constant([[0.0], [3.0], [0.0]])], [table])
            found.append(table.numpy())
        self.assertEqual(agreement(*found, floor.WIDE).verdict, Verdict.EQUAL)


class Conventions(unittest.TestCase):
    def test_the_product_of_momenta(self) -> None:
        weight = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
        for optimizer, kept in ((torch.optim.NAdam([weight]), torch.float32),
                                (built(registry.make("nadam"), [weight]), torch.float64)):  # fmt: skip
            stepped(optimizer, [weight], [torch.ones(1, 2, dtype=torch.float64)], range(1))
            self.assertIs(optimizer.state[weight]["mu_product"].dtype, kept)

    def test_how_long_the_momentum_rises(self) -> None:
        for decay, step in ((0.004, 4245), (1.0, 17)):
            spec = registry.make("nadam", momentum_decay=decay)
            half = 0.75 * spec.beta_1
            self.assertLess(spec.mu(step - 1), half)
            self.assertGreater(spec.mu(step), half)

    def test_a_variance_below_zero(self) -> None:
        """PyTorch's centred RMSprop under a gradient that stays the same; inside the root, epsilon prevents it."""
        for convention, finite in (("outside", False), ("inside", True)):
            weight = torch.nn.Parameter(torch.ones(50, dtype=torch.float64))
            spec = registry.make("rmsprop", centered=True, rho=0.5, epsilon_convention=convention)
            gradient = torch.linspace(0.1, 1, 50, dtype=torch.float64).expand(200, 50)
            (found,) = stepped(built(spec, [weight]), [weight], [gradient], range(200))
            self.assertIs(bool(np.isfinite(found).all()), finite)

    def test_the_first_step_of_adagrad(self) -> None:
        """Of a gradient of 0.01: the whole rate from a sum of zero, and 0.03 of it from Keras's 0.1."""
        for start, length in ((0.0, 1.0), (0.1, 0.0316)):
            spec = registry.make("adagrad", initial_accumulator_value=start)
            weight = np.zeros(1)
            after, _ = spec.update(weight, np.full(1, 0.01), spec.start(weight), 1, 1.0)
            self.assertEqual(round(-float(after[0]), 4), length)
