"""Preprocessing on real photographs: the rule, both sides, and what torchvision makes of the same pixels."""

from __future__ import annotations

import unittest

import numpy as np
import torch
from diglot.core import compare, floor, registry, verdict
from diglot.core.rules import NAMES, Trio
from diglot.core.technique import Arrays
from diglot.core.verdict import Verdict
from parameterized import parameterized
from PIL import Image
from sklearn.datasets import load_sample_image

from . import oracle  # noqa: F401  torchvision can be imported after it

PHOTOGRAPHS = ("china.jpg", "flower.jpg")  # 427 by 640 pixels each
PRESETS = ("preprocess", "preprocess_caffe", "preprocess_symmetric")
CASES = [(f"{preset} {name}", preset, name) for preset in PRESETS for name in PHOTOGRAPHS]


def photograph(name: str) -> np.ndarray:
    """(batch, height, width, channels), whole numbers from 0 to 255."""
    return load_sample_image(name)[None]


class Photographed(Trio):
    """A technique on a photograph instead of its random case."""

    def __init__(self, preset: str, name: str) -> None:
        super().__init__(registry.make(preset))
        self.images = {"images": photograph(name).astype(np.float64)}

    def case(self, move: str | None = None, side: str = "rule") -> Arrays:
        return floor.moved(self.images, list(NAMES).index(side), move) if move else self.images


class ThreeWay(unittest.TestCase):
    @parameterized.expand(CASES)
    def test_the_rule_and_both_sides_agree(self, case: str, preset: str, name: str) -> None:
        found = Photographed(preset, name).check("rule").comparisons
        self.assertTrue(found)
        self.assertIs(verdict.worst(item.verdict for item in found), Verdict.EQUAL, found)

    @parameterized.expand(CASES)
    def test_float32_is_as_accurate_on_both_sides(self, case: str, preset: str, name: str) -> None:
        """TensorFlow's own float32 resizing is what Keras's users get; it is held to the matrices here."""
        found = Photographed(preset, name).check("accuracy").comparisons
        self.assertIs(verdict.worst(item.verdict for item in found), Verdict.EQUAL, found)

    @parameterized.expand(PHOTOGRAPHS)
    def test_torchvision_agrees(self, name: str) -> None:
        """Its tensor pipeline in float64; and its PIL pipeline, which rounds to whole numbers after each axis."""
        from torchvision.transforms import v2

        spec = registry.make("preprocess")
        pixels = photograph(name)
        ours = spec.rule({"images": pixels.astype(np.float64)})["result"]
        steps = [v2.Resize(spec.resize_size, antialias=True), v2.CenterCrop(spec.crop_size)]
        tensor = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy()).double() / 255
        theirs = v2.Compose([*steps, v2.Normalize(spec.mean, spec.deviation)])(tensor).numpy().transpose(0, 2, 3, 1)
        moved = spec.rule(floor.moved({"images": pixels.astype(np.float64)}, 0))["result"]
        (found,) = compare.every(
            {"result": ours}, {"result": theirs}, floor.movement({"result": ours}, {"result": moved})
        )
        self.assertIs(found.verdict, Verdict.EQUAL, found)
        rounded = np.asarray(v2.Compose(steps)(Image.fromarray(pixels[0])), np.float64) / 255
        difference = np.abs((rounded - np.array(spec.mean)) / np.array(spec.deviation) - ours[0])
        one = 1 / 255 / min(spec.deviation)
        self.assertLess(difference.max(), 1.01 * one)  # two roundings of at most a half each
        self.assertGreater(difference.max(), 0)

    def test_antialiasing_matters(self) -> None:
        spec = registry.make("preprocess")
        pixels = photograph("china.jpg").astype(np.float64)
        with_, without = (spec.replace(antialias=flag).rule({"images": pixels})["result"] for flag in (True, False))
        self.assertGreater(np.abs(with_ - without).max(), 0.5)
