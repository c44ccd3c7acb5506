"""Axis names: a layout is parsed, rendered and rearranged without loss, and each side's order follows from them."""

from __future__ import annotations

import itertools
import math
import unittest

import numpy as np
import torch
from diglot.core import registry
from diglot.core.axes import parse, rearrange, render, sizes_of
from diglot.core.noise import generator
from diglot.core.spec import Spec
from diglot.torch_impl.layout import native, to_canonical, to_native
from parameterized import parameterized

MADE_UP = (
    "a",
    "batch time channels",
    "height width in out",
    "(height width channels) out",
    "in (gates units)",
    "(a b) (c d) e",
    "a (b c d) e",
    "(a b c d e)",
    "height width groups (mult out)",
)
SIZES = {name: 1 + place % 4 for place, name in enumerate("a b c d e batch time channels height width".split(), 1)}
DTYPES = ("float64", "float32", "float16", "int64", "uint8", "bool", "complex64", ">f8")


def checked() -> list[Spec]:
    return [registry.make(preset) for name in registry.architectures() for preset in registry.checked(name)]


def in_use() -> set[str]:
    """Every axis string of the specs that are checked."""
    found: set[str] = set()
    for spec in checked():
        found |= {weight.axes for weight in spec.weights()}
        found |= {tensor.axes for tensor in (*spec.inputs(), *spec.outputs(), spec.targets())}
        found |= {axes for part in spec.parts() for axes in (*part.inputs, part.output)}
    return found


STRINGS = sorted({*MADE_UP, *in_use()})


def names_of(axes: str) -> list[str]:
    return [name for group in parse(axes) for name in group]


def shape_of(axes: str) -> tuple[int, ...]:
    return tuple(math.prod(SIZES.get(name, 2) for name in group) for group in parse(axes))


def sizes(axes: str) -> dict[str, int]:
    return {name: SIZES.get(name, 2) for name in names_of(axes)}


def shuffled(axes: str, rng: np.random.Generator) -> str:
    """The same names in another order and in other groups."""
    names = [str(name) for name in rng.permutation(names_of(axes))]
    cuts = sorted({0, len(names), *rng.integers(0, len(names) + 1, 2).tolist()})
    return render(tuple(tuple(names[start:end]) for start, end in itertools.pairwise(cuts)))


def offset(axes: str, place: dict[str, int], size: dict[str, int]) -> int:
    """Where the element at named coordinates lies in a C-ordered array of this layout."""
    found = 0
    for name in names_of(axes):
        found = found * size[name] + place[name]
    return found


def bits(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """An array of random bits, with NaN payloads, negative zeros and subnormals among them."""
    raw = generator(0, f"bits {dtype}").integers(0, 2 if dtype == "bool" else 256, 16 * math.prod(shape), "uint8")
    return raw.view(dtype)[: math.prod(shape)].reshape(shape)


class Strings(unittest.TestCase):
    @parameterized.expand([(axes,) for axes in STRINGS])
    def test_parse_and_render_are_inverse(self, axes: str) -> None:
        self.assertEqual(render(parse(axes)), axes)
        self.assertEqual(parse(render(parse(axes))), parse(axes))

    def test_spaces_do_not_matter(self) -> None:
        self.assertEqual(parse("  height   (in  mult) out "), (("height",), ("in", "mult"), ("out",)))

    @parameterized.expand(
        [("a a",), ("(a b) a",), ("(a a)",), ("(a b",), ("a b)",), ("((a b) c)",), ("()",), ("a () b",), ("(a)",)]
    )
    def test_a_string_without_a_layout(self, axes: str) -> None:
        with self.assertRaises(ValueError) as caught:
            parse(axes)
        self.assertIn(repr(axes), str(caught.exception))


class Sizes(unittest.TestCase):
    @parameterized.expand([(axes,) for axes in STRINGS])
    def test_of_every_name(self, axes: str) -> None:
        self.assertEqual(sizes_of(axes, shape_of(axes), sizes(axes)), sizes(axes))

    def test_one_factor_follows_from_the_others(self) -> None:
        self.assertEqual(
            sizes_of("(a b) c (d e)", (6, 5, 8), {"a": 2, "e": 4}), {"a": 2, "b": 3, "c": 5, "d": 2, "e": 4}
        )

    @parameterized.expand(
        [
            ("rank", "a b", (2, 3, 4), {}),
            ("two unknown factors", "(a b) c", (6, 5), {}),
            ("no whole factor", "(a b) c", (7, 5), {"a": 2}),
            ("other product", "(a b) c", (7, 5), {"a": 2, "b": 3}),
            ("contradiction", "a b", (2, 3), {"a": 4}),
            ("zero factor", "(a b)", (0,), {"a": 0}),
        ]
    )
    def test_that_do_not_fit(self, case: str, axes: str, shape: tuple[int, ...], known: dict[str, int]) -> None:
        with self.assertRaises(ValueError):
            sizes_of(axes, shape, known)


class Rearranging(unittest.TestCase):
    @parameterized.expand([(f"{axes} {dtype}", axes, dtype) for axes in STRINGS for dtype in DTYPES])
    def test_there_and_back_is_bitwise(self, case: str, axes: str, dtype: str) -> None:
        array, rng = bits(shape_of(axes), dtype), generator(0, axes)
        for _ in range(5):
            other = shuffled(axes, rng)
            moved = rearrange(array, axes, other, sizes(axes))
            back = rearrange(moved, other, axes, sizes(axes))
            self.assertEqual((back.shape, back.dtype, back.tobytes()), (array.shape, array.dtype, array.tobytes()))

    @parameterized.expand([(axes,) for axes in STRINGS])
    def test_each_element_keeps_its_named_place(self, axes: str) -> None:
        size, rng = sizes(axes), generator(1, axes)
        array = np.arange(math.prod(size.values())).reshape(shape_of(axes))
        for _ in range(5):
            other = shuffled(axes, rng)
            moved = rearrange(array, axes, other, size).reshape(-1)
            for coordinates in itertools.product(*(range(size[name]) for name in size)):
                place = dict(zip(size, coordinates, strict=True))
                self.assertEqual(moved[offset(other, place, size)], offset(axes, place, size))

    @parameterized.expand([("fortran order", np.asfortranarray), ("a view", lambda a: np.repeat(a, 2, axis=0)[::2])])
    def test_memory_order_does_not_matter(self, case: str, stored: object) -> None:
        array = bits((2, 3, 4, 5), "float32")
        expected = rearrange(array, "height width in out", "out in height width")
        given = stored(array)  # type: ignore[operator]
        self.assertEqual(rearrange(given, "height width in out", "out in height width").tobytes(), expected.tobytes())

    def test_the_source_is_left_alone(self) -> None:
        array = bits((2, 3), "float64")
        before = array.tobytes()
        rearrange(array, "a b", "b a")[:] = 0
        self.assertEqual(array.tobytes(), before)

    @parameterized.expand(
        [("other names", "a b", "a c"), ("a name less", "a b", "a"), ("a name more", "a b", "a b c"),
         ("rank", "a b c", "c b a"), ("unknown factors", "a (b c)", "(c b) a")]
    )  # fmt: skip
    def test_layouts_that_do_not_match(self, case: str, source: str, target: str) -> None:
        with self.assertRaises(ValueError):
            rearrange(np.zeros((2, 6)), source, target)


KNOWN = {
    "height width in out": "out in height width",
    "in out": "out in",
    "(height width channels) out": "out (channels height width)",
    "batch height width channels": "batch channels height width",
    "batch (height width channels)": "batch (channels height width)",
    "batch time channels": "batch time channels",
    "batch heads queries keys": "batch heads queries keys",
    "tokens channels": "tokens channels",
    "channels": "channels",
    "out": "out",
}


class Torch(unittest.TestCase):
    @parameterized.expand(sorted(KNOWN.items()))
    def test_native_order(self, axes: str, expected: str) -> None:
        self.assertEqual(native(axes), expected)

    @parameterized.expand([(axes,) for axes in STRINGS])
    def test_native_names_the_same_axes(self, axes: str) -> None:
        self.assertEqual(sorted(names_of(native(axes))), sorted(names_of(axes)))
        self.assertEqual({frozenset(group) for group in parse(native(axes))}, {frozenset(g) for g in parse(axes)})
        self.assertEqual(native(native(axes)), native(axes))

    def test_every_weight_there_and_back_is_bitwise(self) -> None:
        for weight in {weight for spec in checked() for weight in spec.weights()}:
            array = bits(weight.shape, "float32")
            back = to_canonical(to_native(array, weight.axes, weight.factors), weight.axes, weight.factors)
            self.assertEqual((back.shape, back.tobytes()), (array.shape, array.tobytes()), weight)

    def test_shapes_are_those_of_the_modules(self) -> None:
        conv = to_native(np.zeros((2, 4, 3, 5)), "height width in out")
        self.assertEqual(conv.shape, tuple(torch.nn.Conv2d(3, 5, (2, 4)).weight.shape))
        self.assertEqual(to_native(np.zeros((3, 5)), "in out").shape, tuple(torch.nn.Linear(3, 5).weight.shape))
        self.assertEqual(
            to_native(np.zeros((7, 2)), "tokens channels").shape, tuple(torch.nn.Embedding(7, 2).weight.shape)
        )

    def test_a_kernel_behind_a_flattened_image(self) -> None:
        rng, factors = generator(0, "flatten"), (("height", 4), ("width", 3), ("channels", 2))
        image = rng.integers(-9, 10, (5, 4, 3, 2)).astype(float)  # whole numbers, whose sums are exact
        kernel = rng.integers(-9, 10, (24, 6)).astype(float)
        linear = torch.from_numpy(to_native(kernel, "(height width channels) out", factors))
        channels_first = torch.from_numpy(to_native(image, "batch height width channels"))
        result = torch.nn.functional.linear(channels_first.flatten(1), linear)
        self.assertTrue(np.array_equal(result.numpy(), image.reshape(5, -1) @ kernel))
