"""Monitoring: the same anomaly on both sides, what is seen of a user's own model, and a history that is given back."""

from __future__ import annotations

import math
import tempfile
import unittest
from pathlib import Path
from typing import Any

import diglot.keras_impl.backend as keras_backend
import diglot.torch_impl.backend as torch_backend
import keras
import numpy as np
import tensorflow as tf
import torch
from diglot.core import registry
from diglot.core.errors import CheckpointError, InputError, SpecError
from diglot.core.history import STATISTICS, History
from diglot.core.monitoring import Finding, Limits, anomalies, find
from diglot.core.noise import generator
from diglot.keras_impl.techniques import dead_units as keras_dead
from diglot.keras_impl.techniques import gradient_flow as keras_flow
from diglot.torch_impl.techniques import dead_units as torch_dead
from diglot.torch_impl.techniques import gradient_flow as torch_flow
from parameterized import parameterized

import diglot

from .agreement import agreement

FLOW, DEAD = registry.make("gradient_flow"), registry.make("dead_units")
WIDTH, RATE = 16, 0.01


def state(spread: float, bias: float = 0.0, depth: int = 6) -> list[tuple[np.ndarray, np.ndarray]]:
    """Kernels (in, out) of this spread relative to 1 / sqrt(in), and biases, of which the third layer has `bias`."""
    rng = generator(0, "monitored")
    kernels = [spread * rng.standard_normal((WIDTH, WIDTH)) / math.sqrt(WIDTH) for _ in range(depth)]
    return [(kernel, np.full(WIDTH, bias if layer == 2 else 0.01)) for layer, kernel in enumerate(kernels)]


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = generator(0, "data")
    return rng.standard_normal((64, WIDTH)), rng.standard_normal((64, WIDTH))


EXAMPLES = {
    "healthy": ("relu", state(math.sqrt(2))),
    "deep sigmoid": ("sigmoid", state(1.0, depth=14)),
    "large initial weights": ("relu", state(10.0)),
    "biases at -10": ("relu", state(math.sqrt(2), -10.0)),
}


def in_torch(activation: str, weights: Any) -> tuple[np.ndarray, dict[str, float]]:
    units = {"relu": torch.nn.ReLU, "sigmoid": torch.nn.Sigmoid}[activation]
    layers = []
    for kernel, bias in weights:
        layers.append(torch.nn.Linear(WIDTH, WIDTH, dtype=torch.float64))
        layers[-1].load_state_dict({"weight": torch.tensor(kernel.T), "bias": torch.tensor(bias)})
    stack = [unit for layer in layers for unit in (layer, units())]
    model = torch.nn.Sequential(*stack[:-1])
    x, y = map(torch.tensor, data())
    held = list(model.parameters())
    gradients = torch.autograd.grad(torch.nn.functional.mse_loss(model(x), y), held)
    after = [weight - RATE * gradient for weight, gradient in zip(held, gradients, strict=True)]
    shares = torch_dead.watch(DEAD, model, [x])
    return torch_flow.build(FLOW)(gradients, held, after).numpy(), {
        str(int(name) // 2): share for name, share in shares.items()
    }


def in_keras(activation: str, weights: Any) -> tuple[np.ndarray, dict[str, float]]:
    last = len(weights) - 1
    model = keras.Sequential([
        keras.layers.Dense(WIDTH, None if layer == last else activation, dtype="float64", name=f"layer{layer}")
        for layer in range(len(weights))
    ])  # fmt: skip
    x, y = map(tf.convert_to_tensor, data())
    model.build(x.shape)
    model.set_weights([array for pair in weights for array in pair])

    @tf.function(autograph=False)
    def flow() -> Any:
        held = [weight.value for weight in model.trainable_weights]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x) - y))
        gradients = tape.gradient(loss, held)
        after = [
            weight - tf.constant(RATE, tf.float64) * gradient for weight, gradient in zip(held, gradients, strict=True)
        ]
        return keras_flow.build(FLOW)(gradients, held, after)

    shares = keras_dead.watch(DEAD, model, [x])
    return flow().numpy(), {name.removeprefix("layer"): share for name, share in shares.items()}


def kinds(findings: list[Finding]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for finding in findings:
        found.setdefault(finding.kind, []).append(int(finding.layer))
    return found


class TheSameAnomaly(unittest.TestCase):
    @parameterized.expand([
        ("healthy", {}),
        ("deep sigmoid", {"vanishing": [0, 1, 2, 3]}),
        ("large initial weights", {"exploding": [*range(6)]}),
        ("biases at -10", {"no gradient": [0, 1, 2], "dead units": [2]}),
    ])  # fmt: skip
    def test_on_both_sides(self, name: str, wanted: dict[str, list[int]]) -> None:
        one, other = in_torch(*EXAMPLES[name]), in_keras(*EXAMPLES[name])
        names = [f"{layer}.{leaf}" for layer in range(len(EXAMPLES[name][1])) for leaf in ("kernel", "bias")]
        self.assertEqual(kinds(anomalies(names, *one)), wanted)
        self.assertEqual([str(found) for found in anomalies(names, *one)], [str(f) for f in anomalies(names, *other)])
        self.assertEqual(one[1], other[1])

    def test_told_with_the_layer_and_the_number(self) -> None:
        (found,) = anomalies(["a.kernel", "a.bias"], [[0, 1, 3e3, 0, 0.1], [0, 1, 4e3, 0, 0.1]])
        self.assertEqual(str(found), "a: the gradient explodes, its norm 5.0e+03 is above 1.0e+03")
        (found,) = anomalies([], np.empty((0, 5)), {"hidden.0": 0.75})
        self.assertEqual(str(found), "hidden.0: 75% of the units are dead, 0 for every sample")

    def test_not_finite(self) -> None:
        norms = [[0, 1, norm, 0, 0.1] for norm in (1.0, math.nan, math.inf)]
        found = anomalies(["a/kernel", "b/kernel", "c/kernel"], norms)
        self.assertEqual([(one.kind, one.layer) for one in found], [("not finite", "b"), ("not finite", "c")])

    def test_small_layer_that_is_not_on_the_way_to_the_input(self) -> None:
        """The gradient is small in one layer and large before it, so it has not vanished."""
        flow = [[0, 1, norm, 0, 0.1] for norm in (1.0, 1e-6, 1.0, 1e-7)]
        self.assertEqual([one.layer for one in anomalies(["a.w", "b.w", "c.w", "d.w"], flow)], ["d"])
        flow = [[0, 1, norm, 0, 0.1] for norm in (1e-7, 1.0, 1.0, 1e-8)]
        self.assertEqual([one.layer for one in anomalies(["a.w", "b.w", "c.w", "d.w"], flow)], ["d"])

    def test_over_a_training(self) -> None:
        history = History()
        for step, norm in enumerate((1.0, 5e3, 1.0, 7e3)):
            history.note_flow(step, ["a.w"], [[0, 1, norm, 0, 0.1]])
            history.note_dead(step, {"a": 0.0 if step < 2 else 1.0})
        self.assertEqual([str(found) for found in find(history)], [
            "a: the gradient explodes, its norm 7.0e+03 is above 1.0e+03 (steps 1 to 3)",
            "a: 100% of the units are dead, 0 for every sample (steps 2 to 3)",
        ])  # fmt: skip
        self.assertEqual(find(history, Limits(largest=1e4, dead=0.999, exploding=1e9))[0].kind, "dead units")

    def test_refused(self) -> None:
        with self.assertRaisesRegex(SpecError, "limits: dead must be a number, at least 0 and below 1, not 1.5"):
            Limits(dead=1.5)
        with self.assertRaisesRegex(InputError, r"the flow has the shape \(1, 4\); give \(1, 5\)"):
            anomalies(["a"], [[1, 2, 3, 4]])


class Torch(torch.nn.Module):
    """ReLUs as a module, as functions, in place, and one module used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(4, 4), torch.nn.Conv2d(2, 3, 1)
        self.act, self.drop = torch.nn.ReLU(), torch.nn.Dropout(0.5)

    def forward(self, x: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        hidden = self.act(self.act(self.first(x)) - 10.0)
        return hidden.sum() + self.drop(torch.nn.functional.relu(self.second(image), inplace=True)).sum()


@keras.saving.register_keras_serializable("parity_tests")
class Keras(keras.Model):
    """The same, and the activation of a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (
            keras.layers.Dense(4, name="a"),
            keras.layers.Conv2D(3, 1, activation="relu", name="b"),
        )
        self.act, self.drop = keras.layers.ReLU(), keras.layers.Dropout(0.5)

    def call(self, x: Any, image: Any, training: bool = False) -> Any:
        hidden = self.act(self.act(self.first(x)) - 10.0)
        return keras.ops.sum(hidden) + keras.ops.sum(keras.ops.relu(self.drop(self.second(image), training=training)))


class Watched(unittest.TestCase):
    def setUp(self) -> None:
        rng = generator(0, "watched")
        self.inputs = [rng.standard_normal((8, 4)).astype("f"), rng.standard_normal((2, 5, 5, 2)).astype("f")]

    def test_a_users_pytorch_model(self) -> None:
        model = Torch()
        model.act.eval()
        with torch.no_grad():
            model.second.bias[:] = torch.tensor([-100.0, 100.0, 100.0])
        x, image = torch.tensor(self.inputs[0]), torch.tensor(self.inputs[1]).movedim(-1, 1)
        shares = torch_dead.watch(DEAD, model, [x, image])
        self.assertEqual(list(shares), ["act", "act:2", "model"])
        self.assertEqual((shares["act:2"], shares["model"]), (1.0, 1 / 3))
        self.assertTrue(model.training and model.drop.training and not model.act.training)
        self.assertFalse(any(module._forward_hooks or module._forward_pre_hooks for module in model.modules()))

    def test_a_users_keras_model(self) -> None:
        model = Keras()
        model(*self.inputs)
        model.second.bias.assign([-100.0, 100.0, 100.0])
        shares = keras_dead.watch(DEAD, model, [tf.convert_to_tensor(array) for array in self.inputs])
        self.assertEqual(list(shares), ["act", "act:2", "second", "model"])
        self.assertEqual([shares[name] for name in ("act:2", "second", "model")], [1.0, 1 / 3, 1 / 3])
        self.assertFalse(any("call" in vars(layer) for layer in model._flatten_layers()))

    def test_a_functional_keras_model(self) -> None:
        given = keras.Input((4,))
        hidden = keras.layers.ReLU(name="end")(keras.layers.Dense(3, activation="relu", name="hidden")(given))
        model = keras.Model(given, keras.ops.relu(hidden))
        shares = keras_dead.watch(DEAD, model, [tf.convert_to_tensor(self.inputs[0])])
        self.assertEqual(list(shares), ["hidden", "end", "model"])

    def test_nothing_to_see(self) -> None:
        self.assertEqual(torch_dead.watch(DEAD, torch.nn.Linear(4, 2), [torch.tensor(self.inputs[0])]), {})
        model = keras.Sequential([keras.layers.Dense(2)])
        self.assertEqual(keras_dead.watch(DEAD, model, [tf.convert_to_tensor(self.inputs[0])]), {})

    @parameterized.expand([("mlp_small",), ("resnet_small",)])
    def test_a_model_of_ours(self, name: str) -> None:
        """The ReLUs of both siblings have the same names, and a bias at -10 kills the same one."""
        spec = diglot.spec(name)
        net, model = diglot.build(spec, "torch"), diglot.build(spec, "keras")
        state = diglot.initial_state(spec)
        bias = next(weight for weight in state if weight.endswith((".bias", ".beta")))
        state[bias] -= 10
        diglot.set_state(net, state)
        diglot.set_state(model, state)
        batch = spec.example(generator(0, "ours"))
        given = [
            [backend.to_tensor(made, declared, batch) for declared in spec.inputs()]
            for backend, made in ((torch_backend, net), (keras_backend, model))
        ]
        one, other = torch_dead.watch(DEAD, net, given[0]), keras_dead.watch(DEAD, model, given[1])
        self.assertEqual(one, other)
        self.assertEqual(max(one.values()), 1.0)


class Flows(unittest.TestCase):
    def both(self, *given: Any, spec: Any = FLOW, dtype: str = "float64") -> np.ndarray:
        """The row of one weight, of which both sides must give the same."""
        given = tuple(None if array is None else np.asarray(array, dtype) for array in given)
        ours = [None if array is None else torch.tensor(array) for array in given]
        theirs = [None if array is None else tf.convert_to_tensor(array) for array in given]
        one = torch_flow.build(spec)(*([item] for item in ours)).numpy()
        other = keras_flow.build(spec)(*([item] for item in theirs)).numpy()
        np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
        self.assertEqual(agreement(np.nan_to_num(one), np.nan_to_num(other), "float32").verdict.value, "equal")
        return one[0]

    def test_weight_without_gradient(self) -> None:
        row = dict(zip(STATISTICS, self.both(None, [1.0, 2.0], [1.0, 2.0]), strict=True))
        self.assertEqual(row, {"mean": 0, "std": 0, "norm": 0, "zeros": 1, "update": 0})

    def test_weight_of_zeros(self) -> None:
        self.assertTrue(np.isnan(self.both([1.0, 2.0], [0.0, 0.0], [0.0, 1.0])[-1]))

    def test_weight_of_one_element(self) -> None:
        self.assertEqual(self.both([3.0], [1.0], [2.0], spec=FLOW.replace(deviation="sample"))[1], 0)

    def test_half_precision(self) -> None:
        """Squares of 300 are beyond float16."""
        self.assertEqual(
            self.both([300.0, 400.0], [300.0, 400.0], [600.0, 800.0], dtype="float16")[2::2].tolist(), [500, 1]
        )

    def test_by_hand(self) -> None:
        row = self.both([[1.0, 0.0], [0.0, 3.0]], [[3.0, 0.0], [0.0, 4.0]], [[3.0, 0.5], [0.0, 4.0]])
        self.assertEqual(row[[0, 2, 3, 4]].tolist(), [1.0, math.sqrt(10), 0.5, 0.1])


class Histories(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def history(self) -> History:
        history, rng = History(), generator(0, "history")
        for step in range(6):
            history.note_step(step, loss=rng.standard_normal() * 10.0 ** rng.integers(-300, 300), learning_rate=0.1)
        history.note_step(6, loss=math.nan, loss_scale=2.0**16)
        history.note_step(7, loss=math.inf)
        history.note_step(8, loss=-math.inf, gradient_norm=np.float32(0.1))
        for epoch in range(2):
            history.note_epoch(epoch, loss=rng.random(), val_loss=torch.tensor(0.5), accuracy=tf.constant(0.25))
        for step in (0, 4):
            history.note_flow(step, ["a.kernel", "a.bias"], rng.standard_normal((2, 5)))
        history.note_dead(4, {"a": 0.25})
        return history

    def test_given_back_bit_for_bit(self) -> None:
        history, path = self.history(), self.folder / "history.json"
        history.save(path)
        read = History.load(path)
        self.assertEqual([tag for tag, _ in read.tags()], [tag for tag, _ in history.tags()])
        for (_, one), (_, other) in zip(history.tags(), read.tags(), strict=True):
            self.assertEqual([array.tobytes() for array in one], [array.tobytes() for array in other])
        self.assertIn('"NaN", "Infinity", "-Infinity"', path.read_text())
        read.save(self.folder / "again.json")
        self.assertEqual((self.folder / "again.json").read_bytes(), path.read_bytes())

    def test_goes_on_from_a_checkpoint(self) -> None:
        history = self.history()
        cut = history.until(step=4, epoch=1)
        self.assertEqual([*cut.series("loss")[0]], [0, 1, 2, 3])
        self.assertEqual([*cut.series("accuracy", "epoch")[0]], [0])
        self.assertEqual([flow.step for flow in cut.flows], [0])
        cut.note_step(4, loss=1.0)
        self.assertEqual(len(history.series("loss")[0]), 9)

    def test_series(self) -> None:
        history = self.history()
        self.assertEqual([*history.series("loss_scale")[0]], [6])
        self.assertEqual(len(history.series("nothing")[0]), 0)
        self.assertEqual([*history.flow("a.bias", "norm")[0]], [0, 4])
        self.assertEqual(float(history.series("gradient_norm")[1][0]), float(np.float32(0.1)))

    @parameterized.expand([
        ("note_step", (-1,), {"loss": 1.0}, "a step is a whole number, at least 0, not -1"),
        ("note_step", (1.5,), {"loss": 1.0}, "a step is a whole number, at least 0, not 1.5"),
        ("note_step", (3,), {"loss": 1.0}, "loss of step 3 comes after that of step 8; each step is noted once"),
        ("note_epoch", (5,), {"accuracy": "good"}, "accuracy of epoch 5 must be one number, not 'good'"),
        ("note_epoch", (5,), {"accuracy": [1.0]}, r"accuracy of epoch 5 must be one number, not \[1.0\]"),
        ("note_flow", (9, ["a"], [[1.0]]), {}, r"the flow at step 9 has the shape \(1, 1\); with 1 weights it needs"),
        ("note_flow", (4, [], np.empty((0, 5))), {}, "the flow at step 4 comes after step 4; steps only go up"),
    ])  # fmt: skip
    def test_refused(self, method: str, arguments: tuple[Any, ...], values: dict[str, Any], sentence: str) -> None:
        with self.assertRaisesRegex(InputError, sentence):
            getattr(self.history(), method)(*arguments, **values)

    @parameterized.expand([
        ("no_json", "{"), ("a_list", "[]"), ("another_format", '{"format": 2}'), ("not_an_object", "3"),
        ("out_of_order", '{"format": 1, "statistics": ["mean", "std", "norm", "zeros", "update"], "steps": '
                         '{"loss": [[1, 1], [1, 1]]}, "epochs": {}, "dead": {}, "flows": []}'),
    ])  # fmt: skip
    def test_files_that_hold_none(self, name: str, text: str) -> None:
        path = self.folder / "broken.json"
        path.write_text(text)
        with self.assertRaisesRegex(CheckpointError, "holds no history of this version"):
            History.load(path)

    def test_files_that_are_not_there(self) -> None:
        with self.assertRaisesRegex(CheckpointError, "cannot be read: No such file"):
            History.load(self.folder / "nothing.json")


if __name__ == "__main__":
    unittest.main()
