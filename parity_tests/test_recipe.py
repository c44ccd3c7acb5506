"""What a recipe takes in each of its places, and what it refuses."""

from __future__ import annotations

import unittest
from dataclasses import fields
from typing import Any

from diglot.core import registry
from diglot.core.errors import SpecError
from diglot.core.recipe import Recipe, kind
from diglot.core.technique import Technique
from parameterized import parameterized

import diglot

ADAM, LOSS = diglot.spec("adam"), diglot.spec("cross_entropy")
SINGLE = {
    "groups": "parameter_groups",
    "unfreezing": "progressive_unfreezing",
    "accumulation": "gradient_accumulation",
    "precision": "mixed_precision",
    "average": "exponential_moving_average",
    "plateau": "reduce_on_plateau",
    "stopping": "early_stopping",
    "augmentation": "augment",
    "curriculum": "curriculum",
    "flow": "gradient_flow",
    "dead": "dead_units",
}
SEVERAL = {
    "optimizer": ("adam", "adamw", "muon", "sgd"),
    "loss": ("cross_entropy", "mean_squared_error", "focal"),
    "schedule": ("warmup_cosine", "one_cycle", "inverse_square_root"),
    "clip": ("clip_by_global_norm", "clip_by_value", "adaptive_gradient_clipping"),
    "mixing": ("mixup", "cutmix"),
}
TECHNIQUES = [registry.make(name) for name in registry.techniques()]


def made(**places: Any) -> Recipe:
    return Recipe(**{"optimizer": ADAM, "loss": LOSS, **places})


class Places(unittest.TestCase):
    def sentence(self, call: Any) -> str:
        with self.assertRaises(SpecError) as caught:
            call()
        self.assertEqual(len(str(caught.exception).splitlines()), 1)
        return str(caught.exception)

    @parameterized.expand([(field.name,) for field in fields(Recipe)])
    def test_only_its_own(self, place: str) -> None:
        """Of all techniques a place takes those of its kind, and refuses every other in one sentence."""
        soft = {"loss": diglot.spec("cross_entropy", targets="probabilities")} if place == "mixing" else {}
        for technique in TECHNIQUES:
            if isinstance(technique, kind(place)):
                self.assertIs(getattr(made(**{**soft, place: technique}), place), technique)
            else:
                message = self.sentence(lambda one=technique: made(**{place: one}))
                self.assertIn(f"{place} of a recipe must be ", message)
                self.assertIn(f", not {technique.name}", message)

    def test_every_place_is_known(self) -> None:
        taken = {field.name: {one.name for one in TECHNIQUES if isinstance(one, kind(field.name))}
                 for field in fields(Recipe)}  # fmt: skip
        for place, name in SINGLE.items():
            self.assertEqual(taken[place], {name})
        for place, names in SEVERAL.items():
            self.assertLessEqual(set(names), taken[place])
        self.assertEqual({*SINGLE, *SEVERAL}, set(taken))
        counted: list[str] = [name for names in taken.values() for name in names]
        self.assertEqual(len(counted), len(set(counted)))

    @parameterized.expand([
        ({"clip": ADAM}, "clip of a recipe must be a way of clipping, such as diglot.spec('clip_by_global_norm'), "
                         "not adam; that is for `optimizer`"),
        ({"optimizer": LOSS}, "optimizer of a recipe must be an optimizer, such as diglot.spec('adam'), "
                              "not cross_entropy; that is for `loss`"),
        ({"loss": ADAM}, "loss of a recipe must be a loss, such as diglot.spec('cross_entropy'), "
                         "not adam; that is for `optimizer`"),
        ({"loss": None}, "loss of a recipe must be a loss, such as diglot.spec('cross_entropy'), not None"),
        ({"optimizer": "adam"}, "optimizer of a recipe must be an optimizer, such as diglot.spec('adam'), not 'adam'"),
        ({"average": 0.999}, "average of a recipe must be diglot.spec('exponential_moving_average'), not 0.999"),
        ({"schedule": diglot.spec("dropout")},
         "schedule of a recipe must be a schedule, such as diglot.spec('warmup_cosine'), not dropout"),
        ({"plateau": diglot.spec("early_stopping")},
         "plateau of a recipe must be diglot.spec('reduce_on_plateau'), not early_stopping; that is for `stopping`"),
    ])  # fmt: skip
    def test_refused(self, places: dict[str, Any], sentence: str) -> None:
        self.assertEqual(self.sentence(lambda: made(**places)), sentence)

    def test_the_two_that_must_be(self) -> None:
        self.assertIn("loss of a recipe must be a loss", self.sentence(lambda: Recipe(ADAM, ADAM)))

    def test_what_does_not_go_together(self) -> None:
        schedule, plateau = diglot.spec("warmup_cosine"), diglot.spec("reduce_on_plateau")
        message = self.sentence(lambda: made(schedule=schedule, plateau=plateau))
        self.assertEqual(message, "warmup_cosine and reduce_on_plateau both set the rate; leave one of them out")
        message = self.sentence(lambda: made(mixing=diglot.spec("mixup")))
        self.assertIn("mixup gives probabilities, and cross_entropy takes class indices", message)
        soft = diglot.spec("cross_entropy", targets="probabilities")
        self.assertEqual(made(mixing=diglot.spec("mixup"), loss=soft).mixing, diglot.spec("mixup"))

    def test_layout(self) -> None:
        groups = diglot.spec("parameter_groups", no_decay=("*.bias",))
        unfreezing = diglot.spec("progressive_unfreezing", patterns=("head.*", "*"), epochs=(1,))
        self.assertIsNone(made().layout())
        self.assertIs(made(groups=groups).layout(), groups)
        both = made(groups=groups, unfreezing=unfreezing).layout()
        self.assertEqual(both.no_decay, groups.no_decay)
        self.assertEqual(both.multipliers, unfreezing.multipliers())

    def test_techniques_in_order(self) -> None:
        recipe = made(clip=diglot.spec("clip_by_norm"))
        found: dict[str, Technique] = dict(recipe.techniques())
        self.assertEqual(list(found), ["optimizer", "loss", "clip"])
        self.assertEqual(recipe.described()["clip"], {"technique": "clip_by_norm", **found["clip"].fields()})
