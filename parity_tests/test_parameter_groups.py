"""Groups of weights: patterns, models of the user's own, schedules, files, frozen weights and loss scales."""

from __future__ import annotations

import tempfile
import unittest
from typing import Any

import diglot.keras_impl.techniques.parameter_groups as keras_groups
import diglot.torch_impl.techniques.parameter_groups as torch_groups
import keras
import numpy as np
import tensorflow as tf
import torch
from diglot.core import registry
from diglot.core.errors import InputError
from diglot.core.noise import generator
from diglot.keras_impl import backend as keras_backend
from diglot.torch_impl import backend as torch_backend
from parameterized import parameterized

NAMES = ("conv.kernel", "conv.bias", "dense.kernel", "dense.bias")
GROUPS = registry.make("parameter_groups_multipliers")
ADAMW = registry.make("adamw", learning_rate=0.5, weight_decay=0.25)


def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Input((3,)), keras.layers.Dense(4, name="conv"), keras.layers.Dense(2, name="dense")]
    return keras.Sequential(layers)


def grouped(net: keras.Model, optimizer: Any = ADAMW) -> Any:
    spec = registry.make("parameter_groups", no_decay=("*/bias",), multipliers=(("*/conv/*", 0.25),))
    return keras_groups.build(spec, optimizer, {variable.path: variable for variable in net.trainable_variables})


class Patterns(unittest.TestCase):
    def test_the_first_match_counts(self) -> None:
        shares = {"conv.kernel": (0.25, True), "conv.bias": (0.25, False), "dense.kernel": (1.0, False)}
        self.assertEqual(GROUPS.shares(NAMES), {**shares, "dense.bias": (2.0, False)})

    @parameterized.expand([
        ({"no_decay": ("*bias", "*gamma")}, NAMES,
         "parameter_groups: '*gamma' of no_decay matches no weight; the first of the 4 names is 'conv.kernel'"),
        ({"multipliers": (("Conv.*", 2.0),)}, NAMES,
         "parameter_groups: 'Conv.*' of multipliers matches no weight; the first of the 4 names is 'conv.kernel'"),
        ({}, (), "parameter_groups: '*bias' of no_decay matches no weight; there are none"),
    ])  # fmt: skip
    def test_an_idle_pattern(self, fields: dict[str, Any], names: tuple[str, ...], sentence: str) -> None:
        spec = registry.make("parameter_groups", **fields)
        weight = torch.nn.Parameter(torch.zeros(1)), keras.Variable(np.zeros(1))
        for build, kept in zip((torch_groups.build, keras_groups.build), weight, strict=True):
            with self.assertRaises(InputError) as caught:
                build(spec, ADAMW, dict.fromkeys(names, kept))
            self.assertEqual(str(caught.exception), sentence)


class OwnModels(unittest.TestCase):
    def test_pytorch(self) -> None:
        net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
        spec = registry.make("parameter_groups", multipliers=(("0.*", 0.25),))
        optimizer = torch_groups.build(spec, ADAMW, dict(net.named_parameters()))
        found = [(group["lr"], group["weight_decay"], group["multiplier"]) for group in optimizer.param_groups]
        self.assertEqual(found, [(0.125, 0.25, 0.25), (0.125, 0.0, 0.25), (0.5, 0.25, 1.0), (0.5, 0.0, 1.0)])
        self.assertEqual([len(group["params"]) for group in optimizer.param_groups], [1, 1, 1, 1])

    def test_keras(self) -> None:
        net = model()
        optimizer = grouped(net)
        inner = [optimizer.inner(variable) for variable in net.trainable_variables]
        self.assertEqual([float(each.learning_rate) for each in inner], [0.125, 0.125, 0.5, 0.5])
        self.assertEqual([each.weight_decay for each in inner], [0.25, 0.0, 0.25, 0.0])
        self.assertEqual(float(optimizer.learning_rate), 0.5)
        optimizer.learning_rate = 0.25
        self.assertEqual([float(each.learning_rate) for each in inner], [0.0625, 0.0625, 0.25, 0.25])

    def test_keras_goes_on_from_a_file(self) -> None:
        """With a schedule, to the same bits."""
        net = model()
        gradients = [tf.constant(generator(0, each.name).standard_normal(each.shape)) for each in net.weights]
        optimizer = grouped(net, registry.make("adam"))
        schedule = registry.make("warmup_cosine", learning_rate=0.5, warmup_steps=2, total_steps=8)
        keras_backend.sibling(schedule).build(schedule, optimizer)
        net.compile(optimizer, "mse")
        for _ in range(3):
            optimizer.apply(gradients, net.trainable_variables)
        with tempfile.TemporaryDirectory() as folder:
            net.save(f"{folder}/net.keras")
            again = keras.models.load_model(f"{folder}/net.keras")
        for each in (net, again):
            for step in (1.0, -2.0):
                each.optimizer.apply([step * gradient for gradient in gradients], each.trainable_variables)
        for one, other in zip(net.weights, again.weights, strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())
        read = [float(each.learning_rate) for each in again.optimizer.optimizers]
        self.assertEqual(read, [float(each.learning_rate) for each in optimizer.optimizers])
        self.assertEqual(read[0] / read[-1], 0.25)


class Composed(unittest.TestCase):
    @parameterized.expand([("warmup_cosine",), ("one_cycle",)])
    def test_a_schedule_keeps_the_factors(self, name: str) -> None:
        """At every step, on both sides."""
        schedule = registry.make(name, learning_rate=0.5, total_steps=20)
        net, own = model(), torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
        ours = grouped(net, registry.make("sgd"))
        spec = registry.make("parameter_groups", multipliers=(("0.*", 0.25),))
        theirs = torch_groups.build(spec, registry.make("sgd"), dict(own.named_parameters()))
        keras_backend.sibling(schedule).build(schedule, ours)
        scheduler = torch_backend.sibling(schedule).build(schedule, theirs)
        zeros = [tf.zeros(variable.shape) for variable in net.trainable_variables]
        for step in range(20):
            rate = schedule.rate(step)
            for multiplied in ([group["lr"] for group in theirs.param_groups],
                               [float(optimizer.learning_rate) for optimizer in ours.optimizers]):  # fmt: skip
                shares = [np.float32(0.25 * rate), np.float32(rate)]
                self.assertEqual(
                    [np.float32(found) for found in dict.fromkeys(multiplied)], list(dict.fromkeys(shares))
                )
            theirs.step()
            scheduler.step()
            ours.apply(zeros)

    def test_a_native_schedule_on_keras(self) -> None:
        optimizer = grouped(model(), registry.make("sgd"))
        optimizer.learning_rate = keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)
        self.assertEqual([float(each.learning_rate) for each in optimizer.optimizers], [0.125, 0.125, 0.5, 0.5])

    def test_frozen_groups(self) -> None:
        """They do not move, and their steps are counted, so that their schedule goes on."""
        net = model()
        optimizer = grouped(net)
        before = [variable.numpy() for variable in net.trainable_variables]
        optimizer.apply([None, None, *(tf.ones(variable.shape) for variable in net.trainable_variables[2:])])
        moved = [not np.array_equal(old, new.numpy()) for old, new in zip(before, net.trainable_variables, strict=True)]
        self.assertEqual(moved, [False, False, True, True])
        self.assertEqual({int(each.iterations) for each in (optimizer, *optimizer.optimizers)}, {1})

    def test_under_a_loss_scale(self) -> None:
        found = []
        for scale in (None, 4.0):
            net = model()
            optimizer = grouped(net)
            factor = 1.0
            if scale:
                optimizer, factor = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=scale), scale
                optimizer.build(net.trainable_variables)
            for gradient in (1.0, float("inf") if scale else None, 2.0):
                if gradient is not None:
                    optimizer.apply([tf.fill(each.shape, factor * gradient) for each in net.trainable_variables],
                                    net.trainable_variables)  # fmt: skip
                if gradient == float("inf"):
                    factor /= 2
            found.append([variable.numpy() for variable in net.trainable_variables])
        for one, other in zip(*found, strict=True):
            np.testing.assert_array_equal(one, other)
