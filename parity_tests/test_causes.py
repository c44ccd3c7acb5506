"""Why two steps differ: every setting is confirmed by trying it, and nothing is claimed where nothing fits."""

from __future__ import annotations

import unittest
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from diglot.core.formulas.activations import FIXED
from diglot.core.formulas.attention import attended
from diglot.core.formulas.found import digits
from diglot.core.formulas.precisions import ROUNDINGS, bfloat16
from diglot.core.formulas.softmaxes import softmax
from diglot.core.noise import generator
from diglot.core.port.causes import between, cause, reordered
from diglot.core.port.layer import Step
from diglot.core.port.numbers import related
from diglot.core.port.replaying import Agreement, Replaying
from parameterized import parameterized

Array = np.ndarray[Any, Any]
Function = Callable[..., Array]
EXACT, TANH = FIXED["gelu in the exact form"], FIXED["gelu in the tanh approximation"]


def draw(*shape: int, name: str = "x") -> Array:
    return generator(0, f"cause {name} {shape}").standard_normal(shape)


@dataclass
class Side:
    """One side of a made-up pair: its function takes the inputs and the settings; gradients are scaled by `passes`."""

    function: Function
    passes: float = 1.0
    fixed: tuple[str, ...] = ()
    precision: str = "float64"
    table: Any = None

    def replay(self, step: Step, inputs: Any, cotangent: Any, *, training: bool = False) -> dict[str, Array]:
        output = self.function(*inputs, **step.settings)
        own = {} if self.table is None else {"table": self.table}
        return {"output": output, "input 0": self.passes * draw(*inputs[0].shape, name="gradient"), **own}

    def vary(self, step: Step, setting: str, value: Any) -> Step | None:
        if setting in self.fixed:
            return None
        if setting == "role":
            own = dict(value)
            return replace(step, role=own.pop("role"), settings=own)
        return replace(step, settings={**step.settings, setting: value})


@dataclass
class Pair:
    """A pair of made-up steps. `buffers` gives what only training shows, by the settings."""

    torch: Any
    keras: Any
    steps: tuple[Step, Step]
    inputs: tuple[Array, ...]
    weights: dict[str, Array] = field(default_factory=dict)
    buffers: Callable[..., float] = lambda **settings: 0.0

    def arrays(self, side: str) -> tuple[tuple[Array, ...], Array]:
        place = 0 if side == "torch" else 1
        subject = (self.torch, self.keras)[place]
        return self.inputs, subject.replay(self.steps[place], self.inputs, None)["output"]

    def tensors(self, side: str) -> dict[str, Array]:
        return self.weights

    def agree(
        self, torch_step: Step | None = None, keras_step: Step | None = None, *, training: bool = False
    ) -> Agreement:
        steps = (torch_step or self.steps[0], keras_step or self.steps[1])
        ours, theirs = (
            subject.replay(step, self.inputs, None)
            for subject, step in zip((self.torch, self.keras), steps, strict=True)
        )
        for name in ("output", "input 0"):
            common = digits(ours[name], theirs[name])
            if common < 13:
                return Agreement(False, common, {"input 0": "gradient of input 0"}.get(name, name))
        if training and len({self.buffers(**step.settings) for step in steps}) > 1:
            return Agreement(False, 3.0, "buffer variance")
        return Agreement(True, 15.0, "output")


def pair(
    role: str, one: dict[str, Any], other: dict[str, Any], function: Function, *inputs: Array, **more: Any
) -> Pair:
    steps = (Step("a", role, inputs, (inputs[0],), one), Step("b", role, inputs, (inputs[0],), other))
    return Pair(Side(function), Side(function), steps, inputs, **more)


def computed(one: Function, other: Function, *inputs: Array, **more: Any) -> Pair:
    steps = tuple(Step(name, "custom", inputs, (function(*inputs),)) for name, function in (("a", one), ("b", other)))
    return Pair(Side(one), Side(other), (steps[0], steps[1]), inputs, **more)


def norm(x: Array, epsilon: float, momentum: float = 0.9, unbiased: bool = True) -> Array:
    return np.asarray((x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon))


def pool(x: Array, padding: Any, counts_padding: bool) -> Array:
    return np.asarray(x * (sum(map(sum, padding)) + 1) + (0.5 if counts_padding and any(map(any, padding)) else 0))


class Settings(unittest.TestCase):
    def test_one_setting_is_confirmed(self) -> None:
        found = cause(pair("layer_norm", {"epsilon": 1e-5}, {"epsilon": 1e-3}, norm, draw(3, 4, 8)))
        assert found is not None
        wanted = "agree to 15 digits if `epsilon` is 1e-05, as in PyTorch's `a`, instead of 0.001 in Keras's `b`"
        wanted = f"outputs of the layer norm {wanted}"
        self.assertEqual((found.text, found.setting, found.confirmed), (wanted, "epsilon", True))

    def test_the_other_side_is_varied_where_the_first_cannot(self) -> None:
        made = pair("layer_norm", {"epsilon": 1e-5}, {"epsilon": 1e-3}, norm, draw(3, 4, 8))
        made.keras.fixed = ("epsilon",)
        found = cause(made)
        assert found is not None
        self.assertIn("`epsilon` is 0.001, as in Keras's `b`, instead of 1e-05 in PyTorch's `a`", found.text)

    def test_two_settings_together(self) -> None:
        one, other = ({"padding": p, "counts_padding": c} for p, c in ((((1, 1),), True), (((0, 1),), False)))
        found = cause(pair("average_pool", one, other, pool, draw(3, 4, 8)))
        assert found is not None
        self.assertTrue(found.confirmed)
        self.assertIn("`padding` is ((1, 1)) and `counts_padding` is True", found.text)

    def test_only_training_shows_it(self) -> None:
        def moved(epsilon: float, momentum: float, unbiased: bool) -> float:
            return momentum

        one = {"epsilon": 1e-5, "momentum": 0.9, "unbiased": True}
        found = cause(pair("batch_norm", one, {**one, "momentum": 0.99}, norm, draw(3, 4, 8), buffers=moved))
        assert found is not None
        self.assertTrue(
            found.text.startswith("in training, outputs of the batch norm agree to 15 digits if `momentum` is 0.9,")
        )

    def test_evaluation_and_training_each_have_their_own(self) -> None:
        def moved(epsilon: float, momentum: float, unbiased: bool) -> float:
            return momentum

        one, other = ({"epsilon": e, "momentum": m, "unbiased": True} for e, m in ((1e-5, 0.9), (1e-3, 0.99)))
        found = cause(pair("batch_norm", one, other, norm, draw(3, 4, 8), buffers=moved))
        assert found is not None
        self.assertIn("`epsilon` is 1e-05 and `momentum` is 0.9", found.text)

    def test_roles(self) -> None:
        made = pair("relu", {}, {}, lambda x, approximate=None: np.maximum(x, 0), draw(3, 8))
        other = {"approximate": True}

        def applied(x: Array, approximate: bool | None = None) -> Array:
            return np.maximum(x, 0) if approximate is None else TANH(x)

        made.torch = made.keras = Side(applied)
        made.steps = (made.steps[0], replace(made.steps[1], role="gelu", settings=other))
        found = cause(made)
        assert found is not None
        self.assertEqual(found.setting, "role")
        self.assertIn("PyTorch's `a` applies relu and Keras's `b` gelu in the tanh form", found.text)

    def test_what_cannot_be_tried_is_said_as_such(self) -> None:
        made = pair("attention", {"heads": 2}, {"heads": 4}, lambda x, heads: draw(3, 8, name=str(heads)), draw(3, 8))
        made.torch.fixed = made.keras.fixed = ("heads",)
        found = cause(made)
        assert found is not None
        self.assertFalse(found.confirmed)
        self.assertIn("`heads` is 2 in PyTorch's `a` and 4 in Keras's `b`, which could not be tried", found.text)

    def test_what_agrees_has_no_cause(self) -> None:
        self.assertIsNone(cause(pair("layer_norm", {"epsilon": 1e-5}, {"epsilon": 1e-5}, norm, draw(3, 4, 8))))


class Computing(unittest.TestCase):
    @parameterized.expand(
        [
            ("computes gelu in the exact form, Keras's `b` the tanh approximation (each to 15 digits)", EXACT, TANH),
            ("computes layer norm over channels (axis -1), epsilon 1e-05",
             lambda x: norm(x, 1e-5), lambda x: norm(x, 1e-3)),
            ("computes the mean over time (axis 1), Keras's `b` the sum over time (axis 1)",
             lambda x: x.mean(1), lambda x: x.sum(1)),
            ("computes leaky relu of slope 0.01, Keras's `b` leaky relu of slope 0.3",
             lambda x: np.where(x > 0, x, 0.01 * x), lambda x: np.where(x > 0, x, 0.3 * x)),
            ("computes 0.1 times its input, Keras's `b` 0.10000000149 times its input (each to 15 digits): the latter "
             "is the number as float32 holds it", lambda x: 0.1 * x, lambda x: float(np.float32(0.1)) * x),
            ("computes its input unchanged, Keras's `b` relu", lambda x: x, lambda x: np.maximum(x, 0)),
            ("what Keras's `b` gives is relu of what PyTorch's `a` gives",
             lambda x: x @ draw(8, 8, name="k"), lambda x: np.maximum(x @ draw(8, 8, name="k"), 0)),
            ("what Keras's `b` gives is 2.828 = sqrt(8) times what PyTorch's `a` gives",
             lambda x: x @ draw(8, 8, name="k"), lambda x: x @ draw(8, 8, name="k") * 8**0.5),
            ("what Keras's `b` gives is what PyTorch's `a` gives with time reversed",
             lambda x: x @ draw(8, 8, name="k"), lambda x: (x @ draw(8, 8, name="k"))[:, ::-1]),
            ("differs by a constant per channel, as if a bias were missing",
             lambda x: x @ draw(8, 8, name="k"), lambda x: x @ draw(8, 8, name="k") + draw(8, name="b")),
            ("12 of 96 values that Keras's `b` gives are not finite",
             lambda x: x + 0.5, lambda x: np.where(np.arange(8) == 3, np.nan, x)),
            ("Keras's `b` computes gelu in the exact form of its input rounded to float16 (to 15 digits)",
             EXACT, lambda x: EXACT(x.astype(np.float16).astype(float))),
            ("what Keras's `b` gives holds float16 numbers only",
             EXACT, lambda x: EXACT(x).astype(np.float16).astype(float)),
            ("both compute gelu in the exact form, PyTorch's `a` to 15 digits and Keras's `b` to 8 digits",
             EXACT, lambda x: EXACT(x * (1 + 1e-9))),
        ]
    )  # fmt: skip
    def test_says(self, text: str, one: Function, other: Function) -> None:
        found = cause(computed(one, other, draw(3, 4, 8)))
        assert found is not None
        self.assertIn(text, found.text)

    def test_a_normalisation_of_a_batch_of_one_is_not_told_as_a_line(self) -> None:
        found = cause(computed(lambda x: norm(x, 1e-5), lambda x: norm(x, 1e-3), draw(1, 6)))
        self.assertIn("layer norm over channels (axis -1), epsilon 1e-05", found.text if found else "")

    def test_a_bias_of_its_own_added_twice(self) -> None:
        kernel, bias = draw(8, 5, name="k"), draw(5, name="b")
        made = computed(lambda x: x @ kernel + bias, lambda x: x @ kernel + 2 * bias, draw(3, 8))
        made.weights = {"kernel": kernel, "bias": bias}
        found = cause(made)
        assert found is not None
        self.assertIn("Keras's `b` dense layer with its kernel, with its bias added twice", found.text)

    def test_nothing_is_claimed_of_noise(self) -> None:
        self.assertIsNone(
            cause(computed(lambda x: draw(3, 4, 8, name="o"), lambda x: draw(3, 4, 8, name="p"), draw(3, 4, 8)))
        )

    def test_another_tensor_as_an_input(self) -> None:
        def product(a: Array, b: Array = Y) -> Array:
            return a @ b.swapaxes(1, 2)

        made = computed(product, product, X, Y)
        made.steps, made.inputs = (made.steps[0], Step("b", "custom", (X, X), (product(X, X),))), (X,)
        made.torch, made.keras = Side(product), Side(lambda a, b=X: product(a, b))
        found = cause(made)
        assert found is not None
        self.assertIn("PyTorch's `a` takes 2 tensors for its 2 inputs and Keras's `b` takes one tensor", found.text)

    def test_an_inverted_mask_that_one_side_adds(self) -> None:
        """As torch.nn.TransformerEncoderLayer hands a mask of bools on; the same tensor is query, key and value."""
        x, mask = draw(3, 5, 6), np.arange(5) < np.array([[2], [3], [4]])
        weights = {f"{part}.kernel": draw(6, 2, 3, name=part) for part in ("query", "key", "value")}
        weights["output.kernel"] = draw(2, 3, 6, name="output")

        def attended(x: Array, hidden: Array) -> Array:
            q, k, v = (np.einsum("bti,ihd->bhtd", x, weights[f"{part}.kernel"]) for part in ("query", "key", "value"))
            scores = np.where(hidden[:, None, None, :], -np.inf, q @ k.swapaxes(-1, -2) / 3**0.5)
            return np.einsum("bhtd,hdo->bto", softmax(scores) @ v, weights["output.kernel"])

        made = computed(lambda x: attended(x, mask), lambda x: attended(x, ~mask), x, weights=weights)
        own = (np.where(mask, -np.inf, 0.0), mask[:, None, :])
        made.steps = tuple(  # type: ignore[assignment]
            replace(step, inputs=(x, x, x, held)) for step, held in zip(made.steps, own, strict=True)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = cause(made)
        assert found is not None
        self.assertIn("-inf in its mask masked out, Keras's `b` attention of 2 heads with scale 1 / sqrt(3), True in",
                      found.text)  # fmt: skip
        self.assertIn("the one masks out what the other attends to", found.text)

    def test_a_stopped_gradient(self) -> None:
        made = computed(EXACT, EXACT, draw(3, 4, 8))
        made.keras = Side(EXACT, passes=0.0)
        found = cause(made)
        assert found is not None
        self.assertIn("the gradient of its input is zero in Keras's `b` and not in PyTorch's `a`", found.text)

    def test_a_row_that_is_not_trained(self) -> None:
        made = computed(EXACT, EXACT, draw(3, 4, 8))
        table = draw(6, 8, name="table")
        made.torch, made.keras = (Side(EXACT, passes, table=rows) for passes, rows in ((2, table), (1, table.copy())))
        made.keras.table[0] = 0
        found = cause(made)
        assert found is not None
        self.assertIn("the gradient of row 0 of its table is zero in Keras's `b`", found.text)

    def test_a_reversed_gradient(self) -> None:
        made = computed(EXACT, EXACT, draw(3, 4, 8))
        made.keras = Side(EXACT, passes=-1.0)
        found = cause(made)
        assert found is not None
        self.assertIn("Keras's gradient of the input is -1 times PyTorch's", found.text)


X, Y, Z = (draw(3, 6, 8, name=name) for name in "xyz")
P = draw(1, 7, 8, name="position")
MASK = np.triu(np.full((6, 6), -np.inf), 1)
SCORES = draw(3, 2, 6, 6, name="scores")
BEFORE = {"input": Z, "conv1": X, "conv2": Y}


class Between(unittest.TestCase):
    @parameterized.expand(
        [
            ("PyTorch passes on `conv2` plus `conv1`, and Keras `conv2` as it is", X + Y, Y),
            ("PyTorch passes on relu of `conv2`, and Keras `conv2` as it is", np.maximum(Y, 0), Y),
            ("PyTorch passes on relu of `conv2` plus `conv1`, and Keras relu of `conv2`, plus `conv1`",
             np.maximum(X + Y, 0), np.maximum(Y, 0) + X),
            ("PyTorch passes on 2.828 = sqrt(8) times `conv2`, and Keras `conv2` as it is", Y * 8**0.5, Y),
            ("PyTorch passes on `conv1`, `conv2` concatenated along channels, and Keras `conv2`, `conv1`",
             np.concatenate([X, Y], -1), np.concatenate([Y, X], -1)),
            ("PyTorch takes `conv2` and Keras `conv1`: another tensor as its input", Y, X),
            ("Keras `conv2` as it is: Keras lacks the addition", X + Y, Y),
            ("`conv2`, and Keras the mean over time (axis 1) of relu of `conv2`",
             np.maximum(Y, 0).max(1), np.maximum(Y, 0).mean(1)),
            ("PyTorch lacks relu", Y, np.maximum(Y, 0)),
            ("what Keras passes on holds float16 numbers only", 
             Y * Z * X, (Y * Z * X).astype(np.float16).astype(float)),
            ("PyTorch passes on the mean over time (axis 1) of `conv2`, and Keras the maximum over time",
             Y.mean(1), Y.max(1)),
            ("PyTorch passes on `conv2` with time and channels swapped", Y.swapaxes(1, 2), Y.reshape(3, 8, 6)),
            ("PyTorch passes on 2.828 = sqrt(8) times `conv2` plus what is the same for every sample, and Keras",
             Y * 8**0.5 + P[:, :6], Y + P[:, :6]),
            ("Keras's is PyTorch's shifted 1 place earlier along time", Y + P[:, :6], Y + P[:, 1:]),
            ("Keras adds `conv1`, and PyTorch does not", np.sin(Y) * Z, np.sin(Y) * Z + X),
            ("Keras multiplies by `conv1`, and PyTorch does not", np.sin(Y) * Z, np.sin(Y) * Z * X),
            ("what Keras passes on is relu of what PyTorch passes on", np.sin(Y) * Z, np.maximum(np.sin(Y) * Z, 0)),
        ]
    )  # fmt: skip
    def test_says(self, text: str, torch: Array, keras: Array) -> None:
        found = between(BEFORE, torch, keras)
        assert found is not None
        self.assertIn(text, found.text)

    def test_a_masked_product(self) -> None:
        scores = X @ Y.swapaxes(1, 2)
        found = between(BEFORE, scores / 8**0.5 + MASK, scores + np.maximum(MASK, -1e9))
        assert found is not None
        wanted = "0.3536 = 1 / sqrt(8) times `conv1` @ `conv2` transposed with the future masked, and Keras `conv1` @"
        self.assertIn(wanted, found.text)

    def test_positions_one_too_late(self) -> None:
        found = between(BEFORE, P[0, :6], P[:, 1:])
        assert found is not None
        self.assertIn("what Keras passes on is what PyTorch passes on shifted 1 place earlier along", found.text)

    def test_masks_that_only_hold_other_numbers(self) -> None:
        found = between({}, SCORES + MASK, SCORES + np.maximum(MASK, -1e9))
        assert found is not None
        self.assertIn("both mask the same places", found.text)
        self.assertIn("PyTorch by -inf and Keras by -1e+09", found.text)

    def test_a_mask(self) -> None:
        found = between({"scores": SCORES}, SCORES + MASK, SCORES)
        assert found is not None
        self.assertIn("PyTorch passes on `scores` with the future masked, and Keras `scores` as it is", found.text)
        found = between({"scores": SCORES}, SCORES + MASK, SCORES + np.maximum(MASK, -1e9).T)
        assert found is not None
        self.assertIn("the future masked, and Keras `scores` with the past masked", found.text)

    @parameterized.expand([("packed",), ("apart",)])
    def test_attention_in_heads(self, kind: str) -> None:
        packed = draw(2, 5, 18, name="qkv")
        q, k, v = (part.reshape(2, 5, 3, 2).swapaxes(1, 2) for part in np.split(packed, 3, -1))

        def mixed(scale: float, causal: bool, key: Array = k, value: Array = v) -> Array:
            blocked = np.triu(np.ones((5, 5), bool), 1) if causal else None
            return attended(q, key, value, scale, blocked).swapaxes(1, 2).reshape(2, 5, 6)

        names = dict(zip(("q", "k", "v"), np.split(packed, 3, -1), strict=True))
        before = {"hidden": draw(2, 5, 6, name="h"), **({"qkv": packed} if kind == "packed" else names)}
        found = between(before, mixed(2**-0.5, True), mixed(2**-0.5, False))
        assert found is not None
        head = "attention of 3 heads with scale 1 / sqrt(2)"
        of = "`qkv`" if kind == "packed" else "`q`, `k`, `v`"
        wanted = f"PyTorch passes on {head}, causal, of {of}, and Keras {head}, every place seen, of {of}"
        self.assertIn(wanted, found.text)
        found = between(before, mixed(2**-0.5, True), mixed(1.0, True, v, k))
        assert found is not None
        self.assertIn(
            "and Keras attention of 3 heads with no scale, causal, its parts taken as query, value, key", found.text
        )

    def test_inputs_in_another_order(self) -> None:
        found = reordered((X, Y, Z), (Y, X, Z))
        assert found is not None
        self.assertIn("the same tensors in another order: Keras's are PyTorch's numbers 2, 1, 3", found.text)
        self.assertIsNone(reordered((X, Y), (X, Y)))
        self.assertIsNone(reordered((X, Y), (X, Z)))

    def test_axes_of_length_one_do_not_count(self) -> None:
        found = between({"scores": SCORES[:, :1]}, SCORES[:, 0] * 0.5, SCORES[:, 0])
        assert found is not None
        self.assertIn("PyTorch passes on 0.5 times `scores`, and Keras `scores` as it is", found.text)

    def test_nothing_is_claimed_of_noise(self) -> None:
        self.assertIsNone(between(BEFORE, draw(3, 6, 8, name="o"), draw(3, 6, 8, name="p")))
        self.assertIsNone(between({}, X, Y))
        self.assertIsNone(between(BEFORE, np.arange(5), np.arange(5)))


class Numbers(unittest.TestCase):
    @parameterized.expand(
        [
            ("Keras holds PyTorch's numbers plus 1", lambda x: x + 1),
            ("Keras holds 0.5 times PyTorch's numbers", lambda x: 0.5 * x),
            ("Keras holds absolute value of PyTorch's numbers", np.abs),
            ("Keras holds nothing but zeros", np.zeros_like),
            ("Keras's numbers are PyTorch's, rounded to float16", lambda x: x.astype(np.float16).astype(float)),
            ("Keras's numbers are PyTorch's, rounded to bfloat16", bfloat16),
            ("Keras holds 1.0001 times PyTorch's numbers", lambda x: (1.0001 * x).astype(np.float32)),
            ("", lambda x: draw(*x.shape, name="other")),
        ]
    )
    def test_says(self, text: str, function: Function) -> None:
        for shape in ((8,), (30, 400)):
            with self.subTest(shape):
                x = draw(*shape, name="weight").astype(np.float32)
                self.assertEqual(related(x, np.asarray(function(x.astype(float)))), text)

    @parameterized.expand(ROUNDINGS)
    def test_the_narrow_side_may_be_pytorchs(self, kind: str) -> None:
        x = draw(30, 4, name="weight")
        self.assertEqual(related(ROUNDINGS[kind](x), x), f"PyTorch's numbers are Keras's, rounded to {kind}")

    def test_one_of_two_parts(self) -> None:
        one, other = draw(8, name="one"), draw(8, name="other")
        wanted = "Keras holds `bias_ih` alone, without `bias_hh`"
        self.assertEqual(related(one + other, one, {"bias_ih": one, "bias_hh": other}), wanted)


class Replays(unittest.TestCase):
    def test_a_tensor_that_is_given_twice_has_the_sum_of_both_gradients(self) -> None:
        one, other = np.ones((2, 3)), np.zeros((2, 3))
        step = Step("a", "custom", (one, other, one), (one,))

        class Weighted:
            def replay(self, step: Step, given: Any, cotangent: Any, training: bool) -> dict[str, Any]:
                factors = {f"input {place}": place + 1.0 for place in range(3)}
                return {"output": sum(given), **{name: factor * cotangent for name, factor in factors.items()}}

        replaying = object.__new__(Replaying)
        replaying.training = False
        found = replaying._called(Weighted(), step, [2 * one, 3 * one], one)
        self.assertEqual(sorted(found), ["input 0", "input 1", "output"])
        for name, number in (("input 0", 1 + 3), ("input 1", 2), ("output", 2 + 3 + 2)):
            np.testing.assert_array_equal(found[name], number * one)


CODES = np.array([[3, 1, 4], [1, 5, 9], [2, 6, 5], [3, 5, 8]])


class WholeNumbers(unittest.TestCase):
    """Codes that reach a table, and not the ones that should."""

    @parameterized.expand([
        ("columns", CODES[:, 0], CODES[:, 2], "takes index 0 of axis 1 of `codes`, and Keras index 2 of axis 1"),
        ("cut", CODES, CODES[:, :2], "PyTorch takes `codes` as it is, and Keras indices 0 to 1 of axis 1 of `codes`"),
        ("offset", CODES, CODES + 1, "and Keras `codes` plus 1"),
        ("bounded", np.minimum(CODES, 5), CODES, "PyTorch takes `codes` with all above 5 set to 5"),
        ("reversed", CODES, CODES[:, ::-1], "and Keras `codes` with channels reversed"),
        ("made", CODES * CODES, CODES * CODES - 2, "Keras takes what the other does minus 2"),
        ("positions", np.arange(5)[None], np.tile(np.arange(1, 6), (4, 1)), "Keras takes what the other does plus 1"),
        ("buckets", CODES, np.where(CODES == 9, 8, CODES), "PyTorch takes `codes` as it is, and Keras `codes` with"),
        ("one", CODES + CODES % 2, np.where(CODES == 6, 7, CODES + CODES % 2), "and Keras 7 at (2, 1), the first of 1"),
        ("unknown", CODES, CODES * CODES, "PyTorch takes `codes` as it is, and Keras something else"),
    ])  # fmt: skip
    def test_says(self, name: str, torch: Array, keras: Array, text: str) -> None:
        found = between({"weights": np.ones((4, 3)), "codes": CODES}, torch, keras)
        self.assertIn(text, found.text if found else "nothing")

    def test_nothing_is_claimed_of_chance(self) -> None:
        numbers = np.random.default_rng(0).integers(0, 99, (2, 4, 3))
        self.assertIsNone(between({"codes": CODES}, *numbers))


if __name__ == "__main__":
    unittest.main()
