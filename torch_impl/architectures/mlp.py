"""The multi-layer perceptron. See core/architectures/mlp.py."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import nn

from ...core.architectures.mlp import MLP as Spec
from ...core.techniques.batch_norm import BatchNorm
from ...core.techniques.dropout import Dropout
from ..techniques import batch_norm, dropout


class MLP(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        widths = [math.prod(spec.input_shape), *spec.hidden_dims]
        self.flatten = nn.Flatten()
        self.hidden = nn.ModuleList([HiddenLayer(spec, inputs, units) for inputs, units in pairwise(widths)])
        self.head = nn.Linear(widths[-1], spec.output_dim)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        x = self.flatten(features)  # (batch, channels, height, width) -> (batch, channels)
        for layer in self.hidden:
            x = layer(x)
        return self.head(x)


class HiddenLayer(nn.Module):
    def __init__(self, spec: Spec, inputs: int, units: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, units)
        if spec.batch_norm:
            rule = BatchNorm(
                epsilon=spec.norm_epsilon, momentum=spec.norm_momentum, running_variance=spec.running_variance
            )
            self.norm = batch_norm.build(rule, units, image=False)
        else:
            self.norm = nn.Identity()
        self.activation = activation(spec)
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.dense(x))
        return self.dropout(self.activation(x))


def activation(spec: Spec) -> nn.Module:
    return {
        "relu": nn.ReLU(),
        "leaky_relu": nn.LeakyReLU(spec.negative_slope),
        "tanh": nn.Tanh(),
        "sigmoid": nn.Sigmoid(),
        "gelu": nn.GELU(approximate="none"),
    }[spec.activation]


def build(spec: Spec) -> MLP:
    return MLP(spec)
