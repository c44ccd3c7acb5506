"""A Transformer of linear attention and gated linear units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..axes import Array
from ..field import choice, flag, fraction, optional_whole, positive, whole
from ..parts import SEQUENCE, block, dense, embedding, layer_norm, nested
from ..spec import Part, Spec, Tensor
from ..tokens import padded
from ..transformer_parts import EMBEDDING, XAVIER, feed_forward, positions
from .linear_attention import PADDING, LinearAttention

SMALL = {"vocab_size": 11, "d_model": 8, "num_heads": 2, "num_layers": 2, "d_ff": 6, "max_len": 10, "chunk_size": 3}


@dataclass(frozen=True, kw_only=True)
class EfficientTransformer(Spec):
    """A language model whose time and memory grow with the length of the text, and which writes in constant memory.

    Source: Katharopoulos et al., "Transformers are RNNs", ICML 2020, for the attention; Dauphin et al., "Language
    modeling with gated convolutional networks", ICML 2017, section 3, eq. 1, for the gated linear unit, and Shazeer,
    "GLU variants improve Transformer", 2020, eq. 5 and 6, for its place in the feed-forward network; the rest is
    Vaswani et al., "Attention is all you need", NeurIPS 2017, sections 3.1, 3.4 and 3.5, pre-norm after Xiong et al.
    (2020).

    Input: `tokens`, whole numbers below `vocab_size`, (batch, time). Output: `logits`, float, (batch, time, channels),
    one channel per token of the vocabulary.

    Fields:
        vocab_size, max_len: number of tokens; longest sequence, in tokens.
        d_model, num_heads: width, and number of heads, each `d_model / num_heads` wide.
        num_layers: number of blocks.
        d_ff: width of the feed-forward network; its three kernels hold as many numbers as the two of an ungated one
            that is 3/2 as wide.
        feed_forward: what multiplies the expanded features: the logistic function of the gate (`glu`), or the gate
            times its logistic function (`swiglu`).
        positions: `sinusoidal`, or a `learned` vector each.
        norm: `post` normalises after each residual sum, `pre` before each sublayer and once at the end.
        norm_epsilon: added to the variance.
        scale_embedding: multiply the token embedding by the square root of `d_model`.
        causal: a position attends to itself and to earlier ones only, so that the network can write.
        pad_token_id: positions with this token are attended to by none; None if there is no padding.
        bias: whether the dense layers of the blocks have one.
        epsilon, chunk_size: of the attention, as in core/architectures/linear_attention.py.
        dropout_rate: on the embedding, within the feed-forward network, and on each sublayer's result.

    Decoding: `start(batch)` gives a cache of the attentions' sums, and `decode(tokens, cache)` the logits behind the
    tokens. The cache has the same size after a thousand tokens as after one: of each block and head a matrix of
    (d_model / num_heads)^2 numbers and a vector.

    Raises SpecError for a value against its rule; the network raises InputError for tokens outside of the vocabulary
    and for a sequence longer than `max_len`.

    Departs from paper: attention weights have no dropout, since they are never written out. The document's class is one
    block, which takes a vocabulary and a number of layers and uses neither; its comments promise linear complexity and
    gated linear units, and its code has softmax attention and two dense layers with GELU. Here is what they promise.

    Frameworks differ: layer normalisation's epsilon (1e-5, Keras 1e-3).
    """

    vocab_size: int = whole(10000, least=2)
    d_model: int = whole(512)
    num_heads: int = whole(8)
    num_layers: int = whole(6)
    d_ff: int = whole(1365)
    max_len: int = whole(4096)
    feed_forward: str = choice("glu", "swiglu")
    positions: str = choice("sinusoidal", "learned")
    norm: str = choice("post", "pre")
    norm_epsilon: float = positive(1e-5)
    scale_embedding: bool = flag(True)
    causal: bool = flag(True)
    pad_token_id: int | None = optional_whole(None)
    bias: bool = flag(True)
    epsilon: float = positive(1e-6)
    chunk_size: int = whole(128)
    dropout_rate: float = fraction(0.1)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "efficient_transformer_small": {**SMALL, "pad_token_id": 0},
        "efficient_transformer_small_pre": {
            **SMALL,
            "num_layers": 1,
            "feed_forward": "swiglu",
            "positions": "learned",
            "norm": "pre",
            "scale_embedding": False,
            "bias": False,
        },
        "efficient_transformer_small_encoder": {
            **SMALL,
            "num_layers": 1,
            "causal": False,
            "pad_token_id": 3,
            "dropout_rate": 0.0,
        },
    }
    CHECKED: ClassVar[tuple[str, ...]] = tuple(PRESETS)
    CHECKED_LENGTH: ClassVar[int] = 16

    def constraints(self) -> Iterator[str]:
        if self.d_model % self.num_heads:
            yield f"d_model {self.d_model} is not divisible by num_heads {self.num_heads}"
        if self.positions == "sinusoidal" and self.d_model % 2:
            yield f"d_model {self.d_model} is odd, and sinusoidal positions come in pairs"
        if self.pad_token_id is not None and self.pad_token_id >= self.vocab_size:
            yield f"pad_token_id {self.pad_token_id} is not below vocab_size {self.vocab_size}"

    def inputs(self) -> tuple[Tensor, ...]:
        return (Tensor("tokens", "batch time", (None, self.max_len), "int", self.vocab_size),)

    def outputs(self) -> tuple[Tensor, ...]:
        return (Tensor("logits", SEQUENCE, (None, self.max_len, self.vocab_size)),)

    @property
    def generates(self) -> str:
        return "tokens" if self.causal else ""

    def shrunk(self) -> Self:
        """Sequences of at most 16 tokens, and shorter than the longest that the network takes."""
        return self.replace(max_len=max(1, min(self.max_len, self.CHECKED_LENGTH) * 3 // 4))

    def example(self, rng: np.random.Generator, batch: int | None = None) -> dict[str, Array]:
        """As for every spec; with padding on the right in most sequences, and at other places in some."""
        arrays = super().example(rng, batch)
        if self.pad_token_id is not None:
            arrays["tokens"] = padded(arrays["tokens"], self.pad_token_id, self.vocab_size, rng)
        return arrays

    def attention(self) -> LinearAttention:
        """The attention of a block."""
        return LinearAttention(
            d_model=self.d_model,
            num_heads=self.num_heads,
            causal=self.causal,
            masked=self.pad_token_id is not None,
            bias=self.bias,
            epsilon=self.epsilon,
            chunk_size=self.chunk_size,
            length=self.max_len,
        )

    def parts(self) -> Iterator[Part]:
        yield embedding("token_embedding", self.vocab_size, self.d_model, EMBEDDING)
        yield from positions(self.positions, self.max_len, self.d_model)
        yield block("dropout", SEQUENCE)
        if self.pad_token_id is not None:
            yield Part("mask", ("batch time",), PADDING)
        for index in range(self.num_layers):
            yield from self._block(f"blocks.{index}")
        if self.norm == "pre":
            yield layer_norm("norm", self.d_model)
        yield dense("head", self.d_model, self.vocab_size, XAVIER, layout=SEQUENCE)

    def _block(self, name: str) -> Iterator[Part]:
        norms = [layer_norm(f"{name}.norm{number}", self.d_model) for number in (1, 2)]
        network = feed_forward(f"{name}.feed_forward", self.d_model, self.d_ff, self.feed_forward, bias=self.bias)
        attended = [*nested(f"{name}.attention", self.attention()), block(f"{name}.dropout1", SEQUENCE)]
        fed = [*network, block(f"{name}.dropout2", SEQUENCE)]
        if self.norm == "post":
            yield from (*attended, norms[0], *fed, norms[1])
        else:
            yield from (norms[0], *attended, norms[1], *fed)
        yield block(name, SEQUENCE, *((PADDING,) if self.pad_token_id is not None else ()))

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        heads, vocabulary = int(rng.integers(1, 4)), int(rng.integers(5, 20))
        return cls(
            vocab_size=vocabulary,
            d_model=heads * int(rng.choice([4, 6])),  # normalising two channels leaves nothing but their signs
            num_heads=heads,
            num_layers=int(rng.integers(1, 4)),
            d_ff=int(rng.integers(4, 16)),
            max_len=int(rng.integers(4, 16)),
            feed_forward=str(rng.choice(["glu", "swiglu"])),
            positions=str(rng.choice(["sinusoidal", "learned"])),
            norm=str(rng.choice(["post", "pre"])),
            norm_epsilon=float(rng.choice([1e-5, 1e-6])),
            scale_embedding=bool(rng.random() < 0.5),
            causal=bool(rng.random() < 0.5),
            pad_token_id=int(rng.integers(vocabulary)) if rng.random() < 0.5 else None,
            bias=bool(rng.random() < 0.5),
            epsilon=float(rng.choice([1e-6, 1e-3])),
            chunk_size=int(rng.integers(1, 6)),
            dropout_rate=float(rng.choice([0.0, 0.1, 0.3])),
        )
