"""Weights between users' own live models: every layout, both ways, to the bit; and what is refused."""

import unittest
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import torch
from diglot.core import compare, floor
from diglot.core.errors import InputError, SpecError, StateError
from diglot.core.port.mapping import WeightMapping
from diglot.core.port.subject import examine
from diglot.core.verdict import Verdict
from parameterized import parameterized
from torch import nn

import diglot

layers = keras.layers
RNG = np.random.default_rng(0)
IMAGE, CUBE, SERIES, VOLUME = (4, 6, 3), (4, 4, 3), (7, 3), (4, 5, 3, 2)


def floats(shape: tuple[int, ...]) -> np.ndarray:
    return RNG.standard_normal((2, *shape))


def sequential(shape: tuple[int, ...], *made: Any, dtype: str = "float32") -> keras.Model:
    return keras.Sequential([layers.Input(shape, dtype=dtype), *made])


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], **options: Any) -> None:
        super().__init__()
        self.inner = kind(3, 4, batch_first=True, **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)[0]


class Attending(nn.Module):
    def __init__(self, packed: bool = True) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(6, 2, batch_first=True) if packed else None
        if not packed:
            self.to_q, self.to_k, self.to_v, self.out = (nn.Linear(6, 6) for _ in range(4))
        self.last = nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.attend is not None:
            return self.last(self.attend(x, x, x, need_weights=False)[0])
        split = [one(x).unflatten(-1, (2, 3)).transpose(1, 2) for one in (self.to_q, self.to_k, self.to_v)]
        mixed = nn.functional.scaled_dot_product_attention(*split)
        return self.last(self.out(mixed.transpose(1, 2).flatten(2)))


class Gap(nn.Module):
    """Features of the sequence axis and the channels, as a reader of lines of text has them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.read = nn.Conv2d(3, 4, 3, padding=1), nn.LSTM(16, 5, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.read(self.conv(x).permute(0, 3, 1, 2).flatten(2))[0]


class Joined(nn.Module):
    """A flattened map and a few numbers of it, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 4, 3), nn.Linear(32 + 3 + 32, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = self.conv(x)
        return self.last(torch.cat([seen.flatten(1), x.mean((2, 3)), seen.relu().flatten(1)], 1))


class Placed(nn.Module):
    """A normalisation over all of a map, and a weight for each of its places, of a map that is a cube of numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.LayerNorm([4, 4, 4])
        self.places = nn.Parameter(torch.zeros(1, 4, 4, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x)) + self.places


class Places(layers.Layer):
    def build(self, shape: tuple[int, ...]) -> None:
        self.places = self.add_weight(shape=(1, *shape[1:]), name="places")

    def call(self, x: Any) -> Any:
        return x + self.places


class Generating(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.grow, self.norm = nn.Linear(3, 24), nn.BatchNorm1d(24)
        self.paint = nn.ConvTranspose2d(4, 2, 2, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.paint(torch.relu(self.norm(self.grow(x))).view(-1, 4, 3, 2))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.embed(x))


def attending() -> keras.Model:
    x = layers.Input((5, 6))
    return keras.Model(x, layers.Dense(6)(layers.MultiHeadAttention(2, 3)(x, x, x)))


def apart() -> keras.Model:
    x = layers.Input((5, 6))
    split = [layers.Permute((2, 1, 3))(layers.Reshape((5, 2, 3))(layers.Dense(6, name=n)(x))) for n in ("q", "k", "v")]
    scores = keras.ops.matmul(split[0], keras.ops.transpose(split[1], (0, 1, 3, 2))) / np.sqrt(3.0)
    mixed = layers.Permute((2, 1, 3))(keras.ops.matmul(keras.ops.softmax(scores), split[2]))
    return keras.Model(x, layers.Dense(6, name="last")(layers.Dense(6, name="out")(layers.Reshape((5, 6))(mixed))))


def joined() -> keras.Model:
    x = layers.Input(IMAGE)
    seen = layers.Conv2D(4, 3)(x)
    flat = [layers.Flatten()(seen), layers.GlobalAveragePooling2D()(x), layers.Flatten()(layers.ReLU()(seen))]
    return keras.Model(x, layers.Dense(5)(layers.Concatenate()(flat)))


def tied() -> keras.Model:
    x = layers.Input((5,), dtype="int32")
    table = layers.ReversibleEmbedding(9, 4, tie_weights=True)
    return keras.Model(x, table(table(x), reverse=True))


def norm() -> Any:
    return layers.BatchNormalization(epsilon=1e-5)


def both_ways() -> Any:
    return layers.Bidirectional(layers.LSTM(4, return_sequences=True))


CASES: list[tuple[str, Callable[[], nn.Module], Callable[[], keras.Model], tuple[int, ...]]] = [
    ("dense", lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 3)),
     lambda: sequential((3,), layers.Dense(5, "tanh"), layers.Dense(3)), (3,)),
    ("convolution1d", lambda: nn.Conv1d(3, 4, 3), lambda: sequential(SERIES, layers.Conv1D(4, 3)), SERIES),
    ("convolution2d", lambda: nn.Sequential(nn.Conv2d(3, 4, (3, 2)), nn.BatchNorm2d(4)),
     lambda: sequential(IMAGE, layers.Conv2D(4, (3, 2)), norm()), IMAGE),
    ("convolution3d", lambda: nn.Conv3d(2, 4, (3, 2, 1)),
     lambda: sequential(VOLUME, layers.Conv3D(4, (3, 2, 1))), VOLUME),
    ("depthwise", lambda: nn.Conv2d(3, 6, 3, groups=3),
     lambda: sequential(IMAGE, layers.DepthwiseConv2D(3, depth_multiplier=2)), IMAGE),
    ("grouped", lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 6, 3, groups=2)),
     lambda: sequential(IMAGE, layers.Conv2D(4, 1), layers.Conv2D(6, 3, groups=2)), IMAGE),
    ("separable", lambda: nn.Sequential(nn.Conv2d(3, 3, 3, groups=3, bias=False), nn.Conv2d(3, 5, 1)),
     lambda: sequential(IMAGE, layers.SeparableConv2D(5, 3)), IMAGE),
    ("transposed", lambda: nn.ConvTranspose2d(3, 4, 2, stride=2),
     lambda: sequential(IMAGE, layers.Conv2DTranspose(4, 2, strides=2)), IMAGE),
    ("flattened",
     lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.BatchNorm1d(32), nn.Linear(32, 5)),
     lambda: sequential(IMAGE, layers.Conv2D(4, 3), layers.ReLU(), layers.Flatten(), norm(), layers.Dense(5)), IMAGE),
    ("flattened1d", lambda: nn.Sequential(nn.Conv1d(3, 4, 3), nn.Flatten(), nn.Linear(20, 5)),
     lambda: sequential(SERIES, layers.Conv1D(4, 3), layers.Flatten(), layers.Dense(5)), SERIES),
    ("flattened3d", lambda: nn.Sequential(nn.Conv3d(2, 4, 2), nn.Flatten(), nn.Linear(96, 5)),
     lambda: sequential(VOLUME, layers.Conv3D(4, 2), layers.Flatten(), layers.Dense(5)), VOLUME),
    ("columns", Gap, lambda: sequential(IMAGE, layers.Conv2D(4, 3, padding="same"), layers.Permute((2, 1, 3)),
                                        layers.Reshape((6, 16)), layers.LSTM(5, return_sequences=True)), IMAGE),
    ("joined", Joined, joined, IMAGE),
    ("placed", Placed, lambda: sequential(CUBE, layers.Conv2D(4, 3, padding="same"),
                                          layers.LayerNormalization(axis=[1, 2, 3], epsilon=1e-5), Places()), CUBE),
    ("unflattened", Generating,
     lambda: sequential((3,), layers.Dense(24), norm(), layers.ReLU(), layers.Reshape((3, 2, 4)),
                        layers.Conv2DTranspose(2, 2, strides=2)), (3,)),
    ("pixels", lambda: nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 2, 1)),
     lambda: sequential(IMAGE, layers.Dense(8, "relu"), layers.Dense(2)), IMAGE),
    ("layer_norm", lambda: nn.Sequential(nn.Linear(3, 6), nn.LayerNorm(6)),
     lambda: sequential(SERIES, layers.Dense(6), layers.LayerNormalization(epsilon=1e-5)), SERIES),
    ("group_norm", lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.PReLU(4)),
     lambda: sequential(IMAGE, layers.Conv2D(4, 3), layers.GroupNormalization(2, epsilon=1e-5),
                        layers.PReLU(shared_axes=[1, 2])), IMAGE),
    ("lstm", lambda: Recurrent(nn.LSTM, num_layers=2, bidirectional=True),
     lambda: sequential(SERIES, both_ways(), both_ways()), SERIES),
    ("gru", lambda: Recurrent(nn.GRU), lambda: sequential(SERIES, layers.GRU(4, return_sequences=True)), SERIES),
    ("rnn", lambda: Recurrent(nn.RNN), lambda: sequential(SERIES, layers.SimpleRNN(4, return_sequences=True)), SERIES),
    ("attention", Attending, attending, (5, 6)),
    ("attention_apart", lambda: Attending(False), apart, (5, 6)),
    ("attention_of_dense", Attending, apart, (5, 6)),
    ("dense_of_attention", lambda: Attending(False), attending, (5, 6)),
]  # fmt: skip


def randomised(model: Any) -> Any:
    """Every number of a live model drawn anew; variances are positive."""
    if isinstance(model, nn.Module):
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                if tensor.is_floating_point():
                    tensor.copy_(torch.tensor(drawn(name, tuple(tensor.shape))))
            for name, parameter in model.named_parameters():
                if "bias_hh" in name and not isinstance(getattr(model, "inner", None), nn.GRU):
                    parameter.zero_()  # for the sum of both biases comes back as the first
    else:
        for variable in model.weights:
            if variable.dtype == "float32":
                variable.assign(drawn(variable.path, tuple(variable.shape)))
    return model


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    found = RNG.uniform(0.5, 1.5, shape) if "var" in name else RNG.standard_normal(shape) / 2
    return found.astype(np.float32)


def bits(model: Any) -> dict[str, np.ndarray]:
    if isinstance(model, nn.Module):
        return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items() if "num_batch" not in name}
    return {str(number): np.array(variable) for number, variable in enumerate(model.weights)}


def same(one: Any, other: Any) -> bool:
    first, second = bits(one), bits(other)
    return first.keys() == second.keys() and all(first[name].tobytes() == second[name].tobytes() for name in first)


class TransferTest(unittest.TestCase):
    @parameterized.expand(CASES)
    def test_both_ways_to_the_bit(self, name: str, ours: Any, theirs: Any, shape: tuple[int, ...]) -> None:
        batch = floats(shape)
        first, second = randomised(ours()), randomised(theirs())
        mapping = diglot.transfer(first, second, inputs=batch)
        self.assertEqual(len(mapping), len(bits(first)))
        self.alike(first, second, batch)
        returned = ours()
        diglot.transfer(second, returned)
        self.assertTrue(same(first, returned))
        again = theirs()
        diglot.transfer(returned, again)
        self.assertTrue(same(second, again))

    def alike(self, ours: Any, theirs: Any, batch: np.ndarray) -> None:
        pictures = batch.ndim > 3 or any(isinstance(one, nn.Conv1d) for one in ours.modules())
        moved = np.moveaxis(batch, -1, 1) if pictures else batch
        one, other = [examine(side, model, [np.ascontiguousarray(each)]).run([each], watch=False).outputs["output"]
                      for side, model, each in (("torch", ours.eval(), moved), ("keras", theirs, batch))]  # fmt: skip
        square = one.ndim == 4 and isinstance(ours, Placed)
        one = np.moveaxis(one, 1, -1) if square or (one.ndim > 2 and one.shape != other.shape) else one
        found = compare.pair("output", one, other, floor.unit(other, floor.NARROW))
        self.assertEqual(found.verdict, Verdict.EQUAL, found)

    def test_two_biases_are_one_and_come_back_as_the_first(self) -> None:
        first, second = nn.LSTM(3, 4, batch_first=True), sequential(SERIES, layers.LSTM(4, return_sequences=True))
        diglot.transfer(first, second)
        total = (first.bias_ih_l0 + first.bias_hh_l0).detach().numpy()
        np.testing.assert_array_equal(np.array(second.weights[2]), total)
        diglot.transfer(second, first)
        np.testing.assert_array_equal(first.bias_ih_l0.detach().numpy(), total)
        self.assertFalse(first.bias_hh_l0.any())

    def test_tied_weights_are_one(self) -> None:
        first, second = randomised(Tied()), tied()
        mapping = diglot.transfer(first, second)
        self.assertEqual(list(mapping), ["embed.weight"])
        returned = Tied()
        diglot.transfer(second, returned)
        self.assertTrue(same(first, returned))

    def test_a_normalised_weight_comes_as_what_it_is_worth(self) -> None:
        first = nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))
        second = sequential((3,), layers.Dense(4))
        diglot.transfer(first, second)
        held = first.weight.detach().numpy()
        np.testing.assert_array_equal(np.array(second.weights[0]), held.T)

    @parameterized.expand(["weight_norm", "spectral_norm"])
    def test_a_convolution_that_is_normed_by_a_hook_goes_both_ways(self, name: str) -> None:
        torch.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            first = nn.Sequential(getattr(nn.utils, name)(nn.Conv2d(3, 4, 3)))
        before = {key: value.clone() for key, value in first.state_dict().items()}
        second = sequential(IMAGE, layers.Conv2D(4, 3))
        self.assertEqual(sorted(diglot.transfer(first, second)), ["0.bias", "0.weight"])
        self.assertTrue(all(torch.equal(value, before[key]) for key, value in first.state_dict().items()))
        kernel = np.array(second.weights[0]) * 2
        second.weights[0].assign(kernel)
        if name == "spectral_norm":
            with self.assertRaisesRegex(StateError, "cannot give the numbers"):
                diglot.transfer(second, first)
            self.assertTrue(all(torch.equal(value, before[key]) for key, value in first.state_dict().items()))
            return
        diglot.transfer(second, first)
        returned = sequential(IMAGE, layers.Conv2D(4, 3))
        diglot.transfer(first, returned)
        unit = np.spacing(np.abs(kernel).max())
        self.assertIs(compare.pair("", np.array(returned.weights[0]), kernel, unit).verdict, Verdict.EQUAL)

    def test_a_spectral_norm_does_not_move_when_it_is_read_in_training_mode(self) -> None:
        torch.manual_seed(0)
        first = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 4))
        before = {key: value.clone() for key, value in first.state_dict().items()}
        second = sequential((3,), layers.Dense(4))
        diglot.transfer(first, second)
        self.assertTrue(first.training)
        self.assertTrue(all(torch.equal(value, before[key]) for key, value in first.state_dict().items()))
        np.testing.assert_array_equal(np.array(second.weights[0]), first.eval().weight.detach().numpy().T)

    def test_a_convolution_of_a_class_of_its_own_lies_as_a_kernel(self) -> None:
        class Modulated(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.weight = nn.Parameter(torch.randn(1, 4, 4, 3, 3))

        class Kernel(layers.Layer):
            def build(self, shape: Any) -> None:
                self.kernel = self.add_weight(shape=(3, 3, 4, 4), name="kernel")

            def call(self, x: Any) -> Any:
                return keras.ops.conv(x, self.kernel)

        first, second = Modulated(), sequential((5, 5, 4), Kernel())
        diglot.transfer(first, second)
        held = first.weight.detach().numpy()[0]
        np.testing.assert_array_equal(np.array(second.weights[0]), held.transpose(2, 3, 1, 0))

    def test_into_another_type_and_out_of_it(self) -> None:
        first, second = nn.Linear(3, 4).double(), sequential((3,), layers.Dense(4))
        diglot.transfer(first, second)
        np.testing.assert_array_equal(np.array(second.weights[0]), first.weight.detach().numpy().T.astype(np.float32))
        diglot.transfer(second, first)
        np.testing.assert_array_equal(first.weight.detach().numpy().T, np.array(second.weights[0], np.float64))
        half = nn.Linear(3, 4).half()
        before = half.weight.detach().clone()
        second.layers[-1].bias.assign([0.0, 1e6, 0.0, 0.0])
        with self.assertRaisesRegex(StateError, "too large"):
            diglot.transfer(second, half)
        self.assertTrue(torch.equal(before, half.weight))

    def test_how_many_weights_are_rounded_is_said(self) -> None:
        first, second = nn.Linear(3, 4).double(), sequential((3,), layers.Dense(4))
        self.assertEqual(diglot.transfer(second, first).settled, ())
        with torch.no_grad():
            first.weight += 1e-12
        found = diglot.transfer(first, second)
        self.assertEqual(found.settled, ("1 weight was rounded from float64 to float32",))
        self.assertEqual(diglot.transfer(second, first, found).settled, ())
        half = nn.Linear(3, 4).bfloat16()
        second.layers[-1].bias.assign([0.1, 0.2, 0.3, 0.4])
        self.assertEqual(diglot.transfer(second, half).settled, ("2 weights were rounded from float32 to bfloat16",))
        self.assertEqual(diglot.transfer(half, second).settled, ())

    def test_inputs_in_another_layout_are_asked_for(self) -> None:
        class Frames(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.conv = nn.Conv2d(3, 4, 1)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])

        first, second = Frames(), sequential((5, 4, 6, 3), layers.TimeDistributed(layers.Conv2D(4, 1)))
        video = floats((5, 4, 6, 3))
        said = r"\(2, 3, 5, 4, 6\) and as 0: \(2, 5, 4, 6, 3\): .*torch_inputs="
        for asked in (
            lambda: diglot.transfer(first, second, inputs=video),
            lambda: diglot.compare(first, second, video),
        ):
            with self.assertRaisesRegex(InputError, said):
                asked()
        diglot.transfer(first, second, inputs=video, torch_inputs=np.moveaxis(video, -1, 2))
        np.testing.assert_array_equal(
            np.array(second.weights[0])[0, 0].T, first.conv.weight.detach().numpy()[..., 0, 0]
        )

    @parameterized.expand([
        ("outputs", "btd,dhk->bthk", (None, 2, 4), "hk"),
        ("packed", "btd,dchk->btchk", (None, 3, 2, 4), "chk"),
        ("packed_in_heads", "btd,dhck->bthck", (None, 2, 3, 4), "hck"),
        ("packed_within_heads", "btd,dhk->bthk", (None, 2, 12), "hk"),
        ("kernel_turned", "btd,khdc->btchk", (None, 3, 2, 4), "chk"),
    ])  # fmt: skip
    def test_projections_of_several_axes(self, name: str, equation: str, shape: tuple[int, ...], bias: str) -> None:
        split = {"hck": 3, "chk": 2}.get(bias)

        class Attend(layers.Layer):
            def __init__(self) -> None:
                super().__init__()
                self.query = layers.EinsumDense(equation, shape, bias_axes=bias)
                if shape == (None, 2, 4):
                    self.key, self.value = (layers.EinsumDense(equation, shape, bias_axes=bias) for _ in range(2))
                self.out = layers.EinsumDense("bthk,khd->btd", (None, 6), bias_axes="d", name="out")

            def call(self, x: Any) -> Any:
                ops = keras.ops
                made = self.query(x)
                if shape == (None, 2, 4):
                    made = [made, self.key(x), self.value(x)]
                else:
                    made = ops.unstack(made, axis=split) if split else ops.split(made, 3, -1)
                weights = ops.softmax(ops.einsum("bthk,bshk->bhts", made[0], made[1]) / 2)
                return self.out(ops.einsum("bhts,bshk->bthk", weights, made[2]))

        class Projected(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.q, self.k, self.v, self.o = nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(8, 6)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                split = [one(x).unflatten(-1, (2, 4)).transpose(1, 2) for one in (self.q, self.k, self.v)]
                return self.o(nn.functional.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2))

        x = layers.Input((5, 6))
        first, second, back = Projected(), keras.Model(x, Attend()(x)), Projected()
        batch = floats((5, 6)).astype(np.float32)
        diglot.transfer(first, second, inputs=batch)
        diglot.transfer(second, back, inputs=batch)
        for key, value in first.state_dict().items():
            self.assertTrue(torch.equal(value, back.state_dict()[key]))
        self.assertTrue(diglot.compare(first, second, batch, checks="forward").passed)

    @parameterized.expand([
        ("as_it_is", "bhwc,hwcxyz->bxyz"), ("kernel_turned", "bhwc,chzwxy->bxyz"),
    ])  # fmt: skip
    def test_a_dense_layer_over_a_map_that_pytorch_flattens(self, name: str, equation: str) -> None:
        first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(32, 24), nn.Unflatten(1, (2, 3, 4)),
                              nn.Conv2d(2, 3, 1))  # fmt: skip
        dense = layers.EinsumDense(equation, (3, 4, 2), bias_axes="xyz")
        second = sequential(IMAGE, layers.Conv2D(4, 3), dense, layers.Conv2D(3, 1))
        batch = floats(IMAGE).astype(np.float32)
        diglot.transfer(first, second, inputs=batch)
        self.alike(first, second, batch)
        self.assertTrue(diglot.compare(first, second, batch, checks="forward").passed)

    def test_the_order_of_packed_outputs_is_said_where_nothing_tells_it(self) -> None:
        first = nn.Linear(6, 24)
        second = sequential((5, 6), layers.EinsumDense("btd,dhck->bthck", (None, 2, 3, 4), bias_axes="hck"))
        self.assertIn("outputs of weight are taken as (2, 3, 4)", diglot.transfer(first, second).settled[0])

    def test_nothing_is_written_where_something_is_missing(self) -> None:
        first, second = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2, bias=False)), randomised(
            sequential((3,), layers.Dense(4), layers.Dense(2)))  # fmt: skip
        before = bits(second)
        with self.assertRaisesRegex(StateError, r"Keras alone has dense\w*/bias \(2,\)"):
            diglot.transfer(first, second)
        for name, array in bits(second).items():
            np.testing.assert_array_equal(array, before[name])
        diglot.transfer(first, second, ignore=f"{second.layers[-1].name}/bias")
        np.testing.assert_array_equal(np.array(second.weights[2]), first[1].weight.detach().numpy().T)

    def test_names_settle_what_nothing_tells(self) -> None:
        class Beside(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.left, self.right = nn.Linear(3, 3), nn.Linear(3, 3)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.left(x) * self.right(x)

        x = layers.Input((3,))
        second = keras.Model(x, layers.Dense(3, name="p")(x) * layers.Dense(3, name="s")(x))
        first = Beside()
        with self.assertRaisesRegex(StateError, "cannot be told"):
            diglot.transfer(first, second)
        diglot.transfer(first, second, {"left": "s"})
        np.testing.assert_array_equal(np.array(second.get_layer("p").kernel), first.right.weight.detach().numpy().T)

    def test_a_model_of_the_users_own_class_is_run(self) -> None:
        class Unknown(keras.Model):
            def __init__(self) -> None:
                super().__init__()
                self.conv, self.flat, self.dense = layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(5)

            def call(self, x: Any) -> Any:
                return self.dense(self.flat(self.conv(x)))

        first, second = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(32, 5)), Unknown()
        with self.assertRaisesRegex(InputError, "no weights before it is built"):
            diglot.transfer(first, second)
        batch = floats(IMAGE)
        second(batch)
        diglot.transfer(first, second, inputs=batch)
        self.alike(first, second, batch)

    def test_a_stale_place_in_a_file_is_refused(self) -> None:
        first, second = nn.Linear(3, 4), sequential((3,), layers.Dense(4))
        matches = diglot.transfer(first, second).matches
        stale = replace(matches[0], keras=(replace(matches[0].keras[0], stored="layers/dense/vars/9"),))
        with self.assertRaisesRegex(StateError, "this model keeps it at layers/dense/vars/0; correct its keras_stored"):
            diglot.transfer(first, second, WeightMapping((stale, *matches[1:])))

    def test_models_without_weights_have_nothing_to_move(self) -> None:
        self.assertFalse(diglot.transfer(nn.ReLU(), sequential((3,), layers.ReLU())))

    @parameterized.expand([
        ("two_of_one", lambda: (nn.Linear(2, 2), nn.Linear(2, 2)), SpecError, "one framework"),
        ("no_model", lambda: (nn.Linear(2, 2), 3), InputError, "neither a PyTorch module nor a Keras model"),
        ("lazy", lambda: (nn.LazyLinear(2), sequential((2,), layers.Dense(2))), InputError, "first batch"),
        ("gru", lambda: (Recurrent(nn.GRU), sequential(SERIES, layers.GRU(4, reset_after=False))), StateError, "reset"),
    ])  # fmt: skip
    def test_what_cannot_be_done_is_refused(self, name: str, models: Any, kind: type[Exception], said: str) -> None:
        with self.assertRaisesRegex(kind, said):
            diglot.transfer(*models())
