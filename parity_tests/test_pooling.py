"""Pooling that the frameworks count differently: rounding up, padding that an average counts, adaptive windows."""

from __future__ import annotations

import itertools
import unittest

import keras
import numpy as np
import tensorflow as tf
import torch
import torch.nn.functional as F
from diglot.core.verdict import Verdict
from diglot.keras_impl.convolution import AdaptiveAveragePooling2D, AveragePooling2D, MaxPooling2D
from parameterized import parameterized

from .agreement import agreement

CASES = [
    (f"{height} by {width}, window {window}, stride {stride}, margin {margin}", height, width, window, stride, margin)
    for (height, width), window, stride in itertools.product(((3, 4), (5, 6), (7, 8), (9, 12)), (2, 3), (1, 2, 3))
    for margin in range(window // 2 + 1)
]


def image(height: int, width: int) -> np.ndarray:
    # Below zero, so that a padding of zeros would be the maximum.
    return -1 - np.random.default_rng(height).random((2, height, width, 3))


def channels_first(x: np.ndarray) -> torch.Tensor:
    return torch.tensor(x.transpose(0, 3, 1, 2))


class Pooling(unittest.TestCase):
    @parameterized.expand(CASES)
    def test_maximum_rounded_up(
        self, case: str, height: int, width: int, window: int, stride: int, margin: int
    ) -> None:
        x = image(height, width)
        wanted = F.max_pool2d(channels_first(x), window, stride, margin, ceil_mode=True).numpy().transpose(0, 2, 3, 1)
        layer = MaxPooling2D(window, strides=stride, margin=margin, ceil_mode=True, dtype="float64")
        np.testing.assert_array_equal(layer(x).numpy(), wanted)
        self.assertEqual(layer.compute_output_shape(x.shape), wanted.shape)

    @parameterized.expand(CASES)
    def test_average_counts_padding(
        self, case: str, height: int, width: int, window: int, stride: int, margin: int
    ) -> None:
        x = image(height, width)
        wanted = F.avg_pool2d(channels_first(x), window, stride, margin).numpy().transpose(0, 2, 3, 1)
        layer = AveragePooling2D(window, strides=stride, margin=margin, dtype="float64")
        self.assertIs(agreement(layer(x).numpy(), wanted).verdict, Verdict.EQUAL)
        self.assertEqual(layer.compute_output_shape(x.shape), wanted.shape)

    def test_rounded_up_at_a_size_that_is_not_known_before(self) -> None:
        layer = MaxPooling2D(3, strides=2, ceil_mode=True, dtype="float64")
        pooled = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 3), tf.float64)])
        for size in range(2, 9):
            x = image(size, size)
            np.testing.assert_array_equal(pooled(x).numpy(), layer(x).numpy())
        self.assertEqual(layer.compute_output_shape((None, None, None, 3)), (None, None, None, 3))

    @parameterized.expand([(height, width) for height in range(1, 11) for width in (1, 5, 8)])
    def test_adaptive_windows(self, height: int, width: int) -> None:
        x = image(height, width)
        wanted = F.adaptive_avg_pool2d(channels_first(x), 4).numpy().transpose(0, 2, 3, 1)
        layer = AdaptiveAveragePooling2D(4, dtype="float64")
        self.assertIs(agreement(layer(x).numpy(), wanted).verdict, Verdict.EQUAL)
        self.assertEqual(layer(keras.Input((height, width, 3), dtype="float64")).shape, (None, *wanted.shape[1:]))
