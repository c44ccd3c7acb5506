"""Comparisons and verdicts: what may pass, at the bounds and beside them, and what never may."""

from __future__ import annotations

import math
import unittest

import numpy as np
from diglot.core import compare, floor, verdict
from diglot.core.errors import SpecError
from diglot.core.noise import Noise, generator
from diglot.core.verdict import ACCURACY_BOUND, BOUND, Verdict
from parameterized import parameterized
from scipy import stats

NAN, INF = math.nan, math.inf
OVER, UNDER = math.nextafter(BOUND, INF), math.nextafter(BOUND, 0)
RARE = 1e-9  # how often a correct generator would fail; the seeds are fixed, so the answer is always the same


def array(*values: float, dtype: str = "float64") -> np.ndarray:
    return np.array(values, dtype)


class Verdicts(unittest.TestCase):
    @parameterized.expand(
        [
            (0.0, None, Verdict.EQUAL), (UNDER, None, Verdict.EQUAL), (BOUND, None, Verdict.EQUAL),
            (BOUND, 5.0, Verdict.EQUAL), (OVER, None, Verdict.DIFFERENT), (OVER, 0.5, Verdict.FLOAT32_EQUAL),
            (OVER, 1.0, Verdict.FLOAT32_EQUAL), (OVER, math.nextafter(1, 2), Verdict.DIFFERENT),
            (INF, 1.0, Verdict.FLOAT32_EQUAL), (INF, None, Verdict.DIFFERENT), (INF, INF, Verdict.DIFFERENT),
            (NAN, None, Verdict.DIFFERENT), (OVER, NAN, Verdict.DIFFERENT),
        ]
    )  # fmt: skip
    def test_of_ratio(self, ratio: float, wide: float | None, expected: Verdict) -> None:
        self.assertIs(verdict.of_ratio(ratio, wide), expected)

    @parameterized.expand(
        [(1.0, Verdict.EQUAL), (ACCURACY_BOUND, Verdict.EQUAL),
         (math.nextafter(ACCURACY_BOUND, INF), Verdict.DIFFERENT), (INF, Verdict.DIFFERENT), (NAN, Verdict.DIFFERENT)]
    )  # fmt: skip
    def test_of_accuracy(self, ratio: float, expected: Verdict) -> None:
        self.assertIs(verdict.of_accuracy(ratio), expected)

    @parameterized.expand([(0.0, False), (BOUND, False), (OVER, True), (INF, True), (NAN, False)])
    def test_is_seen(self, movement: float, expected: bool) -> None:
        self.assertIs(verdict.is_seen(movement), expected)

    def test_worst_of_nothing_is_different(self) -> None:
        self.assertIs(verdict.worst([]), Verdict.DIFFERENT)
        self.assertIs(verdict.worst(item.verdict for item in compare.every({}, {}, {})), Verdict.DIFFERENT)
        self.assertIsNone(compare.worst([]))

    def test_worst_is_the_most_severe(self) -> None:
        order = [Verdict.EQUAL, Verdict.FLOAT32_EQUAL, Verdict.DIFFERENT, Verdict.ERROR]
        for place, most in enumerate(order):
            self.assertIs(verdict.worst(reversed(order[: place + 1])), most)
            self.assertIs(verdict.worst(order[: place + 1]), most)

    def test_worst_comparison_goes_by_verdict_and_then_by_ratio(self) -> None:
        def item(found: Verdict, ratio: float) -> compare.Comparison:
            return compare.Comparison(f"{found} {ratio}", found, ratio, 0.0, 0.0, 0.0)

        mild, severe = item(Verdict.EQUAL, 99.0), item(Verdict.DIFFERENT, 1.0)
        self.assertIs(compare.worst([mild, severe]), severe)
        for ratio in (INF, NAN):
            strange = item(Verdict.DIFFERENT, ratio)
            self.assertIs(compare.worst([severe, strange, item(Verdict.DIFFERENT, 1e9), mild]), strange)


class Pairs(unittest.TestCase):
    @parameterized.expand(
        [(0.0, Verdict.EQUAL), (1.0, Verdict.EQUAL), (BOUND, Verdict.EQUAL), (OVER, Verdict.DIFFERENT)]
    )
    def test_a_difference_in_floors(self, difference: float, expected: Verdict) -> None:
        for sign in (-1, 1):
            found = compare.pair("x", array(0, 5), array(sign * difference, 5), 1.0)
            self.assertEqual((found.verdict, found.ratio, found.difference), (expected, difference, difference))
            self.assertEqual((found.name, found.floor, found.complaint), ("x", 1.0, ""))

    @parameterized.expand(
        [(1e4, Verdict.FLOAT32_EQUAL), (1e3, Verdict.FLOAT32_EQUAL), (999.0, Verdict.DIFFERENT),
         (0.0, Verdict.DIFFERENT), (INF, Verdict.DIFFERENT), (NAN, Verdict.DIFFERENT), (None, Verdict.DIFFERENT)]
    )  # fmt: skip
    def test_the_wider_floor(self, wide: float | None, expected: Verdict) -> None:
        self.assertIs(compare.pair("x", array(0), array(1e3), 1.0, wide).verdict, expected)

    @parameterized.expand([(INF,), (NAN,), (-INF,)])
    def test_a_floor_that_is_no_number_could_not_fail(self, value: float) -> None:
        found = compare.pair("x", array(1), array(2), value)
        self.assertIs(found.verdict, Verdict.DIFFERENT)
        self.assertIn("noise floor", found.complaint)

    def test_the_largest_difference_counts(self) -> None:
        one, other = np.zeros((3, 4)), np.zeros((3, 4))
        other[1, 2], other[2, 3] = -7.0, 6.0
        found = compare.pair("x", one, other, 1.0)
        self.assertEqual((found.ratio, compare.pair("x", other, one, 1.0).ratio), (7.0, 7.0))

    def test_zeros(self) -> None:
        found = compare.pair("x", np.zeros(3), np.zeros(3), 0.0)
        self.assertEqual((found.verdict, found.ratio, found.digits), (Verdict.EQUAL, 0.0, 17.0))
        noise = compare.pair("x", np.zeros(3), array(0, 1e-18, 0), 1e-18)
        self.assertEqual((noise.verdict, noise.ratio, noise.digits), (Verdict.EQUAL, 1.0, 17.0))
        self.assertIs(compare.pair("x", np.zeros(3), array(0, 5e-324, 0), 0.0).verdict, Verdict.EQUAL)
        self.assertIs(compare.pair("x", np.zeros(3), array(0, 1e-300, 0), 0.0).verdict, Verdict.DIFFERENT)

    @parameterized.expand([("float16",), ("float32",), ("float64",)])
    def test_precisions_are_compared_as_float64(self, dtype: str) -> None:
        found = compare.pair("x", array(1.5, dtype=dtype), array(1.25), 1.0)
        self.assertEqual(found.difference, 0.25)

    @parameterized.expand([("scalars", ()), ("cube", (2, 3, 4))])
    def test_any_rank(self, case: str, shape: tuple[int, ...]) -> None:
        self.assertEqual(compare.pair("x", np.full(shape, 2.0), np.full(shape, 3.0), 1.0).ratio, 1.0)

    def test_renamed(self) -> None:
        found = compare.pair("x", array(1), array(2), 1.0)
        self.assertEqual((found.renamed("y").name, found.renamed("x")), ("y", found))


class NeverEqual(unittest.TestCase):
    def fails(self, one: np.ndarray, other: np.ndarray, *words: str) -> None:
        for first, second in ((one, other), (other, one)):
            found = compare.pair("x", first, second, 1e300, 1e300)
            self.assertEqual((found.verdict, found.ratio, found.digits), (Verdict.DIFFERENT, INF, 0.0))
            for word in words:
                self.assertIn(word, found.complaint)

    @parameterized.expand([((3,), (3, 1)), ((3,), (1, 3)), ((1,), ()), ((0,), (3,)), ((2, 3), (3, 2)), ((3,), (4,))])
    def test_shapes(self, one: tuple[int, ...], other: tuple[int, ...]) -> None:
        self.fails(np.ones(one), np.ones(other), str(one), str(other))

    @parameterized.expand([("int64",), ("bool",), ("complex128",), ("uint8",), ("object",), ("U3",)])
    def test_kinds_of_number(self, dtype: str) -> None:
        self.fails(np.ones(3), np.ones(3).astype(dtype), "kinds of number", "float64")

    @parameterized.expand([(repr(value), value) for value in (NAN, INF, -INF)])
    def test_not_finite(self, case: str, value: float) -> None:
        self.fails(array(1, value, value), array(1, 2, 3), "2 of 3 values are not finite in ")
        self.fails(array(1, value), array(1, value), "1 of 2 values are not finite in PyTorch")
        self.fails(array(value, dtype="float16"), array(1, dtype="float32"), "1 of 1")

    def test_the_side_is_named(self) -> None:
        found = compare.pair("x", array(1), array(NAN), 1.0, sides=("the rule", "mine"))
        self.assertEqual(found.complaint, "1 of 1 values are not finite in mine")

    @parameterized.expand([("float64",), ("int64",), ("bool",)])
    def test_empty(self, dtype: str) -> None:
        for shape in ((0,), (3, 0)):
            self.fails(np.ones(shape, dtype), np.ones(shape, dtype), "empty")

    def test_discrete(self) -> None:
        self.fails(np.array([1, 2, 3]), np.array([1, 3, 2]), "2 of 3 discrete values differ")
        self.fails(np.array([True, False]), np.array([True, True]), "1 of 2")
        self.fails(np.array([1j]), np.array([1 + 1j]), "1 of 1")
        same = compare.pair("x", np.array([1, 2], "int32"), np.array([1, 2], "int64"), 0.0)
        self.assertEqual((same.verdict, same.ratio, same.digits), (Verdict.EQUAL, 0.0, 17.0))


class Every(unittest.TestCase):
    def test_missing_on_either_side(self) -> None:
        found = compare.every({"a": array(1), "b": array(1)}, {"b": array(1), "c": array(1)}, {})
        self.assertEqual([item.name for item in found], ["a", "b", "c"])
        self.assertEqual([item.verdict for item in found], [Verdict.DIFFERENT, Verdict.EQUAL, Verdict.DIFFERENT])
        self.assertEqual([item.complaint for item in found], ["only PyTorch has it", "", "only Keras has it"])

    def test_one_side_without_anything(self) -> None:
        for one, other in (({"a": array(1)}, {}), ({}, {"a": array(1)})):
            self.assertEqual([item.verdict for item in compare.every(one, other, {})], [Verdict.DIFFERENT])

    def test_each_has_its_own_floors(self) -> None:
        one, other = {"a": array(0), "b": array(0), "c": array(0)}, {"a": array(1), "b": array(1), "c": array(1)}
        found = compare.every(one, other, {"a": 1.0, "b": 1e-9}, {"a": 1e-9, "b": 2.0, "c": 0.5})
        self.assertEqual([str(item.verdict) for item in found], ["equal", "float32-equal", "different"])

    @parameterized.expand(
        [
            ("same", array(1, NAN, -0.0), array(1, NAN, -0.0), ""),
            ("negative zero", array(0.0), array(-0.0), "bits"),
            ("last place", array(1), array(math.nextafter(1, 2)), "bits"),
            ("precision", array(1), array(1, dtype="float32"), "bits"),
            ("byte order", array(1, dtype="<f8"), array(1, dtype=">f8"), "bits"),
            ("shape", array(1), array(1).reshape(1, 1), "bits"),
            ("memory order", np.eye(3)[:2], np.asfortranarray(np.eye(3)[:2]), ""),
            ("kind", array(0, dtype="int64"), array(0), "bits"),
        ]
    )
    def test_bitwise(self, case: str, one: np.ndarray, other: np.ndarray, complaint: str) -> None:
        (found,) = compare.bitwise({"x": one}, {"x": other})
        self.assertIs(found.verdict, Verdict.DIFFERENT if complaint else Verdict.EQUAL)
        self.assertIn(complaint, found.complaint)

    def test_bitwise_misses_nothing(self) -> None:
        found = compare.bitwise({"a": array(1), "b": array(1)}, {"b": array(1), "c": array(1)})
        self.assertEqual([item.complaint for item in found], ["it was lost", "", "it was not there before"])
        self.assertEqual([str(item.verdict) for item in found], ["different", "equal", "different"])


class Digits(unittest.TestCase):
    @parameterized.expand(
        [
            ("none", 1.0, 1.0, 1e-16, 0.0), ("less than none", 2.0, 1.0, 1e-16, 0.0), ("five", 1e-5, 1.0, 1e-16, 5.0),
            ("relative", 1e-3, 100.0, 1e-14, 5.0), ("no difference", 0.0, 1.0, 1e-16, 17.0),
            ("at most 17", 1e-30, 1.0, 1e-40, 17.0), ("no difference from zero", 0.0, 0.0, 0.0, 17.0),
            ("noise at the bound", 1e-16, BOUND, 1.0, 17.0), ("just seen", OVER, OVER, 1.0, 0.0),
        ]
    )  # fmt: skip
    def test_agreeing(self, case: str, difference: float, magnitude: float, floors: float, expected: float) -> None:
        self.assertEqual(compare.agreeing(difference, magnitude, floors), expected)


class Floors(unittest.TestCase):
    @parameterized.expand([(floor.NARROW, "float64"), (floor.NARROW, "float32"), (floor.WIDE, "float32"),
                           (floor.WIDE, "float64")])  # fmt: skip
    def test_one_unit_exactly(self, ulp: str, dtype: str) -> None:
        rng = generator(0, "floor")
        given = (rng.standard_normal((40, 50)) * 10.0 ** rng.integers(-9, 9, (40, 50))).astype("float32").astype(dtype)
        given[0, :4] = 1.0, -2.0, 0.5, 1024.0  # where the units above and below differ
        moved = floor.moved({"x": given}, 5, ulp)["x"]
        unit = np.spacing(np.abs(given).astype(ulp)).astype("float64")
        self.assertEqual(moved.dtype, np.float64)
        self.assertTrue(np.array_equal(np.abs(moved - given), unit))
        ups = int(np.sum(moved > given))
        self.assertTrue(stats.binom.ppf(RARE, given.size, 0.5) < ups < stats.binom.isf(RARE, given.size, 0.5))

    def test_zero_moves_too(self) -> None:
        self.assertTrue(np.all(floor.moved({"x": np.zeros(9)}, 0)["x"] != 0))

    def test_the_rest_stays(self) -> None:
        arrays = {"int": np.arange(3), "bool": np.array([True]), "text": np.array(["a"])}
        for ulp in (floor.NARROW, floor.WIDE):
            for name, moved in floor.moved(arrays, 0, ulp).items():
                self.assertIs(moved, arrays[name])

    def test_coins_depend_on_seed_and_name_only(self) -> None:
        x = np.ones(64)
        alone, among = floor.moved({"x": x}, 1), floor.moved({"y": x, "x": x}, 1)
        self.assertEqual(alone["x"].tobytes(), among["x"].tobytes())
        self.assertNotEqual(among["x"].tobytes(), among["y"].tobytes())
        self.assertNotEqual(alone["x"].tobytes(), floor.moved({"x": x}, 2)["x"].tobytes())
        self.assertTrue(np.all(x == 1))

    def test_movement(self) -> None:
        base = {"x": array(1, 8), "still": array(1, 8), "int": np.arange(2), "empty": array(), "nan": array(NAN)}
        moves = [{**base, "x": array(1, 8.5)}, {**base, "x": array(0, 8)}]
        self.assertEqual(floor.movement(base, *moves), {"x": 1.0, "still": float(np.spacing(8.0))})
        self.assertEqual(floor.movement({"x": array(-8, 1)}), {"x": float(np.spacing(8.0))})
        wide = floor.movement({"x": array(-8, 1), "past": array(1e300)}, ulp=floor.WIDE)
        self.assertEqual(wide, {"x": float(np.spacing(np.float32(8))), "past": float(np.spacing(1e300))})

    def test_a_movement_that_is_no_number_is_not_hidden(self) -> None:
        base, quiet, broken = {"x": array(1)}, {"x": array(1)}, {"x": array(NAN)}
        for moves in ((quiet, broken), (broken, quiet)):
            self.assertTrue(math.isnan(floor.movement(base, *moves)["x"]))
        for one, other in ((1.0, NAN), (NAN, 1.0)):
            self.assertTrue(math.isnan(floor.larger({"x": one}, {"x": other})["x"]))

    def test_another_shape_has_moved_infinitely_far(self) -> None:
        base = {"x": array(1, 2), "y": array(1, 2)}
        self.assertEqual(floor.movement(base, {"x": array(1)}), {"x": math.inf, "y": math.inf})

    def test_what_rounding_decides(self) -> None:
        base = {"x": array(1, 2), "length": array(1, 2), "action": np.arange(2), "kept": np.arange(2), "lost": array(1)}
        moved = {
            "x": array(1, 3),
            "length": array(1),
            "action": np.array([0, 0]),
            "kept": np.arange(2),
            "new": array(1),
        }
        self.assertEqual(floor.decided(base, moved), ["length", "action", "lost", "new"])
        self.assertEqual(floor.decided(base, base), [])

    def test_larger(self) -> None:
        self.assertEqual(floor.larger({"a": 1.0, "b": 2.0}, {"b": 3.0, "c": 0.5}), {"a": 1.0, "b": 3.0, "c": 0.5})


class Draws(unittest.TestCase):
    def test_they_depend_on_seed_name_and_step_only(self) -> None:
        def draws(noise: Noise, name: str) -> tuple[bytes, bytes]:
            return noise.keep_mask(name, (9, 9), 0.5).tobytes(), noise.normal(name, (9, 9)).tobytes()

        noise = Noise(3)
        first = draws(noise, "a")
        draws(noise, "b")
        self.assertEqual(draws(noise, "a"), first)
        self.assertEqual(draws(Noise(3), "a"), first)
        others = [draws(Noise(4), "a"), draws(Noise(3), "b"), draws(Noise(3, step=1), "a")]
        self.assertEqual(len({first, *others}), 4)
        noise.step = 1
        self.assertEqual(draws(noise, "a"), others[2])

    def test_names_and_numbers_do_not_run_together(self) -> None:
        states = [(1, "1", 1), (11, "1", 1), (1, "11", 1), (1, "1", 11), (1, "1/1", 1), (1, "", 1), (2, "1", 1)]
        self.assertEqual(len({generator(*state).bytes(16) for state in states}), len(states))

    @parameterized.expand([(-1,), (1.0,), ("1",), (None,), (True,)])
    def test_what_is_no_seed(self, seed: object) -> None:
        with self.assertRaisesRegex(SpecError, "a seed is a whole number"):
            generator(seed, "name")

    @parameterized.expand([(0.1,), (0.3,), (0.5,), (0.9,), (0.999,)])
    def test_rate(self, rate: float) -> None:
        for name in ("a", "b", "c"):
            mask = Noise(0).keep_mask(name, (250, 400), rate)
            low, high = stats.binom.ppf(RARE, mask.size, 1 - rate), stats.binom.isf(RARE, mask.size, 1 - rate)
            self.assertTrue(low < int(mask.sum()) < high)
            self.assertEqual((mask.dtype, mask.shape), (np.dtype(bool), (250, 400)))

    def test_no_rate_keeps_all(self) -> None:
        self.assertTrue(Noise(0).keep_mask("a", (1000,), 0.0).all())

    def test_a_higher_rate_drops_more_of_the_same(self) -> None:
        few, many = (Noise(0).keep_mask("a", (1000,), rate) for rate in (0.2, 0.6))
        self.assertTrue(np.all(few | ~many))

    def test_normal(self) -> None:
        self.assertGreater(stats.kstest(Noise(0).normal("a", (5000,)), stats.norm.cdf).pvalue, RARE)
