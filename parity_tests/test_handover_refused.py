"""What would not go on in the other framework as it would have in its own is refused, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import keras
import numpy as np
import torch
from diglot.core import compare
from diglot.core.errors import SpecError, StateError
from diglot.core.port import handover
from diglot.core.verdict import Verdict
from parameterized import parameterized
from torch import nn

import diglot

from .handing import (
    ADAM,
    CASES,
    MOMENTUM,
    RATE,
    SCHEDULED,
    SCHEDULES,
    Double,
    Pictures,
    Training,
    Words,
    cosine,
    held,
    inputs,
    mapping,
    pictures,
    words,
)  # fmt: skip


class Refused(Double):
    """What cannot go on alike is said, and nothing is changed."""

    def setUp(self) -> None:
        super().setUp()
        torch.manual_seed(0)
        self.source, self.target = Pictures().double(), pictures()

    def stepped(self, build: Callable[[Any], Any], steps: int = 1, model: Any = None) -> Any:
        optimizer = build(model or self.source)
        training = Training("pictures", CASES["sgd"])
        for step in range(steps):
            batch = {"inputs": inputs("pictures", step), "targets": np.ones((3, 12))}
            training.step_of_torch(model or self.source, optimizer, batch)
        return optimizer

    def hand_over(self, optimizer: Any, target: Any, **options: Any) -> handover.HandedOver:
        return diglot.hand_over(self.source, optimizer, self.target, target, map=mapping("pictures"), **options)

    @parameterized.expand([
        ("Adam", {}, {}, ["epsilon: eps is 1e-08 in torch.optim.Adam and epsilon is 1e-07 in keras.optimizers.Adam, "
         "where it should be 1e-08", "epsilon is added after the bias correction in PyTorch and added before the bias "
         "correction in Keras", r"accept=\('epsilon', 'epsilon_convention'\)"]),
        ("SGD", {"weight_decay": 0.5, "momentum": 0.5}, {"weight_decay": 0.5, "momentum": 0.5},
         [r"decay: the weight decay is added to the gradient \(L2\) in PyTorch and taken from the weight"]),
        ("SGD", {"momentum": 0.9}, {"momentum": 0.5}, ["momentum is 0.9 in torch.optim.SGD and momentum is 0.5 in"]),
        ("SGD", {"momentum": 0.9, "nesterov": True}, {"momentum": 0.9}, ["nesterov is True in"]),
        ("SGD", {"momentum": 0.9, "dampening": 0.5}, {"momentum": 0.9}, ["dampening is 0.5 in"]),
        ("SGD", {"maximize": True}, {}, ["maximize is True in torch.optim.SGD"]),
        ("SGD", {}, {"use_ema": True}, ["use_ema is False in torch.optim.SGD and use_ema is True in"]),
        ("Adam", {"amsgrad": True, "betas": (0.5, 0.9)}, {}, ["amsgrad is True in", r"betas\[0\] is 0.5 in .* 0.9 in"]),
        ("RMSprop", {}, {}, ["alpha is 0.99 in torch.optim.RMSprop and rho is 0.9 in", "added to the root in"]),
        ("Adafactor", {}, {}, ["keeps the means over other axes", "is a floor of the mean square in PyTorch"]),
    ])  # fmt: skip
    def test_settings(self, name: str, own: dict[str, Any], theirs: dict[str, Any], told: list[str]) -> None:
        optimizer = self.stepped(lambda model: getattr(torch.optim, name)(model.parameters(), lr=RATE, **own))
        before = held(self.target)
        with self.assertRaises(StateError) as caught:
            self.hand_over(optimizer, getattr(keras.optimizers, name)(RATE, **theirs))
        for each in told:
            self.assertRegex(str(caught.exception), each)
        found = compare.bitwise(before, held(self.target))
        self.assertEqual({item.verdict for item in found}, {Verdict.EQUAL})

    def test_what_is_accepted_is_told(self) -> None:
        optimizer = self.stepped(lambda model: torch.optim.Adam(model.parameters(), lr=RATE))
        found = self.hand_over(optimizer, keras.optimizers.Adam(RATE), accept=("epsilon", "epsilon_convention"))
        self.assertEqual(
            [note.split(":")[0] for note in found.notes], ["accepted, epsilon", "accepted, epsilon_convention"]
        )
        with self.assertRaisesRegex(SpecError, "^accept names what .*, not 'epsilons'; did you mean 'epsilon'"):
            self.hand_over(optimizer, keras.optimizers.Adam(RATE), accept="epsilons")
        with self.assertRaisesRegex(SpecError, "^accept names what may differ between two optimizers, not 3$"):
            self.hand_over(optimizer, keras.optimizers.Adam(RATE), accept=3)
        with self.assertRaisesRegex(StateError, "^builtins.str cannot be handed over from or to Keras: "):
            self.hand_over(optimizer, "adam")

    def test_another_rate_is_told(self) -> None:
        optimizer = self.stepped(CASES["sgd"][0])
        found = self.hand_over(optimizer, keras.optimizers.SGD(RATE / 2))
        self.assertIn(
            "the next step has the rate 0.0078125 in Keras's learning_rate, where PyTorch's lr would", found.notes[0]
        )

    def test_rates_of_groups(self) -> None:
        def build(model: Any) -> Any:
            return torch.optim.SGD([{"params": model.conv.parameters(), "lr": 0.5}, {"params": [
                *model.norm.parameters(), *model.head.parameters()]}], lr=0.25)  # fmt: skip

        optimizer = self.stepped(build)
        with self.assertRaisesRegex(StateError, "learning_rate: conv.kernel, conv.bias: PyTorch's lr is 0.5 and"):
            self.hand_over(optimizer, keras.optimizers.SGD(0.25))
        self.assertEqual(type(self.hand_over(optimizer, None).optimizer).__name__, "Grouped")

    def test_schedules(self) -> None:
        optimizer = ADAM[0](self.source)
        schedule = cosine(optimizer)
        self.stepped(lambda model: optimizer)
        with self.assertRaisesRegex(StateError, "schedule: a schedule was built on torch.optim.Adam, and is not given"):
            self.hand_over(optimizer, ADAM[1](self.target))
        told = "CosineAnnealingLR is at step 0 and torch.optim.Adam at step 1; a schedule that is stepped once an epoch"
        with self.assertRaisesRegex(StateError, told):
            self.hand_over(optimizer, ADAM[1](self.target), source_schedule=schedule)
        schedule.step()
        told = r"at step 1, counted from 0, PyTorch's lr is 0.0155\d* and Keras's learning_rate 0.015625 \(Cosine"
        with self.assertRaisesRegex(StateError, told):
            self.hand_over(optimizer, ADAM[1](self.target), source_schedule=schedule)
        plateau = SCHEDULES.ReduceLROnPlateau(optimizer)
        with self.assertRaisesRegex(StateError, "ReduceLROnPlateau goes by a metric and not by the step"):
            self.hand_over(optimizer, ADAM[1](self.target), source_schedule=plateau)
        other = cosine(ADAM[0](Pictures().double()))
        with self.assertRaisesRegex(StateError, "CosineAnnealingLR is the schedule of another optimizer"):
            self.hand_over(optimizer, ADAM[1](self.target), source_schedule=other)

    def test_momentum_under_a_schedule(self) -> None:
        optimizer = MOMENTUM[0](self.source)
        schedule = SCHEDULES.StepLR(optimizer, 3, 0.5)
        self.stepped(lambda model: optimizer)
        schedule.step()
        new = keras.optimizers.SGD(SCHEDULED["steps"][1](), momentum=0.875)
        with self.assertRaisesRegex(StateError, "velocity: one side accumulates gradients and the other whole steps"):
            self.hand_over(optimizer, new, source_schedule=schedule)

    def test_a_schedule_that_is_ahead(self) -> None:
        found = self.hand_over(self.stepped(ADAM[0]), ADAM[1](self.target))
        other = Pictures().double()
        optimizer = ADAM[0](other)
        schedule = SCHEDULES.ConstantLR(optimizer, 1.0)
        self.stepped(lambda model: optimizer, model=other)
        schedule.step()
        schedule.step()
        with self.assertRaisesRegex(StateError, "^the target's schedule is at step 2 and the source at 1; build a new"):
            diglot.hand_over(
                self.target, found.optimizer, other, optimizer, mapping("pictures"), target_schedule=schedule
            )

    def test_two_biases_that_both_learn(self) -> None:
        source, target = Words().double(), words()
        source.lstm.bias_hh_l0.requires_grad_(True)
        optimizer = torch.optim.SGD(source.parameters(), lr=RATE)
        Training("words", CASES["sgd"]).step_of_torch(
            source, optimizer, {"inputs": inputs("words", 0), "targets": np.ones((3, 2))}
        )
        told = "summed: lstm.l0.bias.input, .* and 2 others: PyTorch trains two tensors whose sum is one weight"
        with self.assertRaisesRegex(StateError, told):
            diglot.hand_over(source, optimizer, target, keras.optimizers.SGD(RATE), mapping("words"))

    def test_one_tensor_that_is_two_of_the_other(self) -> None:
        class Tied(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.table, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
                self.head.weight = self.table.weight

        layers = [keras.layers.Embedding(5, 3, name="table"), keras.layers.Dense(5, use_bias=False, name="head")]
        source, target = Tied().double(), keras.Sequential([keras.Input((2,), dtype="int32"), *layers])
        optimizer = torch.optim.SGD(source.parameters(), lr=RATE, momentum=0.5)
        source.head(source.table(torch.tensor([[0, 1]]))).sum().backward()
        optimizer.step()
        with self.assertRaisesRegex(StateError, "tied: .*: PyTorch has one tensor for what are two in the other"):
            diglot.hand_over(source, optimizer, target, map={"table": "table", "head": "head"})

    def test_what_no_optimizer_follows(self) -> None:
        keras_model, source = words(), Words().double()
        optimizer = keras.optimizers.RMSprop(RATE)
        Training("words", CASES["sgd"]).step_of_keras(
            keras_model, optimizer, {"inputs": inputs("words", 0), "targets": np.ones((3, 2))}
        )
        with self.assertRaisesRegex(StateError, r"embedding: table.table: .* Mend it, or accept it with accept=\('emb"):
            diglot.hand_over(keras_model, optimizer, source, map=mapping("words"))

    def test_what_is_not_trained(self) -> None:
        self.target.get_layer("features").trainable = False
        with self.assertRaisesRegex(StateError, "trained: conv.kernel, conv.bias: PyTorch's optimizer trains it"):
            self.hand_over(self.stepped(CASES["sgd"][0]), keras.optimizers.SGD(RATE))

    def test_what_has_not_begun(self) -> None:
        with self.assertRaisesRegex(StateError, "^torch.optim.Adam has taken no step with these weights, so there"):
            self.hand_over(torch.optim.Adam(self.source.parameters()), keras.optimizers.Adam())

    def test_classes_that_are_not_known(self) -> None:
        class Mine(torch.optim.SGD):
            pass

        with self.assertRaisesRegex(StateError, r"Mine cannot be handed over .* only of torch.optim's own SGD, Adam"):
            self.hand_over(self.stepped(lambda model: Mine(model.parameters())), keras.optimizers.SGD())
        with self.assertRaisesRegex(StateError, r"Lion cannot be handed over .* only of keras.optimizers' own SGD"):
            self.hand_over(self.stepped(CASES["sgd"][0]), keras.optimizers.Lion())
        with self.assertRaisesRegex(StateError, "^torch.optim.SGD keeps another state than keras.optimizers.Adam;"):
            self.hand_over(self.stepped(CASES["sgd"][0]), keras.optimizers.Adam(RATE))

    def test_another_model(self) -> None:
        strange = self.stepped(CASES["sgd"][0], model=Pictures().double())
        with self.assertRaisesRegex(StateError, "^torch.optim.SGD holds 6 weights that the PyTorch model does"):
            self.hand_over(strange, keras.optimizers.SGD(RATE))
        new = keras.optimizers.SGD(RATE)
        new.build(pictures().trainable_variables)
        with self.assertRaisesRegex(StateError, "^keras.optimizers.SGD holds 6 weights that are not the Keras model's"):
            self.hand_over(self.stepped(CASES["sgd"][0]), new)

    def test_nothing_is_changed_when_weights_cannot_be_written(self) -> None:
        optimizer, new = self.stepped(ADAM[0]), ADAM[1](self.target)
        new.build(self.target.trainable_variables)
        with (
            mock.patch("diglot.keras_impl.port.live.write_live", side_effect=StateError("no")),
            self.assertRaises(StateError),
        ):
            self.hand_over(optimizer, new)
        self.assertEqual(int(new.iterations), 0)
        self.assertFalse(any(np.any(np.array(each)) for each in new._momentums))

    def test_notes_on_what_cannot_be_seen(self) -> None:
        new = keras.optimizers.SGD(RATE, global_clipnorm=1.0, gradient_accumulation_steps=2)
        found = self.hand_over(self.stepped(CASES["sgd"][0]), new)
        self.assertIn(
            "Keras's optimizer clips gradients (global_clipnorm=1.0): in PyTorch the training has to clip the norm",
            found.notes[0],
        )
        self.assertIn("Keras's optimizer takes the mean of 2 batches' gradients", found.notes[1])
