"""Other inputs for convolutions: a vision transformer's patches, words of a sentence, and volumes."""

from __future__ import annotations

from typing import Any

import keras
import torch
import torch.nn.functional as F
from keras import Input, Model, Sequential, layers, ops
from torch import nn

from . import Pair
from .weights import array, attention, convolution, flattened, linear, norm


class ViT(nn.Module):
    """PyTorch's encoder with the normalisation first, a class token, and learned positions."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 8))
        self.pos_embed = nn.Parameter(torch.zeros(1, 7, 8))
        self.patch_embed = nn.Conv2d(3, 8, 4, 4)
        layer = nn.TransformerEncoderLayer(8, 2, 12, 0.0, F.gelu, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, norm=nn.LayerNorm(8), enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patch_embed(x).flatten(2).mT
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1) + self.pos_embed
        return self.head(self.encoder(x)[:, 0])


@keras.saving.register_keras_serializable("visions")
class Tokens(layers.Layer):
    """A class token and positions; `last` puts the token behind the patches, `shifted` turns the positions by one."""

    def __init__(self, last: bool = False, shifted: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.last, self.shifted = last, shifted

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "last": self.last, "shifted": self.shifted}

    def build(self, shape: Any) -> None:
        self.token = self.add_weight(shape=(1, 1, shape[-1]), name="token")
        self.position = self.add_weight(shape=(1, shape[1] + 1, shape[-1]), name="position")

    def call(self, x: Any) -> Any:
        token = ops.broadcast_to(self.token, (ops.shape(x)[0], 1, x.shape[-1]))
        x = ops.concatenate([x, token] if self.last else [token, x], axis=1)
        return x + (ops.roll(self.position, 1, axis=1) if self.shifted else self.position)


def vit(*, pooled: bool = False, mode: str = "", epsilon: float = 1e-5) -> Model:
    """`mode` is the mistake of the tokens; `pooled` takes the mean of all tokens for the class token."""
    picture = Input((8, 12, 3))
    x = layers.Conv2D(8, 4, 4, name="patches")(picture)
    x = Tokens(last=mode == "last", shifted=mode == "shifted", name="tokens")(layers.Reshape((6, 8), name="list")(x))
    y = layers.LayerNormalization(epsilon=1e-5, name="ln_attention")(x)
    y = layers.MultiHeadAttention(2, 4, name="self_attention")(y, y)
    x = layers.Add(name="residual_1")([x, y])
    y = layers.LayerNormalization(epsilon=1e-5, name="ln_mlp")(x)
    y = layers.Dense(12, activation="gelu", name="mlp_1")(y)
    x = layers.Add(name="residual_2")([x, layers.Dense(8, name="mlp_2")(y)])
    x = layers.LayerNormalization(epsilon=epsilon, name="ln_final")(x)
    x = layers.GlobalAveragePooling1D(name="pooled")(x) if pooled else x[:, 0]
    return Model(picture, layers.Dense(3, name="classes")(x))


def load_vit(source: Any, target: Any) -> None:
    block = source.encoder.layers[0]
    target.get_layer("patches").set_weights(convolution(source.patch_embed))
    target.get_layer("tokens").set_weights([array(source.cls_token), array(source.pos_embed)])
    target.get_layer("self_attention").set_weights(attention(block.self_attn))
    for name, ours in {"ln_attention": block.norm1, "ln_mlp": block.norm2, "ln_final": source.encoder.norm}.items():
        target.get_layer(name).set_weights(norm(ours))
    for name, ours in {"mlp_1": block.linear1, "mlp_2": block.linear2, "classes": source.head}.items():
        target.get_layer(name).set_weights(linear(ours))


class TextCNN(nn.Module):
    """Kim (2014): convolutions of several widths over words, the maximum over time."""

    def __init__(self, padding: int | None = None) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(5, 4, width) for width in (2, 3, 4))
        self.dropout = nn.Dropout(0.5)
        self.embedding = nn.Embedding(15, 5, padding_idx=padding)
        self.fc = nn.Linear(12, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens).permute(0, 2, 1)
        pooled = [F.relu(conv(x)).max(dim=2).values for conv in self.convs]
        return self.fc(self.dropout(torch.cat(pooled, 1)))


def text_cnn(*, pool: Any = layers.GlobalMaxPooling1D, widths: tuple[int, ...] = (2, 3, 4), rate: float = 0.5) -> Model:
    tokens = Input((9,), dtype="int32", name="tokens")
    x = layers.Embedding(15, 5, name="embedding")(tokens)
    pooled = []
    for width in widths:
        y = layers.Conv1D(4, width, activation="relu", name=f"conv_{width}")(x)
        pooled.append(pool(name=f"pool_{width}")(y))
    x = layers.Dropout(rate, name="dropout")(layers.Concatenate(name="features")(pooled))
    return Model(tokens, layers.Dense(2, name="classifier")(x))


def load_text(source: Any, target: Any) -> None:
    target.get_layer("embedding").set_weights([array(source.embedding.weight)])
    for width, conv in zip((2, 3, 4), source.convs, strict=True):
        target.get_layer(f"conv_{width}").set_weights(convolution(conv))
    target.get_layer("classifier").set_weights(linear(source.fc))


class Video(nn.Module):
    """Three-dimensional convolutions, then one of them factored into space and time."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(2, 4, (1, 3, 3), padding=(0, 1, 1))
        self.time = nn.Conv3d(4, 4, (3, 1, 1), padding=(1, 0, 0), bias=False)
        self.norm = nn.BatchNorm3d(4, eps=1e-3)
        self.pool = nn.AvgPool3d((1, 2, 2))
        self.fc = nn.Linear(4 * 4 * 3 * 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.stem(x)))
        return self.fc(torch.flatten(torch.relu(self.norm(self.time(x))), 1))


def video(*, momentum: float = 0.9, pool: Any = layers.AveragePooling3D) -> Model:
    return Sequential(
        [
            Input((4, 6, 4, 2)),
            layers.Conv3D(4, (1, 3, 3), padding="same", activation="relu", name="space"),
            pool((1, 2, 2), name="shrink"),
            layers.Conv3D(4, (3, 1, 1), padding="same", use_bias=False, name="time"),
            layers.BatchNormalization(momentum=momentum, name="bn"),
            layers.ReLU(name="relu"),
            layers.Flatten(name="flatten"),
            layers.Dense(3, name="action"),
        ]
    )


def load_video(source: Any, target: Any) -> None:
    target.get_layer("space").set_weights(convolution(source.stem))
    target.get_layer("time").set_weights(convolution(source.time))
    target.get_layer("bn").set_weights(norm(source.norm))
    target.get_layer("action").set_weights(flattened(source.fc, 4, 4, 3, 2))


VIT = Pair("vit", ViT, vit, lambda rng: [rng.normal(size=(2, 8, 12, 3)).astype("float32")], load_vit)
TEXT = Pair("text", TextCNN, text_cnn, lambda rng: [rng.integers(0, 15, (3, 9))], load_text, by="factories")
VIDEO = Pair("video", Video, video, lambda rng: [rng.normal(size=(2, 4, 6, 4, 2)).astype("float32")], load_video)

PAIRS = (
    VIT,
    VIT.but("class token last", ":cat#0|tokens|tokens:concatenate#0", "order|concat", keras=lambda: vit(mode="last")),
    VIT.but(
        "positions turned by one",
        ":add#0|tokens|tokens:add#0|tokens:roll#0",
        "position|shift|roll",
        keras=lambda: vit(mode="shifted"),
    ),
    VIT.but(
        "mean of the tokens for the class token",
        ":getitem#0|:__getitem__#0|pooled|head|classes",
        "mean|average|slice|pool",
        keras=lambda: vit(pooled=True),
        by="factories",
    ),
    VIT.but("layer norm epsilon", "encoder.norm|ln_final", "epsilon", keras=lambda: vit(epsilon=1e-3), by="transfer"),
    TEXT,
    TEXT.but(
        "average for maximum",
        ":max#0|pool_2|:max#1|pool_3|:max#2|pool_4",
        "max|average|mean",
        keras=lambda: text_cnn(pool=layers.GlobalAveragePooling1D),
    ),
    TEXT.but(
        "branches in another order",
        ":cat#0|features",
        "order|concat",
        keras=lambda: text_cnn(widths=(4, 3, 2)),
        by="hand",
    ),
    TEXT.but("padding is trained", "embedding", "padding", torch=lambda: TextCNN(0), seen="gradients", by="hand"),
    VIDEO,
    VIDEO.but("batch norm momentum", "norm|bn", "momentum", keras=lambda: video(momentum=0.99), seen="training"),
    VIDEO.but(
        "maximum for average",
        "pool|shrink",
        "max|average",
        keras=lambda: video(pool=layers.MaxPooling3D),
        by="transfer",
    ),
)
