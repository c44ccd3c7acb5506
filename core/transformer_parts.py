"""The parts that every Transformer has: multi-head attention and the feed-forward network."""

from __future__ import annotations

from collections.abc import Iterator

from .parts import SEQUENCE, block, dense
from .spec import Init, Part

XAVIER = Init("xavier_uniform")
MASK = "batch heads queries keys"
INERT = "it adds the same number to every score of a row, and softmax ignores that"


def attention(name: str, d_model: int, *masks: str) -> Iterator[Part]:
    """Multi-head self-attention (Vaswani et al. 2017, section 3.2.2); `masks` are the axes of its mask, if any.

    What the part `map` gives is the attention map: the weights before dropout, whose rows sum to one.
    """
    for role in ("query", "key", "value"):
        inert = INERT if role == "key" else ""
        yield dense(f"{name}.{role}", d_model, d_model, XAVIER, layout=SEQUENCE, inert_bias=inert)
    yield block(f"{name}.map", MASK, *masks)
    yield block(f"{name}.dropout", MASK)
    yield dense(f"{name}.projection", d_model, d_model, XAVIER, layout=SEQUENCE)
    yield block(name, SEQUENCE, *masks)


def feed_forward(name: str, d_model: int, d_ff: int) -> Iterator[Part]:
    """Two dense layers with an activation and dropout between them (section 3.3)."""
    yield dense(f"{name}.expand", d_model, d_ff, XAVIER, layout=SEQUENCE)
    yield block(f"{name}.activation", SEQUENCE)
    yield block(f"{name}.dropout", SEQUENCE)
    yield dense(f"{name}.contract", d_ff, d_model, XAVIER, layout=SEQUENCE)
    yield block(name, SEQUENCE)
