"""Scaled dot-product attention."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..axes import Array
from ..field import choice, flag, fraction, whole
from ..masks import KEYS, MASKS, QUERIES, mask_input, masked
from ..spec import Part, Spec, Tensor
from ..transformer_parts import MASK, attention_map

QUERY = "batch heads queries channels"
KEY = "batch heads keys channels"
SMALL = {"num_heads": 2, "key_size": 4, "value_size": 3}


@dataclass(frozen=True, kw_only=True)
class ScaledDotProductAttention(Spec):
    """softmax(Q K^T / sqrt(d)) V: each query's mean of the values, weighed by how alike it and their keys are.

    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017; section 3.2.1, eq. 1. Dropout on the weights as
    in its reference code and both documents.

    Input: `query`, float, (batch, heads, queries, channels); `key` and `value`, float, (batch, heads, keys, channels);
    and `attention_mask`, (batch, heads, queries, keys), if there is one. Output: `attended`, float, (batch, heads,
    queries, channels), and with `need_weights` also `weights`, (batch, heads, queries, keys): the map before dropout.

    Fields:
        num_heads: number of heads.
        key_size: channels of queries and keys, symbol d.
        value_size: channels of the values.
        mask: `none`; `boolean`, where 1 and True mean "attend"; or `additive`, numbers that are added to the scores,
            where minus infinity means "leave out".
        need_weights: whether the map is an output as well.
        dropout_rate: on the map.

    It has no weights. A row of the mask that leaves every key out gives zero.

    Raises SpecError for a value against its rule.

    Departs from paper: the document writes a mask's 1 for "leave out" and adds -1e9, under which a row that is masked
    everywhere attends to everything; here such a row is zero.

    Frameworks differ: PyTorch's `scaled_dot_product_attention` gives zero for a row that is masked everywhere, Keras's
    `ops.dot_product_attention` the mean of the values; Keras has the heads on axis 2. Keras's holds a float32 scale
    in float64 (2.6e-8 off), and has no dropout.
    """

    num_heads: int = whole(8)
    key_size: int = whole(64)
    value_size: int = whole(64)
    mask: str = choice(*MASKS)
    need_weights: bool = flag(False)
    dropout_rate: float = fraction(0.0)

    LOSS: ClassVar[str] = "mean_squared_error"
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "scaled_dot_product_attention_small": {**SMALL, "mask": "boolean", "dropout_rate": 0.1},
        "scaled_dot_product_attention_small_additive": {**SMALL, "mask": "additive", "need_weights": True},
    }
    CHECKED: ClassVar[tuple[str, ...]] = tuple(PRESETS)

    def inputs(self) -> tuple[Tensor, ...]:
        return (
            Tensor("query", QUERY, (None, self.num_heads, QUERIES, self.key_size)),
            Tensor("key", KEY, (None, self.num_heads, KEYS, self.key_size)),
            Tensor("value", KEY, (None, self.num_heads, KEYS, self.value_size)),
            *mask_input(self.mask, self.num_heads),
        )

    def outputs(self) -> tuple[Tensor, ...]:
        attended = Tensor("attended", QUERY, (None, self.num_heads, QUERIES, self.value_size))
        weights = Tensor("weights", MASK, (None, self.num_heads, QUERIES, KEYS))
        return (attended, weights) if self.need_weights else (attended,)

    def example(self, rng: np.random.Generator, batch: int | None = None) -> dict[str, Array]:
        """As for every spec; a boolean mask leaves out a third, and one row everything."""
        return masked(super().example(rng, batch), rng)

    def parts(self) -> Iterator[Part]:
        yield from attention_map(*((MASK,) if self.mask != "none" else ()))

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        return cls(
            num_heads=int(rng.integers(1, 4)),
            key_size=int(rng.integers(2, 7)),
            value_size=int(rng.integers(2, 7)),
            mask=str(rng.choice(MASKS)),
            need_weights=bool(rng.random() < 0.5),
            dropout_rate=float(rng.choice([0.0, 0.2])),
        )
