"""Diffusion: what is true of a process whatever the network, averages against the frameworks' own, and bad input."""

from __future__ import annotations

import unittest
from typing import Any

import keras
import numpy as np
import torch
from diglot.core import registry
from diglot.core.errors import InputError, SpecError
from diglot.core.noise import Noise
from diglot.keras_impl.techniques import exponential_moving_average as keras_average
from diglot.torch_impl import backend as torch_backend
from diglot.torch_impl.techniques import gaussian_diffusion
from parameterized import parameterized
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import diglot

from .agreement import agreement

TINY = registry.make(
    "diffusion_small", image_size=2, widths=(4,), num_heads=1, num_classes=2, timesteps=10, sampling_steps=5
)
REFUSED = (
    ("an image that cannot be halved", {"image_size": 6, "widths": (8, 8, 8)}, "is not a multiple of 4"),
    ("a group of one channel", {"widths": (8, 16)}, "two channels or more"),
    ("groups that do not divide", {"widths": (20, 40)}, "choose fewer groups"),
    ("heads that do not divide", {"num_heads": 5}, "does not divide the last width"),
    ("an odd first width", {"widths": (9, 18), "groups": 3, "num_heads": 2}, "is odd"),
    ("guidance without classes", {"num_classes": 0}, "needs classes"),
    ("guidance where no label is left out", {"label_dropout": 0.0}, "give a label_dropout above 0"),
    ("more sampling steps than times", {"sampling_steps": 101}, "give at most as many"),
    ("too random a DDIM", {"eta": 1.5}, "eta 1.5 is above 1"),
    ("a schedule that falls", {"beta_start": 0.5, "beta_end": 0.1}, "not above beta_end"),
)


class BadInput(unittest.TestCase):
    @parameterized.expand(REFUSED)
    def test_a_spec_is_refused_in_one_sentence(self, why: str, fields: dict[str, Any], said: str) -> None:
        with self.assertRaisesRegex(SpecError, said, msg=why):
            registry.make("diffusion", **fields)

    @parameterized.expand([("torch",), ("keras",)])
    def test_times_outside_the_steps(self, side: str) -> None:
        model = diglot.build(TINY, side)
        images = np.zeros((2, 1, 2, 2) if side == "torch" else (2, 2, 2, 1), np.float32)
        for times in ([-1, 0], [0, 10]):
            given = (images, np.array(times), np.array([0, 1]))
            tensors = map(torch.from_numpy, given) if side == "torch" else map(keras.ops.convert_to_tensor, given)
            with self.assertRaisesRegex(InputError, "the steps"):
                model(*tensors)


class Process(unittest.TestCase):
    """Properties of the samplers, on PyTorch's side; the rule holds the other one to it."""

    def setUp(self) -> None:
        self.spec = registry.make("gaussian_diffusion", timesteps=30, schedule="cosine", eta=1.0, sampling_steps=10)
        rng = np.random.default_rng(0)
        self.images, self.noise = (torch.from_numpy(rng.standard_normal((30, 4, 3, 1))).clamp(-1, 1) for _ in "xe")
        self.times = torch.arange(30)

    def test_true_noise_gives_the_image_back(self) -> None:
        process = gaussian_diffusion.build(self.spec.replace(eta=0.0, clip_images=False))
        noised = process.noised(self.images, self.noise, self.times)
        late = torch.full((30,), -1)
        found = process.ddim(noised, self.noise, self.noise, self.times, late)[:20]
        self.assertEqual(agreement(self.images[:20].numpy(), found.numpy()).verdict, "equal")
        first = process.ddpm(noised[:1], self.noise[:1], self.noise[:1], self.times[:1])
        self.assertEqual(agreement(self.images[:1].numpy(), first.numpy()).verdict, "equal")

    def test_a_deterministic_step_stays_on_the_line_to_the_image(self) -> None:
        process = gaussian_diffusion.build(self.spec.replace(eta=0.0, clip_images=False))
        times, earlier = self.times[1:20], self.times[1:20] // 2
        images, noise = self.images[1:20], self.noise[1:20]
        found = process.ddim(process.noised(images, noise, times), noise, noise, times, earlier)
        self.assertEqual(agreement(process.noised(images, noise, earlier).numpy(), found.numpy()).verdict, "equal")

    def test_ddim_with_full_randomness_is_ddpm(self) -> None:
        process = gaussian_diffusion.build(self.spec)
        given = (self.images, torch.roll(self.noise, 1, 0), self.noise, self.times)
        one, other = process.ddpm(*given), process.ddim(*given, self.times - 1)
        self.assertEqual(agreement(one[:20].numpy(), other[:20].numpy()).verdict, "equal")

    def test_sampling_ends_where_the_process_does(self) -> None:
        for count in (1, 7, 30):
            times = self.spec.replace(sampling_steps=count).sampled_times()
            self.assertEqual((len(set(times)), times[-1]), (count, 29))


class Average(unittest.TestCase):
    def setUp(self) -> None:
        self.spec = registry.make("exponential_moving_average", decay=0.75)
        self.weights = np.random.default_rng(0).standard_normal((6, 5))
        self.expected = self.spec.rule({"weights": self.weights})["weights"][-1]

    def test_the_rule_is_that_of_averaged_model(self) -> None:
        module = torch.nn.Linear(5, 1, bias=False).double()
        averaged = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.75))
        for row in self.weights:
            module.weight.data = torch.from_numpy(row[None])
            averaged.update_parameters(module)
        found = averaged.module.weight.detach().numpy()[0]
        self.assertEqual(agreement(self.expected, found).verdict, "equal")

    def test_the_rule_is_that_of_use_ema(self) -> None:
        variable = keras.Variable(np.zeros(5), dtype="float64")
        optimizer = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.75)
        optimizer.build([variable])
        for row in self.weights:
            optimizer.apply([keras.ops.convert_to_tensor(variable.numpy() - row)], [variable])
        found = optimizer._model_variables_moving_average[0].numpy()
        self.assertEqual(agreement(self.expected, found).verdict, "equal")

    def test_a_count_may_be_a_variable(self) -> None:
        average, weight = (keras.Variable(np.zeros(5), dtype="float64") for _ in range(2))
        update, count = keras_average.build(self.spec), keras.Variable(0, dtype="int64")
        for row in self.weights:
            weight.assign(row)
            update([average], [weight], count)
            count.assign_add(1)
        self.assertEqual(agreement(self.expected, average.numpy()).verdict, "equal")


class Training(unittest.TestCase):
    def test_fit_learns_with_draws_of_its_own(self) -> None:
        model = diglot.build(TINY, "keras")
        model.compile(keras.optimizers.SGD(0.05, use_ema=True))
        images, labels = np.full((96, 2, 2, 1), 0.5, np.float32), np.arange(96) % 2
        with self.assertRaisesRegex(InputError, "fitted to images and labels"):
            model.train_step(keras.ops.convert_to_tensor(images))
        losses = model.fit(images, labels, batch_size=24, epochs=20, verbose=0).history["loss"]
        self.assertLess(np.mean(losses[-5:]), np.mean(losses[:5]))

    def test_a_restored_learner_goes_on_as_if_it_had_not_stopped(self) -> None:
        course = TINY.course(TINY.lesson(np.random.default_rng(0)), Noise(0))
        first, second = (torch_backend.learner(torch_backend.build(TINY), Noise(0)) for _ in range(2))
        for step in range(3):
            course.take(first, step)
        second.restore(first.kept())
        for learner in (first, second):
            course.take(learner, 3)
        states = first.state(), second.state()
        for name in states[0]:
            np.testing.assert_array_equal(states[0][name], states[1][name], err_msg=name)


if __name__ == "__main__":
    unittest.main()
