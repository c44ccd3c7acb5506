"""Normalisations of every kind: groups, root mean square, layers without weights; and numbers narrowed on the way."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import torch
import torch.nn.functional as F
from keras import Input, Model, layers, ops
from torch import nn

from . import Inputs, Pair
from .weights import array, convolution, linear, norm


class Grouped(nn.Module):
    """Group normalisation, PReLU, and a layer normalisation over channels without weights of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.gn1, self.gn2 = nn.GroupNorm(4, 8), nn.GroupNorm(2, 8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.act = nn.PReLU(8)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.gn1(self.conv1(x)))
        x = F.gelu(self.gn2(self.conv2(x)))
        x = F.layer_norm(x.permute(0, 2, 3, 1), (8,))
        return self.fc(x.mean(dim=(1, 2)))


def grouped(*, groups: int = 4, epsilon: float = 1e-5, axis: Any = -1, act: str = "gelu") -> Model:
    picture = Input((6, 6, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv_a")(picture)
    x = layers.GroupNormalization(groups, epsilon=1e-5, name="norm_a")(x)
    x = layers.PReLU(shared_axes=(1, 2), name="act_a")(x)
    x = layers.Conv2D(8, 3, padding="same", groups=4, name="conv_b")(x)
    x = layers.GroupNormalization(2, epsilon=epsilon, name="norm_b")(x)
    x = layers.Activation(act, name="act_b")(x)
    x = layers.LayerNormalization(axis=axis, epsilon=1e-5, center=False, scale=False, name="norm_c")(x)
    return Model(picture, layers.Dense(3, name="fc")(layers.GlobalAveragePooling2D(name="pool")(x)))


def load_grouped(source: Any, target: Any) -> None:
    target.get_layer("conv_a").set_weights(convolution(source.conv1))
    target.get_layer("conv_b").set_weights(convolution(source.conv2))
    target.get_layer("norm_a").set_weights(norm(source.gn1))
    target.get_layer("norm_b").set_weights(norm(source.gn2))
    target.get_layer("act_a").set_weights([array(source.act.weight).reshape(1, 1, 8)])
    target.get_layer("fc").set_weights(linear(source.fc))


class RMSNorm(nn.Module):
    """Zhang and Sennrich (2019) as language models write it."""

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps))


class Narrowed(RMSNorm):
    """The same in single precision, whatever goes in."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.float()
        return self.weight * (y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps)).type_as(x)


class SwiGLU(nn.Module):
    def __init__(self, kind: type[nn.Module] = RMSNorm) -> None:
        super().__init__()
        self.norm, self.final = kind(6), nn.RMSNorm(6, eps=1e-6)
        self.w1, self.w3 = nn.Linear(6, 10, bias=False), nn.Linear(6, 10, bias=False)
        self.w2 = nn.Linear(10, 6, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        return self.final(x + self.w2(F.silu(self.w1(y)) * self.w3(y)))


@keras.saving.register_keras_serializable("norms")
class FeedForward(keras.Model):
    """`mistake`: the gate on the other branch, half precision on the way, or the root of a mean that is a sum."""

    def __init__(self, epsilon: float = 1e-6, mistake: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.epsilon, self.mistake = epsilon, mistake
        self.before = layers.RMSNormalization(epsilon=epsilon)
        self.after = layers.RMSNormalization(epsilon=1e-6)
        self.gate, self.up = layers.Dense(10, use_bias=False), layers.Dense(10, use_bias=False)
        self.down = layers.Dense(6, use_bias=False)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon, "mistake": self.mistake}

    def call(self, x: Any) -> Any:
        y = self.before(x)
        gate, up = self.gate(y), self.up(y)
        y = gate * ops.silu(up) if self.mistake == "other branch" else ops.silu(gate) * up
        if self.mistake == "half":
            y = ops.cast(ops.cast(y, "float16"), x.dtype)
        return self.after(x + self.down(y))


def load_gated(source: Any, target: Any) -> None:
    target.before.set_weights([array(source.norm.weight)])
    target.after.set_weights([array(source.final.weight)])
    for ours, theirs in ((source.w1, target.gate), (source.w3, target.up), (source.w2, target.down)):
        theirs.set_weights(linear(ours))


def as_they_are(given: Inputs) -> Inputs:
    return given


def states(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.normal(size=(2, 5, 6)).astype("float32")]


GROUPED = Pair("grouped", Grouped, grouped, lambda rng: [rng.normal(size=(2, 6, 6, 3)).astype("float32")], load_grouped)
GATED = Pair("swiglu", SwiGLU, FeedForward, states, load_gated, torch_inputs=as_they_are)

BRANCHES = {"map": {"w1.weight": "gate/kernel", "w3.weight": "up/kernel"}}  # equal in shape, and side by side

PAIRS = (
    GROUPED,
    GROUPED.but("number of groups", "gn1|norm_a", "groups", keras=lambda: grouped(groups=2)),
    GROUPED.but("group norm epsilon", "gn2|norm_b", "epsilon", keras=lambda: grouped(epsilon=1e-3), by="transfer"),
    GROUPED.but("axes of a layer norm", ":layer_norm#0|norm_c", "axes|axis", keras=lambda: grouped(axis=(1, 2, 3))),
    GATED,
    dataclasses.replace(
        GATED,
        name="swiglu by a map",
        by="factories",
        options=BRANCHES,
    ),
    GATED.but(
        "RMS norm epsilon", "norm|before", "epsilon", keras=lambda: FeedForward(1e-3), by="transfer", options=BRANCHES
    ),
    GATED.but(
        "gate on the other branch",
        ":mul#0|:multiply#0|:silu#0",
        "swapped|order|silu",
        keras=lambda: FeedForward(mistake="other branch"),
    ),
    GATED.but(
        "half precision on the way",
        ":mul#0|:multiply#0|down|w2|:cast#0|:cast#1",
        "float16|half|precision|rounded",
        keras=lambda: FeedForward(mistake="half"),
    ),
    Pair(
        "single precision inside",
        lambda: SwiGLU(Narrowed),
        FeedForward,
        states,
        load_gated,
        torch_inputs=as_they_are,
    ),
)
