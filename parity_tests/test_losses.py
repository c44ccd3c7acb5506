"""Losses: each against the other framework's own where there is one, the papers' figures, and what is refused."""

from __future__ import annotations

import importlib
import unittest
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import torch
from diglot.core import backend, floor, registry
from diglot.core.errors import InputError, SpecError
from diglot.core.noise import generator
from diglot.core.technique import Arrays
from diglot.keras_impl.precision import precision
from parameterized import parameterized
from torch import nn

from .agreement import agreement

CLASSES = np.array([0.5, 1.0, 2.0, 0.25, 3.0, 1.5, 4.0])
ONE_SHAPE = ("mean_squared_error", "huber", "binary_cross_entropy", "kl_divergence", "cosine_similarity", "focal")
LOSSES = (*ONE_SHAPE, "cross_entropy")


def eye(case: Arrays) -> np.ndarray:
    return np.eye(case["logits"].shape[-1])[case["targets"]]


def of_torch(loss: Callable[..., torch.Tensor]) -> Callable[[Arrays], Arrays]:
    """A loss of PyTorch's own, of the output and the case."""

    def trace(case: Arrays) -> Arrays:
        output = torch.tensor(next(iter(case.values())), requires_grad=True)
        value = loss(output, {name: torch.tensor(array) for name, array in case.items()})
        value.backward()
        return {"loss": value.detach().numpy(), "gradient": output.grad.numpy()}  # type: ignore[union-attr]

    return trace


def of_keras(loss: Callable[..., Any]) -> Callable[[Arrays], Arrays]:
    """A loss of Keras's own, of the output and the case."""

    def trace(case: Arrays) -> Arrays:
        with precision("float64"), tf.GradientTape() as tape:
            output = tf.convert_to_tensor(next(iter(case.values())))
            tape.watch(output)
            value = loss(output, case)
        return {"loss": value.numpy(), "gradient": tape.gradient(value, output).numpy()}

    return trace


def moved(logits: torch.Tensor) -> torch.Tensor:
    return logits.movedim(-1, 1)  # the classes on axis 1, as PyTorch wants them


# A technique, the side that is compared, and what it is compared with: the other framework's own class.
ORACLES = {
    "class weights of PyTorch": ("cross_entropy_weighted", "keras", of_torch(lambda x, case: nn.CrossEntropyLoss(
        torch.tensor(CLASSES), label_smoothing=0.125)(moved(x), case["targets"]))),
    "class weights of Keras": ("cross_entropy_weighted_by_count", "torch", of_keras(
        lambda x, case: keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.125)(
            eye(case), x, sample_weight=CLASSES[case["targets"]]))),
    "probabilities in PyTorch": ("cross_entropy_soft", "keras", of_torch(
        lambda x, case: nn.CrossEntropyLoss(label_smoothing=0.125)(moved(x), moved(case["targets"])))),
    "probabilities in Keras": ("cross_entropy_soft", "torch", of_keras(lambda x, case:
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.125)(case["targets"], x))),
    "weight of what is asked for": ("binary_cross_entropy_weighted", "keras", of_torch(
        lambda x, case: nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0))(x, case["targets"]))),
    "smoothed questions": ("binary_cross_entropy_weighted_smoothed", "torch", of_keras(lambda x, case:
        keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.125)(case["targets"], x))),
    "divergence of PyTorch": ("kl_divergence_batch", "keras", of_torch(
        lambda x, case: nn.KLDivLoss(reduction="batchmean")(x, case["targets"]))),
    "logarithms in PyTorch": ("kl_divergence_log", "keras", of_torch(
        lambda x, case: nn.KLDivLoss(reduction="sum", log_target=True)(x, case["targets"]) / 12)),
    "focal of Keras": ("focal", "torch", of_keras(lambda x, case: keras.losses.BinaryFocalCrossentropy(
        apply_class_balancing=True, from_logits=True)(case["targets"], x))),
    "Huber of Keras": ("huber_narrow", "torch", of_keras(
        lambda x, case: keras.losses.Huber(delta=0.5)(case["targets"], x))),
    "Huber of PyTorch": ("huber_narrow", "keras", of_torch(
        lambda x, case: 0.5 * nn.SmoothL1Loss(beta=0.5)(x, case["targets"]))),
    "angle of Keras": ("cosine_similarity", "torch", of_keras(
        lambda x, case: 1 + keras.losses.CosineSimilarity()(case["targets"], x))),
    "angle of PyTorch": ("cosine_similarity", "keras", of_torch(lambda x, case:
        1 - nn.functional.cosine_similarity(x, case["targets"], dim=-1).mean())),
}  # fmt: skip
FIELDS = {
    "cross_entropy": {"label_smoothing": 0.125, "ignore_index": None},
    "cross_entropy_soft": {"label_smoothing": 0.125},
    "cross_entropy_weighted": {"label_smoothing": 0.125, "ignore_index": None},
    "cross_entropy_weighted_by_count": {"label_smoothing": 0.125, "ignore_index": None},
    "binary_cross_entropy_weighted_smoothed": {"pos_weight": 1.0, "label_smoothing": 0.125},
    "huber_narrow": {"delta": 0.5},
}  # fmt: skip


def built(spec: Any, side: str) -> Any:
    return importlib.import_module(registry.sibling(spec, side)).build(spec)


def both(spec: Any, case: Arrays) -> list[Arrays]:
    return [backend.load(side).trace(spec, case) for side in backend.SIDES]


class Agree(unittest.TestCase):
    def agree(self, one: Arrays, other: Arrays) -> None:
        for name in other:
            found = agreement(one[name], other[name])
            self.assertEqual(found.verdict, "equal", (name, found))


class Oracles(Agree):
    @parameterized.expand(ORACLES.items())
    def test_framework(self, name: str, oracle: tuple[str, str, Callable[[Arrays], Arrays]]) -> None:
        preset, side, native = oracle
        spec = registry.make(preset, **FIELDS.get(preset, {}))
        case = spec.case(generator(5, name))
        self.agree(backend.load(side).trace(spec, case), native(case))


class Papers(Agree):
    def test_focal_is_a_hundred_times_below_the_cross_entropy(self) -> None:
        """Lin et al., section 3.2: with gamma 2, 100 times lower at p_t = 0.9, and 1000 times at about 0.968."""
        case = {"logits": np.log(np.array([[0.9 / 0.1]])), "targets": np.ones((1, 1))}
        for one, other in zip(
            both(registry.make("focal", alpha=None), case),
            both(registry.make("binary_cross_entropy"), case),
            strict=True,
        ):
            self.agree({"loss": 100 * one["loss"]}, {"loss": other["loss"]})

    def test_focal_without_focus_is_the_cross_entropy(self) -> None:
        for form, loss in (("sigmoid", "binary_cross_entropy"), ("softmax", "cross_entropy")):
            spec = registry.make("focal", form=form, alpha=None, gamma=0.0)
            case = spec.case(generator(1, form))
            for one, other in zip(both(spec, case), both(registry.make(loss), case), strict=True):
                self.agree(one, other)

    def test_wide_huber_is_half_the_squared_error(self) -> None:
        case = registry.make("huber").case(generator(1, "huber"))
        squared = both(registry.make("mean_squared_error"), case)
        for one, other in zip(both(registry.make("huber", delta=100.0), case), squared, strict=True):
            self.agree(one, {name: array / 2 for name, array in other.items()})

    def test_divergence_from_one_class_is_the_cross_entropy(self) -> None:
        spec = registry.make("cross_entropy")
        case = spec.replace(ignore_index=None).case(generator(1, "divergence"))
        log_q = case["logits"] - np.logaddexp.reduce(case["logits"], axis=-1, keepdims=True)
        results = both(registry.make("kl_divergence"), {"outputs": log_q, "targets": eye(case)})
        for one, other in zip(results, both(spec, case), strict=True):
            self.agree({"loss": one["loss"]}, {"loss": other["loss"]})

    def test_equal_class_weights_change_the_loss_by_count_alone(self) -> None:
        spec = registry.make("cross_entropy", label_smoothing=0.125)
        case = spec.case(generator(1, "equal weights"))
        for convention, factor in (("by_weights", 1), ("by_count", 3)):
            weighted = spec.replace(class_weights=(3.0,) * 7, weight_convention=convention)
            for one, other in zip(both(weighted, case), both(spec, case), strict=True):
                self.agree(one, {name: factor * array for name, array in other.items()})

    def test_no_direction_at_zero(self) -> None:
        case = {"outputs": np.array([[0.0, 0.0], [3.0, 4.0]]), "targets": np.array([[0.6, 0.8], [0.6, 0.8]])}
        spec = registry.make("cosine_similarity", epsilon=0.25)
        for result in both(spec, case):
            self.agree(result, {"loss": np.array(0.5), "gradient": np.array([[-1.2, -1.6], [0.0, 0.0]])})


class Refused(unittest.TestCase):
    @parameterized.expand([(name, side) for name in ONE_SHAPE for side in backend.SIDES])
    def test_two_shapes(self, name: str, side: str) -> None:
        spec = registry.make(name)
        case = {spec.OUTPUT: np.ones((4, 1)), "targets": np.ones(4)}
        with self.assertRaises(InputError) as caught:
            backend.load(side).trace(spec, case)
        sentence = "outputs are (4, 1) and targets (4,); give both one shape, as PyTorch would broadcast them"
        self.assertIn(f"{name}: {sentence}", str(caught.exception))

    @parameterized.expand(list(backend.SIDES))
    def test_weights_for_other_classes(self, side: str) -> None:
        spec = registry.make("cross_entropy", class_weights=(1.0, 2.0))
        with self.assertRaises(InputError) as caught:
            backend.load(side).trace(spec, spec.replace(class_weights=None).case(generator(1, "classes")))
        self.assertIn("there are 2 class_weights for 7 classes; give one for each", str(caught.exception))

    def test_weights_of_probabilities(self) -> None:
        with self.assertRaises(SpecError) as caught:
            registry.make("cross_entropy", class_weights=(1.0, 2.0), targets="probabilities")
        self.assertIn("class_weights need targets of indices", str(caught.exception))

    def test_a_list_of_weights_becomes_a_tuple(self) -> None:
        self.assertEqual(registry.make("cross_entropy", class_weights=[1.0, 2.0]).class_weights, (1.0, 2.0))


class OnModels(unittest.TestCase):
    """The built losses on ordinary models, in float32."""

    @parameterized.expand([(name,) for name in LOSSES])
    def test_keras_file(self, name: str) -> None:
        """A loss goes into a model's file and comes back, and computes the same."""
        for preset in registry.classes()[name].CHECKED:
            spec = registry.make(preset)
            loss = built(spec, "keras")
            again = keras.losses.deserialize(keras.losses.serialize(loss))
            output, targets = spec.case(generator(2, name)).values()
            self.assertIs(type(again), type(loss))
            self.assertEqual(float(again(targets, output)), float(loss(targets, output)), preset)

    def test_class_weights_of_fit(self) -> None:
        """What Keras's own `fit(class_weight=...)` reports is the loss by count, of both siblings."""
        spec = registry.make("cross_entropy", class_weights=(1.0, 2.0, 8.0), weight_convention="by_count")
        logits, targets = generator(8, "fit").standard_normal((6, 3)).astype("float32"), np.arange(6) % 3
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, kernel_initializer="identity")])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        options = {"class_weight": dict(enumerate(spec.class_weights)), "batch_size": 6, "verbose": 0}
        found = np.array(model.fit(logits, targets, **options).history["loss"][0])
        for result in both(spec, {"logits": logits.astype("float64"), "targets": targets}):
            self.assertEqual(agreement(found, result["loss"], floor.WIDE).verdict, "equal")

    def test_fit(self) -> None:
        spec = registry.make("cross_entropy_weighted", class_weights=(1.0, 2.0, 3.0))
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        model.compile("sgd", backend.load("keras").sibling(spec).build(spec))  # type: ignore[attr-defined]
        x, y = np.ones((5, 4), "float32"), np.arange(5) % 3
        history = model.fit(x, y, batch_size=5, verbose=0).history["loss"]
        self.assertTrue(np.isfinite(history[0]))
        net = nn.Linear(4, 3)
        loss = built(spec, "torch")(net(torch.tensor(x)), torch.tensor(y))
        loss.backward()
        self.assertTrue(torch.isfinite(net.weight.grad).all())  # type: ignore[union-attr]
