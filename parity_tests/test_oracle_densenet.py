"""DenseNet against torchvision's and keras.applications' own, in float64; and the memory-saving mode against none."""

from __future__ import annotations

import unittest
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import torch
from diglot.core import backend, compare, floor, registry
from diglot.core.pair import Pair, buffers
from diglot.core.source import current
from diglot.core.verdict import Verdict
from parameterized import parameterized
from torch import nn

import diglot

from . import oracle

SIZE = 33  # odd on the way: the last transition leaves a row and a column out
TORCHVISION = [("densenet121", 7_978_856), ("densenet161", 28_681_000), ("densenet169", 14_149_480),
               ("densenet201", 20_013_928)]  # fmt: skip
KERAS = [("DenseNet121", "densenet121_keras"), ("DenseNet169", "densenet169_keras"),
         ("DenseNet201", "densenet201_keras")]  # fmt: skip
PAPER = [("densenet40_cifar", "1.0M"), ("densenet_bc100_cifar", "0.8M")]
RECOMPUTED = [(side, kind) for side in ("torch", "keras") for kind in ("unbiased", "biased")]


def of_torchvision(spec: Any) -> nn.Module:
    from torchvision.models.densenet import DenseNet

    model = DenseNet(
        growth_rate=spec.growth_rate,
        block_config=spec.num_layers,
        num_init_features=spec.stem_channels,
        bn_size=spec.bottleneck,
        num_classes=spec.num_classes or 1,
    )
    if not spec.num_classes:
        model.classifier = nn.Identity()
    return model


class Oracle(unittest.TestCase):
    def same(self, spec: Any, model: Any, source: str) -> None:
        for side, found in oracle.agreement(spec, model, source).items():
            item = compare.worst(found)
            self.assertIs(item.verdict, Verdict.EQUAL, f"{side}: {item}")

    @parameterized.expand(
        [
            ("small", {"num_layers": (2, 1, 1, 2), "growth_rate": 3, "stem_channels": 5, "num_classes": 7}),
            ("narrow", {"num_layers": (1, 2), "growth_rate": 4, "bottleneck": 2, "stem_channels": 3, "num_classes": 2}),
            ("features", {"num_layers": (2, 2), "growth_rate": 3, "stem_channels": 4, "num_classes": 0}),
        ]
    )
    def test_torchvision(self, name: str, fields: dict[str, Any]) -> None:
        spec = diglot.spec("densenet", image_size=SIZE, **fields)
        self.same(spec, of_torchvision(spec), "torchvision")

    @parameterized.expand(TORCHVISION)
    def test_torchvision_preset(self, preset: str, count: int) -> None:
        import torchvision

        spec, model = diglot.spec(preset, image_size=SIZE), torchvision.models.get_model(preset)
        self.assertEqual(spec.parameter_count(), count)
        self.assertEqual(sum(parameter.numel() for parameter in model.parameters()), count)
        self.same(spec, model, "torchvision")

    @parameterized.expand(KERAS)
    def test_keras_applications(self, name: str, preset: str) -> None:
        spec = diglot.spec(preset, image_size=SIZE)
        build = getattr(keras.applications, name)
        # Its classifier takes only images of 224 pixels by default; an input shape of its own lifts that.
        model = oracle.linear_head(
            oracle.made(lambda: build(weights=None, input_shape=(SIZE, SIZE, 3), classifier_activation=None))
        )
        norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        self.assertEqual({(item.epsilon, item.momentum) for item in norms}, {(spec.norm_epsilon, 0.99)})
        self.assertEqual(spec.parameter_count(), sum(int(np.prod(item.shape)) for item in model.trainable_variables))
        self.same(spec, model, "keras.applications")

    def test_parameters_of_the_widest(self) -> None:
        self.assertEqual(diglot.spec("densenet161").parameter_count(), 28_681_000)

    def test_old_spelling(self) -> None:
        source = registry.classes()["densenet"].SOURCES["torchvision"]
        for old, new in (
            ("features.denseblock1.denselayer1.norm.1.weight", "features.denseblock1.denselayer1.norm1.weight"),
            ("features.denseblock3.denselayer24.conv.2.weight", "features.denseblock3.denselayer24.conv2.weight"),
            ("features.transition1.norm.weight", "features.transition1.norm.weight"),
        ):
            self.assertEqual(current(source, old), new)

    @parameterized.expand(PAPER)
    def test_parameters_of_the_paper(self, preset: str, millions: str) -> None:
        """Table 2 counts in tenths of a million."""
        self.assertEqual(f"{diglot.spec(preset).parameter_count() / 1e6:.1f}M", millions)


class Recomputed(unittest.TestCase):
    """The same gradients, losses, weights and running statistics with and without, bitwise."""

    def pairs(self, kind: str) -> tuple[Pair, Pair]:
        spec = registry.make("densenet_small_imagenet", running_variance=kind, dropout_rate=0.0)
        return Pair(spec.replace(recompute=False)), Pair(spec)

    def identical(self, kept: dict[str, Any], again: dict[str, Any]) -> None:
        self.assertEqual(list(kept), list(again))
        for name, array in kept.items():
            np.testing.assert_array_equal(array, again[name], name)

    @parameterized.expand(RECOMPUTED)
    def test_gradients_and_statistics(self, side: str, kind: str) -> None:
        results, implementation = [], backend.load(side)
        for pair in self.pairs(kind):
            model = pair.loaded(side, pair.state)
            found = implementation.gradients(model, pair.batches()[0], pair.recipe(side).loss)
            results.append({**found, **buffers(pair.spec, implementation.get_state(model))})
        self.identical(*results)
        start = self.pairs(kind)[0].state
        self.assertTrue(all(np.any(array != start[name]) for name, array in results[1].items() if name in start))

    @parameterized.expand(RECOMPUTED)
    def test_training(self, side: str, kind: str) -> None:
        results, implementation = [], backend.load(side)
        for pair in self.pairs(kind):
            model = pair.loaded(side, pair.state)
            results.append(implementation.train(model, pair.batches(5), pair.recipe(side)))
        self.identical(*results)

    def test_a_compiled_step_of_keras(self) -> None:
        """`fit` traces a graph, in which the recomputation is a part of the gradient."""
        results = []
        beside = self.pairs("unbiased")[0]  # the same, moved by a unit, for the floor
        beside.state = floor.moved(beside.state, 1)
        for pair in (*self.pairs("unbiased"), beside):
            model = pair.loaded("keras", pair.state)
            batch = pair.batches()[0]
            image, target = tf.convert_to_tensor(batch["image"]), tf.convert_to_tensor(batch["targets"])
            weights = [weight.value for weight in model.trainable_variables]

            @tf.function
            def step(image: Any, target: Any, model: Any = model, weights: Any = weights) -> Any:
                with tf.GradientTape() as tape:
                    logits = model(image, training=True)
                    loss = keras.losses.sparse_categorical_crossentropy(target, logits, from_logits=True)
                return tape.gradient(loss, weights)

            gradients = {str(index): np.asarray(found) for index, found in enumerate(step(image, target))}
            state = backend.load("keras").get_state(model)
            results.append((gradients, buffers(pair.spec, state)))
        (kept, statistics), (again, recomputed), (moved, _) = results
        self.identical(statistics, recomputed)
        for found in compare.every(kept, again, floor.movement(kept, moved)):
            self.assertIs(found.verdict, Verdict.EQUAL, found)

    def test_dropout_is_not_drawn_again(self) -> None:
        """With the framework's own draws: another mask in the recomputation would give another gradient."""
        for side in ("torch", "keras"):
            results, implementation = [], backend.load(side)
            for pair in self.pairs("unbiased"):
                dropped = Pair(pair.spec.replace(dropout_rate=0.5))
                keras.utils.set_random_seed(3)
                torch.manual_seed(3)
                model = dropped.loaded(side, dropped.state)
                keras.utils.set_random_seed(3)
                torch.manual_seed(3)
                results.append(implementation.gradients(model, dropped.batches()[0], dropped.recipe(side).loss))
            self.identical(*results)

    @parameterized.expand([("torch",), ("keras",)])
    def test_evaluation_is_untouched(self, side: str) -> None:
        kept, again = (
            backend.load(side).forward(pair.loaded(side, pair.state), pair.batches()[0]).outputs
            for pair in self.pairs("biased")
        )
        self.identical(kept, again)
