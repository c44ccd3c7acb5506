"""Each formula is found again from random data by what it gives, with its constants; and nothing where nothing fits."""

from __future__ import annotations

import unittest
from typing import Any

import numpy as np
import torch
from diglot.core.formulas.attention import attention
from diglot.core.formulas.recurrent import recurrent
from diglot.core.noise import generator
from diglot.core.port.identifying import identified
from parameterized import parameterized
from torch.nn import functional as F

Array = np.ndarray[Any, Any]


def draw(*shape: int, name: str = "x") -> Array:
    return generator(0, f"identify {name} {shape}").standard_normal(shape)


def tensor(array: Array) -> torch.Tensor:
    return torch.from_numpy(np.array(array))


def names(inputs: tuple[Array, ...], output: Array, tensors: dict[str, Array] | None = None) -> list[str]:
    return [found.name for found in identified(inputs, output, tensors or {})]


ACTIVATIONS = {
    "relu": F.relu,
    "relu6": lambda x: F.relu6(4 * x),
    "gelu in the exact form": F.gelu,
    "gelu in the tanh approximation": lambda x: F.gelu(x, approximate="tanh"),
    "gelu in the sigmoid approximation, x sigmoid(1.702 x)": lambda x: x * torch.sigmoid(1.702 * x),
    "silu": F.silu,
    "mish": F.mish,
    "selu": F.selu,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "hard sigmoid in the form clip(x / 6 + 0.5)": F.hardsigmoid,
    "hard sigmoid in the older form clip(0.2 x + 0.5)": lambda x: torch.clip(0.2 * x + 0.5, 0, 1),
    "hard swish": F.hardswish,
    "log sigmoid": F.logsigmoid,
    "elu of alpha 1": F.elu,
    "elu of alpha 0.3": lambda x: F.elu(x, 0.3),
    "celu of alpha 0.5": lambda x: F.celu(x, 0.5),
    "leaky relu of slope 0.01": F.leaky_relu,
    "leaky relu of slope 0.3": lambda x: F.leaky_relu(x, 0.3),
    "leaky relu of slope 0.2": lambda x: F.leaky_relu(x, 0.2),
    "x sigmoid(1.5 x)": lambda x: x * torch.sigmoid(1.5 * x),
    "softplus of beta 2": lambda x: F.softplus(x, 2.0),
    "softmax over channels (axis -1)": lambda x: F.softmax(x, -1),
    "softmax over time (axis 1)": lambda x: F.softmax(x, 1),
    "softmax over batch (axis 0)": lambda x: F.softmax(x, 0),
    "log softmax over channels (axis -1)": lambda x: F.log_softmax(x, -1),
    "softmax over channels (axis -1) of 0.5 times its input": lambda x: F.softmax(x / 2, -1),
    "2.828 = sqrt(8) times its input": lambda x: x * 8**0.5,
    "its input plus 0.25": lambda x: x + 0.25,
    "2 times its input plus -1": lambda x: 2 * x - 1,
    "its input unchanged": lambda x: x + 0,
    "its input with time reversed": lambda x: x.flip(1),
    "its input with the halves of channels swapped": lambda x: torch.cat([x[..., 4:], x[..., :4]], -1),
    "its input shifted 1 place later along time": lambda x: torch.cat([draw_like(x), x[:, :-1]], 1),
    "its input with time and channels swapped": lambda x: x.transpose(1, 2),
    "the mean over time (axis 1)": lambda x: x.mean(1),
    "the sum over time (axis 1)": lambda x: x.sum(1),
    "the maximum over time (axis 1)": lambda x: x.amax(1),
    "the unbiased variance over time (axis 1)": lambda x: x.var(1),
    "the variance over time (axis 1)": lambda x: x.var(1, correction=0),
    "its input's last place along time": lambda x: x[:, -1],
    "its input padded by 2 and 0 along time": lambda x: F.pad(x, (0, 0, 2, 0)),
    "its input cropped by 1 and 2 along time": lambda x: x[:, 1:-2],
    "its input with the future masked": lambda x: x + torch.full((6, 6), -1e9).triu(1)[:, :6],
}  # fmt: skip


def draw_like(x: torch.Tensor) -> torch.Tensor:
    return tensor(draw(*x[:, :1].shape, name="other"))


class Elementwise(unittest.TestCase):
    @parameterized.expand(list(ACTIVATIONS.items()))
    def test_is_found(self, name: str, function: Any) -> None:
        x = 4 * draw(5, 6, 6) if name in ("relu6",) else draw(5, 6, 6 if "masked" in name else 8)
        given = 4 * x if name == "relu6" else x
        output = function(tensor(x)).numpy()
        found = names((given,), output)
        self.assertIn(name, found[:1])

    @parameterized.expand([0.1, 0.37, -2.3, 1e-4, 31.0])
    def test_a_factor_is_no_normalisation(self, factor: float) -> None:
        for shape in ((5, 4), (1, 4), (2, 6, 8), (1, 3, 3, 2)):
            x = draw(*shape)
            found = identified((x,), factor * x, {})
            self.assertNotIn("normalisation", [item.family for item in found], shape)

    def test_nothing_is_claimed_of_noise(self) -> None:
        for shape in ((4, 6, 6, 8), (4, 3, 3, 8), (4, 6, 16), (4, 8), (4, 12, 12, 8)):
            with self.subTest(shape):
                self.assertEqual(names((draw(4, 6, 6, 8),), draw(*shape, name="y")), [])
                self.assertEqual(names((draw(4, 6, 6, 8),), draw(*shape, name="y"), {"kernel": draw(3, 3, 8, 8)}), [])


def layer_norm(x: Array, axes: tuple[int, ...], epsilon: float, ddof: int = 0, outside: bool = False) -> Array:
    mean = x.mean(axes, keepdims=True)
    variance = x.var(axes, keepdims=True, ddof=ddof)
    root = np.sqrt(variance) + epsilon if outside else np.sqrt(variance + epsilon)
    return np.asarray((x - mean) / root)


GAMMA, BETA = 1 + 0.1 * draw(8, name="gamma"), draw(8, name="beta")
OWN = {"gamma": GAMMA, "beta": BETA}
NORMS = {
    "layer norm over channels (axis -1), epsilon 1e-05": lambda x: layer_norm(x, (3,), 1e-5) * GAMMA + BETA,
    "layer norm over channels (axis -1), epsilon 0.001": lambda x: layer_norm(x, (3,), 1e-3) * GAMMA + BETA,
    "layer norm over height, width and channels (axes 1, 2, -1), epsilon 1e-06": lambda x: (
        layer_norm(x, (1, 2, 3), 1e-6) * GAMMA + BETA
    ),
    "layer norm over channels (axis -1), epsilon 0.01 outside the root, the unbiased variance": lambda x: (
        layer_norm(x, (3,), 1e-2, 1, True) * GAMMA + BETA
    ),
    "instance norm over height and width (axes 1, 2), epsilon 1e-05": lambda x: (
        layer_norm(x, (1, 2), 1e-5) * GAMMA + BETA
    ),
    "batch norm by the batch's own statistics, epsilon 1e-05": lambda x: layer_norm(x, (0, 1, 2), 1e-5) * GAMMA + BETA,
    "layer norm over channels (axis -1), epsilon 1e-05, 1 + gamma for its factor": lambda x: (
        layer_norm(x, (3,), 1e-5) * (1 + GAMMA) + BETA
    ),
    "layer norm over channels (axis -1), epsilon 1e-05, without beta": lambda x: layer_norm(x, (3,), 1e-5) * GAMMA,
    "rms norm over channels (axis -1), epsilon 1e-06": lambda x: (
        x / np.sqrt(np.mean(x**2, -1, keepdims=True) + 1e-6) * GAMMA + BETA
    ),
    "group norm of 4 groups, epsilon 1e-05": lambda x: (
        np.moveaxis(F.group_norm(tensor(np.moveaxis(x, -1, 1)), 4, eps=1e-5).numpy(), 1, -1) * GAMMA + BETA
    ),
}


class Normalisations(unittest.TestCase):
    @parameterized.expand(list(NORMS.items()))
    def test_is_found(self, name: str, function: Any) -> None:
        x = 0.3 * draw(3, 4, 5, 8) + 0.5
        self.assertEqual(names((x,), function(x), OWN)[:1], [name])

    def test_by_running_statistics(self) -> None:
        x, mean, variance = draw(3, 4, 5, 8), draw(8, name="mean"), draw(8, name="variance") ** 2
        y = (x - mean) / np.sqrt(variance + 1e-3) * GAMMA + BETA
        found = names((x,), y, {**OWN, "mean": mean, "variance": variance})
        self.assertEqual(found[:1], ["batch norm by the running statistics, epsilon 0.001"])

    def test_along_another_axis(self) -> None:
        x = draw(3, 8, 8)
        y = layer_norm(x, (1,), 1e-3) * GAMMA[:, None] + BETA[:, None]
        wanted = "normalisation over time (axis 1), epsilon 0.001, gamma along time"
        self.assertEqual(names((x,), y, OWN)[:1], [wanted.replace("normalisation", "instance norm")])

    def test_tensors_of_a_custom_layer(self) -> None:
        x = draw(3, 6, 8)
        y = layer_norm(x, (2,), 1e-6) * GAMMA + BETA
        found = names((x,), y, {"a_2": GAMMA, "b_2": BETA})
        self.assertEqual(
            found[:1], ["layer norm over channels (axis -1), epsilon 1e-06, `a_2` for its factor, `b_2` added"]
        )


class Shapes(unittest.TestCase):
    @parameterized.expand(
        [
            ("max pooling with window 3, stride 2, padding 1", lambda x: F.max_pool2d(x, 3, 2, 1)),
            ("max pooling with window 2, stride 2, padding 0", lambda x: F.max_pool2d(x, 2)),
            (
                "average pooling with window 3, stride 1, padding 1, which counts",
                lambda x: F.avg_pool2d(x, 3, 1, 1),
            ),
            (
                "average pooling with window 3, stride 1, padding 1, which does not count",
                lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
            ),
            ("resizing to 12 x 12, nearest", lambda x: F.interpolate(x, scale_factor=2)),
            ("resizing to 9 x 9, nearest", lambda x: F.interpolate(x, (9, 9))),
            (
                "resizing to 9 x 9, nearest by the centres of pixels",
                lambda x: F.interpolate(x, (9, 9), mode="nearest-exact"),
            ),
            (
                "resizing to 12 x 12, linear, corners not aligned",
                lambda x: F.interpolate(x, (12, 12), mode="bilinear", align_corners=False),
            ),
            (
                "resizing to 12 x 12, linear, corners aligned",
                lambda x: F.interpolate(x, (12, 12), mode="bilinear", align_corners=True),
            ),
            (
                "resizing to 12 x 12, cubic of parameter -0.75",
                lambda x: F.interpolate(x, (12, 12), mode="bicubic", align_corners=False),
            ),
            (
                "its input with channels taken to space in the order (channels, block), as PyTorch's PixelShuffle",
                lambda x: F.pixel_shuffle(x, 2),
            ),
            ("its input with height and width swapped", lambda x: x.transpose(2, 3)),
            ("its input flattened with height, width and channels permuted", lambda x: x.flatten(1)),
        ]
    )
    def test_is_found(self, name: str, function: Any) -> None:
        x = draw(2, 6, 6, 8)
        y = function(tensor(np.moveaxis(x, -1, 1))).numpy()
        self.assertIn(name, names((x,), np.moveaxis(y, 1, -1) if y.ndim == 4 else y))

    @parameterized.expand(
        [
            ("its first input plus its second input", lambda a, b: a + b),
            ("its second input minus its first input", lambda a, b: b - a),
            ("its first input times its second input", lambda a, b: a * b),
            ("its first input plus 0.1 times its second input", lambda a, b: a + 0.1 * b),
            ("its second input, its first input concatenated along channels", lambda a, b: np.concatenate([b, a], -1)),
            ("relu of its first input plus its second input", lambda a, b: np.maximum(a + b, 0)),
            ("silu of its first input, times its second input", lambda a, b: a / (1 + np.exp(-a)) * b),
            ("its first input @ its second input transposed", lambda a, b: a @ b.transpose(0, 2, 1)),
            (
                "0.3536 = 1 / sqrt(8) times its first input @ its second input transposed",
                lambda a, b: a @ b.transpose(0, 2, 1) / 8**0.5,
            ),
        ]
    )
    def test_of_two_is_found(self, name: str, function: Any) -> None:
        a, b = draw(3, 5, 8, name="a"), draw(3, 5, 8, name="b")
        self.assertEqual(names((a, b), function(a, b))[:1], [name])


class Weighted(unittest.TestCase):
    def test_dense(self) -> None:
        x, kernel, bias = draw(4, 12), draw(12, 12, name="k"), draw(12, name="b")
        own = {"kernel": kernel, "bias": bias}
        self.assertEqual(names((x,), x @ kernel + bias, own), ["dense layer with its kernel"])
        self.assertEqual(names((x,), x @ kernel.T + bias, own), ["dense layer with its kernel transposed"])
        self.assertEqual(names((x,), x @ kernel, own), ["dense layer with its kernel, without its bias"])
        moved = x.reshape(4, 4, 3).transpose(0, 2, 1).reshape(4, 12)
        wanted = "dense layer with its kernel, its input flattened as 3 channels of 4 places, channels first"
        self.assertEqual(names((x,), moved @ kernel + bias, own), [wanted])

    def test_lookup(self) -> None:
        table, x = draw(9, 4, name="table"), generator(0, "tokens").integers(1, 8, size=(6, 2))
        for name, output in (
            ("rows of its table", table[x]),
            ("rows of its table, of column 1", table[x[:, 1]]),
            ("rows of its table, counted from 1", table[x - 1]),
            ("2 = sqrt(4) times rows of its table", 2 * table[x]),
        ):
            with self.subTest(name):
                self.assertEqual(names((x,), output, {"table": table}), [name])

    def test_dense_along_another_axis(self) -> None:
        x, kernel = draw(4, 6, 6), draw(6, 6, name="k")
        y = (x.swapaxes(1, 2) @ kernel).swapaxes(1, 2)
        wanted = "dense layer with its kernel along time, as if time and channels swapped"
        self.assertEqual(names((x,), y, {"kernel": kernel}), [wanted])

    @parameterized.expand([(0, 1), (1, 0), (2, 1)])
    def test_transposed_convolution(self, padding: int, extra: int) -> None:
        x, kernel, bias = draw(2, 5, 5, 4), draw(3, 3, 6, 4, name="k"), draw(6, name="b")
        weight = tensor(np.transpose(kernel, (3, 2, 0, 1)))
        y = F.conv_transpose2d(tensor(np.moveaxis(x, -1, 1)), weight, tensor(bias), 2, padding, extra)
        found = names((x,), np.moveaxis(y.numpy(), 1, -1), {"kernel": kernel, "bias": bias})
        wanted = (
            f"transposed convolution with stride 2, dilation 1, cropped by {padding} before and {padding - extra} after"
        )
        self.assertEqual(found, [wanted])

    def test_an_initial_state(self) -> None:
        layer = torch.nn.GRU(4, 5, batch_first=True).double()
        parts = {name: np.split(value.detach().numpy(), 3) for name, value in layer.named_parameters()}
        own = {}
        for place, gate in enumerate(("reset", "update", "new")):
            for short, long in (("weight_ih", "kernel"), ("weight_hh", "recurrent_kernel")):
                own[f"{long}.{gate}"] = parts[f"{short}_l0"][place].T
            own[f"bias.{gate}"], own[f"recurrent_bias.{gate}"] = parts["bias_ih_l0"][place], parts["bias_hh_l0"][place]
        x, state = draw(2, 6, 4), draw(1, 2, 5, name="state")
        y = layer(tensor(x), tensor(state))[0].detach().numpy()
        wanted = "gru with the reset after the recurrent product from the initial state that it is given"
        self.assertEqual(names((x, state), y, own)[:1], [wanted])

    @parameterized.expand(
        [
            ("convolution with stride 2, dilation 1, padding 1", 2, 1, 1, 1, False),
            ("convolution with stride 1, dilation 2, padding 2", 1, 2, 2, 1, False),
            ("convolution with stride 1, dilation 1, padding 1", 1, 1, 1, 2, False),
            ("convolution with stride 1, dilation 1, padding 1, kernel flipped", 1, 1, 1, 1, True),
        ]
    )
    def test_convolution(self, name: str, stride: int, dilation: int, padding: int, groups: int, flip: bool) -> None:
        x, kernel, bias = draw(2, 8, 8, 4), draw(3, 3, 4 // groups, 6, name="k"), draw(6, name="b")
        weight = tensor(np.transpose(kernel[::-1, ::-1] if flip else kernel, (3, 2, 0, 1)))
        y = F.conv2d(tensor(np.moveaxis(x, -1, 1)), weight, tensor(bias), stride, padding, dilation, groups)
        found = names((x,), np.moveaxis(y.numpy(), 1, -1), {"kernel": kernel, "bias": bias})
        self.assertEqual(found, [name])

    def test_asymmetric_padding(self) -> None:
        x, kernel = draw(2, 8, 8, 4), draw(3, 3, 4, 6, name="k")
        wide = F.pad(tensor(np.moveaxis(x, -1, 1)), (0, 1, 0, 1))
        y = F.conv2d(wide, tensor(np.transpose(kernel, (3, 2, 0, 1))), stride=2)
        found = names((x,), np.moveaxis(y.numpy(), 1, -1), {"kernel": kernel})
        self.assertEqual(found, ["convolution with stride 2, dilation 1, padding 0 before and 1 after"])

    @parameterized.expand([("lstm",), ("gru",)])
    def test_gates_in_another_order(self, kind: str) -> None:
        layer = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind](4, 5, batch_first=True).double()
        gates = {"lstm": ("input", "forget", "cell", "output"), "gru": ("reset", "update", "new")}[kind]
        parts = {name: np.split(value.detach().numpy(), len(gates)) for name, value in layer.named_parameters()}
        own: dict[str, Array] = {}
        for place, gate in enumerate(gates):
            own[f"kernel.{gate}"] = parts["weight_ih_l0"][place].T
            own[f"recurrent_kernel.{gate}"] = parts["weight_hh_l0"][place].T
            both = (parts["bias_ih_l0"][place], parts["bias_hh_l0"][place])
            own[f"bias.{gate}"] = both[0] + both[1] if kind == "lstm" else both[0]
            if kind == "gru":
                own[f"recurrent_bias.{gate}"] = both[1]
        x = draw(2, 6, 4)
        y = layer(tensor(x))[0].detach().numpy()
        plain = {"lstm": "lstm", "gru": "gru with the reset after the recurrent product"}[kind]
        self.assertEqual(names((x,), y, own)[:1], [plain])
        self.assertEqual(names((x,), y[:, -1], own)[:1], [f"{plain}, its last state"])
        one, other = gates[:2]
        swapped = {name: own[name.replace(one, "?").replace(other, one).replace("?", other)] for name in own}
        found = next(found for found in recurrent((x,), y, swapped) if found.digits > 12)
        self.assertIn(f"used as {other}, {one}", found.name)

    @parameterized.expand(
        [
            ("attention with scale 1 / sqrt(6), every place seen", 6**-0.5, False, None),
            ("attention with no scale, every place seen", 1.0, False, None),
            ("attention with scale 1 / sqrt(6), causal", 6**-0.5, True, None),
            ("attention with scale 1 / sqrt(6), True in its mask attended to", 6**-0.5, False, True),
            ("attention with scale 1 / sqrt(6), True in its mask masked out", 6**-0.5, False, False),
        ]
    )
    def test_attention(self, name: str, scale: float, causal: bool, sense: bool | None) -> None:
        q, k, v = (draw(2, 3, 5, 6, name=part) for part in "qkv")
        mask = generator(1, "mask").random((2, 1, 5, 5)) < 0.6
        mask[..., 0], mask[..., 1] = True, False
        mask[0] = True
        given = None if sense is None else tensor(mask if sense else ~mask)
        y = F.scaled_dot_product_attention(*map(tensor, (q, k, v)), given, is_causal=causal, scale=scale).numpy()
        inputs = (q, k, v) if sense is None else (q, k, v, mask)
        best = max(attention(inputs, y, {}), key=lambda found: found.digits)
        self.assertEqual(best.name, name)
        if sense is not None:  # the same mask as a summand
            added = np.where(mask if sense else ~mask, 0.0, -np.inf)
            best = max(attention((q, k, v, added), y, {}), key=lambda found: found.digits)
            self.assertEqual(best.name, "attention with scale 1 / sqrt(6), -inf in its mask masked out")
        moved = [np.swapaxes(array, 1, 2) for array in (q, k, v)]
        self.assertEqual(names((*moved, *inputs[3:]), np.swapaxes(y, 1, 2))[:1], [name])


if __name__ == "__main__":
    unittest.main()
