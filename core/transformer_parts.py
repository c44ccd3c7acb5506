"""The parts that every Transformer has: normalisation, multi-head attention and the feed-forward network."""

from __future__ import annotations

from collections.abc import Iterator

from .parts import SEQUENCE, block, dense, layer_norm, rms_norm
from .spec import Init, Part, Weight

XAVIER = Init("xavier_uniform")
EMBEDDING = Init("normal", 0.02)
MASK = "batch heads queries keys"
TABLE = "tokens channels"
HEADS = "batch heads time channels"
# Finite, so that the gradient of a row that is masked everywhere stays a number; the row is zeroed afterwards.
MASKED_SCORE = -1e9
# The mean over nothing but padding is zero, and stays zero as a vector "of length one".
SHORTEST = 1e-12
INERT = "it adds the same number to every score of a row, and softmax ignores that"
ACTIVATIONS = ("relu", "gelu", "gelu_tanh")
FEED_FORWARDS = ("mlp", "glu", "swiglu")
NORMS = ("layer", "rms")


def norm(name: str, channels: int, norm_type: str = "layer") -> Part:
    """Layer normalisation, or by the root mean square alone."""
    return rms_norm(name, channels) if norm_type == "rms" else layer_norm(name, channels)


def projections(inputs: dict[str, tuple[int, int]], *, bias: bool = True, inert: bool = True) -> Iterator[Part]:
    """The dense layers that make queries, keys and values: by name, how wide they take and give.

    Under softmax the bias of the keys is `inert`.
    """
    for name, (width, size) in inputs.items():
        reason = INERT if name == "key" and inert else ""
        yield dense(name, width, size, XAVIER, layout=SEQUENCE, bias=bias, inert_bias=reason)


def attention_map(*masks: str, layout: str = MASK) -> Iterator[Part]:
    """The map, whose rows sum to one, and the dropout on it; `masks` are the axes of its mask, if any."""
    yield block("map", layout, *masks)
    yield block("dropout", layout)


def feed_forward(name: str, d_model: int, d_ff: int, form: str = "mlp", *, bias: bool = True) -> Iterator[Part]:
    """Two dense layers with an activation and dropout between them (Vaswani et al. 2017, section 3.3).

    In a gated `form` the activation is that of a third layer, `gate`, which multiplies the first (Shazeer, "GLU
    variants improve Transformer", 2020, eq. 5 and 6): the logistic function in `glu`, x times it in `swiglu`.
    """
    if form != "mlp":
        yield dense(f"{name}.gate", d_model, d_ff, XAVIER, layout=SEQUENCE, bias=bias)
        yield block(f"{name}.activation", SEQUENCE)
    yield dense(f"{name}.expand", d_model, d_ff, XAVIER, layout=SEQUENCE, bias=bias)
    if form == "mlp":
        yield block(f"{name}.activation", SEQUENCE)
    yield block(f"{name}.dropout", SEQUENCE)
    yield dense(f"{name}.contract", d_ff, d_model, XAVIER, layout=SEQUENCE, bias=bias)
    yield block(name, SEQUENCE)


def positions(form: str, max_len: int, d_model: int, owner: str = "") -> Iterator[Part]:
    """What is added to the embedding: a learned vector for each position, or sines and cosines; nothing if rotary."""
    if form == "rotary":
        return
    table = Weight(f"{owner}positions.vectors", "time channels", (max_len, d_model), EMBEDDING)
    yield Part(f"{owner}positions", (SEQUENCE,), SEQUENCE, (table,) if form == "learned" else ())
