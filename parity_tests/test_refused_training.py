"""What a trainer refuses, in one sentence: requests that cannot be met, and numbers that are not finite."""

from __future__ import annotations

import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
import torch
from diglot.core.data import Data
from diglot.core.errors import DiglotError, InputError, SpecError, TrainingError
from diglot.keras_impl.techniques import mixed_precision as keras_precision
from diglot.torch_impl.techniques import mixed_precision
from parameterized import parameterized
from torch import nn

import diglot

from .composed import technique
from .own_networks import (
    CLASSES,
    FEATURES,
    FILES,
    SIDES,
    own_data,
    own_network,
    plain,
    weights_of,
)


class NotFinite(unittest.TestCase):
    """A loss that is not finite ends the training, tells where it came from, and leaves the checkpoint."""

    @parameterized.expand([(side,) for side in SIDES])
    def test_the_layer_is_named(self, side: str) -> None:
        data = own_data(held_out=False)
        wrong = data.arrays()[0].copy()
        wrong[:, 0] *= 1e200
        with tempfile.TemporaryDirectory() as folder:
            diglot.fit(own_network(side), data, plain(), epochs=1, batch_size=16, folder=folder)
            before = (Path(folder) / FILES[side]).read_bytes()
            network = own_network(side)
            if side == "torch":
                network[2].weight.data *= 1e200
            else:
                network.layers[-1].kernel.assign(network.layers[-1].kernel * 1e200)
            start = weights_of(side, network)
            with self.assertRaises(TrainingError) as caught:
                diglot.fit(network, Data(wrong, data.targets), plain(), epochs=1, batch_size=16)
            self.assertEqual((Path(folder) / FILES[side]).read_bytes(), before)
        name = {"torch": "2", "keras": network.layers[-1].path if side == "keras" else ""}[side]
        told = (
            f"at step 0 (batch 0 in all, of epoch 1): the first layer that gives one is {name}; lower the learning rate"
        )
        self.assertIn(told, str(caught.exception))
        for one, other in zip(start, weights_of(side, network), strict=True):
            np.testing.assert_array_equal(one, other)

    @parameterized.expand([("torch", "0.weight"), ("keras", "kernel")])
    def test_the_weight_is_named_whose_gradient_it_is(self, side: str, name: str) -> None:
        """A huge input to units that are nearly off: the loss is finite, and the first kernel's gradient is not."""
        network, data = own_network(side), own_data(held_out=False)
        data.arrays()[0][:] = 1e200
        kernels = np.full((FEATURES, 8), 1e-220), np.full((8, CLASSES), 1e150) * np.array([1.0, -1.0, 0.5])
        if side == "torch":
            with torch.no_grad():
                network[0].weight.copy_(torch.tensor(kernels[0].T))
                network[2].weight.copy_(torch.tensor(kernels[1].T))
        else:
            network.set_weights([kernels[0], np.zeros(8), kernels[1], np.zeros(CLASSES)])
        with self.assertRaises(TrainingError) as caught:
            diglot.fit(network, data, plain(), epochs=1, batch_size=16)
        self.assertRegex(
            str(caught.exception), f"^the gradient of [^ ]*{name} is not finite at step 0 .*: every layer's"
        )

    @parameterized.expand([(side,) for side in SIDES])
    def test_a_norm_is_finite_whose_squares_are_not(self, side: str) -> None:
        """Gradients of 1e200 are clipped, and the training goes on."""
        loss = technique("mean_squared_error")
        network, rng = own_network(side), np.random.default_rng(0)
        data = Data(rng.standard_normal((8, FEATURES)), np.full((8, CLASSES), 1e150))
        if side == "torch":
            network[0].weight.data *= 1e50
        else:
            network.layers[0].kernel.assign(network.layers[0].kernel * 1e50)
        recipe = plain(loss=loss, clip=technique("clip_by_value"), optimizer=technique("sgd"))
        history = diglot.fit(network, data, recipe, epochs=1, batch_size=8)
        (norm,) = history.steps["gradient_norm"].values()
        self.assertTrue(1e190 < norm < float("inf"), norm)

    @parameterized.expand([(side,) for side in SIDES])
    def test_a_batch_with_holes(self, side: str) -> None:
        data = own_data(held_out=False)
        data.arrays()[0][7] = np.nan
        with self.assertRaisesRegex(
            TrainingError, "the batch itself holds numbers that are not finite; mend the samples"
        ):
            diglot.fit(own_network(side), data, plain(), epochs=1, batch_size=64)


class Twice(nn.Linear):
    """A network of two outputs."""

    def __init__(self) -> None:
        super().__init__(FEATURES, CLASSES)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return super().forward(x.float()), x


def once(network: Any, data: Data | None = None) -> None:
    diglot.fit(network, data or own_data(), plain(), epochs=1, batch_size=2)


def of_class(index: int) -> Data:
    return Data(np.zeros((2, FEATURES)), np.array([0, index]))


class Refused(unittest.TestCase):
    """What cannot be is one sentence, before anything is changed."""

    @parameterized.expand([
        ("epochs", {"epochs": 0}, {}, SpecError, "epochs must be a whole number, at least 1, not 0"),
        ("watch", {"watch": -1}, {}, SpecError, "watch must be a whole number, at least 0, not -1"),
        ("unwatched", {}, {"flow": technique("gradient_flow")}, SpecError, "gradient_flow is noted every `watch`"),
        ("batch", {"batch_size": -1}, {}, SpecError, "batch_size must be a whole number, at least 1, not -1"),
        ("seed", {"seed": -1}, {}, SpecError, "a seed is a whole number, at least 0, not -1"),
        ("warm_up", {}, {"schedule": technique("warmup_cosine", warmup_steps=50)}, SpecError,
         "warmup_cosine warms up for 50 steps, and the training has 3; shorten the warm-up or train for more epochs"),
        ("rise", {}, {"schedule": technique("one_cycle", total_steps=1000)}, SpecError,
         "one_cycle warms up for 300 steps, and the training has 3"),
        ("picture", {}, {"augmentation": technique("augment", crop_size=2)}, InputError,
         "augment draws for pictures, and needs their height and width"),
        ("metric", {}, {"stopping": technique("early_stopping", monitor="val_loss")}, SpecError,
         "early_stopping watches the metric 'val_loss', and there are loss, accuracy; give held-out data"),
        ("curriculum", {}, {"curriculum": technique("curriculum")}, SpecError,
         "curriculum needs the difficulties of the samples; give them with the data"),
        ("pattern", {}, {"groups": technique("parameter_groups", no_decay=("*norm*",))}, InputError,
         "parameter_groups: '*norm*' of no_decay matches no weight"),
    ])  # fmt: skip
    def test(
        self, name: str, options: dict[str, Any], others: dict[str, Any], error: type[Exception], told: str
    ) -> None:
        for side in SIDES:
            network = own_network(side)
            start = [array.copy() for array in weights_of(side, network)]
            with self.assertRaises(error) as caught:
                asked = {"epochs": 1, "batch_size": 16, **options}
                diglot.fit(network, own_data(held_out=False), plain(**others), **asked)
            self.assertIn(told, str(caught.exception))
            for one, other in zip(start, weights_of(side, network), strict=True):
                np.testing.assert_array_equal(one, other)

    @parameterized.expand([
        ("both", lambda: plain(schedule=technique("warmup_cosine"), plateau=technique("reduce_on_plateau")),
         "warmup_cosine and reduce_on_plateau both set the rate; leave one of them out"),
        ("indices", lambda: plain(mixing=technique("mixup")),
         "mixup gives probabilities, and cross_entropy takes class indices; set its targets='probabilities'"),
        ("word", lambda: plain(clip="value"), "clip of a recipe must be a way of clipping, such as"),
        ("lengths", lambda: Data(np.zeros((3, 2)), np.zeros(4)), "the data must have one number of samples, not 3, 4"),
        ("empty", lambda: Data(np.zeros((0, 2)), np.zeros(0)), "the data must have at least one sample"),
        ("list", lambda: Data([[1.0]], np.zeros(1)), "arrays of numbers, (samples, ...), not list"),
        ("words", lambda: Data(np.zeros((1, 2)), np.array(["a"])), "arrays of numbers, (samples, ...), not <U1"),
        ("class", lambda: once(own_network("torch"), of_class(3)), "the data have the class 3, and the network"),
        ("class_keras", lambda: once(own_network("keras"), of_class(-1)), "the data have the class -1, and"),
        ("frozen", lambda: once(own_network("torch").requires_grad_(False)), "Sequential has no weight that trains"),
        ("unbuilt", lambda: once(keras.Sequential([keras.layers.Dense(3)])), "is not built yet; give it an Input, or"),
        ("outputs", lambda: once(Twice()), "Twice gives a tuple, and a loss takes one tensor"),
        ("network", lambda: once(object()), "neither a PyTorch module nor a Keras model"),
        ("learning", lambda: once(diglot.build(diglot.spec("vae"), "torch")), "learns in a way of its own"),
    ])  # fmt: skip
    def test_request(self, name: str, make: Callable[[], Any], told: str) -> None:
        with self.assertRaises(DiglotError) as caught:
            make()
        self.assertIn(told, str(caught.exception))

    def test_half_precision_that_a_device_lacks(self) -> None:
        class Lacking(nn.Module):
            def parameters(self, recurse: bool = True) -> Any:
                return iter([torch.zeros(1, device="meta")])

        half = technique("mixed_precision")
        with (
            mock.patch.object(torch, "ones", side_effect=RuntimeError("not implemented for 'Half'")),
            self.assertRaisesRegex(SpecError, "mixed_precision: meta has no float16; set another dtype, or none"),
            mixed_precision.lowered(half, Lacking()),
        ):
            pass

    def test_half_precision_that_tensorflow_lacks(self) -> None:
        lacking = tf.errors.UnimplementedError(None, None, "no kernel")
        with (
            mock.patch.object(tf.linalg, "matmul", side_effect=lacking),
            self.assertRaisesRegex(SpecError, "mixed_precision: TensorFlow has no float16 here; set another dtype"),
            keras_precision.lowered(technique("mixed_precision"), own_network("keras")),
        ):
            pass
