"""The Vision Transformer against torchvision's and timm's own, in float64.

timm is a tool of the tests alone: `pip install --no-deps timm` needs nothing beyond torch, torchvision and pillow.
"""

from __future__ import annotations

import unittest
from functools import partial
from typing import Any

from diglot.core.compare import worst
from diglot.core.verdict import Verdict
from parameterized import parameterized
from torch import nn

import diglot

from . import oracle

SMALL = {"image_size": 24, "patch_size": 8, "num_classes": 7, "d_model": 24, "num_heads": 3, "num_layers": 2,
         "d_ff": 48}  # fmt: skip
SHAPES: list[tuple[str, dict[str, Any]]] = [
    ("small", SMALL),
    ("one_block", {**SMALL, "num_layers": 1, "patch_size": 4, "in_channels": 3, "norm_epsilon": 1e-5}),
    ("features", {**SMALL, "num_classes": 0}),
]
AVERAGES: list[tuple[str, dict[str, Any]]] = [
    ("average", {**SMALL, "pooling": "average"}),
    ("without_token", {**SMALL, "pooling": "average", "class_token": False, "in_channels": 1}),
    ("tanh_gelu", {**SMALL, "activation": "gelu_tanh"}),
]


def of_torchvision(spec: Any) -> nn.Module:
    from torchvision.models.vision_transformer import VisionTransformer

    model = VisionTransformer(
        image_size=spec.image_size,
        patch_size=spec.patch_size,
        num_layers=spec.num_layers,
        num_heads=spec.num_heads,
        hidden_dim=spec.d_model,
        mlp_dim=spec.d_ff,
        num_classes=spec.num_classes or 1,
        norm_layer=partial(nn.LayerNorm, eps=spec.norm_epsilon),
    )
    if not spec.num_classes:
        model.heads = nn.Identity()
    return model


def of_timm(spec: Any) -> nn.Module:
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        img_size=spec.image_size,
        patch_size=spec.patch_size,
        in_chans=spec.in_channels,
        num_classes=spec.num_classes,
        global_pool="avg" if spec.pooling == "average" else "token",
        class_token=spec.class_token,
        fc_norm=False,
        embed_dim=spec.d_model,
        depth=spec.num_layers,
        num_heads=spec.num_heads,
        mlp_ratio=spec.d_ff / spec.d_model,
        norm_layer=partial(nn.LayerNorm, eps=spec.norm_epsilon),
        act_layer=partial(nn.GELU, approximate="tanh") if spec.activation == "gelu_tanh" else nn.GELU,
    )


class Oracle(unittest.TestCase):
    def same(self, spec: Any, model: nn.Module, source: str) -> None:
        for side, found in oracle.agreement(spec, model, source).items():
            item = worst(found)
            self.assertIs(item.verdict, Verdict.EQUAL, f"{side}: {item}")

    @parameterized.expand(SHAPES)
    def test_torchvision(self, name: str, fields: dict[str, Any]) -> None:
        spec = diglot.spec("vit", **fields)
        self.same(spec, of_torchvision(spec), "torchvision")

    @parameterized.expand([("vit_b_16", 12), ("vit_b_32", 4), ("vit_l_16", 2)])
    def test_torchvision_presets(self, preset: str, num_layers: int) -> None:
        """At 64 pixels; of vit_l_16's 24 blocks two, since all of them in float64 need 13 GiB.

        Of vit_b_32's twelve blocks, which are those of vit_b_16, four.
        """
        spec = diglot.spec(preset, image_size=64, num_layers=num_layers)
        self.same(spec, of_torchvision(spec), "torchvision")

    @parameterized.expand([*SHAPES, *AVERAGES])
    def test_timm(self, name: str, fields: dict[str, Any]) -> None:
        spec = diglot.spec("vit", **fields)
        self.same(spec, of_timm(spec), "timm")

    @parameterized.expand(["vit_small_patch16_224", "deit_small_patch16_224"])
    def test_timm_by_name(self, name: str) -> None:
        import timm

        spec = diglot.spec("vit_s_16", image_size=48, num_layers=3)
        self.same(spec, timm.create_model(name, img_size=48, depth=3), "timm")
