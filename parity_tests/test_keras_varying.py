"""A step of a user's Keras model with another setting computes what PyTorch computes with that setting."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import torch
import torch.nn.functional as F
from diglot.core import compare, floor
from diglot.core.port.layer import Step
from diglot.core.port.subject import examine
from diglot.core.verdict import Verdict
from keras import layers as kl
from keras import ops
from parameterized import parameterized

PICTURE = (2, 9, 8, 4)
Changes = Sequence[tuple[str, Any]]
Wanted = Callable[[torch.Tensor, dict[str, torch.Tensor]], torch.Tensor]


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def weight(state: dict[str, np.ndarray], name: str, *order: int) -> torch.Tensor:
    array = next(array for key, array in state.items() if key.endswith(name))
    return torch.from_numpy(np.ascontiguousarray(np.transpose(array, order or None if array.ndim > 1 else None)).astype(
        np.float64))  # fmt: skip


def convolved(x: torch.Tensor, w: dict[str, np.ndarray], **options: Any) -> torch.Tensor:
    return F.conv2d(x, weight(w, "kernel", 3, 2, 0, 1), weight(w, "bias"), **options)


def padded(x: torch.Tensor, mode: str) -> torch.Tensor:
    return F.pad(x, (1, 1, 1, 1), mode=mode)


CONV = kl.Conv2D(6, 3, strides=2, padding="same")
ONE = ((1, 1), (1, 1))
POOLED = {"window": (3, 3), "strides": (2, 2), "padding": ONE}
CASES: list[tuple[str, Any, Changes, Any]] = [
    ("padding", CONV, [("padding", ONE)], lambda x, w: convolved(x, w, stride=2, padding=1)),
    ("strides", CONV, [("strides", (1, 1)), ("padding", ONE)], lambda x, w: convolved(x, w, padding=1)),
    ("dilation", CONV, [("strides", (1, 1)), ("dilation", (2, 2)), ("padding", ((2, 2), (2, 2)))],
     lambda x, w: convolved(x, w, padding=2, dilation=2)),
    *((mode, CONV, [("padding", ONE), ("padding_mode", mode)],
       lambda x, w, mode=mode: convolved(padded(x, mode), w, stride=2))
      for mode in ("reflect", "replicate", "circular")),
    ("depthwise", kl.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False), [("padding", ONE)],
     lambda x, w: F.conv2d(x, weight(w, "kernel", 2, 3, 0, 1), None, 2, 1, groups=4)),
    ("separable", kl.SeparableConv2D(5, 3, strides=2, padding="same"), [("padding", ONE)],
     lambda x, w: F.conv2d(x, weight(w, "depthwise_kernel", 2, 3, 0, 1), None, 2, 1, groups=4)),
    ("transposed", kl.Conv2DTranspose(5, 3, strides=2, padding="same"), [("padding", ((1, 0), (1, 0)))],
     lambda x, w: F.conv_transpose2d(x, weight(w, "kernel", 3, 2, 0, 1), weight(w, "bias"), 2, 1, 1)),
    ("of a function", kl.Lambda(lambda x: ops.max_pool(x, 3, 2, "same")), [("padding", ONE)],
     lambda x, w: F.max_pool2d(x, 3, 2, 1)),
    ("pooling", kl.MaxPooling2D(3, 2, "same"), [("padding", ONE)], lambda x, w: F.max_pool2d(x, 3, 2, 1)),
    ("pooling as a mean", kl.MaxPooling2D(3, 2, "same"),
     [("role", {"role": "average_pool", "counts_padding": True, **POOLED})], lambda x, w: F.avg_pool2d(x, 3, 2, 1)),
    ("counted border", kl.AveragePooling2D(3, 2, "same"), [("padding", ONE), ("counts_padding", True)],
     lambda x, w: F.avg_pool2d(x, 3, 2, 1)),
    ("border left out", kl.AveragePooling2D(3, 2, "same"), [("padding", ONE)],
     lambda x, w: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)),
    ("layer norm", kl.LayerNormalization(), [("epsilon", 1e-5)],
     lambda x, w: F.layer_norm(x.movedim(1, -1), (4,), eps=1e-5).movedim(-1, 1)),
    ("groups", kl.GroupNormalization(2), [("groups", 4), ("epsilon", 1e-5)], lambda x, w: F.group_norm(x, 4, eps=1e-5)),
    ("gelu", kl.Activation("gelu"), [("approximate", True)], lambda x, w: F.gelu(x, approximate="tanh")),
    ("slope", kl.LeakyReLU(0.3), [("slope", 0.01)], lambda x, w: F.leaky_relu(x, 0.01)),
    ("gelu for relu", kl.ReLU(), [("role", {"role": "gelu", "approximate": False})], lambda x, w: F.gelu(x)),
    ("axis", kl.Softmax(), [("axis", -3)], lambda x, w: F.softmax(x, 2)),
    ("whole", kl.GlobalAveragePooling2D(), [("role", {"role": "global_max_pool"})], lambda x, w: x.amax((2, 3))),
    *((f"{method} {aligned}", kl.UpSampling2D(2), [("method", method), ("aligned", aligned)],
       lambda x, w, method=method, aligned=aligned: F.interpolate(
           x, scale_factor=2, mode=method, align_corners=aligned))
      for method in ("bilinear", "bicubic") for aligned in (False, True)),
    ("nearest", kl.UpSampling2D(2, interpolation="bilinear"), [("method", "nearest")],
     lambda x, w: F.interpolate(x, scale_factor=2)),
    ("border", kl.ZeroPadding2D(1), [("padding", ((0, 1), (2, 0)))], lambda x, w: F.pad(x, (2, 0, 0, 1))),
    ("variance", kl.Lambda(lambda x: ops.var(x, axis=(1, 2))), [("unbiased", True)], lambda x, w: x.var((2, 3))),
]  # fmt: skip


class TestKerasVarying(unittest.TestCase):
    @parameterized.expand(CASES)
    def test_setting(self, name: str, layer: Any, changes: Changes, wanted: Wanted) -> None:
        given = drawn(*PICTURE)
        subject = examine("keras", keras.Sequential([layer]), [given])
        step = self.changed(subject, subject.run([given]).steps[0], changes)
        x = torch.from_numpy(np.moveaxis(given.astype(np.float64), -1, 1).copy())
        result = wanted(x, subject.state())
        self.close(subject.replay(step, step.inputs, None)["output"],
                   (result.movedim(1, -1) if result.ndim > 2 else result).numpy())  # fmt: skip

    def test_batch_norm(self) -> None:
        given = drawn(*PICTURE)
        subject = examine("keras", keras.Sequential([kl.BatchNormalization(name="norm")]), [given])
        changes = [("epsilon", 1e-5), ("momentum", 0.9), ("unbiased", True)]
        step = self.changed(subject, subject.run([given]).steps[0], changes)
        x = torch.from_numpy(np.moveaxis(given.astype(np.float64), -1, 1).copy())
        mean, variance = torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64)
        output = F.batch_norm(x, mean, variance, training=True)
        found = subject.replay(step, step.inputs, None, training=True)
        self.close(found["output"], output.movedim(1, -1).numpy())
        self.close(found["buffer norm/moving_mean"], mean.numpy())
        self.close(found["buffer norm/moving_variance"], variance.numpy())
        frozen = self.changed(subject, step, [("frozen", True)])
        self.close(subject.replay(frozen, step.inputs, None, training=True)["output"],
                   given.astype(np.float64) / np.sqrt(1 + 1e-5))  # fmt: skip

    @parameterized.expand(
        [
            ("scale", [("scale", 0.3)], 4, 0.3, "attend", False),
            ("heads", [("heads", 2), ("scale", 0.3)], 2, 0.3, "attend", False),
            ("mask", [("masked", "ignore")], 4, 3**-0.5, "ignore", False),
            ("mask in heads", [("heads", 2), ("masked", "ignore")], 2, 3**-0.5, "ignore", False),
            ("no mask", [("masked", None)], 4, 3**-0.5, None, False),
            ("causal", [("causal", True)], 4, 3**-0.5, "attend", True),
        ]
    )
    def test_attention(
        self, name: str, changes: Changes, heads: int, scale: float, masked: str | None, causal: bool
    ) -> None:
        query, value = keras.Input((5, 12)), keras.Input((6, 12))
        seen = keras.Input((5, 6), dtype="bool")
        layer = kl.MultiHeadAttention(4, 3, name="attn")
        model = keras.Model([query, value, seen], layer(query, value, attention_mask=seen))
        mask = np.random.default_rng(1).random((2, 5, 6)) < 0.5
        mask[..., 0], mask[..., 1] = True, False
        given = [drawn(2, 5, 12), drawn(2, 6, 12, seed=2), mask]
        subject = examine("keras", model, given)
        step = self.changed(subject, subject.run(given).steps[0], changes)
        w = {key.removeprefix("attn/"): array.astype(np.float64) for key, array in subject.state().items()}

        def split(x: np.ndarray, part: str) -> torch.Tensor:
            flat = x @ w[f"{part}/kernel"].reshape(12, -1) + w[f"{part}/bias"].reshape(-1)
            return torch.from_numpy(flat.reshape(2, x.shape[1], heads, -1)).transpose(1, 2)

        shown = torch.from_numpy({"attend": mask, "ignore": ~mask, None: np.ones_like(mask)}[masked])[:, None]
        shown = shown & torch.ones(5, 6, dtype=torch.bool).tril() if causal else shown
        one, other = (array.astype(np.float64) for array in given[:2])
        joined = F.scaled_dot_product_attention(
            split(one, "query"), split(other, "key"), split(other, "value"), shown, scale=scale
        )
        flat = joined.transpose(1, 2).reshape(2, 5, -1).numpy()
        wanted = flat @ w["attention_output/kernel"].reshape(-1, 12) + w["attention_output/bias"]
        self.close(subject.replay(step, step.inputs, None)["output"], wanted)

    def test_recurrent(self) -> None:
        given = drawn(2, 5, 4)
        layer = kl.LSTM(3, recurrent_activation="hard_sigmoid", return_sequences=True, name="lstm")
        subject = examine("keras", keras.Sequential([layer]), [given])
        step = self.changed(subject, subject.run([given]).steps[0], [("recurrent_activation", "sigmoid")])
        w = subject.state()
        own = torch.nn.LSTM(4, 3, batch_first=True, dtype=torch.float64)
        with torch.no_grad():
            own.weight_ih_l0.copy_(torch.from_numpy(w["lstm/cell/kernel"].T.astype(np.float64)))
            own.weight_hh_l0.copy_(torch.from_numpy(w["lstm/cell/recurrent_kernel"].T.astype(np.float64)))
            own.bias_ih_l0.copy_(torch.from_numpy(w["lstm/cell/bias"].astype(np.float64)))
            own.bias_hh_l0.zero_()
            wanted = own(torch.from_numpy(given.astype(np.float64)))[0].numpy()
        self.close(subject.replay(step, step.inputs, None)["output"], wanted)

    def test_cannot(self) -> None:
        given = drawn(2, 5, 4)
        subject = examine("keras", keras.Sequential([kl.GRU(3), kl.Dense(2)]), [given])
        first, second = subject.run([given]).steps[:2]
        self.assertIsNone(subject.vary(first, "reset_after", False))
        self.assertIsNone(subject.vary(second, "epsilon", 1e-5))
        self.assertIsNone(subject.vary(second, "role", {"role": "relu"}))

    def changed(self, subject: Any, step: Step, changes: Changes) -> Step:
        for setting, value in changes:
            found = subject.vary(step, setting, value)
            self.assertIsNotNone(found, setting)
            self.assertEqual(found.settings.get(setting, value), value)
            step = found
        return step

    def close(self, one: np.ndarray, other: np.ndarray) -> None:
        found = compare.pair("output", one, other, floor.unit(other, floor.NARROW))
        self.assertEqual(found.verdict, Verdict.EQUAL, f"{found.ratio} units in the last place; {found.complaint}")


if __name__ == "__main__":
    unittest.main()
