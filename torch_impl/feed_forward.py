"""The feed-forward network of every Transformer. See core/transformer_parts.py."""

from __future__ import annotations

import torch
from torch import nn

from ..core.techniques.dropout import Dropout
from .techniques import dropout


class FeedForward(nn.Module):
    """Two dense layers with an activation between them; gated where `form` is `glu` or `swiglu`."""

    def __init__(self, d_model: int, d_ff: int, form: str, activation: str, bias: bool, dropout_rate: float) -> None:
        super().__init__()
        self.gate = None if form == "mlp" else nn.Linear(d_model, d_ff, bias=bias)
        self.expand = nn.Linear(d_model, d_ff, bias=bias)
        self.activation = activation_of(form, activation)
        self.dropout = dropout.build(Dropout(rate=dropout_rate))
        self.contract = nn.Linear(d_ff, d_model, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.gate is None:
            return self.contract(self.dropout(self.activation(self.expand(x))))
        return self.contract(self.dropout(self.activation(self.gate(x)) * self.expand(x)))


def activation_of(form: str, activation: str) -> nn.Module:
    """The activation by name; a gated form has its own."""
    return {
        "relu": nn.ReLU(),
        "gelu": nn.GELU(approximate="none"),
        "gelu_tanh": nn.GELU(approximate="tanh"),
        "glu": nn.Sigmoid(),
        "swiglu": nn.SiLU(),
    }[activation if form == "mlp" else form]
