"""A training that is moved to the other framework in the middle goes on as it would have in its own."""

from __future__ import annotations

import functools
import unittest
from typing import Any

import diglot.keras_impl.techniques.parameter_groups as keras_groups
import diglot.torch_impl.techniques.parameter_groups as torch_groups
import keras
import numpy as np
from diglot.core import compare, registry
from diglot.core.errors import SpecError, StateError
from diglot.core.pair import Pair
from diglot.core.state import State
from diglot.core.technique import Arrays, Optimizer
from diglot.core.verdict import Verdict
from diglot.keras_impl import backend as keras_backend
from diglot.keras_impl.steps import Steps, as_written
from diglot.torch_impl import backend as torch_backend
from parameterized import parameterized

import diglot

PRESETS = [
    preset
    for name in registry.techniques()
    if isinstance(registry.make(name), Optimizer)
    for preset in registry.make(name).CHECKED
]
# The kernel behind the flattening is square, so that nothing but the numbers tells a transposed moment.
NETWORK = registry.make("mlp", input_shape=(2, 2, 3), hidden_dims=(12,), output_dim=3, activation="tanh")
STEPS = 3
GROUPS = registry.make("parameter_groups", no_decay=("*.bias",), multipliers=(("head.*", 0.5),))


class Moved(Pair):
    """One job as two trainings: wholly in one framework, and begun there but gone on in the other."""

    begins, schedule, groups, network = "torch", False, False, NETWORK

    def __init__(self, optimizer: str) -> None:
        super().__init__(self.network)
        self.optimizer = registry.make(optimizer).rounded()
        self.loss = registry.make("cross_entropy").rounded()
        self.steps: dict[str, Any] = {}

    def rates(self) -> Any:
        rate = self.optimizer.fields()["learning_rate"]
        return registry.make("warmup_cosine", learning_rate=rate, warmup_steps=2, total_steps=2 * STEPS + 1).rounded()

    def built(self, side: str) -> tuple[Any, Any, Any]:
        """The model, and a new optimizer and schedule."""
        backend, model = self.side(side), self.model(side)
        named = backend.trainable(model, self.spec)
        told = self.optimizer.told(named)
        if self.groups:
            group = torch_groups if side == "torch" else keras_groups
            names = {weight.name: own for weight, own in named.items()}
            optimizer = group.build(GROUPS, self.optimizer, names, **told)
        else:
            optimizer = backend.sibling(self.optimizer).build(self.optimizer, list(named.values()), **told)
        rates = self.rates()
        return model, optimizer, backend.sibling(rates).build(rates, optimizer) if self.schedule else None

    def trained(self, side: str, state: State, batches: list[Arrays], slots: Arrays | None = None) -> tuple[Any, Any]:
        """The weights after a step for each batch and the optimizer's state, from these weights and slots."""
        model, optimizer, schedule = self.taken(side)
        self.side(side).set_state(model, state)
        if slots is not None:
            self.put(model, optimizer, slots, schedule)
        for batch in batches:
            (self.step_of_torch if side == "torch" else self.step_of_keras)(model, optimizer, schedule, batch)
        found = diglot.optimizer_state(model, optimizer, self.optimizer, schedule)
        return self.side(side).get_state(model), found

    def taken(self, side: str) -> tuple[Any, Any, Any]:
        """A new optimizer in PyTorch; in Keras the one whose graph is traced, as it was built."""
        if side == "torch":
            return self.built(side)
        if side not in self.steps:
            with keras_backend.running(self.model(side), None):
                model, optimizer, schedule = self.built(side)
                loss = functools.partial(keras_backend.loss_of, loss=keras_backend.sibling(self.loss).build(self.loss))
            weights = list(keras_backend.trainable(model, self.spec).values())
            self.steps[side] = model, optimizer, schedule, Steps(model, weights, loss, optimizer, None, None)
        *found, steps = self.steps[side]
        steps.restart()
        return tuple(found)

    def put(self, model: Any, optimizer: Any, slots: Arrays, schedule: Any) -> None:
        diglot.set_optimizer_state(model, optimizer, self.optimizer, slots, schedule)

    def step_of_torch(self, model: Any, optimizer: Any, schedule: Any, batch: Arrays) -> None:
        tensors = [torch_backend.to_tensor(model, of, batch) for of in (*self.spec.inputs(), self.spec.targets())]
        optimizer.zero_grad()
        torch_backend.loss_of(model, tensors, torch_backend.sibling(self.loss).build(self.loss)).backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()

    def step_of_keras(self, model: Any, optimizer: Any, schedule: Any, batch: Arrays) -> None:
        with keras_backend.running(model, None), as_written():
            self.steps["keras"][-1].take(
                *(keras_backend.to_tensor(model, of, batch) for of in (*self.spec.inputs(), self.spec.targets()))
            )

    def job(self, side: str, state: State, batches: list[Arrays]) -> Arrays:
        """The whole in the side in which it begins; in the place of the other, half of it moved there."""
        if side == self.begins:
            weights, slots = self.trained(side, state, batches)
        else:
            weights, slots = self.trained(self.begins, state, batches[:STEPS])
            weights, slots = self.trained(side, weights, batches[STEPS:], self.moving(slots))
        return {**weights, **{name: array for name, array in slots.items() if name != "step"}}

    def moving(self, slots: Arrays) -> Arrays:
        """What is moved."""
        return slots

    def worst(self) -> compare.Comparison:
        found = compare.worst(self.measure(self.job, self.batches(2 * STEPS)))
        assert found is not None
        return found


class Counted(Moved):
    """A mistake: the count of steps starts anew."""

    def moving(self, slots: Arrays) -> Arrays:
        return {**slots, "step": np.array(0)}


class Transposed(Moved):
    """A mistake: the moment of a square kernel as it lies in the other framework."""

    def moving(self, slots: Arrays) -> Arrays:
        name = "m of hidden.0.dense.kernel"
        return {**slots, name: slots[name].T}


class Moving(unittest.TestCase):
    @parameterized.expand(PRESETS)
    def test_goes_on(self, preset: str) -> None:
        pair = Moved(preset)
        pair.schedule = True
        for begins in ("torch", "keras"):
            pair.begins = begins
            worst = pair.worst()
            self.assertEqual(worst.verdict, Verdict.EQUAL, (begins, worst))

    @parameterized.expand(["sgd_momentum", "adam", "nadam"])
    def test_goes_on_at_one_rate(self, preset: str) -> None:
        self.assertEqual(Moved(preset).worst().verdict, Verdict.EQUAL)

    def test_goes_on_in_groups(self) -> None:
        pair = Moved("adamw")
        pair.schedule = pair.groups = True
        for begins in ("torch", "keras"):
            pair.begins = begins
            self.assertEqual(pair.worst().verdict, Verdict.EQUAL)

    @parameterized.expand([("torch", Counted), ("keras", Counted), ("torch", Transposed), ("keras", Transposed)])
    def test_a_mistake_is_seen(self, begins: str, mistake: type[Moved]) -> None:
        pair = mistake("adam")
        pair.begins = begins
        self.assertEqual(pair.worst().verdict, Verdict.DIFFERENT)

    @parameterized.expand(PRESETS)
    def test_there_and_back(self, preset: str) -> None:
        pair = Moved(preset)
        pair.schedule = True
        _, start = pair.trained("torch", pair.state, pair.batches(2))
        self.assertEqual(int(start["step"]), 2)
        state = start
        for side in ("keras", "torch"):
            model, optimizer, schedule = pair.built(side)
            pair.put(model, optimizer, state, schedule)
            state = diglot.optimizer_state(model, optimizer, pair.optimizer, schedule)
            worst = compare.worst(compare.bitwise(start, state))
            assert worst is not None
            self.assertEqual(worst.verdict, Verdict.EQUAL, worst)

    def test_what_does_not_fit(self) -> None:
        pair = Moved("adam")
        _, start = pair.trained("torch", pair.state, pair.batches(1))
        name = "v of head.bias"
        without = {kept: array for kept, array in start.items() if kept not in (name, "step")}
        wrong = [
            (
                without,
                "the optimizer's state does not fit adam with these weights; missing: v of head.bias (3,), step ()",
            ),
            ({**start, "n of head.bias": np.zeros(3)}, "; extra: n of head.bias (3,); did you mean 'v of head.bias'"),
            ({**start, name: np.zeros((3, 1))}, "; wrong shape: v of head.bias is (3, 1) and should be (3,)"),
            ({**start, name: np.zeros(3, int)}, "v of head.bias must hold numbers with a fraction, not int64"),
            ({**start, "step": np.array(-1)}, "step of an optimizer's state must be a whole number from 0 up, not -1"),
        ]
        for side in ("torch", "keras"):
            model, optimizer, _ = pair.built(side)
            pair.put(model, optimizer, start, None)
            for state, sentence in wrong:
                with self.assertRaises(StateError) as caught:
                    pair.put(model, optimizer, {**state, "m of head.bias": np.ones(3)}, None)
                self.assertIn(sentence, str(caught.exception))
            kept = diglot.optimizer_state(model, optimizer, pair.optimizer)
            self.assertEqual(compare.worst(compare.bitwise(start, kept)).verdict, Verdict.EQUAL)  # type: ignore[union-attr]

    def test_nothing_else_is_changed(self) -> None:
        pair = Moved("adamw")
        _, slots = pair.trained("torch", pair.state, pair.batches(1))
        for side in ("torch", "keras"):
            model, optimizer, _ = pair.built(side)
            pair.side(side).set_state(model, pair.state)
            pair.put(model, optimizer, slots, None)
            found = compare.bitwise(pair.state, pair.side(side).get_state(model))
            self.assertEqual({item.verdict for item in found}, {Verdict.EQUAL})

    def test_a_frozen_weight_is_left_out(self) -> None:
        pair, states = Moved("adam"), []
        for side in ("torch", "keras"):
            backend, model = pair.side(side), pair.model(side)
            head = [own for weight, own in backend.trainable(model, pair.spec).items() if weight.owner == "head"]
            optimizer = backend.sibling(pair.optimizer).build(pair.optimizer, head[::-1])
            slots = {f"{slot} of head.{name}": np.full(shape, 0.5) for slot in ("m", "v")
                     for name, shape in (("kernel", (12, 3)), ("bias", (3,)))}  # fmt: skip
            pair.put(model, optimizer, {**slots, "step": np.array(4)}, None)
            states.append(diglot.optimizer_state(model, optimizer, pair.optimizer))
        self.assertEqual(len(states[0]), 5)
        self.assertEqual({item.verdict for item in compare.bitwise(*states)}, {Verdict.EQUAL})

    def test_a_new_optimizer_of_pytorch(self) -> None:
        pair = Moved("adam")
        model, optimizer, _ = pair.built("torch")
        with self.assertRaisesRegex(
            StateError, "^adam has taken no step of hidden.0.dense.kernel, .*no state to move$"
        ):
            diglot.optimizer_state(model, optimizer, pair.optimizer)

    def test_two_counts_of_steps(self) -> None:
        pair = Moved("adam")
        pair.schedule = True
        model, optimizer, schedule = pair.built("torch")
        pair.step_of_torch(model, optimizer, schedule, pair.batches()[0])
        schedule.step()
        with self.assertRaisesRegex(StateError, "^hidden.0.dense.kernel is at step 1 and the schedule at 2, and Keras"):
            diglot.optimizer_state(model, optimizer, pair.optimizer, schedule)

    def test_a_schedule_that_is_ahead(self) -> None:
        pair = Moved("sgd")
        pair.schedule = True
        model, optimizer, schedule = pair.built("torch")
        pair.step_of_torch(model, optimizer, schedule, pair.batches()[0])
        with self.assertRaisesRegex(StateError, "^the schedule is at step 1 and the state at 0; build a new schedule$"):
            pair.put(model, optimizer, {"step": np.array(0)}, schedule)

    def test_a_rate_that_needs_the_count(self) -> None:
        pair = Moved("sgd")
        model, optimizer, _ = pair.built("torch")
        self.assertEqual(diglot.optimizer_state(model, optimizer, pair.optimizer), {})
        pair.schedule = True
        for side in ("torch", "keras"):
            model, optimizer, schedule = pair.built(side)
            with self.assertRaisesRegex(StateError, "missing: step"):
                pair.put(model, optimizer, {}, schedule)

    def test_another_model(self) -> None:
        pair, other = Moved("adam"), Moved("adam")
        for side in ("torch", "keras"):
            _, optimizer, _ = pair.built(side)
            with self.assertRaisesRegex(
                StateError, "^adam holds 4 weights that are not the model's, the first of them"
            ):
                diglot.optimizer_state(other.model(side), optimizer, pair.optimizer)

    def test_no_optimizer(self) -> None:
        with self.assertRaisesRegex(SpecError, "^optimizer_state takes the spec of an optimizer, such as"):
            diglot.optimizer_state(None, None, registry.make("cross_entropy"))  # type: ignore[arg-type]

    def test_optimizers_around_the_optimizer(self) -> None:
        pair = Moved("adam")
        model, optimizer, _ = pair.built("keras")
        around = keras.optimizers.LossScaleOptimizer(optimizer)
        _, slots = pair.trained("torch", pair.state, pair.batches(1))
        pair.put(model, around, slots, None)
        self.assertEqual(int(diglot.optimizer_state(model, around, pair.optimizer)["step"]), 1)
        self.assertEqual(int(optimizer.iterations), 1)
