"""Linear attention: multi-head self-attention whose time and memory grow with the sequence, not with its square."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..axes import Array
from ..field import flag, positive, whole
from ..parts import SEQUENCE, block, dense
from ..spec import Part, Spec, Tensor
from ..transformer_parts import HEADS, XAVIER, projections

PADDING = "batch time"


@dataclass(frozen=True, kw_only=True)
class LinearAttention(Spec):
    """Multi-head self-attention with a feature map in the place of softmax, so that sums replace the attention map.

    Source: Katharopoulos et al., "Transformers are RNNs", ICML 2020, sections 3.2 to 3.4. The weight of key j for query
    i is phi(q_i) . phi(k_j) over its sum (eq. 4), with phi(x) = elu(x) + 1 (eq. 7). The products are taken in another
    order (eq. 5): S = sum phi(k_j) v_j^T and z = sum phi(k_j) serve every query. In the causal form the sums run up
    to j = i (eq. 9 to 12), and a position needs nothing but the sums before it: a recurrent network (eq. 16 to 20).

    Input: `x`, float, (batch, time, channels), of any length; where `masked`, `attention_mask`, whole numbers, (batch,
    time), 1 where a position is attended to and 0 where not. Output: `attended`, float, (batch, time, channels). A
    position that attends to nothing is given zero by every head, never NaN.

    Fields:
        d_model, num_heads: width, and number of heads, each `d_model / num_heads` wide.
        causal: a position attends to itself and to earlier ones only.
        masked: whether there is a mask of positions. It hides them as keys; as queries they still have a result.
        bias: whether the four dense layers have one.
        epsilon: added to the denominator, where the paper's formulas have none and its authors' code 1e-6.
        chunk_size: of the causal form, in positions; it changes time and memory, and the result by rounding alone.
        length: number of positions of an example.

    Decoding: the causal siblings take a `Memory`, S and z of the paper's section 3.4, made by `start(batch)`. It
    is added to in place, so that each call takes the positions after those of the call before; its size is constant.

    Time and memory are O(time), where softmax attention's are O(time^2). The causal form goes through chunks: within
    one, the attention map of chunk_size^2 numbers is written out, and the sums before it come from a cumulative sum of
    one S and z for each chunk. A sum for each position, as the formulas have it, would take head size times the memory.

    Raises SpecError where `num_heads` does not divide `d_model`.

    Departs from paper: `epsilon` makes the weights of a row sum to a little less than one; without it, a row that is
    masked everywhere would be 0 / 0. The document promises linear complexity and calls softmax attention.

    Frameworks differ: in nothing that is used. phi is not taken from their `elu`: for x below -17 its float32 is
    exactly -1, and the key would be lost; exp(x) is the same number, and never zero there.
    """

    d_model: int = whole(512)
    num_heads: int = whole(8)
    causal: bool = flag(True)
    masked: bool = flag(False)
    bias: bool = flag(True)
    epsilon: float = positive(1e-6)
    chunk_size: int = whole(128)
    length: int = whole(1024)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "linear_attention_small": {"d_model": 8, "num_heads": 2, "chunk_size": 3, "length": 8, "masked": True},
        "linear_attention_small_encoder": {
            "d_model": 8,
            "num_heads": 2,
            "causal": False,
            "masked": True,
            "bias": False,
            "length": 6,
        },
        "linear_attention_small_open": {"d_model": 6, "num_heads": 1, "chunk_size": 2, "length": 6},
    }
    CHECKED: ClassVar[tuple[str, ...]] = tuple(PRESETS)
    CHECKED_LENGTH: ClassVar[int] = 16
    LOSS: ClassVar[str] = "mean_squared_error"

    def constraints(self) -> Iterator[str]:
        if self.d_model % self.num_heads:
            yield f"d_model {self.d_model} is not divisible by num_heads {self.num_heads}"

    def inputs(self) -> tuple[Tensor, ...]:
        tensors = (
            Tensor("x", SEQUENCE, (None, self.length, self.d_model)),
            Tensor("attention_mask", PADDING, (None, self.length), "int", 2),
        )
        return tensors if self.masked else tensors[:1]

    def outputs(self) -> tuple[Tensor, ...]:
        return (Tensor("attended", SEQUENCE, (None, self.length, self.d_model)),)

    def shrunk(self) -> Self:
        """At most 16 positions."""
        return self.replace(length=min(self.length, self.CHECKED_LENGTH))

    def drawn(self, rng: np.random.Generator, batch: int) -> dict[str, Array]:
        """As for every spec; of the mask, the first row is masked everywhere, the last nowhere, the one before it on
        the left, as a padded prompt is."""
        arrays = super().drawn(rng, batch)
        if self.masked:
            mask = arrays["attention_mask"]
            mask[0] = 0
            mask[-2:-1] = np.arange(self.length) > self.length // 2
            mask[-1] = 1
        return arrays

    def parts(self) -> Iterator[Part]:
        width = self.d_model, self.d_model
        yield from projections({"query": width, "key": width, "value": width}, bias=self.bias, inert=False)
        yield block("feature_map", HEADS)
        yield block("sums", HEADS, HEADS, HEADS, *((PADDING,) if self.masked else ()))
        yield dense("projection", self.d_model, self.d_model, XAVIER, layout=SEQUENCE, bias=self.bias)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        heads = int(rng.integers(1, 4))
        return cls(
            d_model=heads * int(rng.integers(1, 6)),
            num_heads=heads,
            causal=bool(rng.random() < 0.5),
            masked=bool(rng.random() < 0.5),
            bias=bool(rng.random() < 0.5),
            epsilon=float(rng.choice([1e-6, 1e-3])),
            chunk_size=int(rng.integers(1, 6)),
            length=int(rng.integers(2, 12)),
        )
