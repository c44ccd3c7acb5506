"""Attention of other heads on the other side: the weights are the same, and only the number of heads is at fault."""

from __future__ import annotations

import unittest

import keras
import numpy as np
import torch
from diglot.core.noise import generator
from torch import nn

import diglot

from .ported.weights import attention, randomise


class Attention(nn.Module):
    def __init__(self, heads: int) -> None:
        super().__init__()
        self.mix = nn.MultiheadAttention(12, heads, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mix(x, x, x, need_weights=False)[0]


def attended(heads: int) -> keras.Model:
    x = keras.Input((5, 12))
    return keras.Model(x, keras.layers.MultiHeadAttention(heads, 12 // heads, name="mix")(x, x))


class Heads(unittest.TestCase):
    """Six heads for two, and two for six."""

    inputs = generator(0, "heads").normal(size=(2, 5, 12)).astype("float32")

    def test_the_weights_are_carried_either_way(self) -> None:
        for ours, theirs in ((2, 6), (6, 2)):
            with self.subTest(torch=ours, keras=theirs):
                source, target = Attention(ours), attended(theirs)
                randomise(source)
                diglot.transfer(source, target, inputs=[self.inputs])
                for one, other in zip(target.get_weights(), attention(source.mix, theirs), strict=True):
                    self.assertTrue(np.array_equal(one, other))

    def test_the_number_of_heads_is_named(self) -> None:
        source, target = Attention(2), attended(6)
        randomise(source)
        report = diglot.compare(source, target, [self.inputs], checks="forward")
        self.assertEqual(report.cells[0].located, "mix")
        self.assertIn("`heads` is 2", report.cells[0].cause or "")

    def test_heads_of_which_neither_divides_the_other_are_refused(self) -> None:
        with self.assertRaisesRegex(diglot.core.errors.StateError, "counterpart"):
            diglot.transfer(Attention(4), attended(6), inputs=[self.inputs])
