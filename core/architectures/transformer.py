"""The Transformer: an encoder reads, a decoder writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..axes import Array
from ..field import choice, flag, fraction, optional_whole, positive, whole
from ..parts import SEQUENCE, block, dense, embedding, nested
from ..spec import Part, Spec, Tensor
from ..tokens import padded, shifted
from ..transformer_parts import (
    ACTIVATIONS,
    EMBEDDING,
    FEED_FORWARDS,
    MASK,
    NORMS,
    TABLE,
    XAVIER,
    feed_forward,
    norm,
    positions,
)
from .multi_head_attention import MultiHeadAttention
from .transformer_lm import TransformerLM

CROSS = "batch heads queries memory"
MEMORY = "batch memory channels"
SMALL = {
    "source_vocab_size": 11,
    "target_vocab_size": 9,
    "d_model": 8,
    "num_heads": 2,
    "num_encoder_layers": 1,
    "num_decoder_layers": 2,
    "d_ff": 12,
    "max_len": 12,
}
BASE = {"source_vocab_size": 37000, "shared_embedding": True, "tied_head": True, "head_bias": False}
SAME = (
    "d_model", "num_heads", "d_ff", "max_len", "activation", "feed_forward", "positions", "norm", "norm_type",
    "norm_epsilon", "scale_embedding", "pad_token_id", "dropout_rate",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Transformer(Spec):
    """An encoder over a source, and a decoder that attends to the target so far and to the encoded source.

    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017; sections 3.1 to 3.5 and 5.4, table 3. Pre-norm
    after Xiong et al. (2020, figure 1b).

    Input: `source`, whole numbers below `source_vocab_size`, (batch, time); `target`, whole numbers below the target's
    size, (batch, time): what the decoder has written so far, from `start_token_id` on. Output: `logits`, float, (batch,
    time, channels): those of the token that follows, one channel per token of the target's vocabulary.

    Fields:
        source_vocab_size, target_vocab_size: number of tokens; None is the same vocabulary for both.
        d_model, num_heads, d_ff: width, number of heads (each `d_model / num_heads` wide), width of the feed-forward.
        num_encoder_layers, num_decoder_layers: number of blocks.
        max_len: longest source, and longest target, in tokens.
        activation: of the feed-forward network; `gelu` is exact, `gelu_tanh` its approximation by tanh.
        feed_forward: `mlp`, or gated by the logistic function (`glu`) or by x times it (`swiglu`), not by `activation`.
        positions: `sinusoidal` (section 3.5) or a `learned` vector each.
        norm: `post` normalises after each residual sum, `pre` before each sublayer and once at the end of both stacks.
        norm_type: `layer` normalisation, or `rms`, by the root mean square alone.
        norm_epsilon: added to the variance, or to the mean square.
        scale_embedding: multiply the token embeddings by the square root of `d_model` (section 3.4).
        pad_token_id: positions with this token are attended to by none and count in no loss; None if there is none.
        start_token_id, end_token_id: what the decoder starts from, and what it ends with.
        shared_embedding: source and target share one embedding, `encoder.token_embedding.table` (section 3.4).
        tied_head: the head's kernel is the target's embedding, transposed.
        head_bias: whether the logits have a bias.
        label_smoothing: of the loss that the network is trained with (section 5.4).
        dropout_rate: on the embeddings, the attention weights, the feed-forward network and each sublayer's result.

    Decoding: `start(batch, source)` gives a cache with the encoded source, `decode(target, cache)` the logits after the
    last of the tokens that follow what is kept there. `diglot.generate` drives both.

    A row of attention in which every position is masked gives zero, on both sides.

    Raises SpecError for a value against its rule; the network raises InputError for tokens outside of the vocabulary
    and for a sequence longer than `max_len`.

    Departs from paper: dropout is also on attention weights and within the feed-forward network, as in its reference
    code. The document's decoder has no cross-attention, so that its target never sees the source; this one has.

    Frameworks differ: `torch.nn.Transformer` has no embedding, no positions and no head, normalises at the end of both
    stacks even with post-norm, and its boolean masks' True means "leave out"; Keras has no such class.
    """

    source_vocab_size: int = whole(10000, least=3)
    target_vocab_size: int | None = optional_whole(None, least=3)
    d_model: int = whole(512)
    num_heads: int = whole(8)
    d_ff: int = whole(2048)
    num_encoder_layers: int = whole(6)
    num_decoder_layers: int = whole(6)
    max_len: int = whole(512)
    activation: str = choice(*ACTIVATIONS)
    feed_forward: str = choice(*FEED_FORWARDS)
    positions: str = choice("sinusoidal", "learned")
    norm: str = choice("post", "pre")
    norm_type: str = choice(*NORMS)
    norm_epsilon: float = positive(1e-5)
    scale_embedding: bool = flag(True)
    pad_token_id: int | None = optional_whole(0)
    start_token_id: int = whole(1, least=0)
    end_token_id: int = whole(2, least=0)
    shared_embedding: bool = flag(False)
    tied_head: bool = flag(False)
    head_bias: bool = flag(True)
    label_smoothing: float = fraction(0.1)
    dropout_rate: float = fraction(0.1)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "transformer_base": BASE,
        "transformer_big": {**BASE, "d_model": 1024, "num_heads": 16, "d_ff": 4096, "dropout_rate": 0.3},
        "transformer_small": {**SMALL},
        "transformer_small_shared": {
            **SMALL,
            "target_vocab_size": None,
            "num_decoder_layers": 1,
            "activation": "gelu",
            "positions": "learned",
            "norm": "pre",
            "scale_embedding": False,
            "pad_token_id": None,
            "shared_embedding": True,
            "tied_head": True,
            "label_smoothing": 0.0,
            "dropout_rate": 0.0,
        },
    }
    CHECKED: ClassVar[tuple[str, ...]] = ("transformer_small", "transformer_small_shared")
    CHECKED_LENGTH: ClassVar[int] = 24

    def constraints(self) -> Iterator[str]:
        if self.d_model % self.num_heads:
            yield f"d_model {self.d_model} is not divisible by num_heads {self.num_heads}"
        if self.positions == "sinusoidal" and self.d_model % 2:
            yield f"d_model {self.d_model} is odd, and sinusoidal positions come in pairs"
        for name in ("pad_token_id", "start_token_id", "end_token_id"):
            token, size = getattr(self, name), min(self.source_vocab_size, self.written)
            if token is not None and token >= size:
                yield f"{name} {token} is not below the size of the vocabulary, {size}"
            if token == self.pad_token_id and name != "pad_token_id":
                yield f"{name} {token} is the pad_token_id as well, which nothing attends to and no loss counts"
        if self.shared_embedding and self.written != self.source_vocab_size:
            yield f"shared_embedding needs one vocabulary, not {self.source_vocab_size} and {self.written} tokens"

    @property
    def bias(self) -> bool:
        """Whether the dense layers of the blocks have a bias: they do, as in the paper's feed-forward network."""
        return True

    @property
    def written(self) -> int:
        """Tokens of the target's vocabulary."""
        return self.target_vocab_size or self.source_vocab_size

    def inputs(self) -> tuple[Tensor, ...]:
        return (
            Tensor("source", "batch time", (None, self.max_len), "int", self.source_vocab_size),
            Tensor("target", "batch time", (None, self.max_len), "int", self.written),
        )

    def outputs(self) -> tuple[Tensor, ...]:
        return (Tensor("logits", SEQUENCE, (None, self.max_len, self.written)),)

    def loss_fields(self) -> dict[str, Any]:
        return {"label_smoothing": self.label_smoothing, "ignore_index": self.pad_token_id}

    @property
    def generates(self) -> str:
        return "target"

    def shrunk(self) -> Self:
        """Sequences of at most 24 tokens, and shorter than the longest that the network takes."""
        return self.replace(max_len=max(1, min(self.max_len, self.CHECKED_LENGTH) * 3 // 4))

    def example(self, rng: np.random.Generator, batch: int | None = None) -> dict[str, Array]:
        """As for every spec; the target is the targets one position later, from the start token on, and both sequences
        are padded where there is padding."""
        arrays = super().example(rng, batch)
        if self.pad_token_id is not None:
            arrays["source"] = padded(arrays["source"], self.pad_token_id, self.source_vocab_size, rng)
            arrays["targets"] = padded(arrays["targets"], self.pad_token_id, self.written, rng)
        arrays["target"] = shifted(arrays["targets"], self.start_token_id)
        return arrays

    def encoder(self) -> TransformerLM:
        """The encoder, whose result the decoder attends to."""
        same = {name: getattr(self, name) for name in SAME}
        size, layers = self.source_vocab_size, self.num_encoder_layers
        return TransformerLM(vocab_size=size, num_layers=layers, causal=False, head="none", **same)

    def attention(self, mask: str = "boolean") -> MultiHeadAttention:
        """Each of the two attentions of a decoder's block."""
        return MultiHeadAttention(
            d_model=self.d_model, num_heads=self.num_heads, mask=mask, dropout_rate=self.dropout_rate
        )

    def cross_attention(self) -> MultiHeadAttention:
        """The attention to the encoded source."""
        return self.attention("none" if self.pad_token_id is None else "boolean")

    def parts(self) -> Iterator[Part]:
        yield from nested("encoder", self.encoder())
        if self.pad_token_id is not None:
            yield Part("cross_mask", ("batch time",), CROSS)
        table = embedding("decoder.token_embedding", self.written, self.d_model, EMBEDDING)
        yield Part(table.name, table.inputs, table.output) if self.shared_embedding else table
        yield from positions(self.positions, self.max_len, self.d_model, "decoder.")
        yield block("decoder.dropout", SEQUENCE)
        yield Part("decoder.mask", ("batch time",), MASK)
        for index in range(self.num_decoder_layers):
            yield from self._block(f"decoder.blocks.{index}")
        if self.norm == "pre":
            yield norm("decoder.norm", self.d_model, self.norm_type)
        whole = dense("decoder.head", self.d_model, self.written, XAVIER, layout=SEQUENCE, bias=self.head_bias)
        yield Part(whole.name, (SEQUENCE, TABLE), SEQUENCE, whole.weights[1:]) if self.tied_head else whole
        yield Part("decoder", ("batch time", MEMORY, *self._cross()), SEQUENCE)

    def _cross(self) -> tuple[str, ...]:
        return () if self.pad_token_id is None else (CROSS,)

    def _block(self, name: str) -> Iterator[Part]:
        network = feed_forward(f"{name}.feed_forward", self.d_model, self.d_ff, self.feed_forward)
        sublayers = (
            nested(f"{name}.attention", self.attention()),
            nested(f"{name}.cross_attention", self.cross_attention()),
            network,
        )
        for number, sublayer in enumerate(sublayers, 1):
            normalised = norm(f"{name}.norm{number}", self.d_model, self.norm_type)
            parts = (*sublayer, block(f"{name}.dropout{number}", SEQUENCE))
            yield from (*parts, normalised) if self.norm == "post" else (normalised, *parts)
        yield Part(name, (SEQUENCE, MASK, MEMORY, *self._cross()), SEQUENCE)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        def pick(*values: Any) -> Any:
            return values[int(rng.integers(len(values)))]

        heads, vocabulary, shared = int(rng.integers(1, 4)), int(rng.integers(5, 20)), pick(True, False)
        return cls(
            source_vocab_size=vocabulary,
            target_vocab_size=None if shared else int(rng.integers(5, 20)),
            d_model=heads * pick(4, 6, 8),
            num_heads=heads,
            d_ff=int(rng.integers(4, 24)),
            num_encoder_layers=int(rng.integers(1, 3)),
            num_decoder_layers=int(rng.integers(1, 3)),
            max_len=int(rng.integers(4, 12)),
            activation=pick(*ACTIVATIONS),
            feed_forward=pick(*FEED_FORWARDS),
            positions=pick("sinusoidal", "learned"),
            norm=pick("post", "pre"),
            norm_type=pick(*NORMS),
            norm_epsilon=pick(1e-5, 1e-6),
            scale_embedding=pick(True, False),
            pad_token_id=pick(None, 0, 3),
            shared_embedding=shared,
            tied_head=pick(True, False),
            head_bias=pick(True, False),
            label_smoothing=pick(0.0, 0.1),
            dropout_rate=pick(0.0, 0.1, 0.3),
        )
