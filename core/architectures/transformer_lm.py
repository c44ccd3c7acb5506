"""The Transformer as one stack of blocks: a decoder that writes text, or an encoder that reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from ..axes import Array
from ..field import choice, flag, fraction, optional_whole, positive, whole
from ..huggingface import BERT, DISTILBERT, GPT2, PRE, PUBLISHED, READER
from ..parts import SEQUENCE, VECTOR, block, dense, embedding, nested
from ..source import Source
from ..spec import Part, Spec, Tensor
from ..tokens import padded
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
from .grouped_query_attention import GroupedQueryAttention
from .multi_head_attention import MultiHeadAttention

NO_TOKEN_TYPES = "this transformer_lm has token types, so it must be given token_types beside its tokens"
NO_DECODER = "this transformer_lm does not write: that needs a causal network with logits and without token types"
HEADS = ("logits", "pooler", "mean", "unit_mean", "none")
FORMS = ("sinusoidal", "learned", "rotary")
SMALL = {"vocab_size": 11, "d_model": 8, "num_heads": 2, "num_layers": 2, "d_ff": 12, "max_len": 16}


@dataclass(frozen=True, kw_only=True)
class TransformerLM(Spec):
    """A Transformer over tokens: embedding, positions, blocks of self-attention and feed-forward, and a head.

    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017; sections 3.1 to 3.5 and 5.4. Pre-norm
    after Xiong et al. (2020, figure 1b), GELU after Hendrycks and Gimpel (2016). The encoder is that of Devlin et al.,
    "BERT", 2019, section 3; the decoder that of Radford et al., "Language models are unsupervised multitask learners"
    (GPT-2, 2019), section 2.3, or of Touvron et al., "LLaMA" (2023), section 2.2. Tied output after Press and Wolf
    (2017), RMS norm after Zhang and Sennrich (2019, eq. 4), mean pooling after Reimers and Gurevych, "Sentence-BERT"
    (2019, section 3).

    Input: `tokens`, whole numbers below `vocab_size`, (batch, time), and with token types also `token_types`, (batch,
    time). Output: `logits`, float, (batch, time, channels), one channel per token of the vocabulary. With another head
    it is `last_hidden_state`, (batch, time, channels), and `pooled`, (batch, channels), if there is one. With
    `hidden_states`, also `hidden_states.0`, what the first block is given, to the last, behind the last norm.

    Fields:
        vocab_size, max_len: number of tokens; longest sequence, in tokens.
        d_model, num_heads, d_ff: width, number of heads (each `d_model / num_heads` wide), width of the feed-forward.
        num_layers: number of blocks.
        activation: of the feed-forward network; `gelu` is exact, `gelu_tanh` its approximation by tanh.
        feed_forward: `mlp`, or gated by the logistic function (`glu`) or by x times it (`swiglu`), not by `activation`.
        positions: `sinusoidal` (section 3.5), a `learned` vector each, or `rotary`, by which queries and keys turn.
        num_key_value_heads: heads of keys and values, fewer than those of queries; rotary only. None is num_heads.
        norm: `post` normalises after each residual sum, `pre` before each sublayer and once at the end.
        norm_type: `layer` normalisation, or `rms`, by the root mean square alone.
        norm_epsilon: added to the variance, or to the mean square.
        embedding_norm: normalise the embedding sum, before its dropout.
        num_token_types: kinds of tokens, as of first and second sentence, each with a vector that is added; 0 is none.
        scale_embedding: multiply the token embedding by the square root of `d_model` (section 3.4).
        causal: a position attends to itself and to earlier ones only.
        pad_token_id: positions with this token are attended to by none; None if there is no padding.
        head: `logits`; `pooler`, a dense layer with tanh over the first position; the `mean` over positions that are
            not padding; that mean as a vector of length one, `unit_mean`; or `none`.
        tied_head: the head's kernel is the token embedding, transposed: one weight, `token_embedding.table`.
        head_bias: whether the logits have a bias.
        hidden_states: whether what every block gives is an output as well.
        bias: whether the dense layers of the blocks have one.
        dropout_rate: on the embedding, the attention weights, the feed-forward network and each sublayer's result.

    Decoding: `start(batch)` gives a cache, `decode(tokens, cache)` the logits after the last of the tokens that follow
    what is kept there. `diglot.generate` drives both.

    A row of attention in which every position is masked gives zero, on both sides, and so does the mean over padding
    alone.

    Raises SpecError for a value against its rule; the network raises InputError for tokens outside of the vocabulary
    and for a sequence longer than `max_len`.

    Departs from paper: it is one stack, where the paper has an encoder and a decoder. Dropout is on sublayer results
    and the embedding sum as in section 5.4, and on attention weights and within the feed-forward as in the document.
    The document adds positions to a sequence-first copy of the tensor; here time is always axis 1.

    Frameworks differ: layer normalisation's epsilon (1e-5, Keras 1e-3); `gelu` as a function is exact in PyTorch and
    the tanh form in Keras; a boolean mask's True means "attend" here, in Keras and in PyTorch's
    `scaled_dot_product_attention`, and "leave out" in `torch.nn.MultiheadAttention`. Keras fills an argument that is
    called `mask` by itself, so it is called `attention_mask`. A negative token counts from the end in Keras.
    """

    vocab_size: int = whole(10000, least=2)
    d_model: int = whole(512)
    num_heads: int = whole(8)
    num_layers: int = whole(6)
    d_ff: int = whole(2048)
    max_len: int = whole(512)
    activation: str = choice(*ACTIVATIONS)
    feed_forward: str = choice(*FEED_FORWARDS)
    positions: str = choice(*FORMS)
    num_key_value_heads: int | None = optional_whole(None, least=1)
    norm: str = choice("post", "pre")
    norm_type: str = choice(*NORMS)
    norm_epsilon: float = positive(1e-5)
    embedding_norm: bool = flag(False)
    num_token_types: int = whole(0, least=0)
    scale_embedding: bool = flag(True)
    causal: bool = flag(True)
    pad_token_id: int | None = optional_whole(None)
    head: str = choice(*HEADS)
    tied_head: bool = flag(False)
    head_bias: bool = flag(True)
    hidden_states: bool = flag(False)
    bias: bool = flag(True)
    dropout_rate: float = fraction(0.1)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        **PUBLISHED,
        "transformer_lm_small": {**SMALL},
        "transformer_lm_small_pre": {**SMALL, **PRE, "pad_token_id": 0, "tied_head": True},
        "transformer_lm_small_encoder": {
            **SMALL,
            "num_layers": 1,
            "activation": "gelu_tanh",
            "causal": False,
            "pad_token_id": 3,
            "dropout_rate": 0.0,
            "feed_forward": "glu",
            "head": "unit_mean",
        },
        "transformer_lm_small_open": {
            **SMALL,
            "num_layers": 1,
            "norm": "pre",
            "causal": False,
            "positions": "learned",
            "head": "none",
        },
        "transformer_lm_small_bert": {**SMALL, **READER, "num_layers": 1},
        "transformer_lm_small_llama": {
            **{**SMALL, "num_key_value_heads": 1, "positions": "rotary", "scale_embedding": False},
            **{"norm": "pre", "norm_type": "rms", "feed_forward": "swiglu", "bias": False, "head_bias": False},
        },
    }
    CHECKED: ClassVar[tuple[str, ...]] = tuple(name for name in PRESETS if name.startswith("transformer_lm"))
    CHECKED_LENGTH: ClassVar[int] = 32
    SOURCES: ClassVar[dict[str, Source | tuple[Source, ...]]] = {"huggingface": (BERT, DISTILBERT, GPT2)}

    def constraints(self) -> Iterator[str]:
        size, left = divmod(self.d_model, self.num_heads)
        if left:
            yield f"d_model {self.d_model} is not divisible by num_heads {self.num_heads}"
        if self.positions == "sinusoidal" and self.d_model % 2:
            yield f"d_model {self.d_model} is odd, and sinusoidal positions come in pairs"
        if self.positions == "rotary" and size % 2:
            yield f"heads of {size} channels are odd, and rotary positions turn pairs of them"
        if self.num_key_value_heads is not None and self.positions != "rotary":
            yield f"num_key_value_heads {self.num_key_value_heads} needs rotary positions"
        if self.num_heads % (self.num_key_value_heads or self.num_heads):
            yield f"num_heads {self.num_heads} is not divisible by num_key_value_heads {self.num_key_value_heads}"
        if self.pad_token_id is not None and self.pad_token_id >= self.vocab_size:
            yield f"pad_token_id {self.pad_token_id} is not below vocab_size {self.vocab_size}"
        if self.causal and self.head == "pooler":
            yield "the head 'pooler' reads the first position, which sees no other one in a causal network"
        if self.tied_head and self.head != "logits":
            yield f"tied_head needs the head 'logits', not {self.head!r}"

    def inputs(self) -> tuple[Tensor, ...]:
        tokens = Tensor("tokens", "batch time", (None, self.max_len), "int", self.vocab_size)
        if not self.num_token_types:
            return (tokens,)
        return tokens, replace(tokens, name="token_types", high=self.num_token_types)

    def outputs(self) -> tuple[Tensor, ...]:
        hidden = Tensor("last_hidden_state", SEQUENCE, (None, self.max_len, self.d_model))
        logits = Tensor("logits", SEQUENCE, (None, self.max_len, self.vocab_size))
        pooled = Tensor("pooled", VECTOR, (None, self.d_model))
        first = {"logits": (logits,), "none": (hidden,)}.get(self.head, (hidden, pooled))
        count = self.num_layers + 1 if self.hidden_states else 0
        return (*first, *(replace(hidden, name=f"hidden_states.{index}") for index in range(count)))

    def loss(self) -> str:
        return "cross_entropy" if self.head == "logits" else "mean_squared_error"

    def loss_weights(self) -> dict[str, float]:
        return {{"logits": "logits", "none": "last_hidden_state"}.get(self.head, "pooled"): 1.0}

    @property
    def generates(self) -> str:
        return "tokens" if self.causal and self.head == "logits" and not self.num_token_types else ""

    def shrunk(self) -> Self:
        """Sequences of at most 32 tokens, and shorter than the longest that the network takes."""
        return self.replace(max_len=max(1, min(self.max_len, self.CHECKED_LENGTH) * 3 // 4))

    def example(self, rng: np.random.Generator, batch: int | None = None) -> dict[str, Array]:
        """As for every spec; with padding, it is on the right in most sequences, on the left in the first, within the
        second, and nowhere in the last. With a causal mask, the first rows of the first attend to nothing."""
        arrays = super().example(rng, batch)
        if self.pad_token_id is not None:
            arrays["tokens"] = padded(arrays["tokens"], self.pad_token_id, self.vocab_size, rng)
        return arrays

    def parts(self) -> Iterator[Part]:
        yield embedding("token_embedding", self.vocab_size, self.d_model, EMBEDDING)
        if self.num_token_types:
            yield embedding("token_type_embedding", self.num_token_types, self.d_model, EMBEDDING)
        yield from positions(self.positions, self.max_len, self.d_model)
        if self.embedding_norm:
            yield norm("embedding_norm", self.d_model, self.norm_type)
        yield block("dropout", SEQUENCE)
        if self.is_masked:
            yield Part("mask", ("batch time",), MASK)
        for index in range(self.num_layers):
            yield from self._block(f"blocks.{index}")
        if self.norm == "pre":
            yield norm("norm", self.d_model, self.norm_type)
        yield from self._head()

    @property
    def is_masked(self) -> bool:
        """Whether any position may be kept from attending to another."""
        return self.causal or self.pad_token_id is not None

    def attention(self) -> MultiHeadAttention | GroupedQueryAttention:
        """The attention of a block."""
        shared: dict[str, Any] = {
            "d_model": self.d_model,
            "num_heads": self.num_heads,
            "mask": "boolean" if self.is_masked else "none",
            "bias": self.bias,
            "dropout_rate": self.dropout_rate,
        }
        if self.positions != "rotary":
            return MultiHeadAttention(**shared)
        return GroupedQueryAttention(**shared, num_key_value_heads=self.num_key_value_heads, max_len=self.max_len)

    def _block(self, name: str) -> Iterator[Part]:
        norms = [norm(f"{name}.norm{number}", self.d_model, self.norm_type) for number in (1, 2)]
        network = feed_forward(f"{name}.feed_forward", self.d_model, self.d_ff, self.feed_forward, bias=self.bias)
        attended = [*nested(f"{name}.attention", self.attention()), block(f"{name}.dropout1", SEQUENCE)]
        fed = [*network, block(f"{name}.dropout2", SEQUENCE)]
        if self.norm == "post":
            yield from (*attended, norms[0], *fed, norms[1])
        else:
            yield from (norms[0], *attended, norms[1], *fed)
        yield block(name, SEQUENCE, *((MASK,) if self.is_masked else ()))

    def _head(self) -> Iterator[Part]:
        whole = dense("head", self.d_model, self.vocab_size, XAVIER, layout=SEQUENCE, bias=self.head_bias)
        if self.head == "logits":
            tied = Part("head", (SEQUENCE, TABLE), SEQUENCE, whole.weights[1:])
            yield tied if self.tied_head else whole
        elif self.head == "pooler":
            yield Part("pooler", (SEQUENCE,), VECTOR, dense("pooler", self.d_model, self.d_model, XAVIER).weights)
        elif self.head != "none":
            yield Part("pooler", (SEQUENCE, "batch time"), VECTOR)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        def pick(*values: Any) -> Any:
            return values[int(rng.integers(len(values)))]

        heads, vocabulary, form, head = int(rng.integers(1, 4)), int(rng.integers(5, 20)), pick(*FORMS), pick(*HEADS)
        return cls(
            vocab_size=vocabulary,
            d_model=heads * pick(4, 6, 8),  # normalising two channels leaves nothing but their signs
            num_heads=heads,
            num_layers=int(rng.integers(1, 5)),
            d_ff=int(rng.integers(4, 24)),
            max_len=int(rng.integers(4, 16)),
            activation=pick(*ACTIVATIONS),
            feed_forward=pick(*FEED_FORWARDS),
            positions=form,
            num_key_value_heads=pick(None, 1, heads) if form == "rotary" else None,
            norm=pick("post", "pre"),
            norm_type=pick(*NORMS),
            norm_epsilon=pick(1e-5, 1e-6),
            embedding_norm=pick(True, False),
            num_token_types=pick(0, 2),
            scale_embedding=pick(True, False),
            causal=head != "pooler" and pick(True, False),
            pad_token_id=pick(None, int(rng.integers(vocabulary))),
            head=head,
            tied_head=head == "logits" and pick(True, False),
            head_bias=pick(True, False),
            hidden_states=pick(True, False),
            bias=pick(True, False),
            dropout_rate=pick(0.0, 0.1, 0.3),
        )
