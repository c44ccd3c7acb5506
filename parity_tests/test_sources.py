"""Tables of names: the rule language, the bijection in both directions, and what is said of weights that do not fit."""

from __future__ import annotations

import dataclasses
import unittest
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
from diglot.core import foreign, pretrained, registry
from diglot.core.errors import SpecError, StateError
from diglot.core.field import whole
from diglot.core.foreign import from_canonical, numbered, places, shapes_of, table, to_canonical, unmet
from diglot.core.noise import generator
from diglot.core.parts import batch_norm, conv, dense
from diglot.core.source import Source, among, current, filled, matches, tables
from diglot.core.spec import Init, Part, Spec, Weight
from diglot.core.state import random_state
from parameterized import parameterized

from .files import same

INIT = Init("xavier_uniform")
SAMPLES = 8
TABLES = [
    (name, source, number)
    for name in registry.architectures()
    for source, entry in registry.classes()[name].SOURCES.items()
    for number in range(len(tables(entry)))
]


@dataclass(frozen=True, kw_only=True)
class Attended(Spec):
    """A convolution, a normalisation, three projections and a token: each kind of place that a table names."""

    num_classes: int = whole(3, least=0)

    def parts(self) -> Iterator[Part]:
        yield conv("stem.0.conv", (1, 2), 3, 4, INIT)
        yield batch_norm("stem.0.norm", 4)
        yield Part("token", (), "", (Weight("token.vectors", "time channels", (1, 4)),))
        for role in ("query", "key", "value"):
            yield dense(role, 4, 6, INIT)
        yield dense("flat", 8, 4, INIT, flattened=(1, 2, 4))
        if self.num_classes:
            yield dense("fc", 4, self.num_classes, INIT)


ROLES = ("query", "key", "value")
PACKED = (
    ("query.kernel", "attention.in_proj_weight[0/3]"),
    ("key.kernel", "attention.in_proj_weight[1/3]"),
    ("value.kernel", "attention.in_proj_weight[2/3]"),
    ("query", "attention.in_proj[0/3]"),
    ("key", "attention.in_proj[1/3]"),
    ("value", "attention.in_proj[2/3]"),
)
TORCH = Source(
    "torch",
    (("token.vectors", "cls_token", "1 time channels"), ("stem.{i}.*", "blocks.{i+1}.*"), *PACKED, ("fc", "head")),
    aliases=(("old.*", "head.*"),),
    left_out=("aux.*",),
)
KERAS = Source(
    "keras",
    (
        ("token.vectors", "token/embeddings", "1 1 (time channels)"),
        ("query", "dense#"),
        ("key", "dense#"),
        ("value", "dense#"),
        ("stem.{i}.{x}", "never"),
        ("stem.{i}.*", "block{i}_*"),
    ),
)
SPEC = Attended()
STATE = random_state(SPEC, 1)
ARRAYS = {"torch": from_canonical(SPEC, TORCH, STATE), "keras": from_canonical(SPEC, KERAS, STATE)}


class Language(unittest.TestCase):
    @parameterized.expand(
        [
            ("a.{i}.b", "x{i+1}_y", "a.3.b", "x4_y"),
            ("a.{i}.{k}", "{k-1}/{i}", "a.10.7", "6/10"),
            ("*.conv.*", "*_*", "a.b.conv.c", "a.b_c"),
            ("a.{i}.{i}", "{i}", "a.2.2", "2"),
            ("a.{i}.{i}", "{i}", "a.2.3", None),
            ("a.{i}", "{i}", "a.x", None),
            ("a.b", "c", "axb", None),
        ]
    )
    def test_a_name_is_read_and_written(self, ours: str, theirs: str, name: str, expected: str | None) -> None:
        self.assertEqual(filled(ours, theirs, name), expected)
        self.assertEqual(matches(ours, name), expected is not None)

    def test_places_in_torch(self) -> None:
        self.assertEqual(
            shapes_of(places(SPEC, TORCH)),
            {
                "blocks.1.conv.weight": (4, 3, 1, 2),
                "blocks.1.norm.weight": (4,),
                "blocks.1.norm.bias": (4,),
                "blocks.1.norm.running_mean": (4,),
                "blocks.1.norm.running_var": (4,),
                "cls_token": (1, 1, 4),
                "attention.in_proj_weight": (18, 4),
                "attention.in_proj.bias": (18,),
                "flat.weight": (4, 8),
                "flat.bias": (4,),
                "head.weight": (3, 4),
                "head.bias": (3,),
            },
        )

    def test_places_in_keras(self) -> None:
        found = {numbered(name): shape for name, shape in shapes_of(places(SPEC, KERAS)).items()}
        self.assertEqual(found["token/embeddings"], (1, 1, 4))
        self.assertEqual(found["block0_conv/kernel"], (1, 2, 3, 4))
        self.assertEqual(found["block0_norm/moving_variance"], (4,))
        self.assertEqual([found[f"{name}/kernel"] for name in ("dense", "dense_1", "dense_2")], [(4, 6)] * 3)

    def test_the_numbers_are_where_they_belong(self) -> None:
        arrays = ARRAYS["torch"]
        self.assertTrue(np.array_equal(arrays["attention.in_proj_weight"][6:12], STATE["key.kernel"].T))
        self.assertTrue(np.array_equal(arrays["attention.in_proj.bias"][12:], STATE["value.bias"]))
        self.assertTrue(
            np.array_equal(arrays["blocks.1.conv.weight"], STATE["stem.0.conv.kernel"].transpose(3, 2, 0, 1))
        )
        flat = STATE["flat.kernel"].reshape(1, 2, 4, 4).transpose(3, 2, 0, 1).reshape(4, 8)
        self.assertTrue(np.array_equal(arrays["flat.weight"], flat))

    def test_slices_lie_along_the_outputs(self) -> None:
        """GPT-2 keeps its packed kernel as inputs times outputs."""
        rules = tuple((f"{role}.kernel", f"c_attn.weight[{index}/3]", "in out") for index, role in enumerate(ROLES))
        source = Source("torch", (*rules, *(rule for rule in PACKED if "kernel" not in rule[0])))
        arrays = from_canonical(SPEC, source, STATE)
        self.assertEqual(shapes_of(places(SPEC, source))["c_attn.weight"], (4, 18))
        self.assertTrue(np.array_equal(arrays["c_attn.weight"][:, 6:12], STATE["key.kernel"]))
        self.assertTrue(np.array_equal(arrays["attention.in_proj.bias"][6:12], STATE["key.bias"]))
        self.assertTrue(same(to_canonical(SPEC, source, arrays), STATE))

    @parameterized.expand([("torch", TORCH), ("keras", KERAS)])
    def test_both_ways_are_bitwise(self, side: str, source: Source) -> None:
        self.assertTrue(same(to_canonical(SPEC, source, ARRAYS[side]), STATE))

    def test_nothing_is_shared_with_the_librarys_memory(self) -> None:
        arrays = {name: array.copy() for name, array in ARRAYS["keras"].items()}
        state = to_canonical(SPEC, KERAS, arrays)
        for array in arrays.values():
            array += 1
        self.assertTrue(same(state, STATE))

    @parameterized.expand([("first",), ("later", 7), ("far", 98)])
    def test_numbered_layers_by_number_and_count(self, case: str, start: int = 0) -> None:
        """As text, dense_10 comes before dense_9; and the order in the file says nothing."""
        arrays = {}
        for name, array in reversed(ARRAYS["keras"].items()):
            stem, _, rest = name.partition("#")
            number = start + int(rest.partition("/")[0] or 0) if rest else 0
            arrays[f"{stem}_{number}/{rest.partition('/')[2]}" if rest else name] = array
        if not start:
            arrays = {name.replace("dense_0/", "dense/"): array for name, array in arrays.items()}
        self.assertTrue(same(to_canonical(SPEC, KERAS, arrays), STATE))

    def test_variables_by_number(self) -> None:
        """Keras 3 keeps the names of layers and only numbers their variables."""
        seen: dict[str, int] = {}
        arrays = {}
        for name, array in ARRAYS["keras"].items():
            layer = numbered(name).rpartition("/")[0]
            arrays[f"{layer}/{seen.setdefault(layer, 0)}"] = array
            seen[layer] += 1
        self.assertTrue(same(to_canonical(SPEC, KERAS, arrays), STATE))

    def test_older_spellings_and_what_is_left_out(self) -> None:
        arrays = {name.replace("head.", "old."): array for name, array in ARRAYS["torch"].items()}
        arrays |= {"aux.conv.weight": np.zeros(3), "blocks.1.norm.num_batches_tracked": np.array(1)}
        self.assertTrue(same(to_canonical(SPEC, TORCH, arrays), STATE))

    def test_spellings_are_applied_one_after_another(self) -> None:
        source = Source("torch", aliases=(("net.*", "*"), ("*.gamma", "*.weight")))
        for name, expected in {"net.a.gamma": "a.weight", "a.gamma": "a.weight", "net.b": "b", "b": "b"}.items():
            self.assertEqual(current(source, name), expected)

    def test_a_copy_of_a_weight(self) -> None:
        source = dataclasses.replace(TORCH, left_out=("copy.weight",), copies=(("copy.weight", "flat.weight"),))
        arrays = {**ARRAYS["torch"], "copy.weight": ARRAYS["torch"]["flat.weight"].copy()}
        self.assertTrue(same(to_canonical(SPEC, source, arrays), STATE))
        arrays["copy.weight"][0, 0] += 1
        with self.assertRaisesRegex(StateError, "another copy.weight than flat.weight, which are one in this"):
            to_canonical(SPEC, source, arrays)

    def test_a_spec_without_a_head_leaves_it_out(self) -> None:
        headless = Attended(num_classes=0)
        state = to_canonical(headless, TORCH, ARRAYS["torch"])
        self.assertEqual(set(STATE) - set(state), {"fc.kernel", "fc.bias"})


class Mistakes(unittest.TestCase):
    def refused(self, arrays: Any, source: Source = TORCH) -> str:
        with self.assertRaises(StateError) as caught:
            to_canonical(SPEC, source, arrays)
        return str(caught.exception)

    def test_missing_extra_and_misshapen(self) -> None:
        arrays = {**ARRAYS["torch"], "flat.bias": np.zeros(5), "head.wieght": np.zeros((3, 4))}
        del arrays["head.weight"]
        text = self.refused(arrays)
        self.assertIn("missing: head.weight (3, 4)", text)
        self.assertIn("extra: head.wieght (3, 4) (did you mean head.weight?)", text)
        self.assertIn("wrong shape: flat.bias is (5,) and should be (4,)", text)

    def test_one_weight_under_two_names(self) -> None:
        for name in ("old.weight", "old.bias"):
            text = self.refused({**ARRAYS["torch"], name: ARRAYS["torch"][f"head.{name[4:]}"]})
            self.assertIn("hold one weight of test_sources under two names, one of which is", text)

    def test_a_transposed_kernel_is_not_reshaped(self) -> None:
        arrays = {**ARRAYS["torch"], "flat.weight": ARRAYS["torch"]["flat.weight"].T}
        self.assertIn("flat.weight is (8, 4) and should be (4, 8)", self.refused(arrays))

    def test_long_lists_are_cut(self) -> None:
        self.assertIn(f"and {len(ARRAYS['torch']) - foreign.SHOWN} more", self.refused({"x": np.zeros(1)}))

    @parameterized.expand([("more", 4), ("fewer", 2)])
    def test_another_count_of_numbered_layers(self, case: str, count: int) -> None:
        kept = {name: array for name, array in ARRAYS["keras"].items() if not name.startswith("dense")}
        dense = {f"dense_{number}/{leaf}": array for number in range(count)
                 for leaf, array in (("kernel", np.zeros((4, 6))), ("bias", np.zeros(6)))}  # fmt: skip
        self.assertIn("dense", self.refused({**kept, **dense}, KERAS))

    @parameterized.expand(
        [
            ("two at one place", (("query", "key"),), "query.kernel and key.kernel|key.kernel and query.kernel"),
            ("a slice that nobody has", (("query", "qkv[0/2]"),), "only slices"),
            ("a slice taken twice", (("query", "qkv[0/2]"), ("key", "qkv[0/2]")), "are both put at qkv.weight"),
            ("unlike numbers of slices", (("query", "qkv[0/2]"), ("key", "qkv[1/3]")), "are both put at qkv.weight"),
        ]
    )
    def test_a_table_that_is_no_bijection(self, case: str, rules: Any, said: str) -> None:
        with self.assertRaisesRegex(SpecError, said):
            places(SPEC, Source("torch", rules))


class Several(unittest.TestCase):
    """One source may have several tables for a spec, of which one is for this spec."""

    FEW = Source("torch", TORCH.rules, requires=(("num_classes", among(1, 2)), ("side", 3)), family="Few")
    MANY = Source("torch", KERAS.rules, requires=(("num_classes", 9), ("side", 3)), family="Many")

    @parameterized.expand([(1, "Few", {}), (2, "Few", {}), (9, "Many", {}), (5, "Few", {"num_classes": 1})])
    def test_the_one_that_is_for_a_spec(self, num_classes: int, family: str, other: dict[str, Any]) -> None:
        spec = Attended(num_classes=num_classes)
        with mock.patch.object(Attended, "SOURCES", {"sizes": (self.FEW, self.MANY)}):
            found = table(spec, "sizes")
            self.assertEqual((found.family, unmet(spec, found)), (family, {**other, "side": 3}))
            with self.assertRaisesRegex(SpecError, f"sizes' {family}s have "):
                pretrained.source_of(spec, "sizes")


class Tables(unittest.TestCase):
    """Every table of every spec, on its presets that are checked and on random specs."""

    @parameterized.expand(TABLES)
    def test_both_ways_are_bitwise(self, name: str, source: str, number: int) -> None:
        kind = registry.classes()[name]
        found = tables(kind.SOURCES[source])
        rng = generator(3, f"sources {name}")
        specs = [registry.make(preset) for preset in registry.checked(name)]
        for spec in [*specs, *[kind.sample(rng) for _ in range(SAMPLES)]]:
            table = found[number]
            if len(found) > 1:  # other families' networks are not this one's
                spec = spec.replace(**unmet(spec, table))
            state = random_state(spec, 2)
            arrays = from_canonical(spec, table, state)
            self.assertEqual({key: array.shape for key, array in arrays.items()}, shapes_of(places(spec, table)))
            again = to_canonical(spec, table, {numbered(key): array for key, array in reversed(arrays.items())})
            self.assertTrue(same(state, again), spec)

    @parameterized.expand(TABLES)
    def test_every_rule_is_of_use(self, name: str, source: str, number: int) -> None:
        """A rule that matches no weight of any preset is a slip of the pen."""
        kind = registry.classes()[name]
        specs = [registry.make(preset) for preset in kind.PRESETS]
        names = {text for spec in specs for weight in spec.weights() for text in (weight.owner, weight.name)}
        for rule in tables(kind.SOURCES[source])[number].rules:
            self.assertTrue(any(matches(rule[0], text) for text in names), rule)

    @parameterized.expand(
        [
            ("resnet", {"predictions": "probs"}),
            ("densenet", {"predictions": "fc1000", "conv1_conv": "conv1/conv", "conv1_bn": "conv1/bn"}),
        ]
    )
    def test_the_names_in_the_published_files_of_keras(self, name: str, old: dict[str, str]) -> None:
        """They were written by the first keras.applications, which had other names; Keras goes by their order."""
        spec = registry.make(registry.checked(name)[0], num_classes=3)
        table, state = spec.SOURCES["keras.applications"], random_state(spec, 2)
        arrays = {}
        for key, array in from_canonical(spec, table, state).items():
            layer, _, variable = key.rpartition("/")
            arrays[f"{old.get(layer, layer)}/{variable}"] = array
        self.assertTrue(same(to_canonical(spec, table, arrays), state))
