"""Additive attention: a query is compared with each value by a small network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..axes import Array
from ..field import flag, whole
from ..parts import block, dense
from ..spec import Part, Spec, Tensor
from ..transformer_parts import XAVIER

QUERIES, KEYS, MAP = "batch queries channels", "batch keys channels", "batch queries keys"
HIDDEN = "batch queries keys channels"


@dataclass(frozen=True, kw_only=True)
class AdditiveAttention(Spec):
    """For each query, a mean of the values, weighted by how well the query and each value fit together.

    Source: Bahdanau, Cho and Bengio, "Neural machine translation by jointly learning to align and translate", ICLR
    2015, eq. 5 and 6 and appendix A.1.2: e = v^T tanh(W q + U h), softmax of e over the values h, and their mean so
    weighted. q is a state of the decoder, s in the paper, and h an annotation of the encoder.

    Input: `query`, float, (batch, queries, channels); `values`, float, (batch, keys, channels); where `masked`,
    `attention_mask`, whole numbers, (batch, keys), 1 where a value is attended to and 0 where not. Output: `context`,
    float, (batch, queries, channels), and with `need_weights` also `weights`, float, (batch, queries, keys), whose rows
    sum to one. Where every value is masked, both are zero, on both sides.

    Fields:
        query_size, value_size: channels of a query and of a value.
        units: symbol n', number of channels in which the two are compared.
        bias: whether a bias is added to W q + U h; the paper leaves it out of its formulas.
        masked: whether there is a mask.
        need_weights: whether the weights are an output as well.
        num_queries, num_keys: lengths of an example; any length is taken.

    Raises SpecError for a value against its rule.

    Time and memory: tanh is taken of `units` numbers for each pair of a query and a value, and training keeps them:
    batch * num_queries * num_keys * units numbers, `units` times as many as dot-product attention keeps. For 32
    sentences of 50 words on either side and 1000 units that is 320 MB in float32.

    Departs from paper: weights start as Glorot and Bengio have it (2010), where appendix B.1 starts W and U at a
    standard deviation of 0.001, and v at zero. The scores have no bias, since softmax ignores it. The document's
    snippet takes a query and ignores it: its weights are a function of the values alone, the same for every query.
    """

    query_size: int = whole(1000)
    value_size: int = whole(2000)
    units: int = whole(1000)
    bias: bool = flag(False)
    masked: bool = flag(True)
    need_weights: bool = flag(True)
    num_queries: int = whole(50)
    num_keys: int = whole(50)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "additive_attention_small": {
            "query_size": 4,
            "value_size": 6,
            "units": 5,
            "num_queries": 3,
            "num_keys": 7,
        },
        "additive_attention_small_open": {
            "query_size": 5,
            "value_size": 4,
            "units": 3,
            "bias": True,
            "masked": False,
            "need_weights": False,
            "num_queries": 4,
            "num_keys": 5,
        },
    }
    CHECKED: ClassVar[tuple[str, ...]] = tuple(PRESETS)
    CHECKED_LENGTH: ClassVar[int] = 12
    LOSS: ClassVar[str] = "mean_squared_error"

    def inputs(self) -> tuple[Tensor, ...]:
        tensors = (
            Tensor("query", QUERIES, (None, self.num_queries, self.query_size)),
            Tensor("values", KEYS, (None, self.num_keys, self.value_size)),
            Tensor("attention_mask", "batch keys", (None, self.num_keys), "int", 2),
        )
        return tensors if self.masked else tensors[:2]

    def outputs(self) -> tuple[Tensor, ...]:
        context = Tensor("context", QUERIES, (None, self.num_queries, self.value_size))
        weights = Tensor("weights", MAP, (None, self.num_queries, self.num_keys))
        return (context, weights) if self.need_weights else (context,)

    def shrunk(self) -> Self:
        """At most 12 queries and values."""
        shorter = [min(length, self.CHECKED_LENGTH) for length in (self.num_queries, self.num_keys)]
        return self.replace(num_queries=shorter[0], num_keys=shorter[1])

    def drawn(self, rng: np.random.Generator, batch: int) -> dict[str, Array]:
        """As for every spec; of the mask, the first row is masked everywhere and the last nowhere."""
        arrays = super().drawn(rng, batch)
        if self.masked:
            arrays["attention_mask"][0] = 0
            arrays["attention_mask"][-1] = 1
        return arrays

    def parts(self) -> Iterator[Part]:
        yield dense("query", self.query_size, self.units, XAVIER, layout=QUERIES, bias=False)
        yield dense("key", self.value_size, self.units, XAVIER, layout=KEYS, bias=self.bias)
        yield block("tanh", HIDDEN)
        yield dense("score", self.units, 1, XAVIER, layout=HIDDEN, bias=False)
        yield block("map", MAP, *((MAP,) if self.masked else ()))

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        return cls(
            query_size=int(rng.integers(1, 9)),
            value_size=int(rng.integers(1, 9)),
            units=int(rng.integers(1, 9)),
            bias=bool(rng.random() < 0.5),
            masked=bool(rng.random() < 0.5),
            need_weights=bool(rng.random() < 0.5),
            num_queries=int(rng.integers(1, 6)),
            num_keys=int(rng.integers(2, 9)),
        )
