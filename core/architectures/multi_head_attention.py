"""Multi-head attention."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..axes import Array
from ..field import choice, flag, fraction, optional_whole, whole
from ..masks import KEYS, MASKS, QUERIES, mask_input, masked
from ..parts import SEQUENCE, dense
from ..spec import Part, Spec, Tensor
from ..transformer_parts import MASK, XAVIER, attention_map, projections

QUERY = "batch queries channels"
KEY = "batch keys channels"
SMALL = {"d_model": 6, "num_heads": 2}


@dataclass(frozen=True, kw_only=True)
class MultiHeadAttention(Spec):
    """Scaled dot-product attention in several heads side by side, each between projections of its own.

    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017; section 3.2.2, and section 3.2.3 for where
    queries, keys and values come from.

    Input: `query`, float, (batch, queries, channels); `key` and `value`, float, (batch, keys, channels); and
    `attention_mask`, (batch, heads, queries, keys), if there is one. Self-attention is given one sequence three times,
    cross-attention another one for keys and values. Output: `attended`, float, (batch, queries, channels), and with
    `need_weights` also `weights`, (batch, heads, queries, keys): the map of each head before dropout.

    Fields:
        d_model: channels of the query and of the output.
        num_heads: number of heads, symbol h.
        key_size: channels of a head's queries and keys, symbol d_k; None is d_model / num_heads.
        value_size: channels of a head's values, symbol d_v; None is d_model / num_heads.
        key_channels, value_channels: channels of the inputs `key` and `value`; None is d_model.
        mask: `none`; `boolean`, where 1 and True mean "attend"; or `additive`, numbers that are added to the scores.
        need_weights: whether the map is an output as well.
        bias: whether the projections have one.
        dropout_rate: on the map.

    A row of the mask that leaves every key out attends to nothing: what is left is the output's bias.

    Raises SpecError for a value against its rule, and for heads that do not divide d_model where a size rests on it.

    Departs from paper: the paper's projections have no bias, the documents' have.

    Frameworks differ: `torch.nn.MultiheadAttention` packs the projections as (3 x channels, channels), gives the mean
    of the heads' maps after dropout, has no sizes of a head, and its boolean mask's True means "leave out"; Keras's
    keeps its kernels as (channels, heads, size), gives each head's map before dropout, is called with (query, value,
    key), in this order, and its True means "attend".
    """

    d_model: int = whole(512)
    num_heads: int = whole(8)
    key_size: int | None = optional_whole(None, least=1)
    value_size: int | None = optional_whole(None, least=1)
    key_channels: int | None = optional_whole(None, least=1)
    value_channels: int | None = optional_whole(None, least=1)
    mask: str = choice(*MASKS)
    need_weights: bool = flag(False)
    bias: bool = flag(True)
    dropout_rate: float = fraction(0.0)

    LOSS: ClassVar[str] = "mean_squared_error"
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "multi_head_attention_small": {**SMALL, "mask": "boolean", "dropout_rate": 0.1},
        "multi_head_attention_small_cross": {
            **SMALL,
            "key_channels": 4,
            "value_channels": 4,
            "mask": "additive",
            "need_weights": True,
        },
        "multi_head_attention_small_sizes": {
            **SMALL,
            "key_size": 5,
            "value_size": 4,
            "key_channels": 3,
            "value_channels": 7,
            "bias": False,
        },
    }
    CHECKED: ClassVar[tuple[str, ...]] = tuple(PRESETS)

    def constraints(self) -> Iterator[str]:
        if self.d_model % self.num_heads and None in (self.key_size, self.value_size):
            yield f"d_model {self.d_model} is not divisible by num_heads {self.num_heads}"

    @property
    def sizes(self) -> tuple[int, int]:
        """Channels of a head's keys, and of its values."""
        each = self.d_model // self.num_heads
        return self.key_size or each, self.value_size or each

    @property
    def kept(self) -> tuple[int, int]:
        """Heads of keys in a cache, and channels of each."""
        return self.num_heads, self.sizes[0]

    @property
    def widths(self) -> dict[str, tuple[int, int]]:
        """Channels in and out of the three projections, all heads together."""
        key_size, value_size = (self.num_heads * size for size in self.sizes)
        return {
            "query": (self.d_model, key_size),
            "key": (self.key_channels or self.d_model, key_size),
            "value": (self.value_channels or self.d_model, value_size),
        }

    def inputs(self) -> tuple[Tensor, ...]:
        return (
            Tensor("query", QUERY, (None, QUERIES, self.d_model)),
            Tensor("key", KEY, (None, KEYS, self.widths["key"][0])),
            Tensor("value", KEY, (None, KEYS, self.widths["value"][0])),
            *mask_input(self.mask, self.num_heads),
        )

    def outputs(self) -> tuple[Tensor, ...]:
        attended = Tensor("attended", QUERY, (None, QUERIES, self.d_model))
        weights = Tensor("weights", MASK, (None, self.num_heads, QUERIES, KEYS))
        return (attended, weights) if self.need_weights else (attended,)

    def example(self, rng: np.random.Generator, batch: int | None = None) -> dict[str, Array]:
        """As for every spec; a boolean mask leaves out a third, and one row everything."""
        return masked(super().example(rng, batch), rng)

    def parts(self) -> Iterator[Part]:
        yield from projections(self.widths, bias=self.bias)
        yield from attention_map(*((MASK,) if self.mask != "none" else ()))
        yield dense("projection", self.widths["value"][1], self.d_model, XAVIER, layout=SEQUENCE, bias=self.bias)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        heads = int(rng.integers(1, 4))
        return cls(
            d_model=heads * int(rng.integers(2, 5)),
            num_heads=heads,
            key_size=int(rng.integers(2, 6)) if rng.random() < 0.5 else None,
            value_size=int(rng.integers(2, 6)) if rng.random() < 0.5 else None,
            key_channels=int(rng.integers(2, 6)) if rng.random() < 0.5 else None,
            value_channels=int(rng.integers(2, 6)) if rng.random() < 0.5 else None,
            mask=str(rng.choice(MASKS)),
            need_weights=bool(rng.random() < 0.5),
            bias=bool(rng.random() < 0.7),
            dropout_rate=float(rng.choice([0.0, 0.2])),
        )
