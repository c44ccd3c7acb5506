"""What a side gives again is what it gives, to the same bits, and it runs only for what it was never asked."""

from __future__ import annotations

import unittest
from typing import Any
from unittest import mock

import numpy as np
from diglot.core import backend, floor, registry
from diglot.core.backend import Backend
from diglot.core.pair import Pair
from diglot.core.rules import Trio
from parameterized import parameterized

from .recall import Recalled, recalled_opinion

SPEC = registry.make("mlp_small")


class Same(Pair):
    """A pair whose sides are given."""

    def __init__(self, sides: Any) -> None:
        super().__init__(SPEC)
        self.sides = sides

    def side(self, side: str) -> Backend:
        found: Backend = self.sides(side)
        return found


def asked(pair: Pair, side: str) -> list[np.ndarray]:
    """Two states, each with calls that move buffers; in the second round the states change places."""
    states = [pair.state, floor.moved(pair.state, 1, floor.WIDE)]
    result: list[np.ndarray] = []
    for state in (*states, *reversed(states)):
        model, side_of, batches, recipe = pair.loaded(side, state), pair.side(side), pair.batches(2), pair.recipe(side)
        for _ in range(2):
            side_of.forward(model, batches[0], training=True, noise=pair.noise())
            result += side_of.get_state(model).values()
        result += side_of.gradients(model, batches[0], recipe.loss, noise=pair.noise()).values()
        result += side_of.train(model, batches, recipe, noise=pair.noise()).values()
    return result


class Recall(unittest.TestCase):
    @parameterized.expand(list(backend.SIDES))
    def test_gives_what_the_side_gives(self, side: str) -> None:
        remembering = Recalled(side)
        wanted, found = asked(Same(backend.load), side), asked(Same(lambda _: remembering), side)
        with mock.patch.object(remembering, "backend", None):
            again = asked(Same(lambda _: remembering), side)
        for results in (found, again):
            self.assertEqual(len(results), len(wanted))
            for one, other in zip(results, wanted, strict=True):
                np.testing.assert_array_equal(one, other)

    def test_a_new_model_has_no_past(self) -> None:
        remembering = Recalled("torch")
        pair = Same(lambda _: remembering)
        asked(pair, "torch")
        fresh = remembering.build(pair.spec, "float64")
        state = remembering.get_state(fresh)
        self.assertFalse(np.array_equal(state["head.kernel"], pair.state["head.kernel"]))


class Opinions(unittest.TestCase):
    """What is kept of a technique."""

    @parameterized.expand(["rule", *backend.SIDES])
    def test_once_and_as_it_is(self, who: str) -> None:
        spec = registry.make("cross_entropy_smoothed")
        trio = Trio(spec, 7)
        recalled_opinion.cache_clear()
        opinion = recalled_opinion(spec, who, 7)
        wanted, found = trio.opinion(who, trio.case()), opinion(trio.case(), "float64")
        found["gradient"][...] = 0.0  # a caller that writes into what it was given
        with mock.patch.object(type(spec), "rule", None), mock.patch.object(backend, "load", None):
            again = opinion(trio.case(), "float64")
        self.assertEqual({name: array.tobytes() for name, array in wanted.items()},
                         {name: array.tobytes() for name, array in again.items()})  # fmt: skip
        moved = opinion(trio.case(floor.NARROW), "float64")
        self.assertNotEqual(moved["gradient"].tobytes(), again["gradient"].tobytes())
