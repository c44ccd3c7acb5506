"""The feed-forward network of every Transformer. See core/transformer_parts.py."""

from __future__ import annotations

from typing import Any

from keras import layers

from ..core.techniques.dropout import Dropout
from .exact import GELU
from .techniques import dropout


class FeedForward(layers.Layer):
    """Two dense layers with an activation between them; gated where `form` is `glu` or `swiglu`."""

    def __init__(self, d_model: int, d_ff: int, form: str, activation: str, bias: bool, dropout_rate: float) -> None:
        super().__init__()
        self.gate = None if form == "mlp" else layers.Dense(d_ff, use_bias=bias)
        self.expand = layers.Dense(d_ff, use_bias=bias)
        self.activation = activation_of(form, activation)
        self.dropout = dropout.build(Dropout(rate=dropout_rate))
        self.contract = layers.Dense(d_model, use_bias=bias)

    def call(self, x: Any, training: bool = False) -> Any:
        if self.gate is None:
            return self.contract(self.dropout(self.activation(self.expand(x)), training=training))
        return self.contract(self.dropout(self.activation(self.gate(x)) * self.expand(x), training=training))


def activation_of(form: str, activation: str) -> layers.Layer:
    """The activation by name; a gated form has its own."""
    return {
        "relu": layers.ReLU(),
        "gelu": GELU(approximate=False),
        "gelu_tanh": GELU(approximate=True),
        "glu": layers.Activation("sigmoid"),
        "swiglu": layers.Activation("silu"),
    }[activation if form == "mlp" else form]
