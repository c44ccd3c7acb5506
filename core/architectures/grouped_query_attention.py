"""Grouped-query attention with rotary positions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..axes import Array
from ..field import choice, flag, fraction, optional_whole, positive, whole
from ..masks import MASKS, QUERIES, mask_input, masked
from ..parts import SEQUENCE, block, dense
from ..spec import Part, Spec, Tensor
from ..transformer_parts import HEADS, MASK, XAVIER, attention_map, projections

SMALL = {"d_model": 8, "num_heads": 4, "num_key_value_heads": 2, "key_size": 4, "max_len": 8}


@dataclass(frozen=True, kw_only=True)
class GroupedQueryAttention(Spec):
    """Self-attention in which several heads of queries share one head of keys and values, and positions are rotations.

    Source: Ainslie et al., "GQA: Training generalized multi-query Transformer models from multi-head checkpoints",
    EMNLP 2023, section 2.2; one head of keys for all is Shazeer, "Fast Transformer decoding" (2019). Rotary positions
    after Su et al., "RoFormer" (2021), section 3.2.2, eq. 34.

    Input: `x`, float, (batch, time, channels), and `attention_mask`, (batch, heads, queries, keys), if there is one.
    Output: `attended`, float, (batch, time, channels).

    Fields:
        d_model: channels of input and output.
        num_heads: heads of queries.
        num_key_value_heads: heads of keys and values; None is num_heads, and each one is shared by as many neighbouring
            heads of queries as it takes.
        key_size: channels of a head; None is d_model / num_heads.
        rotary_base: the slowest pair of channels turns by nearly 1 / rotary_base per position.
        rotary_pairs: which channels of a head turn together: `halves`, channel i and i + key_size / 2, as in LLaMA and
            in Hugging Face's models, or `interleaved`, neighbours, as in the paper.
        max_len: the longest sequence, in positions.
        mask: `none`; `boolean`, where 1 and True mean "attend"; or `additive`, numbers that are added to the scores.
        bias: whether the projections have one.
        dropout_rate: on the map.

    Keys are kept in a cache after their rotation, which depends on their own position alone.

    Raises SpecError for a value against its rule, for heads that do not divide, and for an odd key_size.

    Departs from paper: RoFormer turns neighbouring channels; LLaMA and all that follow it turn the two halves.

    Frameworks differ: PyTorch's `scaled_dot_product_attention` repeats heads of keys only with `enable_gqa`, Keras's
    `GroupedQueryAttention` always, and it has no rotary positions.
    """

    d_model: int = whole(512)
    num_heads: int = whole(8)
    num_key_value_heads: int | None = optional_whole(None, least=1)
    key_size: int | None = optional_whole(None, least=2)
    rotary_base: float = positive(10000.0)
    rotary_pairs: str = choice("halves", "interleaved")
    max_len: int = whole(2048)
    mask: str = choice(*MASKS)
    bias: bool = flag(False)
    dropout_rate: float = fraction(0.0)

    LOSS: ClassVar[str] = "mean_squared_error"
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "grouped_query_attention_small": {**SMALL, "mask": "boolean", "dropout_rate": 0.1},
        "grouped_query_attention_small_interleaved": {
            **SMALL,
            "num_heads": 2,
            "num_key_value_heads": 1,
            "key_size": None,
            "rotary_base": 100.0,
            "rotary_pairs": "interleaved",
            "bias": True,
        },
    }
    CHECKED: ClassVar[tuple[str, ...]] = tuple(PRESETS)

    def constraints(self) -> Iterator[str]:
        if self.key_size is None and self.d_model % self.num_heads:
            yield f"d_model {self.d_model} is not divisible by num_heads {self.num_heads}"
        elif self.size % 2:
            yield f"heads of {self.size} channels are odd, and rotary positions turn pairs of them"
        if self.num_heads % self.groups:
            yield f"num_heads {self.num_heads} is not divisible by num_key_value_heads {self.num_key_value_heads}"

    @property
    def size(self) -> int:
        """Channels of a head."""
        return self.key_size or self.d_model // self.num_heads

    @property
    def groups(self) -> int:
        """Heads of keys and values."""
        return self.num_key_value_heads or self.num_heads

    @property
    def kept(self) -> tuple[int, int]:
        """Heads of keys in a cache, and channels of each."""
        return self.groups, self.size

    @property
    def time(self) -> int:
        """Positions in an example."""
        return min(QUERIES, self.max_len)

    def inputs(self) -> tuple[Tensor, ...]:
        x = Tensor("x", SEQUENCE, (None, self.time, self.d_model))
        return x, *mask_input(self.mask, self.num_heads, self.time, self.time)

    def outputs(self) -> tuple[Tensor, ...]:
        return (Tensor("attended", SEQUENCE, (None, self.time, self.d_model)),)

    def example(self, rng: np.random.Generator, batch: int | None = None) -> dict[str, Array]:
        """As for every spec; a boolean mask leaves out a third, and one row everything."""
        return masked(super().example(rng, batch), rng)

    def parts(self) -> Iterator[Part]:
        sizes = {"query": self.num_heads, "key": self.groups, "value": self.groups}
        widths = {name: (self.d_model, heads * self.size) for name, heads in sizes.items()}
        yield from projections(widths, bias=self.bias, inert=False)
        yield block("rotary", HEADS)
        yield from attention_map(*((MASK,) if self.mask != "none" else ()))
        yield dense("projection", self.num_heads * self.size, self.d_model, XAVIER, layout=SEQUENCE, bias=self.bias)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        groups, each = int(rng.integers(1, 3)), int(rng.integers(1, 3))
        return cls(
            d_model=groups * each * 2 * int(rng.integers(1, 4)),
            num_heads=groups * each,
            num_key_value_heads=groups,
            key_size=2 * int(rng.integers(1, 4)) if rng.random() < 0.5 else None,
            rotary_base=float(rng.choice([10000.0, 50.0])),
            rotary_pairs=str(rng.choice(["halves", "interleaved"])),
            max_len=int(rng.integers(3, 12)),
            mask=str(rng.choice(MASKS)),
            bias=bool(rng.random() < 0.5),
            dropout_rate=float(rng.choice([0.0, 0.2])),
        )
