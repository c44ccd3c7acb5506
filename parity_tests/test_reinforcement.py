"""Learning in an environment: what does not fit is said, the memory is a ring, and a run goes on where it stopped."""

from __future__ import annotations

import sys
import unittest
from typing import Any
from unittest import mock

import numpy as np
from diglot.core import backend, registry
from diglot.core.environment import Environment
from diglot.core.errors import DiglotError, MissingFrameworkError
from diglot.core.learning import study
from diglot.core.noise import Noise
from diglot.core.replay import Replay
from diglot.core.state import initial_state
from parameterized import parameterized

import diglot

AGENTS = [("dqn",), ("policy_gradient",)]
SIDES = ("torch", "keras")
TRAINED = [(side, name) for side in SIDES for name in ("dqn_small", "policy_gradient_small")]


def course(name: str, **fields: Any) -> Any:
    return registry.make(name, **fields).course({}, Noise(0))


class Sentences(unittest.TestCase):
    @parameterized.expand(AGENTS)
    def test_without_gymnasium(self, name: str) -> None:
        with mock.patch.dict(sys.modules, {"gymnasium": None}), self.assertRaises(MissingFrameworkError) as caught:
            course(name)
        self.assertIn("pip install 'diglot[demo]'", str(caught.exception))

    @parameterized.expand(AGENTS)
    def test_continuous_actions(self, name: str) -> None:
        with self.assertRaises(DiglotError) as caught:
            course(name, environment="Pendulum-v1", observation_size=3, actions=2)
        self.assertIn("Pendulum-v1 has continuous actions", str(caught.exception))
        self.assertIn("use an environment with discrete actions", str(caught.exception))

    @parameterized.expand([("CartPole-v9",), ("Nothing-v0",), ("no name",), ("no_module:Nothing-v0",)])
    def test_an_unknown_environment(self, environment: str) -> None:
        with self.assertRaises(DiglotError) as caught:
            course("dqn", environment=environment)
        self.assertIn(f"cannot make the environment {environment!r}", str(caught.exception))

    @parameterized.expand([("observation_size", 3, 4), ("actions", 3, 2)])
    def test_sizes_of_another_environment(self, field: str, given: int, right: int) -> None:
        with self.assertRaises(DiglotError) as caught:
            course("dqn", **{field: given})
        self.assertTrue(str(caught.exception).endswith(f"give {field}={right}"))

    def test_observations_that_are_no_numbers(self) -> None:
        with self.assertRaises(DiglotError) as caught:
            course("dqn", environment="FrozenLake-v1", actions=4)
        self.assertIn("FrozenLake-v1 has observations of the kind Discrete", str(caught.exception))

    @parameterized.expand(
        [
            ("dqn", {"batch_size": 100, "memory_size": 50}, "give a larger memory"),
            ("dqn", {"batch_size": 100, "warm_up": 50}, "give a longer one"),
            ("dqn", {"discount": 1.5}, "give at most 1"),
            ("dqn", {"tau": 2.0}, "give at most 1"),
            ("policy_gradient", {"gae_lambda": 1.5}, "give at most 1"),
        ]
    )
    def test_fields_that_do_not_fit(self, name: str, fields: dict[str, Any], advice: str) -> None:
        with self.assertRaises(DiglotError) as caught:
            registry.make(name, **fields)
        self.assertIn(advice, str(caught.exception))


class Memory(unittest.TestCase):
    def filled(self, count: int) -> Replay:
        memory = Replay(4, 2)
        for step in range(count):
            memory.add([step, -step], step, 10.0 * step, [step + 1, -step - 1], step % 2)
        return memory

    @parameterized.expand([(0, []), (3, [0, 1, 2]), (4, [0, 1, 2, 3]), (6, [4, 5, 2, 3]), (9, [8, 5, 6, 7])])
    def test_the_oldest_is_overwritten(self, count: int, kept: list[int]) -> None:
        memory = self.filled(count)
        self.assertEqual(len(memory), len(kept))
        self.assertEqual(memory.arrays["actions"][: len(kept)].tolist(), kept)
        self.assertEqual(memory.arrays["rewards"][: len(kept)].tolist(), [10.0 * step for step in kept])

    def test_a_sample_is_of_whole_transitions_that_are_kept(self) -> None:
        memory = self.filled(6)
        found = memory.sample(Noise(0), 200)
        self.assertEqual(set(found["actions"].tolist()), {2, 3, 4, 5})
        np.testing.assert_array_equal(found["observations"][:, 0], found["actions"])
        np.testing.assert_array_equal(found["next_observations"][:, 0], found["actions"] + 1)
        np.testing.assert_array_equal(found["terminated"], found["actions"] % 2)

    @parameterized.expand([(0,), (3,), (6,)])
    def test_it_goes_on_where_it_was_stored(self, count: int) -> None:
        memory, other = self.filled(count), Replay(4, 2)
        other.restore(memory.state())
        for each in (memory, other):
            each.add([7.0, 7.0], 7, 7.0, [7.0, 7.0], 1)
        for name, array in memory.state().items():
            np.testing.assert_array_equal(array, other.state()[name])


class Episodes(unittest.TestCase):
    def test_an_episode_goes_on_where_it_was_stored(self) -> None:
        spec = registry.make("dqn")
        one, other = Environment(spec, 3), Environment(spec, 3)
        one.begin(5)
        for action in (0, 1, 1, 0, 1):
            one.step(action)
        other.restore(one.state())
        self.assertEqual(other.total, one.total)
        np.testing.assert_array_equal(one.step(1)[0], other.step(1)[0])

    def test_an_episode_that_is_cut_is_not_terminated(self) -> None:
        environment = Environment(registry.make("dqn", episode_steps=3), 0)
        found = [environment.step(step % 2)[2:] for step in range(3)]
        self.assertEqual(found, [(False, False), (False, False), (False, True)])

    def test_no_training_draws_the_starts_that_are_scored(self) -> None:
        spec = registry.make("dqn")
        starts = [Environment(spec, 0, label).observation for label in ("episode", "episode of 1", "held-out episode")]
        self.assertEqual(len({start.tobytes() for start in starts}), 3)

    def test_the_share_of_random_actions_falls_in_a_line(self) -> None:
        playing = course("dqn", exploration_start=0.75, exploration_end=0.25, exploration_steps=8)
        self.assertEqual([playing.exploration(step) for step in (0, 4, 8, 100)], [0.75, 0.5, 0.25, 0.25])

    def test_actions_are_drawn_as_often_as_they_are_probable(self) -> None:
        playing = course("policy_gradient")
        logits = np.tile(np.log([[0.5, 0.25, 0.25]]), (4000, 1))
        shares = np.bincount(playing.draw(logits, 0), minlength=3) / 4000
        np.testing.assert_array_equal(np.round(shares * 20), [10, 5, 5])


class GoingOn(unittest.TestCase):
    @parameterized.expand(TRAINED)
    def test_a_run_that_was_interrupted_in_an_episode_ends_with_the_same_bits(self, side: str, name: str) -> None:
        fields = {"warm_up": 16} if name == "dqn_small" else {}
        spec = registry.make(name, **fields)

        def begun() -> tuple[Any, Any]:
            model = diglot.build(spec, side)
            diglot.set_state(model, initial_state(spec))
            models.append(model)
            return backend.load(side).learner(model, Noise(0)), spec.course({}, Noise(0))

        models: list[Any] = []
        learner, playing = begun()
        for step in range(38):
            playing.take(learner, step)
        self.assertGreater(len(playing.environments[0].actions), 0)
        kept, state = learner.kept(), playing.state()
        other, resumed = begun()
        other.restore(kept)
        resumed.restore(state)
        for step in range(38, 70):
            playing.take(learner, step)
            resumed.take(other, step)
        self.assertEqual(resumed.returns, playing.returns)
        expected = {**learner.state(), **playing.state()}
        found = {**other.state(), **resumed.state()}
        self.assertEqual(list(found), list(expected))
        for key, array in expected.items():
            np.testing.assert_array_equal(found[key], array, key)

    @parameterized.expand([(side,) for side in SIDES])
    def test_before_its_first_update_a_learner_has_slots_of_zero(self, side: str) -> None:
        spec = registry.make("dqn_small")
        model = diglot.build(spec, side)
        found = study(backend.load(side).learner(model, Noise(0)), spec.course({}, Noise(0)), 1)
        self.assertEqual(float(np.abs(found["m of head.kernel"]).max()), 0.0)


if __name__ == "__main__":
    unittest.main()
