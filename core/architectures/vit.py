"""The Vision Transformer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..field import choice, flag, fraction, positive, whole
from ..parts import IMAGE, SEQUENCE, VECTOR, block, conv, dense, layer_norm, nested
from ..resample import resize
from ..source import Source
from ..spec import ZEROS, Init, Part, Weight, rounded
from ..state import State
from ..transformer_parts import XAVIER, feed_forward
from ..vision import ImageClassifier
from .multi_head_attention import MultiHeadAttention

POSITION = Init("normal", 0.02)
SMALL_16 = {"d_model": 384, "num_heads": 6, "d_ff": 1536}
LARGE_16 = {"d_model": 1024, "num_heads": 16, "num_layers": 24, "d_ff": 4096}
DIGITS = {"image_size": 8, "in_channels": 1, "num_classes": 10, "patch_size": 2}
SMALL = {
    "image_size": 12,
    "in_channels": 2,
    "num_classes": 5,
    "patch_size": 4,
    "d_model": 8,
    "num_heads": 2,
    "num_layers": 2,
    "d_ff": 12,
}
LAYER = "encoder.layers.encoder_layer_{b}"
TORCHVISION = Source(
    "torch",
    rules=(
        ("class_token.vectors", "class_token", "1 time channels"),
        ("positions.vectors", "encoder.pos_embedding", "1 time channels"),
        ("patches.projection", "conv_proj"),
        ("blocks.{b}.norm{n}", f"{LAYER}.ln_{{n}}"),
        ("blocks.{b}.attention.query.kernel", f"{LAYER}.self_attention.in_proj_weight[0/3]"),
        ("blocks.{b}.attention.query.bias", f"{LAYER}.self_attention.in_proj_bias[0/3]"),
        ("blocks.{b}.attention.key.kernel", f"{LAYER}.self_attention.in_proj_weight[1/3]"),
        ("blocks.{b}.attention.key.bias", f"{LAYER}.self_attention.in_proj_bias[1/3]"),
        ("blocks.{b}.attention.value.kernel", f"{LAYER}.self_attention.in_proj_weight[2/3]"),
        ("blocks.{b}.attention.value.bias", f"{LAYER}.self_attention.in_proj_bias[2/3]"),
        ("blocks.{b}.attention.projection", f"{LAYER}.self_attention.out_proj"),
        ("blocks.{b}.feed_forward.expand", f"{LAYER}.mlp.0"),
        ("blocks.{b}.feed_forward.contract", f"{LAYER}.mlp.3"),
        ("norm", "encoder.ln"),
        ("head", "heads.head"),
    ),
    aliases=((f"{LAYER}.mlp.linear_1.*", f"{LAYER}.mlp.0.*"), (f"{LAYER}.mlp.linear_2.*", f"{LAYER}.mlp.3.*")),
)
TIMM = Source(
    "torch",
    rules=(
        ("class_token.vectors", "cls_token", "1 time channels"),
        ("positions.vectors", "pos_embed", "1 time channels"),
        ("patches.projection", "patch_embed.proj"),
        ("blocks.{b}.attention.query", "blocks.{b}.attn.qkv[0/3]"),
        ("blocks.{b}.attention.key", "blocks.{b}.attn.qkv[1/3]"),
        ("blocks.{b}.attention.value", "blocks.{b}.attn.qkv[2/3]"),
        ("blocks.{b}.attention.projection", "blocks.{b}.attn.proj"),
        ("blocks.{b}.feed_forward.expand", "blocks.{b}.mlp.fc1"),
        ("blocks.{b}.feed_forward.contract", "blocks.{b}.mlp.fc2"),
    ),
)


@dataclass(frozen=True, kw_only=True)
class ViT(ImageClassifier):
    """A Transformer encoder over the patches of an image.

    Source: Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021; section 3.1, eq. 1 to 4, and table 1.
    Average pooling after its appendix D.3; `sinusoidal` positions in two dimensions after Chen, Xie and He, "An
    empirical study of training self-supervised vision transformers", ICCV 2021; stochastic depth after Huang et al.
    (2016, section 3).

    Input: `image`, float, (batch, height, width, channels). Output: `logits`, float, (batch, channels), one channel
    per class. The part `blocks.0.attention.map` gives the attention maps of the first block, (batch, heads, queries,
    keys); the class token comes first among queries and keys, then the patches, row by row.
    core/vision.py has the fields image_size, in_channels and num_classes.

    Fields:
        patch_size: height and width of a patch in pixels, symbol P.
        d_model, num_heads, d_ff: width D, number of heads (each `d_model / num_heads` wide), width of the feed-forward.
        num_layers: number of blocks, symbol L.
        class_token: whether a learned vector stands before the patches.
        pooling: what the head is given: the class `token`, or the `average` over the patches, without the token.
        positions: a `learned` vector each, or fixed `sinusoidal` ones: sines and cosines of the patch's column in the
            first half of the channels, of its row in the second, with frequencies from 1 down to nearly 1/10000. The
            class token's sinusoidal position is zero.
        activation: of the feed-forward network; `gelu` is exact, `gelu_tanh` its approximation by tanh.
        norm_epsilon: added to the variance.
        dropout_rate: after the positions, on the attention weights, in the feed-forward network, on each sublayer's
            result.
        stochastic_depth_rate: of the last block; it grows linearly from zero at the first.

    Raises SpecError for a value against its rule.

    Departs from paper: the kernel of the head starts at random, not at zero. Stochastic depth is that of later work
    (Touvron et al., "DeiT", 2021), and so is zero at the first block. The paper has no dropout on attention weights.

    Frameworks differ: layer normalisation's epsilon (1e-5, Keras 1e-3); `gelu` as a function is exact in PyTorch and
    the tanh form in Keras; a convolution's result is flattened from (channels, height, width) or (height, width,
    channels).
    """

    patch_size: int = whole(16)
    d_model: int = whole(768)
    num_heads: int = whole(12)
    num_layers: int = whole(12)
    d_ff: int = whole(3072)
    class_token: bool = flag(True)
    pooling: str = choice("token", "average")
    positions: str = choice("learned", "sinusoidal")
    activation: str = choice("gelu", "gelu_tanh")
    norm_epsilon: float = positive(1e-6)
    dropout_rate: float = fraction(0.0)
    stochastic_depth_rate: float = fraction(0.0)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "vit_b_16": {},
        "vit_b_32": {"patch_size": 32},
        "vit_l_16": LARGE_16,
        "vit_s_16": SMALL_16,
        "vit_digits": {**DIGITS, "d_model": 48, "num_heads": 4, "num_layers": 4, "d_ff": 96},
        "vit_small": SMALL,
        "vit_small_average": {
            **SMALL,
            "num_layers": 1,
            "class_token": False,
            "pooling": "average",
            "positions": "sinusoidal",
            "activation": "gelu_tanh",
            "dropout_rate": 0.1,
        },
        "vit_small_features": {
            **SMALL,
            "num_classes": 0,
            "pooling": "average",
            "dropout_rate": 0.1,
            "stochastic_depth_rate": 0.2,
        },
        "vit_small_sinusoidal": {**SMALL, "num_layers": 1, "positions": "sinusoidal"},
    }
    CHECKED: ClassVar[tuple[str, ...]] = (
        "vit_small",
        "vit_small_average",
        "vit_small_features",
        "vit_small_sinusoidal",
    )
    SOURCES: ClassVar[dict[str, Source]] = {"torchvision": TORCHVISION, "timm": TIMM}

    def smallest_size(self) -> int:
        return self.patch_size

    def constraints(self) -> Iterator[str]:
        yield from super().constraints()
        if self.image_size % self.patch_size:
            yield f"image_size {self.image_size} is not divisible by patch_size {self.patch_size}"
        if self.d_model % self.num_heads:
            yield f"d_model {self.d_model} is not divisible by num_heads {self.num_heads}"
        if self.positions == "sinusoidal" and self.d_model % 4:
            yield (
                f"d_model {self.d_model} is not divisible by 4, and sinusoidal positions are sines and cosines of two "
                "coordinates"
            )
        if self.pooling == "token" and not self.class_token:
            yield "pooling 'token' needs class_token"

    @property
    def num_features(self) -> int:
        return self.d_model

    @property
    def grid(self) -> int:
        """Patches along each side of the image."""
        return self.image_size // self.patch_size

    @property
    def num_tokens(self) -> int:
        """Patches, and the class token if any."""
        return self.grid**2 + self.class_token

    def depth_rates(self) -> tuple[float, ...]:
        """The rate of stochastic depth in each block."""
        last = max(1, self.num_layers - 1)
        return tuple(rounded(self.stochastic_depth_rate * index / last) for index in range(self.num_layers))

    def shrunk(self) -> Self:
        """The spec itself: the learned positions fit one image size only."""
        return self

    def resized(self, state: State, image_size: int, *, method: str, antialias: bool) -> tuple[Self, State]:
        """The network for images of another size: learned positions are resampled as an image of one pixel per patch.

        Section 3.2 of the paper interpolates them so; the class token keeps its own. It is done in float64.
        """
        other, state = self.replace(image_size=image_size), dict(state)
        if self.positions == "learned":
            vectors = state["positions.vectors"]
            token, patches = vectors[: self.class_token], vectors[self.class_token :]
            grid = patches.reshape(self.grid, self.grid, self.d_model)  # (rows, columns, channels)
            moved = resize(grid, other.grid, other.grid, method=method, antialias=antialias)
            moved = moved.reshape(-1, self.d_model).astype(vectors.dtype)
            state["positions.vectors"] = np.concatenate([token, moved])
        return other, state

    def parts(self) -> Iterator[Part]:
        yield conv("patches.projection", self.patch_size, self.in_channels, self.d_model, XAVIER, bias=True)
        yield Part("patches", (IMAGE,), SEQUENCE)
        if self.class_token:
            yield self._vectors("class_token", 1, ZEROS)
        yield self._vectors("positions", self.num_tokens if self.positions == "learned" else 0, POSITION)
        yield block("dropout", SEQUENCE)
        for index in range(self.num_layers):
            yield from self._block(f"blocks.{index}")
        yield layer_norm("norm", self.d_model)
        yield Part("pooling", (SEQUENCE,), VECTOR)
        if self.num_classes:
            yield dense("head", self.d_model, self.num_classes, XAVIER)

    def _vectors(self, name: str, count: int, init: Init) -> Part:
        table = Weight(f"{name}.vectors", "time channels", (count, self.d_model), init) if count else None
        return Part(name, (SEQUENCE,), SEQUENCE, (table,) if table else ())

    def attention(self) -> MultiHeadAttention:
        """The attention of a block."""
        return MultiHeadAttention(d_model=self.d_model, num_heads=self.num_heads, dropout_rate=self.dropout_rate)

    def _block(self, name: str) -> Iterator[Part]:
        sublayers = (
            nested(f"{name}.attention", self.attention()),
            feed_forward(f"{name}.feed_forward", self.d_model, self.d_ff),
        )
        for number, sublayer in enumerate(sublayers, 1):
            yield layer_norm(f"{name}.norm{number}", self.d_model)
            yield from sublayer
            yield block(f"{name}.dropout{number}", SEQUENCE)
            yield block(f"{name}.stochastic_depth{number}", SEQUENCE)
        yield block(name, SEQUENCE)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        heads, patch = int(rng.integers(1, 4)), int(rng.integers(1, 5))
        class_token = bool(rng.random() < 0.7)
        return cls(
            image_size=patch * int(rng.integers(2, 5)),
            in_channels=int(rng.integers(1, 4)),
            num_classes=int(rng.integers(2, 8)) if rng.random() < 0.8 else 0,
            patch_size=patch,
            d_model=heads * int(rng.choice([4, 8])),
            num_heads=heads,
            num_layers=int(rng.integers(1, 4)),
            d_ff=int(rng.integers(4, 20)),
            class_token=class_token,
            pooling=str(rng.choice(["token", "average"])) if class_token else "average",
            positions=str(rng.choice(["learned", "sinusoidal"])),
            activation=str(rng.choice(["gelu", "gelu_tanh"])),
            norm_epsilon=float(rng.choice([1e-6, 1e-5])),
            dropout_rate=float(rng.choice([0.0, 0.1, 0.3])),
            stochastic_depth_rate=float(rng.choice([0.0, 0.2])),
        )
