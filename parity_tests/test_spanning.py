"""One layer against several, and one call against many: what stands for what, and that nothing is replayed in vain."""

from __future__ import annotations

import unittest

import keras
import numpy as np
import torch
from diglot.core.port.several import around
from keras import layers
from parameterized import parameterized
from torch import nn

import diglot

from .ported.attentions import Layers, whole
from .ported.weights import randomise


class Cells(nn.Module):
    """Two recurrent cells, called at every moment."""

    def __init__(self) -> None:
        super().__init__()
        self.low, self.high, self.out = nn.GRUCell(3, 4), nn.LSTMCell(4, 5), nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden, state = x.new_zeros(len(x), 4), (x.new_zeros(len(x), 5), x.new_zeros(len(x), 5))
        for moment in range(x.shape[1]):
            hidden = self.low(x[:, moment], hidden)
            state = self.high(hidden, state)
        return self.out(state[0])


def cells(activation: str, backwards: bool = False) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((5, 3)),
            layers.RNN(layers.GRUCell(4), return_sequences=True, go_backwards=backwards),
            layers.RNN(layers.LSTMCell(5, activation=activation), name="upper"),
            layers.Dense(2),
        ]
    )


class Around(unittest.TestCase):
    """The block around several layers."""

    @parameterized.expand(
        [
            (["a.self.q", "a.self.k", "a.out"], ".", "a"),
            (["q", "o"], ".", ""),
            (["block/attn/q", "block/attn/out"], "/", "block/attn"),
        ]
    )
    def test(self, names: list[str], separator: str, block: str) -> None:
        self.assertEqual(around(names, separator), block)


class Spans(unittest.TestCase):
    """The place and the cause that are told."""

    def test_a_loop_over_a_cell_is_not_replayed_against_a_sequence(self) -> None:
        source, target = Cells(), cells("relu")
        randomise(source)
        given = np.random.default_rng(0).normal(size=(3, 5, 3)).astype("float32")
        diglot.transfer(source, target, inputs=given)
        report = diglot.compare(source, target, given, checks=["weights", "forward"])
        cell = next(one for one in report.cells if one.check == "forward")
        self.assertFalse(report.passed)
        self.assertEqual(cell.located, "high")
        self.assertIn("cannot be run by itself", cell.cause or "")

    def test_a_loop_that_runs_the_other_way(self) -> None:
        source, target = Cells(), cells("tanh", backwards=True)
        randomise(source)
        given = np.random.default_rng(0).normal(size=(3, 5, 3)).astype("float32")
        diglot.transfer(source, target, inputs=given)
        cell = diglot.compare(source, target, given, checks="forward").cells[0]
        self.assertIn("`low` is called with the moments in the order 0, 1, …, 4", cell.cause or "")
        self.assertIn("takes them in the order 4, 3, …, 0", cell.cause or "")

    def test_a_state_that_is_carried_on_to_the_next_batch(self) -> None:
        class Last(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.rnn = nn.GRU(3, 4, batch_first=True)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.rnn(x)[0]

        given = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
        source = Last()
        target = keras.Sequential(
            [keras.Input(batch_shape=(2, 5, 3)), layers.GRU(4, return_sequences=True, stateful=True, name="kept")]
        )
        diglot.transfer(source, target, inputs=given)
        cells = {cell.check: cell for cell in diglot.compare(source, target, given).cells}
        self.assertEqual({name for name, cell in cells.items() if cell.located}, {"training"})
        self.assertIn("Keras's `kept` is stateful", cells["training"].cause or "")

    def test_an_inverted_mask_is_told_by_both_masks(self) -> None:
        source, target = Layers(), whole(inverted=True)
        randomise(source)
        given = [
            np.random.default_rng(0).normal(size=(3, 6, 8)).astype("float32"),
            np.arange(6) < np.array([[6], [4], [3]]),
        ]
        diglot.transfer(source, target, inputs=given)
        report = diglot.compare(source, target, given, checks=["weights", "forward"])
        cell = next(one for one in report.cells if one.check == "forward")
        self.assertEqual(cell.located, "attn")
        self.assertIn("is the opposite of the one that PyTorch's `attn` is given", cell.cause or "")
