"""Specs: each field obeys its rule, each error names what is wrong, and the documentation is complete."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import unittest
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.errors import SpecError
from diglot.core.noise import generator
from diglot.core.spec import Hyperparameters, Spec, rounded
from parameterized import parameterized

import diglot

DRAWS = 300
KINDS = [(name, kind) for name, kind in registry.classes().items()]
ARCHITECTURES = [(name,) for name in registry.architectures()]
NAMES = [(name,) for name in (*registry.classes(), *registry.presets())]
FIELDS = [(f"{name} {item.name}", kind, item) for name, kind in KINDS for item in dataclasses.fields(kind)]

HUGE = 10**400
NOT_NUMBERS: tuple[Any, ...] = (None, True, "0.5", "", (0.5,), [0.5], {}, 0.5j, b"1", object(), np.ones(2))
NOT_FINITE = (float("nan"), float("inf"), -float("inf"), HUGE, -HUGE)
NOT_WHOLE: tuple[Any, ...] = (*NOT_NUMBERS, *NOT_FINITE[:3], 2.0, 2.5)
WRONG: dict[str, tuple[Any, ...]] = {
    r"one of .*": (None, True, 3, "", "no such word", ["relu"], b"relu", "a\nb"),
    r"True or False": (None, 0, 1, 0.0, "True", "", [True], np.True_),
    r"a whole number, at least (?P<least>\d+)": (*NOT_WHOLE, -1, -HUGE),
    r"None or a whole number, at least (?P<least>\d+)": (*NOT_WHOLE[1:], -1, -HUGE),
    r"None or a whole number": NOT_WHOLE[1:],
    r"a tuple of positive whole numbers.*": (
        None, 3, 2.5, "12", {}, (), [], (0,), (-1,), (2.0,), (True,), (None,), ("3",), ((3,),), [[3], [4]],
        (3, 3, 3, 0),
    ),
    r"a tuple of words": (None, 3, "layer1", b"layer1", {}, (3,), (None,), ("",), ("layer1", 3), [b"layer1"]),
    r"a tuple of pairs of a word and a number above 0": (
        None, 3, "conv", {}, ("conv",), (("conv",),), (("conv", 0.0),), (("conv", -1.0),), (("conv", "2"),),
        ((3, 1.0),), (("", 1.0),), (("conv", True),), (("conv", float("nan")),), (("conv", 1.0, 2.0),), ("ab", 1.0),
    ),
    r"a word": (None, True, 3, "", b"resnet18", ("resnet18",), ["resnet18"], {}),
    r"a tuple of \d+ numbers": (None, 3, 2.5, "123", {}, (), [], (0.5,), (0.5, 0.5, None), (0.5, 0.5, True),
                                ("a", "b", "c"), (0.5, 0.5, float("nan")), (0.5, 0.5, float("inf")), (0.1,) * 9),
    r"a tuple of numbers, one for each channel": (None, 3, 2.5, "123", {}, (), [], (0.5, None), (0.5, True), ("a",),
                                                  (0.5, float("nan")), (0.5, float("inf")), ((0.5,),)),
    r"a number, at least 0 and below 1": (*NOT_NUMBERS, *NOT_FINITE, -0.1, -5e-324, 1, 1.0, 1.5),
    r"a number above 0": (*NOT_NUMBERS, *NOT_FINITE, 0, 0.0, -0.0, -1e-300),
    r"None or a tuple of numbers above 0": (3, 2.5, "12", {}, (), [], (0.0,), (1.0, -1.0), (None,), (True,), ("a",),
                                            (float("nan"),), [1.0, float("inf")], ((1.0,),)),
    r"None or a number above 0 and at most 1": (*NOT_NUMBERS[1:], *NOT_FINITE, 0, -0.1, 1.1, 2),
    r"None or a number above 0": (*NOT_NUMBERS[1:], *NOT_FINITE, 0, 0.0, -1e-300),
    r"a number above 0 and at most 1": (*NOT_NUMBERS, *NOT_FINITE, 0, -0.1, 1.1, 2),
    r"an empty tuple or one of whole numbers, at least 1": (
        None, 3, 2.5, "12", {}, (0,), (-1,), (2.0,), (True,), (None,), ("3",), ((3,),), [[3], [4]], (3, 0),
    ),
    r"a tuple of numbers above 0": (
        None, 3, 2.5, "12", {}, (), [], (0.0,), (1.0, -1.0), (None,), (True,), ("a",), (0.1, float("nan")),
    ),
    r"a number, at least 0": (*NOT_NUMBERS, *NOT_FINITE, -1, -5e-324),
}  # fmt: skip


def one_line(text: str) -> str:
    return " ".join(text.splitlines())


def wrong_values(rule: str) -> list[Any]:
    (values,) = [
        (*values, *(int(least) - 1 for least in match.groupdict().values()))
        for pattern, values in WRONG.items()
        if (match := re.fullmatch(pattern, rule))
    ]
    lengths = re.search(r"of length (.*)", rule)
    longer = [(1,) * (max(map(int, lengths[1].split(" or "))) + 1)] if lengths else []
    return [*values, *longer]


def presets_of(kind: type[Hyperparameters]) -> list[Any]:
    return [kind(), *(kind(**fields) for fields in kind.PRESETS.values())]


def refused(test: unittest.TestCase, call: Any, *args: Any, **fields: Any) -> str:
    with test.assertRaises(SpecError) as caught:
        call(*args, **fields)
    test.assertEqual(len(str(caught.exception).splitlines()), 1)
    return str(caught.exception)


class Rules(unittest.TestCase):
    @parameterized.expand(FIELDS)
    def test_wrong_value(self, case: str, kind: type[Hyperparameters], item: dataclasses.Field[Any]) -> None:
        rule = item.metadata["rule"]
        for value in wrong_values(rule):
            shown = tuple(value) if isinstance(value, list) else value
            message = one_line(f"{kind.spec_name()}: {item.name} must be {rule}, not {shown!r}")
            with self.subTest(value=value):
                self.assertEqual(refused(self, registry.make, kind.spec_name(), **{item.name: value}), message)
                self.assertEqual(refused(self, kind().replace, **{item.name: value}), message)

    @parameterized.expand(FIELDS)
    def test_every_word_of_a_choice(self, case: str, kind: type[Hyperparameters], item: dataclasses.Field[Any]) -> None:
        rule = item.metadata["rule"]
        words = rule.removeprefix("one of ").split(", ") if rule.startswith("one of ") else []
        self.assertTrue(all(item.metadata["allows"](word) for word in words))
        self.assertTrue(item.metadata["allows"](item.default))

    def test_rules_between_fields(self) -> None:
        for name, fields, sentence in (
            ("transformer_lm", {"d_model": 30, "num_heads": 4}, "d_model 30 is not divisible by num_heads 4"),
            ("transformer_lm", {"d_model": 9, "num_heads": 3},
             "d_model 9 is odd, and sinusoidal positions come in pairs"),
            ("transformer_lm", {"vocab_size": 9, "pad_token_id": 9}, "pad_token_id 9 is not below vocab_size 9"),
            ("transformer_lm", {"d_model": 12, "num_heads": 4, "positions": "rotary"},
             "heads of 3 channels are odd, and rotary positions turn pairs of them"),
            ("transformer_lm", {"num_key_value_heads": 2}, "num_key_value_heads 2 needs rotary positions"),
            ("transformer_lm", {"positions": "rotary", "num_key_value_heads": 3},
             "num_heads 8 is not divisible by num_key_value_heads 3"),
            ("transformer_lm", {"head": "none", "tied_head": True}, "tied_head needs the head 'logits', not 'none'"),
            ("transformer_lm", {"head": "pooler"},
             "the head 'pooler' reads the first position, which sees no other one in a causal network"),
            ("multi_head_attention", {"d_model": 7, "num_heads": 2}, "d_model 7 is not divisible by num_heads 2"),
            ("multi_head_attention", {"d_model": 7, "num_heads": 2, "key_size": 4},
             "d_model 7 is not divisible by num_heads 2"),
            ("grouped_query_attention", {"d_model": 30, "num_heads": 4}, "d_model 30 is not divisible by num_heads 4"),
            ("grouped_query_attention", {"key_size": 3},
             "heads of 3 channels are odd, and rotary positions turn pairs of them"),
            ("grouped_query_attention", {"num_key_value_heads": 3},
             "num_heads 8 is not divisible by num_key_value_heads 3"),
            ("transformer", {"pad_token_id": 2},
             "end_token_id 2 is the pad_token_id as well, which nothing attends to and no loss counts"),
            ("sgd", {"nesterov": True}, "nesterov needs a momentum above 0"),
            ("warmup_cosine", {"warmup_steps": 9, "total_steps": 8},
             "warmup_steps (9) must not be above total_steps (8)"),
        ):  # fmt: skip
            self.assertEqual(refused(self, diglot.spec, name, **fields), f"{name}: {sentence}")

    def test_sizes_of_a_head_need_no_division(self) -> None:
        fields = {"d_model": 7, "num_heads": 2, "key_size": 4}
        self.assertEqual(diglot.spec("multi_head_attention", **fields, value_size=3).sizes, (4, 3))
        self.assertEqual(diglot.spec("grouped_query_attention", **fields).size, 4)

    def test_a_whole_number_is_a_number(self) -> None:
        self.assertEqual(diglot.spec("mlp", dropout_rate=0), diglot.spec("mlp", dropout_rate=0.0))


class Names(unittest.TestCase):
    @parameterized.expand(FIELDS)
    def test_unknown_field(self, case: str, kind: type[Hyperparameters], item: dataclasses.Field[Any]) -> None:
        for call in (lambda **given: registry.make(kind.spec_name(), **given), kind().replace):
            message = refused(self, call, **{f"{item.name}_": item.default})
            self.assertIn(f"{kind.spec_name()} has no field '{item.name}_'; did you mean ", message)
            self.assertIn(repr(item.name), message)

    @parameterized.expand(KINDS)
    def test_a_field_like_no_other(self, name: str, kind: type[Hyperparameters]) -> None:
        message = refused(self, registry.make, name, **{"": 1})
        self.assertTrue(all(item.name in message for item in dataclasses.fields(kind)))

    @parameterized.expand(NAMES)
    def test_unknown_name(self, name: str) -> None:
        message = refused(self, diglot.spec, f"{name}_")
        self.assertIn(f"there is no architecture, preset or technique '{name}_'; did you mean ", message)
        self.assertIn(repr(name), message)

    @parameterized.expand([("nothing near", "qqqqqqq"), ("empty", ""), ("lines", "a\nb"), ("int", 3), ("none", None),
                           ("list", ["mlp"]), ("bytes", b"mlp")])  # fmt: skip
    def test_no_name_at_all(self, case: str, name: Any) -> None:
        self.assertIn(repr(name), refused(self, diglot.spec, name))

    def test_a_field_called_name_is_unknown_too(self) -> None:
        self.assertIn("has no field 'name'", refused(self, diglot.spec, "mlp", **{"name": "x"}))

    def test_all_are_listed(self) -> None:
        self.assertEqual(set(diglot.specs()) | set(diglot.techniques()), {name for (name,) in NAMES})
        self.assertFalse(set(diglot.specs()) & set(diglot.techniques()))


class Values(unittest.TestCase):
    @parameterized.expand(KINDS)
    def test_frozen(self, name: str, kind: type[Hyperparameters]) -> None:
        for item in dataclasses.fields(kind):
            with self.assertRaises(dataclasses.FrozenInstanceError):
                setattr(kind(), item.name, item.default)

    @parameterized.expand(KINDS)
    def test_replace_copies(self, name: str, kind: type[Hyperparameters]) -> None:
        for spec in presets_of(kind):
            self.assertEqual(spec.replace(), spec)
            self.assertEqual(hash(spec.replace(**spec.fields())), hash(spec))
            self.assertEqual(kind().replace(**spec.fields()), spec)

    def test_replace_leaves_the_original(self) -> None:
        spec = diglot.spec("resnet18")
        self.assertEqual(spec.replace(width=8).width, 8)
        self.assertEqual(spec, diglot.spec("resnet18"))

    @parameterized.expand(KINDS)
    def test_presets(self, name: str, kind: type[Hyperparameters]) -> None:
        for preset, fields in kind.PRESETS.items():
            self.assertEqual(diglot.spec(preset), kind(**fields))
        self.assertTrue(kind.CHECKED or not issubclass(kind, Spec))
        self.assertTrue({*kind.CHECKED} <= {name, *kind.PRESETS})

    @parameterized.expand(KINDS)
    def test_fields_survive_json(self, name: str, kind: type[Hyperparameters]) -> None:
        rng = generator(0, f"json {name}")
        for spec in (*presets_of(kind), *(kind.sample(rng) for _ in range(DRAWS))):
            again = registry.make(name, **json.loads(json.dumps(spec.fields())))
            self.assertEqual((again, hash(again), again.fields()), (spec, hash(spec), spec.fields()))

    @parameterized.expand(KINDS)
    def test_samples(self, name: str, kind: type[Hyperparameters]) -> None:
        draws = [kind.sample(generator(7, name, draw)) for draw in range(DRAWS)]
        self.assertEqual(draws[3], kind.sample(generator(7, name, 3)))
        self.assertTrue(len(set(draws)) > 1 or not kind.PRESETS)
        for spec in draws:
            self.assertIs(type(spec), kind)
            self.assertEqual(spec.rounded().rounded(), spec.rounded())


class Rounding(unittest.TestCase):
    def test_exact_in_float32(self) -> None:
        for value in generator(0, "rounded").uniform(-1, 1, 5000) * 10.0 ** np.arange(-20, 30).repeat(100):
            self.assertEqual(float(np.float32(rounded(value))), rounded(value))
            self.assertEqual(rounded(rounded(value)), rounded(value))
            self.assertLessEqual(abs(rounded(value) - value), max(2.0**-25, np.spacing(np.float32(abs(value))) * 2**7))

    def test_complement_is_exact_in_float32(self) -> None:
        for value in (
            *generator(1, "rounded").uniform(2**-12, 1, 5000),
            0.9,
            0.999999,
            1 - 2**-30,
            0.99,
            0.999,
            0.1,
            0.01,
            0.5,
        ):
            self.assertEqual(float(np.float32(1 - rounded(value))), 1 - rounded(value))
            self.assertEqual(float(np.float32(1) - np.float32(rounded(value))), 1 - rounded(value))

    @parameterized.expand([(value,) for value in (0.0, 1.0, 0.5, 0.25, 3.0, -2.0, 65535.0, 1024.5)])
    def test_short_numbers_stay(self, value: float) -> None:
        self.assertEqual(repr(rounded(value)), repr(value))

    @parameterized.expand(KINDS)
    def test_of_a_spec(self, name: str, kind: type[Hyperparameters]) -> None:
        for spec in presets_of(kind):
            for key, value in spec.rounded().fields().items():
                given = spec.fields()[key]
                many = given if isinstance(given, tuple) else (given,)
                wanted = tuple(rounded(item) if isinstance(item, float) else item for item in many)
                self.assertEqual(value, wanted if isinstance(given, tuple) else wanted[0])


class Weights(unittest.TestCase):
    @parameterized.expand(
        [
            ("resnet18", 11_689_512), ("resnet34", 21_797_672), ("resnet50", 25_557_032), ("resnet101", 44_549_160),
            ("resnet152", 60_192_808), ("bert_base", 109_482_240), ("bert_mini", 11_170_560), ("gpt2", 124_439_808),
            ("distilbert_base", 66_362_880), ("minilm_l6", 22_713_216 - 147_840),
            ("wide_resnet50_2", 68_883_240), ("resnet18_cifar", 11_173_962),
        ],
    )  # fmt: skip
    def test_published_parameter_counts(self, preset: str, count: int) -> None:
        """As torchvision's documentation and the models' cards have them; the CIFAR stem's from kuangliu's well-known
        ResNet-18. MiniLM's has BERT's pooler, which its sentence embedding leaves out."""
        self.assertEqual(diglot.spec(preset).parameter_count(), count)

    @parameterized.expand(
        [("resnet50_keras", 25_636_712), ("resnet101_keras", 44_707_176), ("resnet152_keras", 60_419_944)],
    )
    def test_published_total_counts(self, preset: str, count: int) -> None:
        """As keras.applications counts: with the running statistics."""
        self.assertEqual(sum(weight.size for weight in diglot.spec(preset).weights()), count)

    @parameterized.expand(ARCHITECTURES)
    def test_declared_once(self, name: str) -> None:
        kind = registry.classes()[name]
        for spec in (*presets_of(kind), *(kind.sample(generator(8, name, draw)) for draw in range(DRAWS))):
            parts, weights = [part.name for part in spec.parts()], spec.weights()
            names = [weight.name for weight in weights]
            self.assertEqual(len(set(parts)), len(parts))
            self.assertEqual(len(set(names)), len(names))
            self.assertTrue(all(part.name == weight.owner for part in spec.parts() for weight in part.weights))
            self.assertTrue(all(size > 0 for weight in weights for size in weight.shape))
            self.assertEqual(spec.parameter_count(), sum(np.zeros(w.shape).size for w in weights if w.trainable))

    @parameterized.expand(ARCHITECTURES)
    def test_buffers_are_the_running_statistics(self, name: str) -> None:
        for spec in presets_of(registry.classes()[name]):
            frozen = {f"backbone.{weight}" for weight in spec.frozen_weights()} if name == "transfer" else set()
            for weight in spec.weights():
                trains = weight.role not in ("mean", "variance") and weight.name not in frozen
                self.assertEqual(weight.trainable, trains)

    @parameterized.expand(ARCHITECTURES)
    def test_inert_weights_have_a_reason(self, name: str) -> None:
        inert = [weight for spec in presets_of(registry.classes()[name]) for weight in spec.weights() if weight.inert]
        for weight in inert:
            self.assertGreater(len(weight.inert.split()), 3)
            self.assertEqual(len(weight.inert.splitlines()), 1)

    def test_a_key_bias_is_inert(self) -> None:
        inert = [weight.name for weight in diglot.spec("transformer_lm_small").weights() if weight.inert]
        self.assertEqual(inert, [f"blocks.{index}.attention.key.bias" for index in range(2)])

    @parameterized.expand(ARCHITECTURES)
    def test_an_example_has_the_declared_tensors(self, name: str) -> None:
        for preset in registry.checked(name):
            spec = diglot.spec(preset)
            arrays = spec.example(generator(0, "example"), 3)
            declared = {tensor.name: tensor for tensor in (*spec.inputs(), spec.targets())}
            self.assertEqual(list(arrays), list(declared))
            for key, array in arrays.items():
                self.assertEqual(array.dtype, np.dtype("int64" if declared[key].dtype == "int" else "float64"))
                self.assertEqual((len(array), array.ndim), (3, len(declared[key].shape)))
                if declared[key].dtype == "int":
                    self.assertTrue(np.all((array >= 0) & (array < declared[key].high)))


def documented(kind: type) -> set[str]:
    """The fields that a class names in its own `Fields:` section."""
    section = re.search(r"^Fields:\n((?: +.*\n|\n(?= ))*)", inspect.cleandoc(kind.__doc__ or "") + "\n", re.MULTILINE)
    found = re.findall(r"^    (\w+(?:, \w+)*):", section[1] if section else "", re.MULTILINE)
    return {name for names in found for name in names.split(", ")}


class Documentation(unittest.TestCase):
    @parameterized.expand(KINDS)
    def test_every_field(self, name: str, kind: type[Hyperparameters]) -> None:
        fields = {item.name for item in dataclasses.fields(kind)}
        own = {field for field in fields if field in kind.__annotations__}
        self.assertEqual(own - documented(kind), set())
        self.assertEqual(documented(kind) - fields, set())
        for field in fields - documented(kind):
            (home,) = [base for base in kind.__mro__ if field in documented(base)]
            path = f"{home.__module__.partition('.')[2].replace('.', '/')}.py"
            self.assertIn(path, inspect.getdoc(kind) or "")

    @parameterized.expand(KINDS)
    def test_source(self, name: str, kind: type[Hyperparameters]) -> None:
        self.assertRegex(kind.__doc__ or "", r"\n    Source: \w[\s\S]*\b(19|20)\d\d\b")
        self.assertRegex((kind.__doc__ or "").partition("\n")[0], r"\.$")

    def test_an_undocumented_field_is_seen(self) -> None:
        class Bare(Spec):
            """Nothing.

            Fields:
                width, depth: two of them,
                    on: two lines.

            Later: not a field.
            """

        self.assertEqual(documented(Bare), {"width", "depth"})
