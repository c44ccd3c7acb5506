"""A comparison that could not fail is a failure; and float32 that one side does worse is a finding."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from diglot.core import checks
from diglot.core.backend import Backend
from diglot.core.compare import Comparison
from diglot.core.judge import judge
from diglot.core.pair import Pair
from diglot.core.plan import Task
from diglot.core.results import Cell
from diglot.core.spec import Spec
from parameterized import parameterized

import diglot


class Altered(Pair):
    """A pair whose PyTorch model is altered after it was built; `alone`, PyTorch stands in for Keras too."""

    def __init__(self, spec: Spec, alter: Callable[[Any], None], alone: bool = False) -> None:
        super().__init__(spec)
        self.alter, self.alone = alter, alone

    def side(self, side: str) -> Backend:
        return super().side("torch" if self.alone else side)

    def build(self, side: str, dtype: str) -> Any:
        model = super().build(side, dtype)
        if side == "torch" or self.alone:
            self.alter(model)
        return model


def cell(pair: Pair, check: str, dtype: str = "float64") -> Cell:
    task = Task("altered", pair.spec, check, dtype, 0)
    return judge(task, checks.CHECKS[check][0](pair, dtype), pair)


class Sensitivity(unittest.TestCase):
    spec = diglot.spec("mlp_small_gelu")

    def test_a_correct_network_is_sensitive(self) -> None:
        found = cell(Pair(self.spec), "forward")
        self.assertEqual(found.verdict, "equal")
        self.assertGreater(found.sensitivity or 0.0, 1e6)

    def test_a_weight_that_no_output_depends_on(self) -> None:
        def alter(model: Any) -> None:
            dense = model.hidden[1].dense
            dense.forward = lambda x: torch.nn.functional.linear(x, dense.weight, dense.bias.new_zeros(8))

        found = cell(Altered(self.spec, alter, alone=True), "forward")
        self.assertEqual((found.verdict, found.located), ("different", "hidden.1.dense"))
        self.assertIn("could not fail", found.cause or "")

    def test_a_constant_input(self) -> None:
        pair = Pair(self.spec)
        batch = pair.whole()
        constant = {**batch, "features": np.ones_like(batch["features"])}
        pair.whole = lambda draw=0: constant  # type: ignore[method-assign]
        found = cell(pair, "forward")
        self.assertEqual(found.verdict, "different")
        self.assertIn("do not move with features", found.cause or "")

    def test_not_a_number(self) -> None:
        pair = Pair(self.spec)
        pair.state["head.bias"][0] = np.nan
        found = cell(pair, "forward_training")
        self.assertEqual(found.verdict, "different")
        self.assertIn("not finite", found.cause or "")

    def test_an_inert_weight_must_be_inert(self) -> None:
        spec = diglot.spec("transformer_lm_small")
        inert = [weight.name for weight in spec.weights() if weight.inert]
        self.assertEqual(inert, [f"blocks.{index}.attention.key.bias" for index in range(2)])

        def alter(model: Any) -> None:
            attention = model.blocks[1].attention
            forward = attention.forward
            attention.forward = lambda *given, **kept: forward(*given, **kept) + attention.key.bias

        found = cell(Altered(spec, alter, alone=True), "forward")
        self.assertEqual((found.verdict, found.located), ("different", "blocks.1.attention.key"))
        self.assertIn("said to be inert", found.cause or "")


class Accuracy(unittest.TestCase):
    def test_a_side_that_rounds_more_is_a_finding(self) -> None:
        def alter(model: Any) -> None:
            head = model.head
            forward = head.forward
            head.forward = lambda x: forward(x.bfloat16().to(x.dtype) if x.dtype == torch.float32 else x)

        found = cell(Altered(diglot.spec("mlp_small_gelu"), alter), "accuracy", "float32")
        self.assertEqual(found.verdict, "different")
        self.assertIn("PyTorch is", found.cause or "")
        self.assertIn("less accurate", found.cause or "")


class Rounding(unittest.TestCase):
    """Where an output is decided by rounding, the floors of all behind it would hide any difference."""

    def measured(self, answer: Callable[[float], dict[str, Any]]) -> list[Comparison]:
        def job(side: str, state: Any, batches: Any) -> dict[str, Any]:
            return answer(float(batches[0]["x"][0]))

        return Pair(diglot.spec("mlp_small_gelu")).measure(job, [{"x": np.ones(1)}])

    @parameterized.expand(
        [
            ("a discrete value", lambda x: {"value": np.array([x + 5 * (x == 1)]), "action": np.array([x == 1])}),
            ("a length", lambda x: {"action": np.array([x] * (2 if x == 1 else 3))}),
            ("a quantity that comes and goes", lambda x: {"value": np.array([x])} | ({"action": x} if x == 1 else {})),
        ]
    )
    def test_what_it_decides(self, what: str, answer: Callable[[float], dict[str, Any]]) -> None:
        found = self.measured(lambda x: {name: np.asarray(array) for name, array in answer(x).items()})
        self.assertEqual({item.name for item in found}, {"action"}, what)
        self.assertEqual([item.verdict for item in found], ["different", "different"])
        for item, side in zip(found, ("PyTorch", "Keras"), strict=True):
            self.assertIn(f"decided by rounding in {side}, so that nothing else can be compared", item.complaint)

    def test_what_it_does_not_decide(self) -> None:
        found = self.measured(lambda x: {"value": np.array([x]), "action": np.array([x > 0.5])})
        self.assertEqual([item.verdict for item in found], ["equal", "equal"])

    def test_a_draw_that_is_not_shared_is_said_to_be_one(self) -> None:
        rng = np.random.default_rng(0)
        found = self.measured(lambda x: {"action": rng.integers(1000, size=9)})
        self.assertEqual([item.complaint for item in found], ["it is not the same when PyTorch is run again"])
