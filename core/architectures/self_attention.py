"""Self-attention with one head."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..field import flag, fraction, whole
from ..masks import QUERIES
from ..parts import SEQUENCE
from ..spec import Part, Spec, Tensor
from ..transformer_parts import attention_map, projections

MAP = "batch queries keys"
SMALL = {"d_model": 5, "key_size": 4, "value_size": 3}


@dataclass(frozen=True, kw_only=True)
class SelfAttention(Spec):
    """Each position's mean over the positions of its own sequence, weighed by how alike query and key are.

    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017; section 3.2.1, with the projections of section
    3.2.2 for a single head and without the last one.

    Input: `x`, float, (batch, time, channels). Output: `attended`, float, (batch, time, channels), and with
    `need_weights` also `weights`, (batch, queries, keys): the map before dropout.

    Fields:
        d_model: channels of the input.
        key_size: channels of queries and keys, symbol d_k.
        value_size: channels of values and of the output, symbol d_v.
        causal: a position attends to itself and to earlier ones only.
        need_weights: whether the map is an output as well.
        bias: whether the projections have one.
        dropout_rate: on the map.

    Raises SpecError for a value against its rule.
    """

    d_model: int = whole(512)
    key_size: int = whole(64)
    value_size: int = whole(64)
    causal: bool = flag(False)
    need_weights: bool = flag(False)
    bias: bool = flag(True)
    dropout_rate: float = fraction(0.0)

    LOSS: ClassVar[str] = "mean_squared_error"
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "self_attention_small": {**SMALL, "need_weights": True},
        "self_attention_small_causal": {**SMALL, "causal": True, "bias": False, "dropout_rate": 0.1},
    }
    CHECKED: ClassVar[tuple[str, ...]] = tuple(PRESETS)

    def inputs(self) -> tuple[Tensor, ...]:
        return (Tensor("x", SEQUENCE, (None, QUERIES, self.d_model)),)

    def outputs(self) -> tuple[Tensor, ...]:
        attended = Tensor("attended", SEQUENCE, (None, QUERIES, self.value_size))
        weights = Tensor("weights", MAP, (None, QUERIES, QUERIES))
        return (attended, weights) if self.need_weights else (attended,)

    def parts(self) -> Iterator[Part]:
        sizes = {"query": self.key_size, "key": self.key_size, "value": self.value_size}
        yield from projections({name: (self.d_model, size) for name, size in sizes.items()}, bias=self.bias)
        yield from attention_map(*((MAP,) if self.causal else ()), layout=MAP)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        return cls(
            d_model=int(rng.integers(2, 8)),
            key_size=int(rng.integers(2, 8)),
            value_size=int(rng.integers(2, 8)),
            causal=bool(rng.random() < 0.5),
            need_weights=bool(rng.random() < 0.5),
            bias=bool(rng.random() < 0.5),
            dropout_rate=float(rng.choice([0.0, 0.2])),
        )
