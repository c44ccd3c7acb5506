"""Networks with several outputs, trained as a framework's users train them: every head counts with its weight."""

from __future__ import annotations

import unittest

from diglot.core import backend, compare, floor, registry, verdict
from diglot.core.pair import Pair
from diglot.core.recipe import Recipe
from diglot.core.verdict import Verdict
from diglot.keras_impl import fitting as keras_fitting
from diglot.torch_impl import fitting as torch_fitting
from parameterized import parameterized

from .agreement import agreement

FITTING = {"torch": torch_fitting, "keras": keras_fitting}
SPECS = {
    "inception": registry.make("inception_small", dropout_rate=0.0, aux_dropout_rate=0.0),
    "inception_v3": registry.make("inception_v3_small", dropout_rate=0.0),
}


class AuxiliaryHeads(unittest.TestCase):
    @parameterized.expand([(name, side) for name in SPECS for side in FITTING])
    def test_fit(self, name: str, side: str) -> None:
        """The loop, or `compile` and `fit`, makes the steps that a check makes."""
        pair = Pair(SPECS[name])
        batches, recipe = pair.batches(2), Recipe(registry.make("sgd").rounded(), registry.make("cross_entropy"))
        side_of = backend.load(side)
        wanted = side_of.train(pair.loaded(side, pair.state), batches, recipe)
        moved = side_of.train(pair.loaded(side, floor.moved(pair.state, 1)), batches, recipe)
        model = pair.loaded(side, pair.state)
        found = {"loss": FITTING[side].fit(model, batches, recipe), **side_of.get_state(model)}
        judged = compare.every({name: wanted[name] for name in found}, found, floor.movement(wanted, moved))
        self.assertIs(verdict.worst(item.verdict for item in judged), Verdict.EQUAL, compare.worst(judged))

    @parameterized.expand(list(FITTING))
    def test_predict_gives_the_logits(self, side: str) -> None:
        pair = Pair(SPECS["inception"])
        model, (batch,) = pair.loaded(side, pair.state), pair.batches()
        found = FITTING[side].predict(model, batch, batch_size=4)
        wanted = backend.load(side).forward(model, batch).outputs["logits"]
        self.assertIs(agreement(found, wanted).verdict, Verdict.EQUAL)
