"""One-dimensional convolutions over time: a WaveNet with gates, and a temporal network with weight norm."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import torch
import torch.nn.functional as F
from keras import Input, Model, layers
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from . import Pair
from .weights import convolution


class Gate(nn.Module):
    """A causal convolution whose tanh is gated by a sigmoid, with a residual and a skip output."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.filter = nn.Conv1d(width, width, 2, dilation=dilation)
        self.gate = nn.Conv1d(width, width, 2, dilation=dilation)
        self.skip = nn.Conv1d(width, width, 1)
        self.residual = nn.Conv1d(width, width, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        padded = F.pad(x, (self.dilation, 0))
        y = torch.tanh(self.filter(padded)) * torch.sigmoid(self.gate(padded))
        return x + self.residual(y), self.skip(y)


class WaveNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(2, 4, 1)
        self.gates = nn.ModuleList(Gate(4, dilation) for dilation in (1, 2, 4))
        self.last = nn.Conv1d(4, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, skips = self.first(x), 0
        for gate in self.gates:
            x, skip = gate(x)
            skips = skips + skip
        return self.last(F.relu(skips))


def wavenet(*, padding: str = "causal", dilations: tuple[int, ...] = (1, 2, 4), gate: str = "sigmoid") -> Model:
    """`padding` is the second block's, `gate` the activation of the first one's gate."""
    sound = Input((12, 2))
    x, skips = layers.Conv1D(4, 1, name="pre")(sound), []
    for index, dilation in enumerate(dilations):
        kind = {"padding": padding if index == 1 else "causal", "dilation_rate": dilation}
        tanh = layers.Conv1D(4, 2, activation="tanh", name=f"tanh_{index}", **kind)(x)
        act = gate if index == 0 else "sigmoid"
        sigm = layers.Conv1D(4, 2, activation=act, name=f"gate_{index}", **kind)(x)
        y = layers.Multiply(name=f"gated_{index}")([tanh, sigm])
        skips.append(layers.Conv1D(4, 1, name=f"skip_{index}")(y))
        x = layers.Add(name=f"residual_add_{index}")([x, layers.Conv1D(4, 1, name=f"residual_{index}")(y)])
    y = layers.ReLU()(layers.Add(name="skips")(skips))
    return Model(sound, layers.Conv1D(3, 1, name="post")(y))


def load(source: Any, target: Any) -> None:
    target.get_layer("pre").set_weights(convolution(source.first))
    target.get_layer("post").set_weights(convolution(source.last))
    for index, gate in enumerate(source.gates):
        for ours, theirs in {"tanh": "filter", "gate": "gate", "skip": "skip", "residual": "residual"}.items():
            if f"{ours}_{index}" in [layer.name for layer in target.layers]:
                target.get_layer(f"{ours}_{index}").set_weights(convolution(getattr(gate, theirs)))


class Temporal(nn.Module):
    """Causal convolutions, cut at the end by hand, then the last step."""

    def __init__(self, normalised: bool = False) -> None:
        super().__init__()
        wrapped = weight_norm if normalised else nn.Identity()
        self.conv1 = wrapped(nn.Conv1d(3, 5, 3, padding=2))
        self.conv2 = wrapped(nn.Conv1d(5, 5, 3, padding=4, dilation=2))
        self.down = nn.Conv1d(3, 5, 1)
        self.linear = nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.conv1(x)[:, :, :-2])
        y = F.relu(self.conv2(y)[:, :, :-4])
        y = F.relu(y + self.down(x))
        return self.linear(y[:, :, -1])


@keras.saving.register_keras_serializable("temporal")
class TCN(keras.Model):
    """`dilation` is the second convolution's; `first` takes the first step for the last."""

    def __init__(self, dilation: int = 2, first: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.dilation, self.first = dilation, first
        self.dense = layers.Dense(2)
        self.causal_1 = layers.Conv1D(5, 3, padding="causal", activation="relu")
        self.causal_2 = layers.Conv1D(5, 3, padding="causal", dilation_rate=dilation, activation="relu")
        self.match = layers.Conv1D(5, 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dilation": self.dilation, "first": self.first}

    def call(self, x: Any) -> Any:
        y = self.causal_2(self.causal_1(x))
        y = keras.ops.relu(keras.ops.add(y, self.match(x)))
        return self.dense(y[:, 0 if self.first else -1])


def load_temporal(source: Any, target: Any) -> None:
    target.causal_1.set_weights(convolution(source.conv1))
    target.causal_2.set_weights(convolution(source.conv2))
    target.match.set_weights(convolution(source.down))
    target.dense.set_weights([source.linear.weight.detach().numpy().T, source.linear.bias.detach().numpy()])


def channels_second(arrays: Any) -> list[np.ndarray]:
    """(batch, time, channels) for Keras, (batch, channels, time) for PyTorch."""
    return [np.swapaxes(array, 1, 2) for array in arrays]


CORRECT = Pair(
    "wavenet",
    WaveNet,
    wavenet,
    lambda rng: [rng.normal(size=(2, 12, 2)).astype("float32")],
    load,
    torch_inputs=channels_second,
    options={"ignore": ("gates.2.residual.*",)},  # of no effect in the last block, and so not in Keras's model
)
TEMPORAL = Pair(
    "temporal",
    Temporal,
    TCN,
    lambda rng: [rng.normal(size=(3, 9, 3)).astype("float32")],
    load_temporal,
    torch_inputs=channels_second,
)

PAIRS = (
    CORRECT,
    CORRECT.but(
        "not causal",
        "gates.1.filter|gates.1.gate|gates.1:pad#0|tanh_1|gate_1",
        "padding|causal|pad",
        keras=lambda: wavenet(padding="same"),
        by="transfer",
    ),
    CORRECT.but(
        "tanh for the gate",
        "gates.0:sigmoid#0|gate_0:activation|gate_0",
        "sigmoid",
        keras=lambda: wavenet(gate="tanh"),
        by="transfer",
    ),
    CORRECT.but(
        "dilation of the third block",
        "gates.2.filter|gates.2.gate|gates.2:pad#0|tanh_2|gate_2",
        "dilation",
        keras=lambda: wavenet(dilations=(1, 2, 2)),
    ),
    TEMPORAL,
    dataclasses.replace(  # PyTorch trains length and direction by themselves, Keras the kernel: equal until trained
        TEMPORAL,
        name="weight norm",
        torch=lambda: Temporal(normalised=True),
        options={"checks": ("weights", "forward", "gradients")},
    ),
    TEMPORAL.but(
        "first step for the last",
        ":getitem#2|:__getitem__#2|linear|dense|:getitem#0|:get_item#0",
        "last place|step|slice|position|another tensor",
        keras=lambda: TCN(first=True),
    ),
)
