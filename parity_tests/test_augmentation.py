"""Mixing and augmentation: pixels bit for bit, the papers' properties, Keras's own layers, and what is refused."""

from __future__ import annotations

import importlib
import unittest
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import torch
from diglot.core import backend, floor, registry
from diglot.core.errors import InputError, SpecError
from diglot.core.noise import Noise
from parameterized import parameterized

from .agreement import agreement

MIXING = ("mixup", "mixup_per_sample", "cutmix", "cutmix_per_sample")
SOFT = registry.make("cross_entropy", targets="probabilities")
PICTURES = Noise(1).integers("pictures", 256, (20, 32, 32, 3)).astype("uint8")


def native(side: str, array: np.ndarray) -> Any:
    """Pictures in a framework's layout."""
    return torch.tensor(array.transpose(0, 3, 1, 2)) if side == "torch" else tf.convert_to_tensor(array)


def canonical(side: str, tensor: Any) -> np.ndarray:
    return tensor.numpy().transpose(0, 2, 3, 1) if side == "torch" else tensor.numpy()


def module(spec: Any, side: str) -> Any:
    return importlib.import_module(registry.sibling(spec, side))


class Augmented(unittest.TestCase):
    @parameterized.expand([("uint8",), ("float32",), ("float64",)])
    def test_pixels_bit_for_bit(self, dtype: str) -> None:
        spec, pictures = registry.make("augment"), PICTURES.astype(dtype)
        drawn = spec.draw(Noise(7), 20, 32, 32)
        found = [
            canonical(side, module(spec, side).crop(spec, native(side, pictures), drawn)) for side in backend.SIDES
        ]
        np.testing.assert_array_equal(*found)
        self.assertEqual({str(array.dtype) for array in found}, {dtype})
        self.assertGreater(len({(top, left) for top, left in zip(drawn["top"], drawn["left"], strict=True)}), 10)
        self.assertTrue(drawn["flip"].any() and not drawn["flip"].all())

    @parameterized.expand(list(backend.SIDES))
    def test_evaluation_is_the_picture_itself(self, side: str) -> None:
        spec = registry.make("augment")
        x = module(spec, side).build(spec)(native(side, PICTURES), spec.centre(20, 32, 32))
        wanted = (PICTURES / 255 - np.array(spec.mean)) / np.array(spec.deviation)
        self.assertEqual(canonical(side, x).dtype, np.float32)
        self.assertEqual(agreement(canonical(side, x), wanted, floor.WIDE).verdict, "equal")

    @parameterized.expand(list(backend.SIDES))
    def test_the_border_is_black(self, side: str) -> None:
        spec = registry.make("augment")
        drawn = {"top": np.zeros(20, int), "left": np.zeros(20, int), "flip": np.zeros(20, bool)}
        found = canonical(side, module(spec, side).crop(spec, native(side, PICTURES), drawn))
        np.testing.assert_array_equal(found[:, :4], 0)
        np.testing.assert_array_equal(found[:, 4:, 4:], PICTURES[:, :28, :28])

    def test_every_corner_is_drawn(self) -> None:
        drawn = registry.make("augment").draw(Noise(3), 4000, 32, 32)
        self.assertEqual((set(drawn["top"]), set(drawn["left"])), (set(range(9)), set(range(9))))

    @parameterized.expand([
        ("channels", "torch", (20, 32, 32, 1), "pictures have 1 channels and mean has 3"),
        ("batch", "keras", (5, 32, 32, 3), "there are 5 pictures and draws for 20; draw anew for each batch"),
        ("small", "torch", (20, 20, 40, 3), "pictures of 20 x 40 with a padding of 4 are smaller than crop_size 32"),
        ("sizes", "keras", (20, 24, 24, 3), "the draws are not for pictures of 24 x 24; draw with this size"),
    ])  # fmt: skip
    def test_refused(self, case: str, side: str, shape: tuple[int, ...], sentence: str) -> None:
        spec = registry.make("augment")
        drawn = spec.draw(Noise(7), 20, 32, 32)
        with self.assertRaises(InputError) as caught:
            module(spec, side).build(spec)(native(side, np.zeros(shape, "uint8")), drawn)
        self.assertIn(f"augment: {sentence}", str(caught.exception))

    def test_no_deviation(self) -> None:
        with self.assertRaises(SpecError) as caught:
            registry.make("augment", deviation=(0.2, 0.0, 0.2))
        self.assertIn("must be above 0 in every channel", str(caught.exception))


class Mixed(unittest.TestCase):
    @parameterized.expand([(name,) for name in MIXING])
    def test_sides_in_float32(self, name: str) -> None:
        spec = registry.make(name)
        pictures, classes = PICTURES.astype("float32") / 255, np.arange(20) % 10
        drawn, found = spec.draw(Noise(5), 20, 32, 32), []
        for side in backend.SIDES:
            labels = torch.tensor(classes) if side == "torch" else classes
            images, targets = module(spec, side).build(spec)(native(side, pictures), labels, drawn)
            found.append((canonical(side, images), targets.numpy()))
        self.assertEqual({array.dtype.name for pair in found for array in pair}, {"float32"})
        for one, other in zip(*found, strict=True):
            self.assertEqual(agreement(one, other, floor.WIDE).verdict, "equal")
        if name.startswith("cutmix"):
            np.testing.assert_array_equal(found[0][0], found[1][0])

    @parameterized.expand([(name,) for name in MIXING])
    def test_targets_are_the_share_of_each(self, name: str) -> None:
        """Pictures that are one-hot in their class: the mean over the pixels is the mixture of the targets."""
        spec, classes = registry.make(name), np.arange(20) % 10
        pictures = np.broadcast_to(np.eye(10)[classes][:, None, None], (20, 8, 16, 10))
        for seed in range(5):
            drawn = spec.draw(Noise(seed), 20, 8, 16)
            weight = drawn["weight"][:, None]
            wanted = weight * np.eye(10)[classes] + (1 - weight) * np.eye(10)[classes[drawn["partner"]]]
            found = spec.mixed(pictures, drawn).mean(axis=(1, 2))
            self.assertEqual(agreement(found, wanted).verdict, "equal")

    @parameterized.expand([("mixup",), ("cutmix",)])
    def test_draws(self, name: str) -> None:
        spec = registry.make(name)
        drawn = spec.draw(Noise(2), 50, 32, 32)
        self.assertEqual(sorted(drawn["partner"]), list(range(50)))
        self.assertEqual(len(set(drawn["weight"])), 1)
        self.assertGreater(len(set(spec.replace(per_sample=True).draw(Noise(2), 50, 32, 32)["weight"])), 40)
        again = spec.draw(Noise(2), 50, 32, 32)
        self.assertTrue(all(np.array_equal(drawn[key], again[key]) for key in drawn))

    def test_box_is_cut_at_the_border(self) -> None:
        drawn = registry.make("cutmix_per_sample").draw(Noise(4), 500, 12, 20)
        top, left, bottom, right = drawn["box"].T
        self.assertTrue(((top >= 0) & (left >= 0) & (bottom <= 12) & (right <= 20) & (top <= bottom)).all())
        np.testing.assert_array_equal(drawn["weight"], 1 - (bottom - top) * (right - left) / 240)
        self.assertTrue((bottom == 12).any() and (left == 0).any())

    @parameterized.expand([("mixup",), ("cutmix_per_sample",)])
    def test_the_loss_takes_the_mixed_targets(self, name: str) -> None:
        """The loss of a mixture is the mixture of the losses, in the paper's other form."""
        spec, classes = registry.make(name), np.arange(20) % 10
        drawn = spec.draw(Noise(5), 20, 32, 32)
        logits, weight = Noise(6).normal("logits", (20, 10)), drawn["weight"]
        log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        rows = np.arange(20)
        wanted = -(weight * log_p[rows, classes] + (1 - weight) * log_p[rows, classes[drawn["partner"]]]).mean()
        images = np.zeros((20, 8, 8, 3))
        for side in backend.SIDES:
            labels = torch.tensor(classes) if side == "torch" else classes
            _, targets = module(spec, side).build(spec)(native(side, images), labels, drawn)
            found = backend.load(side).trace(SOFT, {"logits": logits, "targets": targets.numpy()})
            self.assertEqual(agreement(found["loss"], wanted).verdict, "equal")

    def test_keras_own_layer(self) -> None:
        """Keras's MixUp makes the same of these draws."""
        spec, pictures = registry.make("mixup_per_sample"), PICTURES.astype("float32")
        drawn = spec.draw(Noise(5), 20, 32, 32)
        given = {"mix_weight": drawn["weight"].astype("float32"), "permutation_order": drawn["partner"]}
        own = keras.layers.MixUp().transform_images(tf.convert_to_tensor(pictures), given)
        images, _ = module(spec, "keras").build(spec)(tf.convert_to_tensor(pictures), np.zeros(20, int), drawn)
        np.testing.assert_array_equal(images, own)

    @parameterized.expand([(name, side) for name in ("mixup", "cutmix") for side in backend.SIDES])
    def test_refused(self, name: str, side: str) -> None:
        spec, labels = registry.make(name), np.zeros(20, int)
        mix, drawn = module(spec, side).build(spec), spec.draw(Noise(5), 20, 32, 32)
        with self.assertRaises(InputError) as caught:
            mix(native(side, PICTURES), labels, drawn)
        self.assertIn(f"{name}: samples must be float, not ", str(caught.exception))
        labels = torch.tensor(labels) if side == "torch" else labels
        for wrong in (10, -1):
            with self.assertRaises(InputError) as caught:
                mix(native(side, PICTURES.astype("float32")), labels + wrong, drawn)
            sentence = f"{name}: there is a target {wrong}, and the classes are 0 to 9; set num_classes"
            self.assertEqual(str(caught.exception), sentence)
        with self.assertRaises(InputError) as caught:
            mix(native(side, PICTURES[:6].astype("float32")), labels[:6], drawn)
        self.assertIn(f"{name}: there are 6 samples, 6 targets and draws for 20; draw anew", str(caught.exception))

    @parameterized.expand([(axes, side) for axes in range(1, 6) for side in backend.SIDES])
    def test_mixup_of_any_rank(self, axes: int, side: str) -> None:
        """Samples that are no pictures, in the layout that they have, each by its own weight."""
        spec, classes = registry.make("mixup_per_sample"), np.arange(6)
        drawn = spec.draw(Noise(5), 6)
        samples = Noise(6).normal("samples", (6, 2, 3, 2, 2)[:axes])
        given = (torch.tensor(samples), torch.tensor(classes)) if side == "torch" else (samples, classes)
        found, _ = module(spec, side).build(spec)(*given, drawn)
        rows = zip(samples, samples[drawn["partner"]], drawn["weight"], strict=True)
        wanted = np.stack([weight * one + (1 - weight) * other for one, other, weight in rows])
        self.assertEqual(agreement(np.asarray(found), wanted).verdict, "equal")

    def test_draws_need_no_size(self) -> None:
        one, other = (registry.make("mixup").draw(Noise(5), 20, *size) for size in ((), (32, 32)))
        self.assertTrue(all(np.array_equal(one[key], other[key]) for key in one))

    @parameterized.expand([("cutmix",), ("augment",)])
    def test_no_size(self, name: str) -> None:
        with self.assertRaises(InputError) as caught:
            registry.make(name).draw(Noise(5), 20)
        sentence = f"{name} draws for pictures, and needs their height and width; give both, or leave {name} out"
        self.assertEqual(str(caught.exception), sentence)

    @parameterized.expand([(name, side) for name in ("cutmix", "augment") for side in backend.SIDES])
    def test_no_pictures(self, name: str, side: str) -> None:
        spec = registry.make(name)
        build, drawn = module(spec, side).build(spec), spec.draw(Noise(5), 20, 32, 32)
        for shape in ((20, 5), (20, 7, 5), (20, 2, 2, 2, 2)):
            samples, labels = np.zeros(shape, "float32"), np.zeros(20, int)
            given = (torch.tensor(samples), torch.tensor(labels)) if side == "torch" else (samples, labels)
            with self.assertRaises(InputError) as caught:
                build(*given, drawn) if name == "cutmix" else build(given[0], drawn)
            sentence = f"{name} takes pictures, of the four axes batch, height, width and channels, and this input has"
            self.assertIn(f"{sentence} the shape {shape}", str(caught.exception))

    def test_probabilities_of_held_out_classes(self) -> None:
        spec = registry.make("mixup", num_classes=3)
        np.testing.assert_array_equal(spec.probabilities(np.array([2, 0])), [[0, 0, 1], [1, 0, 0]])
        self.assertEqual(spec.probabilities(np.zeros((0,), int)).shape, (0, 3))
        for wrong in (np.array([0, 3]), np.array([0, -1])):
            with self.assertRaises(InputError) as caught:
                spec.probabilities(wrong)
            sentence = f"mixup: there is a target {wrong[1]}, and the classes are 0 to 2; set num_classes"
            self.assertEqual(str(caught.exception), sentence)
        with self.assertRaises(InputError) as caught:
            spec.probabilities(np.zeros(2))
        self.assertEqual(str(caught.exception), "mixup: targets must be classes, whole numbers, not float64")
