"""Every intermediate result by name; the attention maps of both sides."""

from __future__ import annotations

import unittest
from typing import Any

import numpy as np
from diglot.core.errors import SpecError, StateError
from diglot.core.noise import generator
from diglot.core.state import random_state
from diglot.core.verdict import Verdict
from parameterized import parameterized

import diglot

from .agreement import agreement

SIDES = ("torch", "keras")


def drawn(name: str) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """A spec, a state and inputs."""
    spec = diglot.spec(name).rounded()
    return spec, random_state(spec), spec.example(generator(0, "taps"))


def tapped(name: str) -> list[dict[str, Any]]:
    """The taps of both sides."""
    spec, state, inputs = drawn(name)
    found = []
    for side in SIDES:
        model = diglot.build(spec, side, "float64")
        diglot.set_state(model, state)
        found.append(diglot.taps(model, inputs))
    return found


class Outputs(unittest.TestCase):
    @parameterized.expand(["torch", "keras"])
    def test_by_name(self, side: str) -> None:
        spec, state, inputs = drawn("transformer_lm_small_bert")
        model = diglot.build(spec, side, "float64")
        diglot.set_state(model, state)
        found, parts = diglot.outputs(model, inputs), diglot.taps(model, inputs)
        self.assertEqual(list(found), [tensor.name for tensor in spec.outputs()])
        self.assertTrue(np.array_equal(found["pooled"], parts["pooler"]))
        self.assertTrue(np.array_equal(found["hidden_states.1"], parts["blocks.0"]))


class Taps(unittest.TestCase):
    @parameterized.expand(["vit_small", "transformer_lm_small", "resnet_small", "mlp_small"])
    def test_every_part_of_both_sides(self, name: str) -> None:
        torch, keras = tapped(name)
        parts = [part.name for part in diglot.spec(name).parts()]
        self.assertEqual((list(torch), list(keras)), (parts, parts))
        for part in parts:
            self.assertIs(agreement(torch[part], keras[part]).verdict, Verdict.EQUAL, part)

    @parameterized.expand(
        ["vit_small", "vit_small_average", "transformer_lm_small", "transformer_lm_small_encoder",
         "transformer_lm_small_llama"]
    )  # fmt: skip
    def test_attention_maps(self, name: str) -> None:
        torch, keras = tapped(name)
        maps = [part for part in torch if part.endswith("attention.map")]
        spec = diglot.spec(name)
        self.assertEqual(maps, [f"blocks.{index}.attention.map" for index in range(spec.num_layers)])
        for part in maps:
            self.assertEqual(torch[part].shape[1], spec.num_heads)
            self.assertEqual(torch[part].shape[2], torch[part].shape[3])
            self.assertIs(agreement(torch[part], keras[part]).verdict, Verdict.EQUAL)
            for found in (torch, keras):
                sums = found[part].sum(axis=-1)
                self.assertIs(agreement(sums, np.ones(sums.shape)).verdict, Verdict.EQUAL)

    def test_the_token_and_every_patch(self) -> None:
        torch, _ = tapped("vit_small")
        self.assertEqual(torch["blocks.0.attention.map"].shape, (6, 2, 10, 10))
        self.assertEqual(torch["patches"].shape, (6, 9, 8))
        self.assertEqual(torch["patches.projection"].shape, (6, 3, 3, 8))

    def test_in_evaluation_mode(self) -> None:
        torch, keras = tapped("vit_small_average")
        for found in (torch, keras):
            np.testing.assert_array_equal(found["dropout"], found["positions"])

    @parameterized.expand(SIDES)
    def test_one_input_without_its_name(self, side: str) -> None:
        spec, state, inputs = drawn("vit_small")
        model = diglot.build(spec, side)
        diglot.set_state(model, state)
        named, bare = diglot.taps(model, inputs), diglot.taps(model, inputs["image"].astype("float32"))
        np.testing.assert_array_equal(named["head"], bare["head"])
        self.assertEqual(bare["head"].dtype, np.float32)

    @parameterized.expand(SIDES)
    def test_bad_inputs(self, side: str) -> None:
        model = diglot.build(diglot.spec("vit_small"), side)
        for given, sentence in (
            ({"images": 1}, "vit needs the input 'image'; did you mean 'images'?"),
            ({}, "vit needs the input 'image'"),
            (np.zeros((2, 2, 12, 12)), "vit takes image as float (batch, height, width, channels), like "
                                       "(None, 12, 12, 2), not as float64 (2, 2, 12, 12)"),
            ("image", "vit takes image as float (batch, height, width, channels), like (None, 12, 12, 2), "
                      "not as <U5 ()"),
        ):  # fmt: skip
            with self.assertRaises(SpecError) as caught:
                diglot.taps(model, given)
            self.assertEqual(str(caught.exception), sentence)

    @parameterized.expand(
        [
            (
                "vit_small",
                (16, 16, 2),
                "this vit takes images of 12 pixels only, since it has a position for each patch",
            ),
            ("vit_small_sinusoidal", (16, 16, 2), "this vit takes images of 12 pixels only"),
            ("vit_small", (13, 13, 2), "vit: image_size 13 is not divisible by patch_size 4"),
            ("resnet_small", (0, 0, 3), "resnet: image_size must be a whole number, at least 1, not 0"),
            ("resnet_small", (12, 16, 3), "resnet takes square images, not of 12 by 16 pixels"),
            ("inception_small_features", (4, 4, 1), "inception: image_size 4 is too small; this network needs images "),
        ]
    )
    def test_images_of_another_size(self, name: str, shape: tuple[int, ...], sentence: str) -> None:
        for side in SIDES:
            model = diglot.build(diglot.spec(name), side)
            with self.assertRaises(SpecError) as caught:
                diglot.taps(model, np.zeros((2, *shape)))
            self.assertTrue(str(caught.exception).startswith(sentence), caught.exception)

    @parameterized.expand([("resnet_small", 40), ("residual_block_small", 9), ("transfer_small", 20)])
    def test_images_of_any_size(self, name: str, size: int) -> None:
        for side in SIDES:
            spec = diglot.spec(name)
            self.assertTrue(diglot.taps(diglot.build(spec, side), np.zeros((1, size, size, spec.in_channels))))

    def test_of_something_else(self) -> None:
        with self.assertRaises(StateError):
            diglot.taps(object(), np.zeros(3))
