"""The Vision Transformer's spec: published sizes, rules between fields, and the files of other libraries."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diglot.core.errors import SpecError
from diglot.core.spec import rounded
from diglot.core.state import random_state
from parameterized import parameterized

import diglot

COUNTS = [("vit_b_16", 86_567_656), ("vit_b_32", 88_224_232), ("vit_l_16", 304_326_632), ("vit_s_16", 22_050_664)]
SMALL = diglot.spec("vit_small")


class Fields(unittest.TestCase):
    @parameterized.expand(COUNTS)
    def test_published_parameter_counts(self, preset: str, count: int) -> None:
        self.assertEqual(diglot.spec(preset).parameter_count(), count)

    @parameterized.expand([
        ({"image_size": 225}, "image_size 225 is not divisible by patch_size 16"),
        ({"image_size": 8}, "image_size 8 is too small; this network needs images of at least 16 pixels"),
        ({"num_heads": 7}, "d_model 768 is not divisible by num_heads 7"),
        ({"d_model": 6, "num_heads": 3, "positions": "sinusoidal"},
         "d_model 6 is not divisible by 4, and sinusoidal positions are sines and cosines of two coordinates"),
        ({"class_token": False}, "pooling 'token' needs class_token"),
    ])  # fmt: skip
    def test_rules_between_fields(self, fields: dict[str, Any], sentence: str) -> None:
        with self.assertRaises(SpecError) as caught:
            diglot.spec("vit", **fields)
        self.assertEqual(str(caught.exception), f"vit: {sentence}")

    def test_the_rate_of_stochastic_depth_grows_linearly(self) -> None:
        rates = diglot.spec("vit_b_16", stochastic_depth_rate=0.22).depth_rates()
        self.assertEqual(rates, tuple(rounded(0.22 * index / 11) for index in range(12)))
        self.assertEqual(SMALL.replace(num_layers=1).depth_rates(), (0.0,))


class Files(unittest.TestCase):
    def test_the_names_of_published_torchvision_files(self) -> None:
        state = random_state(SMALL)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "vit.pth"
            diglot.export_pretrained(SMALL, state, path, source="torchvision")
            found = torch.load(path)
            self.assertIn("encoder.layers.encoder_layer_1.mlp.3.weight", found)
            older = {name.replace("mlp.0", "mlp.linear_1").replace("mlp.3", "mlp.linear_2"): tensor
                     for name, tensor in found.items()}  # fmt: skip
            torch.save(older, path)
            loaded = diglot.load_pretrained(SMALL, path, source="torchvision")
        self.assertEqual(set(loaded), set(state))
        self.assertTrue(all(np.array_equal(loaded[name], state[name]) for name in state))
