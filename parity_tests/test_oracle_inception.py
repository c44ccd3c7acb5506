"""GoogLeNet and Inception v3 against torchvision's and keras.applications' own, in float64; sizes and counts."""

from __future__ import annotations

import unittest
from typing import Any

import keras
import numpy as np
import torch
from diglot.core.compare import worst
from diglot.core.errors import SpecError
from diglot.core.spec import Spec
from diglot.core.technique import Arrays
from diglot.core.verdict import Verdict
from parameterized import parameterized
from torch import nn

import diglot

from . import oracle

# The first three poolings of GoogLeNet round the one up, and the last pooling the other.
FIRST_ROUNDED, LAST_ROUNDED = 64, 61
COUNTS = [
    ("googlenet", {}, 6_624_904),
    ("googlenet", {"aux_heads": True}, 13_004_888),
    ("inception_v3", {}, 23_834_568),
    ("inception_v3", {"aux_head": True}, 27_161_264),
]
SMALLEST = [
    ("googlenet", {}, 15),
    ("googlenet", {"aux_heads": True}, 15),
    ("googlenet", {"ceil_mode": False}, 45),
    ("googlenet", {"last_pool_size": 3, "ceil_mode": False}, 61),
    ("googlenet", {"last_pool_size": 3}, 31),
    ("inception_v3", {}, 75),
    ("inception_v3", {"aux_head": True}, 299),
    ("inception_v3_keras", {}, 75),
]


def live(spec: Spec, **options: Any) -> nn.Module:
    """Torchvision's own network of a spec."""
    from torchvision.models import googlenet, inception_v3

    build = googlenet if spec.name == "inception" else inception_v3
    options = {"aux_logits": len(spec.outputs()) > 1, "transform_input": spec.transform_input, **options}
    model = build(weights=None, init_weights=False, num_classes=spec.num_classes or 1, **options)
    if not spec.num_classes:
        model.fc = nn.Identity()
    return model


def heads(model: nn.Module, spec: Spec, inputs: Arrays) -> Arrays:
    """Torchvision has the auxiliary heads in training only; here the network trains and none of its layers does."""
    model.eval()
    model.training = True
    with torch.no_grad():
        found = model(torch.from_numpy(np.ascontiguousarray(inputs["image"].transpose(0, 3, 1, 2))))
    model.training = False
    if spec.name == "inception":
        return {"logits": found[0].numpy(), "aux2": found[1].numpy(), "aux1": found[2].numpy()}
    return {"logits": found[0].numpy(), "aux": found[1].numpy()}


class Oracle(unittest.TestCase):
    def same(self, spec: Any, model: Any, source: str, forward: Any = None) -> None:
        for side, found in oracle.agreement(spec, model, source, forward=forward).items():
            self.assertEqual({item.name for item in found}, {tensor.name for tensor in spec.outputs()})
            item = worst(found)
            self.assertIs(item.verdict, Verdict.EQUAL, f"{side}: {item}")

    @parameterized.expand(
        [
            ("googlenet", "googlenet", {"image_size": LAST_ROUNDED}),
            ("googlenet without a head", "googlenet", {"image_size": 33, "num_classes": 0}),
            ("inception_v3", "inception_v3", {"image_size": 75}),
        ]
    )
    def test_torchvision(self, case: str, preset: str, fields: dict[str, Any]) -> None:
        spec = diglot.spec(preset, **fields)
        self.same(spec, live(spec), "torchvision")

    @parameterized.expand(
        [
            ("googlenet that transforms", "googlenet_aux", {"image_size": FIRST_ROUNDED, "transform_input": True}),
            ("inception_v3 that transforms", "inception_v3_aux", {"transform_input": True}),
        ]
    )
    def test_torchvision_with_auxiliary_heads(self, case: str, preset: str, fields: dict[str, Any]) -> None:
        spec = diglot.spec(preset, **fields)
        self.same(spec, live(spec), "torchvision", heads)

    @parameterized.expand([("googlenet",), ("inception_v3",)])
    def test_auxiliary_heads_are_left_out(self, preset: str) -> None:
        spec = diglot.spec(preset)
        model = oracle.randomise(live(spec, aux_logits=True))
        state = diglot.load_pretrained(spec, model, source="torchvision")
        self.assertEqual(list(state), [weight.name for weight in spec.weights()])
        np.testing.assert_array_equal(state["fc.bias"], model.fc.bias.detach().numpy())

    def test_keras_applications(self) -> None:
        spec = diglot.spec("inception_v3_keras", image_size=75)
        build = keras.applications.InceptionV3
        model = oracle.made(lambda: build(weights=None, input_shape=(75, 75, 3), classifier_activation=None))
        norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        self.assertEqual({(item.epsilon, item.momentum, item.scale) for item in norms}, {(1e-3, 0.99, False)})
        self.assertEqual(spec.parameter_count(), sum(int(np.prod(item.shape)) for item in model.trainable_variables))
        self.same(spec, model, "keras.applications")

    @parameterized.expand([("googlenet_aux", 33), ("inception_v3_aux", 299)])
    def test_way_back(self, preset: str, size: int) -> None:
        spec = diglot.spec(preset, image_size=size)
        found = oracle.returned(spec, live(spec), oracle.randomise(live(spec), 1), "torchvision")
        self.assertIs(worst(found).verdict, Verdict.EQUAL)


class Specs(unittest.TestCase):
    @parameterized.expand(COUNTS)
    def test_published_parameter_counts(self, preset: str, fields: dict[str, Any], count: int) -> None:
        spec = diglot.spec(preset, **fields)
        self.assertEqual(spec.parameter_count(), count)
        self.assertEqual(sum(parameter.numel() for parameter in live(spec).parameters()), count)

    def test_published_count_with_statistics(self) -> None:
        spec = diglot.spec("inception_v3_keras")
        self.assertEqual(sum(weight.size for weight in spec.weights()), 23_851_784)

    @parameterized.expand(SMALLEST)
    def test_smallest_image(self, preset: str, fields: dict[str, Any], size: int) -> None:
        spec = diglot.spec(preset, **fields, width=0.0625, num_classes=3, image_size=size)
        for side in ("torch", "keras"):
            network = diglot.build(spec, side)
            image = np.ones((1, 3, size, size) if side == "torch" else (1, size, size, 3), "float32")
            if side == "torch":
                found = network.eval()(torch.from_numpy(image))
            else:
                found = network(image)
            for output in found if isinstance(found, tuple) else (found,):
                self.assertTrue(np.all(np.isfinite(output.detach().numpy() if side == "torch" else output.numpy())))
        with self.assertRaises(SpecError) as caught:
            diglot.spec(preset, **fields, image_size=size - 1)
        self.assertEqual(
            str(caught.exception),
            f"{spec.name}: image_size {size - 1} is too small; this network needs images of at least {size} pixels",
        )

    @parameterized.expand([("googlenet", 15), ("inception_v3", 75)])
    def test_smaller_images_have_no_result(self, preset: str, size: int) -> None:
        """What the spec refuses, torchvision cannot compute."""
        model = live(diglot.spec(preset, image_size=size)).eval()
        with torch.no_grad():
            model(torch.ones(1, 3, size, size))
            with self.assertRaises(RuntimeError):
                model(torch.ones(1, 3, size - 1, size - 1))

    @parameterized.expand(
        [
            ("inception_module", {"branch3_size": 4},
             "branch3_size 4 is even, and no equal padding on all sides keeps the image's size"),
            ("googlenet", {"branch3_size": 2},
             "branch3_size 2 is even, and no equal padding on all sides keeps the image's size"),
            ("googlenet", {"num_modules": (3, 5, 2)},
             "num_modules (3, 5, 2) goes beyond the (2, 5, 2) modules of the paper's table 1"),
            ("googlenet_aux", {"num_modules": (2, 3, 2)}, "aux_heads need at least 4 modules in the middle, not 3"),
            ("googlenet_aux", {"num_classes": 0}, "aux_heads classify, and num_classes 0 leaves no class"),
            ("inception_v3_aux", {"num_classes": 0}, "aux_head classifies, and num_classes 0 leaves no class"),
            ("inception_v3", {"transform_input": True, "in_channels": 1},
             "transform_input knows the statistics of red, green and blue, and in_channels is 1"),
        ]
    )  # fmt: skip
    def test_rules_between_fields(self, preset: str, fields: dict[str, Any], sentence: str) -> None:
        with self.assertRaises(SpecError) as caught:
            diglot.spec(preset, **fields)
        self.assertEqual(str(caught.exception).partition(": ")[2], sentence)
