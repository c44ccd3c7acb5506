"""Resampling against the frameworks' own, and networks at another image size."""

from __future__ import annotations

import unittest
from typing import Any

import numpy as np
import tensorflow as tf
import torch
import torch.nn.functional as F
from diglot.core import floor, resample
from diglot.core.errors import SpecError, StateError
from diglot.core.noise import generator
from diglot.core.pair import Pair
from diglot.core.state import random_state
from diglot.core.technique import Arrays
from diglot.core.verdict import Verdict
from parameterized import parameterized

import diglot

from .agreement import agreement

SIZES = ((14, 24), (24, 14), (7, 7), (31, 12), (5, 17), (60, 3), (1, 5), (5, 1), (2, 7))
MODES = [(f"{method}{' antialias' * antialias}", method, antialias) for method in resample.REACH
         for antialias in (True, False)]  # fmt: skip
VIT = diglot.spec("vit_small")


def drawn(source: int) -> np.ndarray:
    """An image that is not square."""
    return generator(source, "resample").standard_normal((source, source + 3, 2))


class Resampling(unittest.TestCase):
    @parameterized.expand(MODES)
    def test_against_torch(self, name: str, method: str, antialias: bool) -> None:
        for source, target in SIZES:
            image = drawn(source)
            native = torch.from_numpy(image.transpose(2, 0, 1))[None]
            theirs = F.interpolate(native, size=(target, target + 2), mode=method, antialias=antialias)[0]
            ours = resample.resize(image, target, target + 2, method=method, antialias=antialias)
            self.assertIs(agreement(ours, theirs.numpy().transpose(1, 2, 0)).verdict, Verdict.EQUAL)

    @parameterized.expand([("bilinear",), ("bicubic",)])
    def test_against_tensorflow(self, method: str) -> None:
        for source, target in SIZES:
            image = drawn(source)
            theirs = tf.image.resize(image.astype("float32"), (target, target + 2), method=method, antialias=True)
            ours = resample.resize(image, target, target + 2, method=method, antialias=True)
            self.assertIs(agreement(ours, theirs.numpy(), floor.WIDE).verdict, Verdict.EQUAL)

    @parameterized.expand(MODES)
    def test_a_constant_stays(self, name: str, method: str, antialias: bool) -> None:
        for source, target in SIZES:
            rows = resample.matrix(source, target, method=method, antialias=antialias)
            self.assertEqual(rows.shape, (target, source))
            self.assertIs(agreement(rows.sum(axis=1), np.ones(target)).verdict, Verdict.EQUAL)
            self.assertIs(agreement(rows[::-1, ::-1], rows).verdict, Verdict.EQUAL)

    def test_bad_requests(self) -> None:
        with self.assertRaisesRegex(SpecError, "no resampling method 'cubic'; the methods are bilinear and bicubic"):
            resample.matrix(3, 4, method="cubic", antialias=True)
        with self.assertRaisesRegex(SpecError, "3 pixels cannot be resized to 0"):
            resample.matrix(3, 0, method="bicubic", antialias=True)


class OtherSizes(unittest.TestCase):
    @parameterized.expand([("larger", 20), ("smaller", 8), ("same", 12)])
    def test_equal_on_both_sides(self, name: str, image_size: int) -> None:
        class Resized(Pair):
            def __init__(self, spec: Any, state: Arrays) -> None:
                super().__init__(spec)
                self.state = state

        spec, state = diglot.resize(VIT, random_state(VIT), image_size)
        self.assertEqual(spec, VIT.replace(image_size=image_size))
        pair = Resized(spec, state)
        for item in pair.measure(lambda side, state, batches: forward(pair, side, state, batches[0]), pair.batches()):
            self.assertIs(item.verdict, Verdict.EQUAL, item)

    def test_the_token_keeps_its_vector(self) -> None:
        before = random_state(VIT)
        _, after = diglot.resize(VIT, before, image_size=20)
        self.assertEqual(after["positions.vectors"].shape, (26, VIT.d_model))
        np.testing.assert_array_equal(after["positions.vectors"][0], before["positions.vectors"][0])
        for name in before.keys() - {"positions.vectors"}:
            np.testing.assert_array_equal(after[name], before[name])

    def test_the_patches_are_an_image(self) -> None:
        before = random_state(VIT)
        for method, antialias in (("bicubic", True), ("bilinear", False)):
            _, after = diglot.resize(VIT, before, 20, method=method, antialias=antialias)
            grid = torch.from_numpy(before["positions.vectors"][1:].reshape(1, 3, 3, -1)).permute(0, 3, 1, 2)
            theirs = F.interpolate(grid, size=(5, 5), mode=method, antialias=antialias).flatten(2)[0].T
            self.assertIs(agreement(after["positions.vectors"][1:], theirs.numpy()).verdict, Verdict.EQUAL)

    def test_without_a_token_and_in_float32(self) -> None:
        spec = VIT.replace(class_token=False, pooling="average")
        other, state = diglot.resize(spec, diglot.initial_state(spec), 16)
        self.assertEqual(state["positions.vectors"].shape, (16, spec.d_model))
        self.assertEqual(state["positions.vectors"].dtype, np.float32)
        diglot.set_state(diglot.build(other, "torch"), state)

    def test_where_nothing_is_learned_the_state_stays(self) -> None:
        for name in ("vit_small_sinusoidal", "resnet_small"):
            spec = diglot.spec(name)
            before = diglot.initial_state(spec)
            other, after = diglot.resize(spec, before, 24)
            self.assertEqual(other.image_size, 24)
            self.assertEqual(list(after), list(before))
            self.assertTrue(all(np.array_equal(after[name], before[name]) for name in before))

    def test_bad_requests(self) -> None:
        state = diglot.initial_state(VIT)
        for fields, sentence in (
            ({"image_size": 13}, "vit: image_size 13 is not divisible by patch_size 4"),
            ({"image_size": 2}, "vit: image_size 2 is too small; this network needs images of at least 4 pixels"),
            ({"image_size": 20, "method": "nearest"},
             "there is no resampling method 'nearest'; the methods are bilinear and bicubic"),
        ):  # fmt: skip
            with self.assertRaises(SpecError) as caught:
                diglot.resize(VIT, state, **fields)
            self.assertEqual(str(caught.exception), sentence)
        with self.assertRaisesRegex(SpecError, "image_size can be changed, and transformer_lm is none"):
            diglot.resize("transformer_lm_small", {}, 20)
        with self.assertRaises(StateError):
            diglot.resize(VIT, {**state, "extra": np.zeros(1)}, 20)


def forward(pair: Pair, side: str, state: Any, batch: Arrays) -> Arrays:
    """Outputs in evaluation mode."""
    return pair.side(side).forward(pair.loaded(side, state), batch).outputs
