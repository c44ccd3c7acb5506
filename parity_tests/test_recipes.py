"""A whole recipe, schedule and clipping included, trains the small presets the same on both sides."""

from __future__ import annotations

import unittest

from diglot.core import compare, registry
from diglot.core.checks import training
from diglot.core.pair import Pair
from diglot.core.recipe import Recipe
from diglot.core.verdict import Verdict
from parameterized import parameterized

OPTIMIZERS = ("sgd_nesterov", "sgd_momentum_update", "adam", "adamw_uncorrected")
PRESETS = ("mlp_small_gelu", "resnet_small_imagenet", "transformer_lm_small_pre")
CELLS = [(preset, optimizer) for preset in PRESETS for optimizer in OPTIMIZERS]


class Composed(Pair):
    """A pair that is trained with a given optimizer, a warm-up, clipping and smoothing."""

    optimizer = "adam"
    broken = ""

    def recipe(self, side: str) -> Recipe:
        clip = registry.make("clip_by_global_norm", max_norm=5.0 if side == self.broken else 0.5)
        return Recipe(
            registry.make(self.optimizer).rounded(),
            registry.make("cross_entropy_smoothed").rounded(),
            registry.make("warmup_cosine", learning_rate=0.05, warmup_steps=5, total_steps=15).rounded(),
            clip.rounded(),
        )


class Recipes(unittest.TestCase):
    @parameterized.expand(CELLS)
    def test_equal(self, preset: str, optimizer: str) -> None:
        pair = Composed(registry.make(preset))
        pair.optimizer = optimizer
        worst = compare.worst(training(pair, "float64").comparisons)
        assert worst is not None
        self.assertEqual(worst.verdict, Verdict.EQUAL, worst)

    def test_another_clipping_on_one_side_is_seen(self) -> None:
        pair = Composed(registry.make("mlp_small_gelu"))
        pair.broken = "keras"
        worst = compare.worst(training(pair, "float64").comparisons)
        assert worst is not None
        self.assertEqual(worst.verdict, Verdict.DIFFERENT, worst)
