"""Two models of a user's own, compared: what is asked, what is told, and that neither model is changed."""

from __future__ import annotations

import threading
import unittest
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import torch
from diglot.core.errors import InputError, SpecError, StateError
from diglot.core.verdict import Verdict
from keras import layers
from parameterized import parameterized
from torch import nn

import diglot

IMAGES = np.random.default_rng(0).standard_normal((3, 8, 8, 2))

VECTORS = np.random.default_rng(1).standard_normal((5, 4))


class Small(nn.Module):
    """A convolution, batch normalisation and a linear layer behind a flattened feature map."""

    def __init__(self, momentum: float = 0.1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4, momentum=momentum)
        self.out = nn.Linear(4 * 8 * 8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.relu(self.norm(self.conv(x))).flatten(1))


def small(**norm: Any) -> keras.Model:
    given = keras.Input((8, 8, 2), name="images")
    x = layers.Conv2D(4, 3, padding="same", name="first")(given)
    x = layers.BatchNormalization(**{"epsilon": 1e-5, "momentum": 0.9, **norm}, name="normal")(x)
    return keras.Model(given, layers.Dense(3, name="scores")(layers.Flatten()(layers.ReLU(name="act")(x))))


def dense() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), layers.Dense(3)])


def held(model: Any) -> list[np.ndarray]:
    if isinstance(model, nn.Module):
        return [tensor.numpy().copy() for tensor in model.state_dict().values()]
    return [np.array(variable.numpy()) for variable in model.variables]


class Threads(unittest.TestCase):
    """Several comparisons at once take turns, since Keras's settings are those of the process."""

    def test_comparisons_in_several_threads(self) -> None:
        ours, theirs = Small(), small()
        diglot.transfer(ours, theirs, inputs=IMAGES)
        before, found = held(theirs), []

        def run() -> None:
            found.append(diglot.compare(ours, theirs, IMAGES, checks="forward").verdict)

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, [Verdict.EQUAL] * 2)
        self.assertTrue(all(map(np.array_equal, before, held(theirs))))
        self.assertEqual(keras.config.floatx(), "float32")


class Report(unittest.TestCase):
    """What a comparison gives."""

    def test_equal_models(self) -> None:
        ours, theirs = Small(), small()
        diglot.transfer(ours, theirs, inputs=IMAGES)
        report = diglot.compare(ours, theirs, IMAGES)
        self.assertTrue(report.passed, [cell.cause for cell in report.cells])
        self.assertEqual([cell.check for cell in report.cells], ["weights", "forward", "gradients", "training"])
        self.assertEqual({cell.dtype for cell in report.cells}, {"float64"})
        self.assertEqual(report.mapping["conv.weight"], ("first/kernel",))
        self.assertEqual(report.mapping["norm.running_var"], ("normal/moving_variance",))
        self.assertIn("conv | first", [finding.label for finding in report.findings])
        self.assertTrue(all(item.accumulated.verdict is Verdict.EQUAL for item in report.findings))

    def test_factories(self) -> None:
        report = diglot.compare(Small, small, IMAGES)
        self.assertTrue(report.passed, [cell.cause for cell in report.cells])
        self.assertTrue(any("made anew" in note for note in report.notes))

    def test_what_is_located(self) -> None:
        report = diglot.compare(Small(), small(epsilon=1e-3), IMAGES, checks=("forward", "gradients"))
        self.assertEqual([cell.located for cell in report.cells], ["norm", "norm"])
        self.assertIn("epsilon", report.cells[0].cause)
        (wrong,) = [item for item in report.findings if item.located]
        self.assertEqual((wrong.torch, wrong.keras), ("norm", "normal"))
        after = next(item for item in report.findings if item.torch == "out")
        self.assertIs(after.accumulated.verdict, Verdict.DIFFERENT)  # what it was given differs
        self.assertTrue(after.agrees)  # on the same input it does not

    def test_what_only_training_shows(self) -> None:
        report = diglot.compare(lambda: Small(momentum=0.25), small, IMAGES)
        self.assertEqual([cell.verdict for cell in report.cells[:-1]], [Verdict.EQUAL] * (len(report.cells) - 1))
        self.assertEqual(report.cells[-1].located, "norm")
        self.assertIn("momentum", report.cells[-1].cause)

    def test_the_same_twice(self) -> None:
        ours, theirs = Small(), small()
        one, other = (diglot.compare(ours, theirs, IMAGES, checks="forward").cells[0] for _ in range(2))
        self.assertEqual((one.ratio, one.digits), (other.ratio, other.digits))

    def test_neither_model_is_changed(self) -> None:
        ours, theirs = Small().train(), small(epsilon=1e-3)
        theirs.compile("sgd", "mse")
        before, drawn = [held(ours), held(theirs)], torch.get_rng_state()
        diglot.compare(ours, theirs, IMAGES)
        for model, arrays in zip((ours, theirs), before, strict=True):
            for one, other in zip(held(model), arrays, strict=True):
                self.assertTrue(np.array_equal(one, other))
        self.assertTrue(ours.training)
        self.assertTrue(torch.equal(drawn, torch.get_rng_state()))
        self.assertEqual({str(variable.dtype) for variable in theirs.variables}, {"float32"})
        self.assertTrue(theirs.compiled)


class Weights(unittest.TestCase):
    """What the two hold as they stand."""

    def test_a_weight_that_was_not_loaded(self) -> None:
        ours, theirs = Small(), small()
        diglot.transfer(ours, theirs, inputs=IMAGES)
        theirs.get_layer("scores").bias.assign([1.0, 2.0, 3.0])
        report = diglot.compare(ours, theirs, IMAGES)
        self.assertEqual([cell.located for cell in report.cells], ["out", None, None, None])
        self.assertIn("scores/bias", report.cells[0].cause)

    @parameterized.expand([("matmul", torch.matmul), ("einsum", lambda x, a: torch.einsum("bi,ij->bj", x, a))])
    def test_a_square_weight_of_its_own_that_is_held_transposed(self, name: str, product: Any) -> None:
        class Own(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.a = nn.Parameter(torch.randn(4, 4))

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return product(x, self.a) * 3

        class Layer(keras.layers.Layer):
            def build(self, shape: Any) -> None:
                self.w = self.add_weight(shape=(4, 4), name="w")

            def call(self, x: Any) -> Any:
                return keras.ops.matmul(x, self.w) * 3

        source, target = Own(), keras.Sequential([keras.Input((4,)), Layer()])
        target.layers[0].w.assign(source.a.detach().numpy().T)
        report = diglot.compare(source, target, np.random.default_rng(0).standard_normal((5, 4)), checks="forward")
        self.assertRegex(str(report.cells[-1].cause), r"w` holds PyTorch's `a` transposed")
        self.assertRegex(str(report.mapping.settled), "transposed")  # type: ignore[union-attr]

    def test_a_flattened_kernel_in_the_other_order(self) -> None:
        ours, theirs = Small(), small()
        diglot.transfer(ours, theirs, inputs=IMAGES)
        theirs.get_layer("scores").kernel.assign(ours.out.weight.detach().numpy().T)
        cell = diglot.compare(ours, theirs, IMAGES).cells[0]
        self.assertEqual((cell.check, cell.located), ("weights", "out"))
        self.assertIn("channels", cell.cause)

    def test_one_too_many(self) -> None:
        class Auxiliary(Small):
            def __init__(self) -> None:
                super().__init__()
                self.aux = nn.Linear(5, 7)

        with self.assertRaisesRegex(StateError, r"aux\.weight"):
            diglot.compare(Auxiliary(), small(), IMAGES)
        report = diglot.compare(Auxiliary, small, IMAGES, ignore="aux.*")
        self.assertTrue(report.passed)
        self.assertEqual(set(report.mapping.ignored["torch"]), {"aux.weight", "aux.bias"})

    def test_tokens_flattened_channel_by_channel(self) -> None:
        class Tokens(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.mix, self.head = nn.Linear(6, 8), nn.Linear(128, 5)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.head(self.mix(x).transpose(1, 2).flatten(1))

        given = keras.Input((16, 6))
        model = keras.Model(given, layers.Dense(5)(layers.Flatten()(layers.Dense(8)(given))))
        tokens, ours = np.random.default_rng(0).standard_normal((3, 16, 6)), Tokens()
        diglot.transfer(ours, model, inputs=tokens)
        rows = ours.head.weight.detach().numpy().reshape(5, 8, 16).transpose(2, 1, 0).reshape(128, 5)
        self.assertTrue(np.array_equal(model.layers[-1].kernel.numpy(), rows))
        report = diglot.compare(ours, model, tokens)
        self.assertTrue(report.passed, [cell.cause for cell in report.cells])
        self.assertTrue(any("head.kernel" in sentence for sentence in report.mapping.settled))
        model.layers[-1].kernel.assign(ours.head.weight.detach().numpy().T)
        self.assertEqual(diglot.compare(ours, model, tokens).cells[0].located, "head")

    def test_weights_that_were_never_loaded(self) -> None:
        cell = diglot.compare(Small(), small(), IMAGES).cells[0]
        self.assertEqual((cell.check, cell.verdict), ("weights", Verdict.DIFFERENT))
        self.assertIn("diglot.transfer", cell.cause)
        self.assertTrue(diglot.compare(Small(), small(), IMAGES, checks=("forward", "gradients")).passed)

    def test_weights_that_are_not_trained_on_one_side(self) -> None:
        def frozen() -> keras.Model:
            model = small()
            model.get_layer("scores").trainable = False
            return model

        cell = diglot.compare(Small, frozen, IMAGES).cells[-1]
        self.assertEqual((cell.verdict, cell.located), (Verdict.DIFFERENT, "out"))
        self.assertIn("trainable", cell.cause)


class Broken(unittest.TestCase):
    """Numbers that are none, and numbers that only mask."""

    def test_a_weight_that_is_nan(self) -> None:
        ours, theirs = Small(), small()
        diglot.transfer(ours, theirs, inputs=IMAGES)
        ours.norm.running_mean[1] = float("nan")
        cells = diglot.compare(ours, theirs, IMAGES).cells
        self.assertEqual({(cell.verdict, cell.located) for cell in cells}, {(Verdict.DIFFERENT, "norm")})
        self.assertIn("1 of 4 values of PyTorch's `norm.running_mean` are NaN", cells[1].cause)

    def test_inputs_that_overflow(self) -> None:
        class Growing(nn.Linear):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return torch.exp(super().forward(x))

        model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="exponential")])
        cells = diglot.compare(lambda: Growing(4, 3), model, VECTORS * 1e5).cells
        self.assertEqual({(cell.verdict, cell.located) for cell in cells}, {(Verdict.DIFFERENT, ":exp#0")})
        self.assertIn("give inputs that do not overflow", cells[0].cause)

    @parameterized.expand([("alike", 0, Verdict.EQUAL), ("elsewhere", 1, Verdict.DIFFERENT)])
    def test_masked_outputs(self, name: str, place: int, verdict: Verdict) -> None:
        masks = [np.arange(3) == 0, np.arange(3) == place]

        class Masked(nn.Linear):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return super().forward(x).masked_fill(torch.tensor(masks[1]), float("-inf"))

        given = keras.Input((4,))
        model = keras.Model(given, keras.ops.where(masks[0], np.float32(-np.inf), layers.Dense(3)(given)))
        report = diglot.compare(Masked(4, 3), model, VECTORS, checks=("forward", "gradients", "training"))
        self.assertEqual(report.cells[0].verdict, verdict, name)
        self.assertEqual(report.passed, not place, [cell.cause for cell in report.cells])
        self.assertFalse([note for note in report.notes if "float32" in note])


class Called(unittest.TestCase):
    """Where and on what the models are called."""

    @parameterized.expand([("no_grad", torch.no_grad), ("inference_mode", torch.inference_mode)])
    def test_without_gradients(self, name: str, mode: Any) -> None:
        with mode():
            report = diglot.compare(nn.Linear(4, 3), dense, VECTORS)
        self.assertEqual({cell.verdict for cell in report.cells}, {Verdict.EQUAL}, name)

    def test_a_model_that_writes_into_its_input(self) -> None:
        class Shifting(nn.Linear):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                x -= 0.5
                return super().forward(x)

        def model() -> keras.Model:
            return keras.Sequential([keras.Input((4,)), layers.Rescaling(1.0, -0.5), layers.Dense(3)])

        report = diglot.compare(lambda: Shifting(4, 3), model, VECTORS)
        self.assertEqual({cell.verdict for cell in report.cells}, {Verdict.EQUAL}, [one.cause for one in report.cells])

    def test_factories_that_give_what_is_there(self) -> None:
        ours, theirs = nn.Linear(4, 3), dense()
        diglot.transfer(ours, theirs)
        report = diglot.compare(lambda: ours, lambda: keras.models.clone_model(theirs), VECTORS, checks="forward")
        self.assertEqual([(cell.verdict, cell.dtype) for cell in report.cells], [(Verdict.EQUAL, "float64")])
        self.assertIs(ours.weight.dtype, torch.float32)

    def test_a_class_with_a_constant_in_float32(self) -> None:
        class Shifted(keras.Model):
            def __init__(self) -> None:
                super().__init__()
                self.inner = layers.Dense(3)

            def call(self, x: Any) -> Any:
                return self.inner(x) + keras.ops.zeros((3,), dtype="float32")

        report = diglot.compare(lambda: nn.Linear(4, 3), Shifted, VECTORS, checks="forward")
        self.assertEqual({cell.verdict for cell in report.cells}, {Verdict.EQUAL})


class Two(nn.Module):
    """Two inputs, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(2, 5)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"one": torch.tanh(self.a(x)), "two": self.b(y)}


def two() -> keras.Model:
    x, y = keras.Input((3,), name="x"), keras.Input((2,), name="y")
    return keras.Model([x, y], [layers.Dense(5, name="b")(y), layers.Dense(4, activation="tanh", name="a")(x)])


class Given(unittest.TestCase):
    """Inputs and outputs in every form."""

    X, Y = np.random.default_rng(1).standard_normal((4, 3)), np.random.default_rng(2).standard_normal((4, 2))

    @parameterized.expand([("a list", False), ("by name", True)])
    def test_outputs_in_another_order(self, name: str, named: bool) -> None:
        given: Any = {"x": self.X, "y": self.Y} if named else [self.X, self.Y]
        report = diglot.compare(Two, two, given, torch_outputs=["two", "one"])
        self.assertTrue(report.passed, [cell.cause for cell in report.cells])
        self.assertFalse(diglot.compare(Two, two, given).passed)

    def test_inputs_of_pytorch_by_themselves(self) -> None:
        class Backwards(Two):
            def forward(self, y: torch.Tensor, x: torch.Tensor) -> Any:
                return tuple(super().forward(x, y).values())[::-1]

        given = [self.X, self.Y]
        self.assertTrue(diglot.compare(Backwards, two, given, torch_inputs=given[::-1]).passed)
        with self.assertRaises(InputError):
            diglot.compare(Backwards, two, given)

    def test_sequences_that_put_time_first(self) -> None:
        class Reader(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.cell = nn.LSTM(3, 4)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.cell(x)[0]

        given = keras.Input((5, 3))
        model = keras.Model(given, layers.LSTM(4, return_sequences=True)(given))
        report = diglot.compare(Reader, lambda: model, np.random.default_rng(0).standard_normal((5, 5, 3)))
        self.assertTrue(report.passed, [cell.cause for cell in report.cells])

    @parameterized.expand(
        [
            ("text", "words", "array of numbers"),
            ("nothing", np.empty((0, 8, 8, 2)), "empty"),
            ("not finite", np.full((2, 8, 8, 2), np.nan), "not finite"),
            ("none", [], "no array"),
            ("another shape", np.zeros((2, 8, 8, 5)), "shape|inputs"),
        ]
    )
    def test_inputs_that_cannot_be_used(self, name: str, inputs: Any, words: str) -> None:
        with self.assertRaisesRegex(InputError, words):
            diglot.compare(Small(), small(), inputs)

    @parameterized.expand(
        [
            ("check", {"checks": "speed"}, SpecError, "no check 'speed'"),
            ("steps", {"steps": 0}, SpecError, "steps"),
            ("output", {"torch_outputs": ["logits"]}, InputError, "logits"),
            ("layout", {"torch_outputs": {0: "sideways"}}, InputError, "sideways"),
            ("map", {"map": 3}, SpecError, "map="),
            ("place in a map", {"map": {"conv": 3}}, StateError, "'conv': 3"),
            ("number of checks", {"checks": 3}, SpecError, "checks= takes a name"),
            ("number to ignore", {"ignore": 3}, SpecError, "ignore= takes a name"),
            ("half an output", {"torch_outputs": 3.5}, InputError, "torch_outputs takes outputs by name or place"),
        ]
    )
    def test_options_that_cannot_be(self, name: str, options: dict[str, Any], error: Any, words: str) -> None:
        with self.assertRaisesRegex(error, words):
            diglot.compare(Small(), small(), IMAGES, **options)

    def test_what_is_no_model(self) -> None:
        for ours, theirs, words in (
            (3, small, "^int is no PyTorch model; give .* that makes one$"),
            (Small(), "model", "str is no Keras model"),
            (small(), Small(), "the first model, Functional, is of Keras; compare takes PyTorch's model first"),
            (Small, Small, "the second model, Small, is of PyTorch; compare takes"),
            (lambda: 1 / 0, small, "raised ZeroDivisionError: division by zero$"),
        ):
            with self.assertRaisesRegex(InputError, words):
                diglot.compare(ours, theirs, IMAGES)

    @parameterized.expand([("of PyTorch", torch.tensor), ("of TensorFlow", tf.constant)])
    def test_inputs_in_bfloat16(self, name: str, make: Any) -> None:
        kind = torch.bfloat16 if make is torch.tensor else tf.bfloat16
        report = diglot.compare(lambda: nn.Linear(4, 3), dense, make(VECTORS, dtype=kind), checks="forward")
        self.assertTrue(report.passed, name)

    def test_layouts_are_told_where_they_matter(self) -> None:
        class Square(Small):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return super().forward(x[:, :, :, :7])

        with self.assertRaisesRegex(InputError, "tried as .* and as "):
            diglot.compare(Square(), small(), IMAGES)


class Evidence(unittest.TestCase):
    """What weakens a comparison is told, and one that could not fail fails."""

    def test_float32_inside(self) -> None:
        class Narrow(Small):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return super().forward(torch.from_numpy(np.float32(x.detach().numpy())))

        report = diglot.compare(Narrow(), small(), IMAGES, checks="forward")
        self.assertEqual({cell.dtype for cell in report.cells}, {"float32"})
        self.assertTrue(any("float32" in note for note in report.notes))
        self.assertTrue(report.passed, [cell.cause for cell in report.cells])
        self.assertFalse(diglot.compare(Narrow(), small(epsilon=1e-1), IMAGES, checks="forward").passed)

    def test_half_precision_that_does_not_run_in_float64(self) -> None:
        cast = tf.raw_ops.Cast
        narrow = layers.Lambda(lambda x: cast(x=cast(x=x, DstT=tf.float32), DstT=x.dtype))
        model = keras.Sequential([keras.Input((4,)), layers.Dense(3, dtype="bfloat16"), narrow])
        report = diglot.compare(lambda: nn.Linear(4, 3), model, VECTORS, checks="forward")
        self.assertEqual([(cell.verdict, cell.dtype) for cell in report.cells], [(Verdict.EQUAL, "float32")])
        self.assertTrue([note for note in report.notes if "works in bfloat16 and was compared in float32" in note])

    def test_what_these_inputs_do_not_reach(self) -> None:
        class Capped(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.a, self.act, self.b = nn.Linear(3, 4), nn.ReLU6(), nn.Linear(4, 2)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.b(self.act(self.a(x)))

        def uncapped() -> keras.Model:
            given = keras.Input((3,))
            return keras.Model(given, layers.Dense(2)(layers.Dense(4, activation="relu", name="a")(given)))

        cell = diglot.compare(Capped, uncapped, Given.X, checks="forward").cells[0]
        self.assertEqual((cell.verdict, cell.located), (Verdict.DIFFERENT, "act"))
        self.assertIn("relu6", cell.cause)

    def test_noise_on_one_side(self) -> None:
        def noisy() -> keras.Model:
            given = keras.Input((8, 8, 2))
            return keras.Model(given, small()(layers.GaussianNoise(0.5, name="noise")(given)))

        cell = diglot.compare(Small, noisy, IMAGES).cells[-1]
        self.assertEqual((cell.verdict, cell.located), (Verdict.DIFFERENT, "noise"))

    def test_whole_maps_dropped_on_one_side(self) -> None:
        class Dropping(Small):
            def __init__(self) -> None:
                super().__init__()
                self.drop = nn.Dropout2d(0.25)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return super().forward(self.drop(x))

        def dropping() -> keras.Model:
            given = keras.Input((8, 8, 2))
            return keras.Model(given, small()(layers.Dropout(0.25)(given)))

        cell = diglot.compare(Dropping, dropping, IMAGES).cells[-1]
        self.assertEqual((cell.verdict, cell.located), (Verdict.DIFFERENT, "drop"))

    def test_outputs_that_depend_on_nothing(self) -> None:
        class Still(Small):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return super().forward(x * 0)

        given = keras.Input((8, 8, 2))
        model = keras.Model(given, small()(given * 0))
        cell = diglot.compare(Still(), model, IMAGES, checks="forward").cells[0]
        self.assertIs(cell.verdict, Verdict.DIFFERENT)
        self.assertIn("output does not move", cell.cause)

    def test_draws_that_are_not_shared(self) -> None:
        class Noisy(Small):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return super().forward(x + torch.randn_like(x) if self.training else x)

        report = diglot.compare(Noisy, small, IMAGES)
        self.assertEqual([cell.verdict for cell in report.cells[:-1]], [Verdict.EQUAL] * (len(report.cells) - 1))
        self.assertIs(report.cells[-1].verdict, Verdict.DIFFERENT)
        self.assertIn("run again", report.cells[-1].cause)
