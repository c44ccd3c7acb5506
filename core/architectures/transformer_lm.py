"""The Transformer as a language model: one stack of blocks, causal or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..axes import Array
from ..field import choice, flag, fraction, optional_whole, positive, whole
from ..parts import SEQUENCE, block, dense, embedding, layer_norm
from ..spec import Init, Part, Spec, Tensor, Weight
from ..transformer_parts import MASK, XAVIER, attention, feed_forward

EMBEDDING = Init("normal", 0.02)
MASKED_SCORE = -1e9  # finite, so that the gradient of a row that is masked everywhere stays a number
SMALL = {"vocab_size": 11, "d_model": 8, "num_heads": 2, "num_layers": 2, "d_ff": 12, "max_len": 16}


@dataclass(frozen=True, kw_only=True)
class TransformerLM(Spec):
    """A Transformer over tokens: embedding, positions, blocks of self-attention and feed-forward, and a head.

    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017; sections 3.1 to 3.5 and 5.4. Pre-norm
    after Xiong et al. (2020, figure 1b), GELU after Hendrycks and Gimpel (2016).

    Input: `tokens`, whole numbers below `vocab_size`, (batch, time). Output: `logits`, float, (batch, time, channels),
    one channel per token of the vocabulary.

    Fields:
        vocab_size, max_len: number of tokens; longest sequence, in tokens.
        d_model, num_heads, d_ff: width, number of heads (each `d_model / num_heads` wide), width of the feed-forward.
        num_layers: number of blocks.
        activation: of the feed-forward network; `gelu` is exact, `gelu_tanh` its approximation by tanh.
        positions: `sinusoidal` (section 3.5) or a `learned` vector each.
        norm: `post` normalises after each residual sum, `pre` before each sublayer and once at the end.
        norm_epsilon: added to the variance.
        scale_embedding: multiply the token embedding by the square root of `d_model` (section 3.4).
        causal: a position attends to itself and to earlier ones only.
        pad_token_id: positions with this token are attended to by none; None if there is no padding.
        dropout_rate: on the embedding, the attention weights, the feed-forward network and each sublayer's result.

    A row of attention in which every position is masked gives zero, on both sides.

    Raises SpecError for a value against its rule.

    Departs from paper: it is one stack, where the paper has an encoder and a decoder. Dropout is on sublayer results
    and the embedding sum as in section 5.4, and on attention weights and within the feed-forward as in the document.
    The document adds positions to a sequence-first copy of the tensor; here time is always axis 1.

    Frameworks differ: layer normalisation's epsilon (1e-5, Keras 1e-3); `gelu` as a function is exact in PyTorch and
    the tanh form in Keras; a boolean mask's True means "attend" here, in Keras and in PyTorch's
    `scaled_dot_product_attention`, and "leave out" in `torch.nn.MultiheadAttention`. Keras fills an argument that is
    called `mask` by itself, so it is called `attention_mask`.
    """

    vocab_size: int = whole(10000, least=2)
    d_model: int = whole(512)
    num_heads: int = whole(8)
    num_layers: int = whole(6)
    d_ff: int = whole(2048)
    max_len: int = whole(512)
    activation: str = choice("relu", "gelu", "gelu_tanh")
    positions: str = choice("sinusoidal", "learned")
    norm: str = choice("post", "pre")
    norm_epsilon: float = positive(1e-5)
    scale_embedding: bool = flag(True)
    causal: bool = flag(True)
    pad_token_id: int | None = optional_whole(None)
    dropout_rate: float = fraction(0.1)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "transformer_lm_small": {**SMALL},
        "transformer_lm_small_pre": {
            **SMALL,
            "norm": "pre",
            "activation": "gelu",
            "positions": "learned",
            "scale_embedding": False,
            "pad_token_id": 0,
        },
        "transformer_lm_small_encoder": {
            **SMALL,
            "num_layers": 1,
            "activation": "gelu_tanh",
            "causal": False,
            "pad_token_id": 3,
            "dropout_rate": 0.0,
        },
        "transformer_lm_small_open": {**SMALL, "num_layers": 1, "norm": "pre", "causal": False, "positions": "learned"},
    }
    CHECKED: ClassVar[tuple[str, ...]] = tuple(PRESETS)
    CHECKED_LENGTH: ClassVar[int] = 32

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

    def shrunk(self) -> Self:
        """Sequences of at most 32 tokens, and shorter than the longest that the network takes."""
        return self.replace(max_len=max(1, min(self.max_len, self.CHECKED_LENGTH) * 3 // 4))

    def example(self, rng: np.random.Generator, batch: int | None = None) -> dict[str, Array]:
        """As for every spec; with padding, it is on the right in most sequences, on the left in the first, within the
        second, and nowhere in the last. With a causal mask, the first rows of the first attend to nothing."""
        arrays = super().example(rng, batch)
        if self.pad_token_id is not None:
            tokens = arrays["tokens"]
            count, time = tokens.shape
            ends = rng.integers(1, time + 1, (count, 1))
            ends[-1] = time
            padded = np.arange(time) >= ends
            padded[0] = np.arange(time) < time // 3
            padded[1 % count] = np.arange(time) == time // 2
            tokens = np.where(tokens == self.pad_token_id, (self.pad_token_id + 1) % self.vocab_size, tokens)
            arrays["tokens"] = np.where(padded, self.pad_token_id, tokens)
        return arrays

    def parts(self) -> Iterator[Part]:
        yield embedding("token_embedding", self.vocab_size, self.d_model, EMBEDDING)
        yield self._positions()
        yield block("dropout", SEQUENCE)
        if self.is_masked:
            yield Part("mask", ("batch time",), MASK)
        for index in range(self.num_layers):
            yield from self._block(f"blocks.{index}")
        if self.norm == "pre":
            yield layer_norm("norm", self.d_model)
        yield dense("head", self.d_model, self.vocab_size, XAVIER, layout=SEQUENCE)

    @property
    def is_masked(self) -> bool:
        """Whether any position may be kept from attending to another."""
        return self.causal or self.pad_token_id is not None

    def _positions(self) -> Part:
        table = Weight("positions.vectors", "time channels", (self.max_len, self.d_model), EMBEDDING)
        return Part("positions", (SEQUENCE,), SEQUENCE, (table,) if self.positions == "learned" else ())

    def _block(self, name: str) -> Iterator[Part]:
        masks = (MASK,) if self.is_masked else ()
        norms = [layer_norm(f"{name}.norm{number}", self.d_model) for number in (1, 2)]
        attended = [*attention(f"{name}.attention", self.d_model, *masks), block(f"{name}.dropout1", SEQUENCE)]
        fed = [*feed_forward(f"{name}.feed_forward", self.d_model, self.d_ff), block(f"{name}.dropout2", SEQUENCE)]
        if self.norm == "post":
            yield from (*attended, norms[0], *fed, norms[1])
        else:
            yield from (norms[0], *attended, norms[1], *fed)
        yield block(name, SEQUENCE, *masks)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        heads = int(rng.integers(1, 4))
        vocabulary = int(rng.integers(5, 20))
        return cls(
            vocab_size=vocabulary,
            d_model=heads * int(rng.choice([4, 6, 8])),  # normalising two channels leaves nothing but their signs
            num_heads=heads,
            num_layers=int(rng.integers(1, 5)),
            d_ff=int(rng.integers(4, 24)),
            max_len=int(rng.integers(4, 16)),
            activation=str(rng.choice(["relu", "gelu", "gelu_tanh"])),
            positions=str(rng.choice(["sinusoidal", "learned"])),
            norm=str(rng.choice(["post", "pre"])),
            norm_epsilon=float(rng.choice([1e-5, 1e-6])),
            scale_embedding=bool(rng.random() < 0.5),
            causal=bool(rng.random() < 0.5),
            pad_token_id=int(rng.integers(vocabulary)) if rng.random() < 0.5 else None,
            dropout_rate=float(rng.choice([0.0, 0.1, 0.3])),
        )
