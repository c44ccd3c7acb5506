"""What is said of weights that are not the spec's: which network they are of, and what to ask for instead."""

from __future__ import annotations

import dataclasses
import unittest
from typing import Any
from unittest import mock

import torch
from diglot.core import backend, registry
from diglot.core.errors import CheckpointError, DiglotError, MissingFrameworkError, StateError
from diglot.core.foreign import from_canonical, places, shapes_of, unmet
from diglot.core.source import Source
from diglot.core.verdict import Verdict
from parameterized import parameterized

import diglot

from . import oracle
from .files import same


class Oracle(unittest.TestCase):
    """A wrong table is found by the library's own forward pass, even where every shape fits."""

    SPEC = diglot.spec("vit", image_size=16, patch_size=8, num_classes=3, d_model=8, num_heads=2, num_layers=1, d_ff=8)

    def model(self) -> Any:
        from torchvision.models.vision_transformer import VisionTransformer

        return VisionTransformer(16, 8, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8, num_classes=3)

    def verdicts(self) -> set[Verdict]:
        found = oracle.agreement(self.SPEC, self.model(), "torchvision")
        return {item.verdict for items in found.values() for item in items}

    def test_the_table_as_it_is(self) -> None:
        self.assertEqual(self.verdicts(), {Verdict.EQUAL})

    def test_a_second_model_gets_the_same_bits(self) -> None:
        found = oracle.returned(self.SPEC, self.model(), self.model().double(), "torchvision")
        self.assertEqual({item.verdict for item in found}, {Verdict.EQUAL})

    def test_slices_in_another_order(self) -> None:
        table = self.SPEC.SOURCES["torchvision"]
        swapped = tuple(
            (ours.replace("query", "k-y").replace("key", "query").replace("k-y", "key"), *rest)
            for ours, *rest in table.rules
        )
        wrong = dataclasses.replace(table, rules=swapped)
        self.assertNotEqual(wrong, table)
        with mock.patch.dict(self.SPEC.SOURCES, {"torchvision": wrong}):
            self.assertEqual(self.verdicts(), {Verdict.DIFFERENT})


class Variants(unittest.TestCase):
    """Weights of another network than the spec are recognised by their names and shapes."""

    def refused(self, spec: Any, other: Any, source: str, table: str = "") -> str:
        shapes = shapes_of(places(other, other.SOURCES[table or source]))
        tensors = {name: torch.zeros(shape) for name, shape in shapes.items()}
        with self.assertRaises(StateError) as caught:
            diglot.load_pretrained(spec, tensors, source=source)
        return str(caught.exception)

    @parameterized.expand(
        [
            ("another depth", "resnet34", {}, "those of resnet34, not of this resnet; ask for .*'resnet34'.$"),
            ("and head", "resnet34", {"num_classes": 10}, "resnet34 with 10 classes.*'resnet34', num_classes=10"),
            ("another head", "resnet18", {"num_classes": 7}, "have 7 classes, and this resnet 1000; load with num_cl"),
            ("grey", "resnet18", {"in_channels": 1}, "have 1 channel, and this resnet 3; load with in_channels=1$"),
            ("no head", "resnet18", {"num_classes": 0}, "have no head, and this resnet one of 1000 classes; load with"),
            ("without a head", "resnet34", {"num_classes": 0}, "resnet34 without a head"),
            ("grey and head", "resnet34", {"in_channels": 1, "num_classes": 1}, "resnet34 with 1 class and 1 channel"),
            ("no preset", "resnet18", {"num_blocks": (2, 2, 2, 3)}, r"extra: .*nearest preset: 91% of .* of resnet18"),
        ]
    )
    def test_resnet18_is_given(self, case: str, preset: str, changes: dict[str, Any], said: str) -> None:
        self.assertRegex(self.refused("resnet18", diglot.spec(preset, **changes), "torchvision"), said)

    def test_only_the_head_is_another(self) -> None:
        text = self.refused(diglot.spec("resnet18", num_classes=10), diglot.spec("resnet18"), "torchvision")
        said = "have 1000 classes, and this resnet 10; load with num_classes=1000, or with 0 to leave the head away"
        self.assertEqual(text, f"the weights of the torchvision model {said}")

    def test_only_what_no_preset_says(self) -> None:
        """A spec that no preset is like is told the same."""
        spec = diglot.spec("resnet_small", num_blocks=(2, 1, 1, 1), image_size=30)
        text = self.refused(spec, spec.replace(num_classes=3, in_channels=1), "torchvision")
        said = "have 3 classes, and this resnet 5; they have 1 channel, and this resnet 3; load with num_classes=3, "
        self.assertIn(f"{said}in_channels=1", text)

    def test_no_head_is_asked_for_where_none_is_wanted(self) -> None:
        spec = diglot.spec("resnet18", num_classes=0)
        text = self.refused(spec, diglot.spec("resnet18", in_channels=1), "torchvision")
        self.assertIn("model have 1 channel, and this resnet 3; load with in_channels=1", text)

    @parameterized.expand([("torchvision", 48), ("timm", 48), ("timm", 384), ("timm", 16)])
    def test_images_of_another_size(self, source: str, size: int) -> None:
        other = diglot.spec("vit_b_16", image_size=size, num_layers=1)
        text = self.refused(diglot.spec("vit_b_16", num_layers=1), other, source)
        said = (
            f"have positions for images of {size} pixels, and this vit for 224; load with image_size={size}, and then"
        )
        self.assertIn(f"{said} use diglot.resize", text)

    def test_images_of_another_size_for_another_preset(self) -> None:
        other = diglot.spec("vit_b_16", image_size=48)
        text = self.refused("vit_s_16", other, "timm")
        self.assertIn("vit_b_16 with images of 48 pixels, not of this vit; ask for diglot.spec('vit_b_16', imag", text)

    def test_another_architecture(self) -> None:
        small = diglot.spec("vit", image_size=16, patch_size=8, d_model=8, num_heads=2, num_layers=1, d_ff=8)
        text = self.refused("resnet18", small, "torchvision")
        self.assertIn("missing: conv1.weight (64, 3, 7, 7)", text)

    def test_another_source(self) -> None:
        preset = registry.checked("vit")[0]
        text = self.refused(preset, diglot.spec(preset), "torchvision", "timm")
        self.assertIn(f"those of {preset}, not of this vit; ask for diglot.spec('{preset}') with source='timm'", text)

    def test_weights_that_nobody_knows(self) -> None:
        with self.assertRaisesRegex(StateError, "extra: a"):
            diglot.load_pretrained("resnet18", {"a": torch.zeros(2)}, source="torchvision")


class Requests(unittest.TestCase):
    def refused(self, call: Any, *args: Any, **options: Any) -> str:
        with self.assertRaises(DiglotError) as caught:
            call(*args, **options)
        text = str(caught.exception)
        self.assertEqual(len(text.splitlines()), 1)
        return text

    def test_an_unknown_source(self) -> None:
        text = self.refused(diglot.load_pretrained, "resnet18", {}, source="torchvison")
        self.assertRegex(
            text, "resnet has the sources torchvision, .*, and no 'torchvison'; did you mean 'torchvision'"
        )
        text = self.refused(diglot.load_pretrained, "mlp", {}, source="torchvision")
        self.assertEqual(text, "mlp has no sources, and so no 'torchvision'")

    def test_a_network_under_a_new_head(self) -> None:
        spec = diglot.spec("transfer_small")
        text = self.refused(diglot.load_pretrained, spec, {}, source="torchvision")
        self.assertIn("load for spec.backbone_spec(), then give the state to spec.with_backbone(state)", text)
        state = diglot.initial_state(spec.backbone_spec(), 3)
        theirs = from_canonical(spec.backbone_spec(), spec.backbone_spec().SOURCES["torchvision"], state)
        tensors = {name: torch.from_numpy(array.copy()) for name, array in theirs.items()}
        loaded = spec.with_backbone(diglot.load_pretrained(spec.backbone_spec(), tensors, source="torchvision"))
        self.assertTrue(same({name: loaded[f"backbone.{name}"] for name in state}, state))

    @parameterized.expand(
        [
            ("densenet121", "keras.applications", "keras.applications' DenseNets have norm_epsilon 1.001e-05, and this "
             "densenet 1e-05; ask for densenet121_keras"),
            ("densenet169_keras", "torchvision", "torchvision's DenseNets have norm_epsilon 1e-05, and this "
             "densenet 1.001e-05; ask for densenet169"),
            ("resnet50", "keras.applications", "ask for resnet50_keras"),
            ("resnet50_keras", "torchvision", "torchvision's ResNets have stride_on conv2 and conv_bias False and "
             "norm_epsilon 1e-05, and this resnet conv1 and True and 1.001e-05; ask for resnet50"),
            ("resnet50_keras", "timm", "ask for resnet50"),
            ("inception_v3_keras", "torchvision", "ask for inception_v3_torchvision"),
            ("inception_v3", "keras.applications", "ask for inception_v3_keras"),
            ("resnet_small", "keras.applications", "; give block='bottleneck', stride_on='conv1', conv_bias=True, "),
        ]
    )  # fmt: skip
    def test_a_network_of_another_library(self, preset: str, source: str, said: str) -> None:
        """Names and shapes may be the same; a constant is not."""
        for spec in (diglot.spec(preset), diglot.spec(preset, num_classes=7, image_size=90).rounded()):
            self.assertIn(
                said.split("this ")[0].split("1.0")[0], self.refused(diglot.load_pretrained, spec, {}, source=source)
            )
            self.assertIn(said.rpartition("; ")[2], self.refused(diglot.export_pretrained, spec, {}, {}, source=source))
        self.assertIn(said, self.refused(diglot.load_pretrained, preset, {}, source=source))

    def test_every_preset_of_a_library_may_be_rounded(self) -> None:
        for name, source in (("densenet121_keras", "keras.applications"), ("densenet121", "torchvision")):
            spec = diglot.spec(name)
            self.assertEqual((unmet(spec, spec.SOURCES[source]), unmet(spec.rounded(), spec.SOURCES[source])), ({}, {}))

    def test_what_is_no_model(self) -> None:
        for origin in ({}, {"a": 1}, 3, None, [1]):
            text = self.refused(diglot.load_pretrained, "resnet18", origin, source="torchvision")
            self.assertRegex(text, "is not what the source torchvision reads: a PyTorch model")

    def test_a_source_whose_framework_is_missing(self) -> None:
        with (
            mock.patch.object(backend, "missing", return_value=["keras"]),
            self.assertRaises(MissingFrameworkError) as e,
        ):
            diglot.load_pretrained("resnet50_keras", "x.h5", source="keras.applications")
        self.assertIn("pip install 'diglot[keras]'", str(e.exception))

    def test_whole_numbers_are_not_weights(self) -> None:
        state = diglot.initial_state(diglot.spec("resnet_small"))
        tensors = from_canonical(diglot.spec("resnet_small"), Source("torch"), state)
        given = {name.replace("shortcut.conv", "downsample.0").replace("shortcut.bn", "downsample.1"):
                 torch.from_numpy(array).long() for name, array in tensors.items()}  # fmt: skip
        text = self.refused(diglot.load_pretrained, "resnet_small", given, source="torchvision")
        self.assertIn("must hold float64, float32 or float16 numbers, not int64", text)

    def test_numbers_too_large_for_the_model(self) -> None:
        spec = diglot.spec("resnet_small")
        state = diglot.initial_state(spec)
        held = {name: torch.from_numpy(array.copy()) for name, array in
                from_canonical(spec, spec.SOURCES["torchvision"], state).items()}  # fmt: skip
        wide = {name: array.astype("float64") for name, array in state.items()}
        wide["fc.bias"][0] = 1e300
        text = self.refused(diglot.export_pretrained, spec, wide, held, source="torchvision")
        self.assertIn("fc.bias holds numbers that are too large for the model's float32", text)
        self.assertTrue(same(diglot.load_pretrained(spec, held, source="torchvision"), state))

    def test_a_state_that_may_not_be_written_to(self) -> None:
        spec = diglot.spec("resnet_small")
        state = diglot.initial_state(spec)
        for array in state.values():
            array.flags.writeable = False
        for side in ("torch", "keras"):
            diglot.set_state(model := diglot.build(spec, side), state)
            read = diglot.get_state(model)
            self.assertTrue(same(read, state))
            self.assertTrue(all(array.flags.writeable for array in read.values()))

    def test_export_of_a_state_that_does_not_fit(self) -> None:
        spec = diglot.spec("resnet_small")
        self.assertIn(
            "missing: conv1.kernel", self.refused(diglot.export_pretrained, spec, {}, {}, source="torchvision")
        )

    def test_export_into_another_model(self) -> None:
        spec = diglot.spec("resnet_small")
        text = self.refused(
            diglot.export_pretrained, spec, diglot.initial_state(spec), torch.nn.Linear(2, 3), source="torchvision"
        )
        self.assertIn("the weights of the torchvision model do not fit resnet", text)

    def test_a_checkpoint_error_is_what_is_raised_for_a_missing_file(self) -> None:
        with self.assertRaises(CheckpointError):
            diglot.load_pretrained("resnet18", "/nowhere/x.pth", source="torchvision")
