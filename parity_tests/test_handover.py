"""A half-finished training of a user's own model goes on in the other framework as it would have in its own."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import torch
from diglot.core.errors import StateError
from diglot.core.port import handover
from diglot.core.verdict import Verdict
from parameterized import parameterized
from torch import nn

import diglot

from .handing import (
    ADAM,
    CASES,
    RATE,
    SCHEDULED,
    Double,
    Pictures,
    Training,
    cosine,
    inputs,
    mapping,
    pictures,
)  # fmt: skip


class GoingOn(Double):
    @parameterized.expand([
        ("momentum", "torch"), ("momentum", "keras"), ("momentum", None), ("our_adam", "torch"), ("our_adam", "keras")
    ])  # fmt: skip
    def test_ten_steps_and_ten(self, name: str, begins: str | None) -> None:
        training = Training("pictures", CASES[name])
        training.begins, training.steps = begins, 10  # type: ignore[assignment]
        self.assert_equal(training)

    @parameterized.expand([
        ("sgd", "torch"), ("nesterov", "keras"), ("our_adam", "keras"), ("our_adamw", "torch"),
        ("our_rmsprop", "torch"), ("our_rmsprop", "keras"), ("our_adafactor", "torch"), ("our_adafactor", "keras"),
    ])  # fmt: skip
    def test_an_lstm_goes_on(self, name: str, begins: str) -> None:
        training = Training("words", CASES[name])
        training.steps = 2
        training.begins, training.options = begins, {"accept": ("embedding",)}  # type: ignore[misc]
        self.assert_equal(training)


class Frozen(Double):
    def test_what_is_not_trained_is_frozen_there_too(self) -> None:
        """Where Keras's fit would ask its optimizer for what PyTorch's does not hold."""
        source = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
        source[0].requires_grad_(False)
        optimizer = torch.optim.Adam(source[2].parameters(), lr=0.01)
        layers = [keras.layers.Dense(4, activation="tanh", name="one"), keras.layers.Dense(2, name="two")]
        target, batch, wanted = keras.Sequential([keras.Input((3,)), *layers]), np.ones((2, 3)), np.zeros((2, 2))
        ((source(torch.tensor(batch)) - torch.tensor(wanted)) ** 2).mean().backward()
        optimizer.step()
        found = diglot.hand_over(source, optimizer, target)
        self.assertIn(
            "Keras's one/kernel, one/bias were frozen, since torch.optim.Adam does not train", found.notes[-1]
        )
        before = np.array(layers[0].kernel)
        target.compile(found.optimizer, "mse", jit_compile=False)
        target.fit(batch, wanted, verbose=0)
        np.testing.assert_array_equal(np.array(layers[0].kernel), before)
        back = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
        diglot.hand_over(target, found.optimizer, back)
        self.assertEqual([each.requires_grad for each in back.parameters()], [False, False, True, True])


class Scheduled(Double):
    @parameterized.expand([
        ("cosine", "torch"), ("cosine", "keras"), ("steps", "torch"), ("steps", "keras"), ("warm", "torch")
    ])  # fmt: skip
    def test_goes_on(self, name: str, begins: str) -> None:
        training = Training("pictures", ADAM)
        training.begins, training.schedules = begins, SCHEDULED[name]
        self.assert_equal(training)


class Forgetful(Training):
    """A mistake: the count of steps is lost."""

    def spoil(self, model: Any, found: handover.HandedOver) -> None:
        found.optimizer.iterations.assign(0)


class Behind(Training):
    """A mistake: the schedule is one step behind."""

    def spoil(self, model: Any, found: handover.HandedOver) -> None:
        found.optimizer.iterations.assign_sub(1)


class Swapped(Training):
    """A mistake: the two moments are taken for each other."""

    def spoil(self, model: Any, found: handover.HandedOver) -> None:
        for one, other in zip(found.optimizer._momentums, found.optimizer._velocities, strict=True):
            first, second = np.array(one), np.array(other)
            one.assign(second)
            other.assign(abs(first))


class Unpermuted(Training):
    """A mistake: a square moment as it lies in the other framework."""

    def spoil(self, model: Any, found: handover.HandedOver) -> None:
        index = found.optimizer._get_variable_index(model.get_layer("scores").kernel)
        found.optimizer._momentums[index].assign(np.array(found.optimizer._momentums[index]).T)


class Mistakes(Double):
    @parameterized.expand([(Forgetful, ADAM), (Swapped, ADAM), (Unpermuted, ADAM), (Behind, CASES["sgd"])])
    def test_a_mistake_is_seen(self, mistake: type[Training], optimizers: Any) -> None:
        training = mistake("pictures", optimizers)
        training.schedules = SCHEDULED["cosine"]
        self.assertEqual(training.worst().verdict, Verdict.DIFFERENT)


class Built(Double):
    """Without an optimizer of the user's own."""

    @parameterized.expand([
        ("Adam", {"weight_decay": 0.125, "amsgrad": True}), ("AdamW", {}), ("Adafactor", {}),
        ("RMSprop", {"centered": True, "momentum": 0.5}), ("SGD", {"momentum": 0.5, "weight_decay": 0.125}),
    ])  # fmt: skip
    def test_follows_pytorchs_rule_and_back(self, name: str, options: dict[str, Any]) -> None:
        source, target = Pictures(), pictures()
        optimizer = getattr(torch.optim, name)(source.double().parameters(), **options)
        training = Training("pictures", CASES["sgd"])
        batch = {"inputs": inputs("pictures", 0), "targets": np.ones((3, 12))}
        training.step_of_torch(source, optimizer, batch)
        found = diglot.hand_over(source, optimizer, target, map=mapping("pictures"))
        self.assertIn(f"was built by the rule of torch.optim.{name}", found.notes[0])
        again = Pictures().double()
        back = diglot.hand_over(target, found.optimizer, again, map=mapping("pictures"), accept=("schedule",)) if int(
            found.optimizer.iterations) else None  # fmt: skip
        if back is not None:
            for one, other in zip(source.parameters(), again.parameters(), strict=True):
                kept = (optimizer.state[one], back.optimizer.state[other])
                for slot, value in kept[0].items():
                    if slot in kept[1] and torch.is_tensor(value):
                        self.assertTrue(torch.equal(value, kept[1][slot]), (name, slot))

    def test_with_a_schedule(self) -> None:
        source, target = Pictures().double(), pictures()
        optimizer = torch.optim.SGD(source.parameters(), lr=RATE, momentum=0.5)
        schedule = cosine(optimizer)
        training = Training("pictures", CASES["sgd"])
        training.take(
            "torch", source, optimizer, schedule, [{"inputs": inputs("pictures", 0), "targets": np.ones((3, 12))}]
        )
        given: dict[str, Any] = {"map": mapping("pictures"), "source_schedule": schedule}
        with self.assertRaisesRegex(StateError, "follows CosineAnnealingLR, so what is built needs target_schedule"):
            diglot.hand_over(source, optimizer, target, **given)
        rates = SCHEDULED["cosine"][1]()
        found = diglot.hand_over(source, optimizer, target, target_schedule=rates, **given)
        self.assertIs(found.optimizer._learning_rate, rates)
        self.assertEqual((found.step, int(found.optimizer.iterations)), (1, 1))
        other = Pictures().double()
        back = diglot.hand_over(target, found.optimizer, other, map=mapping("pictures"), target_schedule=cosine)
        self.assertEqual(back.schedule.last_epoch, 1)
        self.assertEqual(back.optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["lr"])
