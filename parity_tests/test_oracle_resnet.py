"""The residual networks against torchvision's, timm's and keras.applications' own, in float64."""

from __future__ import annotations

import unittest
from dataclasses import replace
from typing import Any
from unittest import mock

import keras
from diglot.core import compare
from diglot.core.verdict import Verdict
from parameterized import parameterized

import diglot

from . import oracle

TORCHVISION = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2")
KERAS = {"resnet50_keras": "ResNet50", "resnet101_keras": "ResNet101", "resnet152_keras": "ResNet152"}
CLASSES = 10


def of_torchvision(preset: str, **options: Any) -> Any:
    import torchvision

    return getattr(torchvision.models, preset)(weights=None, num_classes=CLASSES, **options)


def of_keras(preset: str, size: int = 32) -> Any:
    build = getattr(keras.applications, KERAS[preset])
    options = {"weights": None, "classes": CLASSES, "input_shape": (size, size, 3), "classifier_activation": None}
    return oracle.made(lambda: build(**options))


class Oracle(unittest.TestCase):
    def same(self, spec: Any, model: Any, source: str) -> None:
        for side, found in oracle.agreement(spec, model, source).items():
            item = compare.worst(found)
            assert item is not None
            self.assertIs(item.verdict, Verdict.EQUAL, f"{side}: {item}")

    @parameterized.expand(TORCHVISION)
    def test_torchvision(self, preset: str) -> None:
        self.same(diglot.spec(preset, num_classes=CLASSES, image_size=40), of_torchvision(preset), "torchvision")

    @parameterized.expand(KERAS)
    def test_keras_applications(self, preset: str) -> None:
        self.same(diglot.spec(preset, num_classes=CLASSES, image_size=32), of_keras(preset), "keras.applications")

    def test_an_odd_size(self) -> None:
        self.same(
            diglot.spec("resnet18", num_classes=CLASSES, image_size=45), of_torchvision("resnet18"), "torchvision"
        )
        keras_spec = diglot.spec("resnet50_keras", num_classes=CLASSES, image_size=45)
        self.same(keras_spec, of_keras("resnet50_keras", 45), "keras.applications")

    @parameterized.expand(["resnet18", "resnet50"])
    def test_timm(self, preset: str) -> None:
        import timm

        model = timm.create_model(preset, num_classes=CLASSES)
        self.same(diglot.spec(preset, num_classes=CLASSES, image_size=48), model, "timm")

    def test_the_way_back(self) -> None:
        spec = diglot.spec("resnet50", num_classes=CLASSES)
        models = of_torchvision("resnet50"), of_torchvision("resnet50").double()
        spec_keras = diglot.spec("resnet50_keras", num_classes=CLASSES)
        for found in (
            oracle.returned(spec, *models, "torchvision"),
            oracle.returned(spec_keras, of_keras("resnet50_keras"), of_keras("resnet50_keras"), "keras.applications"),
        ):
            self.assertTrue(all(item.verdict is Verdict.EQUAL for item in found))

    def test_the_other_stride_is_another_network(self) -> None:
        """The oracle can fail: the original's stride placement has the same weights, and other outputs."""
        spec = diglot.spec("resnet50", num_classes=CLASSES, image_size=40, stride_on="conv1")
        anything = replace(spec.SOURCES["torchvision"], requires=())
        with mock.patch.dict(spec.SOURCES, {"torchvision": anything}):
            agreement = oracle.agreement(spec, of_torchvision("resnet50"), "torchvision")
        for found in agreement.values():
            item = compare.worst(found)
            assert item is not None
            self.assertIs(item.verdict, Verdict.DIFFERENT)
