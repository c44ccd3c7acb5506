"""Which weight is which, of models that are here only layers, shapes and steps; no framework is imported."""

import dataclasses
import unittest
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from diglot.core.errors import InputError, StateError
from diglot.core.port.carrying import carried
from diglot.core.port.contents import Content, contents
from diglot.core.port.layer import Layer, Slot, Step, Trace
from diglot.core.port.layouts import repeated
from diglot.core.port.matching import match
from diglot.core.port.piece import Piece
from diglot.core.port.stated import renaming
from diglot.core.port.words import told
from parameterized import parameterized

RNG = np.random.default_rng(0)
Arrays = dict[str, np.ndarray]


class Model:
    """The layers of a model and its arrays, drawn where none are given."""

    def __init__(
        self, layers: Sequence[Layer], arrays: Mapping[str, Any] | None = None, aliases: Mapping[str, str] | None = None
    ) -> None:
        self.layers, self.aliases = tuple(layers), dict(aliases or {})
        self.arrays: Arrays = {}
        for layer in layers:
            for slot in layer.slots:
                for piece in slot.pieces:
                    sizes = dict(zip(slot.axes.split(), slot.shape, strict=True)) | dict(piece.factors)
                    words = piece.axes.replace("(", "( ").replace(")", " )").split()
                    shape, inside = [], 0
                    for word in words:
                        if word == "(":
                            inside, shape = 1, [*shape, 1]
                        elif word == ")":
                            inside = 0
                        elif inside:
                            shape[-1] *= sizes[word]
                        else:
                            shape.append(1 if word == "1" else sizes[word])
                    self.arrays.setdefault(piece.tensor, RNG.standard_normal(shape))
        self.arrays |= dict(arrays or {})

    def state(self) -> Arrays:
        return dict(self.arrays)


def dense(name: str, inside: int, outside: int, torch: bool, bias: bool = True, **settings: Any) -> Layer:
    weight = Piece(f"{name}.weight", "out in") if torch else Piece(f"{name}/kernel", "in out")
    slots = [Slot("kernel", "in out", (inside, outside), (weight,))]
    if bias:
        slots.append(Slot("bias", "out", (outside,), (Piece(f"{name}.bias" if torch else f"{name}/bias", "out"),)))
    return Layer(name, "dense", tuple(slots), settings)


def convolution(name: str, shape: tuple[int, int, int, int], torch: bool) -> Layer:
    axes = "height width in out"
    piece = Piece(f"{name}.weight", "out in height width") if torch else Piece(f"{name}/kernel", axes)
    return Layer(name, "convolution", (Slot("kernel", axes, shape, (piece,)),))


def custom(name: str, **shapes: tuple[int, ...]) -> Layer:
    axes = {len(shape): " ".join(f"axis{axis}" for axis in range(len(shape))) for shape in shapes.values()}
    slots = [Slot(key, axes[len(shape)], shape, (Piece(f"{name}.{key}", axes[len(shape)]),))
             for key, shape in shapes.items()]  # fmt: skip
    return Layer(name, "custom", tuple(slots))


def attention(name: str, torch: bool, size: int = 6, heads: int = 2) -> Layer:
    slots, factors = [], (("heads", heads),)
    for index, part in enumerate(("query", "key", "value")):
        packed = Piece(f"{name}.in_proj", "(part heads depth) in", (("part", 3), *factors), (("part", index),))
        own = Piece(f"{name}/{part}/kernel", "in heads depth")
        slots.append(
            Slot(f"{part}.kernel", "in heads depth", (size, heads, size // heads), (packed if torch else own,))
        )
    out = Piece(f"{name}.out.weight", "out (heads depth)", factors) if torch else Piece(f"{name}/o", "heads depth out")
    slots.append(Slot("output.kernel", "heads depth out", (heads, size // heads, size), (out,)))
    return Layer(name, "attention", tuple(slots))


def chain(layers: Sequence[Layer], order: Sequence[int] | None = None) -> Trace:
    """A run through the layers one after another."""
    arrays = [RNG.standard_normal((2, 4)) for _ in range(len(layers) + 1)]
    arrays[0] = np.arange(8.0).reshape(2, 4)
    steps = [
        Step(layers[index].name, layers[index].role, (arrays[place],), (arrays[place + 1],), layer=layers[index].name)
        for place, index in enumerate(order or range(len(layers)))
    ]
    return Trace({"output": arrays[-1]}, steps)


def beside(layers: Sequence[Layer]) -> Trace:
    """A run in which all layers take the same tensor and are added."""
    source, outputs = np.arange(8.0).reshape(2, 4), [RNG.standard_normal((2, 4)) for _ in layers]
    steps = [Step(layer.name, layer.role, (source,), (output,), layer=layer.name)
             for layer, output in zip(layers, outputs, strict=True)]  # fmt: skip
    total = RNG.standard_normal((2, 4))
    return Trace({"output": total}, [*steps, Step(":add#0", "add", tuple(outputs), (total,))])


def pairs(mapping: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {name: others for name, others in mapping.items() if "bias" not in name}


class ByPlaceTest(unittest.TestCase):
    def test_the_order_of_execution_tells_not_that_of_registration(self) -> None:
        ours = [dense(name, 4, 4, True) for name in ("b", "a", "c")]
        theirs = [dense(name, 4, 4, False) for name in ("x", "y", "z")]
        found = match(Model(ours), Model(theirs), traces=(chain(ours, (1, 0, 2)), chain(theirs)))
        self.assertEqual(
            pairs(found), {"a.weight": ("x/kernel",), "b.weight": ("y/kernel",), "c.weight": ("z/kernel",)}
        )
        self.assertEqual({one.how for one in found.matches}, {"order"})

    def test_names_tell_where_layers_work_side_by_side_and_that_is_said(self) -> None:
        ours = [dense(name, 4, 4, True) for name in ("q_proj", "k_proj", "v_proj")]
        theirs = [dense(name, 4, 4, False) for name in ("value", "query", "key")]
        found = match(Model(ours), Model(theirs), traces=(beside(ours), beside(theirs)))
        self.assertEqual(found["q_proj.weight"], ("query/kernel",))
        self.assertEqual({one.how for one in found.matches}, {"name"})
        self.assertIn("q_proj is query", found.settled[0])

    def test_what_nothing_tells_apart_is_refused_with_candidates_and_settled_by_a_map(self) -> None:
        ours = [dense(name, 4, 4, True) for name in ("left", "right")]
        theirs = [dense(name, 4, 4, False) for name in ("p", "r")]
        models, traces = (Model(ours), Model(theirs)), (beside(ours), beside(theirs))
        with self.assertRaisesRegex(StateError, r"left\.weight, right\.weight .*p/kernel, r/kernel .*map="):
            match(*models, traces=traces)
        found = match(*models, given=renaming({"left": "r"}), traces=traces)
        self.assertEqual(pairs(found), {"left.weight": ("r/kernel",), "right.weight": ("p/kernel",)})

    def test_without_a_run_another_order_of_layers_decides_nothing(self) -> None:
        ours = [dense("a", 4, 4, True), dense("b", 4, 2, True), dense("c", 4, 4, True)]
        theirs = [dense("x", 4, 4, False), dense("y", 4, 4, False), dense("z", 4, 2, False)]
        with self.assertRaisesRegex(StateError, "inputs="):
            match(Model(ours), Model(theirs))

    def test_without_a_run_nothing_tells_how_a_map_is_flattened(self) -> None:
        ours = [convolution("c", (3, 3, 2, 4), True), dense("fc", 24, 5, True)]
        theirs = [convolution("k", (3, 3, 2, 4), False), dense("d", 24, 5, False)]
        with self.assertRaisesRegex(InputError, "fc has 24 features beside c with 4 channels.*inputs="):
            match(Model(ours), Model(theirs))

    def test_an_attention_layer_is_found_in_four_dense_layers(self) -> None:
        ours = [attention("mha", True), dense("fc", 6, 6, True)]
        theirs = [dense(name, 6, 6, False, bias=False) for name in ("query", "key", "value", "out")]
        theirs.append(dense("fc", 6, 6, False))
        models = Model(ours), Model(theirs)
        found = match(*models)
        new = carried(found, models[0].state(), models[1].state(), "keras")
        packed = models[0].arrays["mha.in_proj"]
        np.testing.assert_array_equal(new["key/kernel"], packed[6:12].T)
        np.testing.assert_array_equal(new["out/kernel"], models[0].arrays["mha.out.weight"].T)

    def test_two_counts_of_heads_are_a_setting_not_another_weight(self) -> None:
        ours, theirs = [attention("mha", True)], [attention("att", False, heads=6)]
        models = Model(ours), Model(theirs)
        new = carried(match(*models), models[0].state(), models[1].state(), "keras")
        np.testing.assert_array_equal(new["att/key/kernel"].reshape(6, 6), models[0].arrays["mha.in_proj"][6:12].T)

    def test_a_convolution_over_single_pixels_is_a_dense_layer(self) -> None:
        ours, theirs = [convolution("c", (1, 1, 3, 5), True)], [dense("d", 3, 5, False, bias=False)]
        models = Model(ours), Model(theirs)
        new = carried(match(*models), models[0].state(), models[1].state(), "keras")
        np.testing.assert_array_equal(new["d/kernel"], models[0].arrays["c.weight"][:, :, 0, 0].T)

    def test_a_class_of_the_users_own_is_matched_by_shape_and_name(self) -> None:
        ours = [custom("norm", weight=(4,), bias=(4,)), custom("scaled", w=(3, 5))]
        norm = Layer("n", "layer_norm", tuple(
            Slot(name, "channels", (4,), (Piece(f"n/{name}", "channels"),)) for name in ("gamma", "beta")
        ))  # fmt: skip
        models = Model(ours), Model([norm, dense("d", 5, 3, False, bias=False)])
        found = match(*models)
        self.assertEqual(found["norm.weight"], ("n/gamma",))
        new = carried(found, models[0].state(), models[1].state(), "keras")
        np.testing.assert_array_equal(new["d/kernel"], models[0].arrays["scaled.w"].T)


class ByContentTest(unittest.TestCase):
    def test_the_same_numbers_win_over_names_and_order(self) -> None:
        ours, theirs = [dense(n, 4, 4, True) for n in "ab"], [dense(n, 4, 4, False) for n in "ab"]
        first = Model(ours)
        second = Model(theirs, {"b/kernel": first.arrays["a.weight"].T, "a/kernel": first.arrays["b.weight"].T})
        found = match(first, second, traces=(chain(ours), chain(theirs)))
        self.assertEqual(pairs(found), {"a.weight": ("b/kernel",), "b.weight": ("a/kernel",)})
        self.assertEqual({one.how for one in found.matches}, {"content"})

    def test_a_packed_projection_is_recognised_head_by_head(self) -> None:
        ours = [dense("qkv", 6, 18, True, bias=False)]
        theirs = [dense(name, 6, 6, False, bias=False) for name in "xyz"]
        first = Model(ours)
        split = first.arrays["qkv.weight"].reshape(2, 3, 3, 6)
        held = {f"{n}/kernel": split[:, part].reshape(6, 6).T for n, part in zip("zxy", range(3), strict=True)}
        second = Model(theirs, held)
        found = match(first, second)
        self.assertEqual({one.content for one in contents(found, first.state(), second.state())}, {Content.SAME})
        back = carried(found, second.state(), {"qkv.weight": np.zeros((18, 6))}, "torch")
        np.testing.assert_array_equal(back["qkv.weight"], first.arrays["qkv.weight"])

    @parameterized.expand([
        ("same", lambda a: a, Content.SAME, ""),
        ("rounded", lambda a: a * (1 + 3e-8), Content.ROUNDED, "rounding"),
        ("square", lambda a: a.transpose(0, 1, 3, 2), Content.REORDERED, "in and out are swapped"),
        ("flipped", lambda a: a[::-1, ::-1], Content.REORDERED, "flipped along height and width"),
        ("turned", lambda a: a.transpose(1, 0, 2, 3), Content.REORDERED, "height and width are swapped"),
        ("reshaped", lambda a: a.transpose(3, 2, 0, 1).reshape(a.shape), Content.REORDERED, "PyTorch's numbers"),
        ("fresh", lambda a: np.ones_like(a), Content.CONSTANT, "Keras holds 1 all over"),
        ("other", lambda a: a[::-1] + 1, Content.DIFFERENT, ""),
    ])  # fmt: skip
    def test_what_the_numbers_have_in_common(self, name: str, change: Any, content: Content, note: str) -> None:
        ours, theirs = [convolution("c", (3, 3, 4, 4), True)], [convolution("k", (3, 3, 4, 4), False)]
        first = Model(ours)
        held = change(first.arrays["c.weight"].transpose(2, 3, 1, 0))
        found = contents(match(first, second := Model(theirs, {"k/kernel": held})), first.state(), second.state())[0]
        self.assertEqual(found.content, content)
        self.assertIn(note, found.note)

    def test_gates_in_another_order_are_named(self) -> None:
        gates = ("input", "forget", "cell", "output")

        def lstm(name: str, axes: str) -> Layer:
            slots = [Slot(f"kernel.{gate}", "in out", (3, 2), (Piece(name, axes, (("gate", 4),), (("gate", place),)),))
                     for place, gate in enumerate(gates)]  # fmt: skip
            return Layer(name, "lstm", tuple(slots))

        first = Model([lstm("t", "(gate out) in")])
        split = first.arrays["t"].reshape(4, 2, 3)[[0, 2, 1, 3]]
        second = Model([lstm("k", "in (gate out)")], {"k": split.reshape(8, 3).T})
        found = contents(match(first, second), first.state(), second.state())
        self.assertEqual([one.content for one in found],
                         [Content.SAME, Content.ELSEWHERE, Content.ELSEWHERE, Content.SAME])  # fmt: skip
        self.assertIn("in the order input, cell, forget, output", found[1].note)


class RefusedTest(unittest.TestCase):
    def test_a_weight_without_a_counterpart_is_named_with_the_nearest_and_waved_through_by_name(self) -> None:
        ours, theirs = [dense("fc", 4, 2, True, bias=False)], [dense("d", 4, 2, False)]
        models = Model(ours), Model(theirs)
        with self.assertRaisesRegex(StateError, r"Keras alone has d/bias \(2,\).*ignore=") as caught:
            match(*models)
        self.assertEqual(caught.exception.weights, ("d/bias",))
        self.assertEqual(match(*models, ignore=["d/b*"]).ignored, {"keras": ("d/bias",)})

    def test_layers_of_which_one_side_has_more_are_counted(self) -> None:
        ours = [*(dense(f"blocks.{number}", 4, 4, True) for number in range(5)), dense("head", 4, 2, True)]
        theirs = [*(dense(f"d{number}", 4, 4, False) for number in range(2)), dense("h", 4, 2, False)]
        with self.assertRaisesRegex(
            StateError,
            r"PyTorch has 5 layers of this kind and shape, Keras 2: left over are blocks\.0\.weight \(4, 4\), "
            r"blocks\.1\.weight \(4, 4\), blocks\.2\.weight \(4, 4\) and 2 more against d0/kernel \(4, 4\), "
            r"d1/kernel \(4, 4\); leave",
        ):
            match(Model(ours), Model(theirs))

    def test_shapes_are_said_as_the_user_has_them(self) -> None:
        kernel = Piece("q/kernel", "in out0 out1", (("out0", 2), ("out1", 5)))
        theirs = [Layer("q", "dense", (Slot("kernel", "in (out0 out1)", (6, 10), (kernel,)),))]
        models = Model([dense("q", 6, 8, True, bias=False)]), Model([])
        models[1].layers, models[1].arrays = tuple(theirs), {"q/kernel": RNG.standard_normal((6, 2, 5))}
        with self.assertRaisesRegex(StateError, r"q\.weight \(8, 6\) .*q/kernel \(6, 2, 5\)"):
            match(*models)

    def test_what_the_other_side_cannot_hold_is_refused_with_the_reason(self) -> None:
        ours = [dense("fc", 4, 2, True)]
        theirs = [dataclasses.replace(dense("d", 4, 2, False), refused="its kernel is made of light")]
        with self.assertRaisesRegex(StateError, "d has no counterpart in PyTorch: its kernel is made of light"):
            match(Model(ours), Model(theirs))

    @parameterized.expand([
        ("unknown", {"fc.weigth": "d/kernel"}, (), "did you mean 'fc.weight'"),
        ("unknown_keras", {"fc.weight": "d/kernels"}, (), "did you mean 'd/kernel'"),
        ("misfit", {"fc.weight": "d/bias"}, (), r"shapes are \(4, 2\) in PyTorch"),
        ("many", {"fc.weight": ("d/kernel", "e/kernel", "d/kernel")}, (), "no dense layer of so many"),
        ("ignored", {}, ["dd/*"], "names no tensor"),
    ])  # fmt: skip
    def test_what_is_said_of_weights_must_fit(self, name: str, names: Any, ignore: Any, said: str) -> None:
        models = Model([dense("fc", 4, 2, True)]), Model([dense("d", 4, 2, False), dense("e", 4, 2, False)])
        with self.assertRaisesRegex(StateError, said):
            match(*models, given=renaming(names), ignore=ignore)

    def test_too_large_a_number_for_the_targets_type_is_refused(self) -> None:
        first, second = Model([dense("fc", 4, 2, True)]), Model([dense("d", 4, 2, False)])
        small = {name: array.astype(np.float16) for name, array in second.state().items()}
        large = {name: array * 1e6 for name, array in first.state().items()}
        with self.assertRaisesRegex(StateError, "too large for d/kernel in float16"):
            carried(match(first, second), large, small, "keras")


class TiedTest(unittest.TestCase):
    def setUp(self) -> None:
        table = Slot("table", "tokens channels", (7, 4), (Piece("embed.weight", "tokens channels"),))
        head = Slot("kernel", "in out", (4, 7), (Piece("head.weight", "out in"),))
        layers = [Layer("embed", "embedding", (table,)), Layer("head", "dense", (head,))]
        self.tied = Model(layers, aliases={"head.weight": "embed.weight"})
        del self.tied.arrays["head.weight"]

    def embedding(self) -> Layer:
        return Layer("e", "embedding", (Slot("table", "tokens channels", (7, 4), (Piece("e/t", "tokens channels"),)),))

    def test_a_tied_tensor_counts_once(self) -> None:
        self.assertEqual(dict(match(self.tied, Model([self.embedding()]))), {"embed.weight": ("e/t",)})

    def test_a_side_that_holds_it_twice_must_hold_the_same_numbers_to_give_them_back(self) -> None:
        apart = Model([self.embedding(), dense("h", 4, 7, False, bias=False)])
        found = match(self.tied, apart)
        new = carried(found, self.tied.state(), apart.state(), "keras")
        np.testing.assert_array_equal(new["h/kernel"], new["e/t"].T)
        carried(found, new, self.tied.state(), "torch")
        with self.assertRaisesRegex(StateError, "numbers differ"):
            carried(found, apart.state(), self.tied.state(), "torch")


class WordsTest(unittest.TestCase):
    @parameterized.expand([
        ("synonyms", ["fc_mu", "fc_var"], ["z_log_var", "z_mean"], [1, 0]),
        ("numbers", ["fc1", "fc2", "fc10"], ["dense_2", "dense", "dense_1"], [1, 2, 0]),
        ("both", ["l.1.q", "l.0.q", "l.0.k", "l.1.k"], ["b0/key", "b1/key", "b0/query", "b1/query"], [3, 2, 0, 1]),
        ("last", ["a.l0", "a.l0.reverse"], ["b/backward_layer", "b/forward_layer"], [1, 0]),
        ("nothing", ["q", "k"], ["dense", "dense_1"], None),
        ("same_number", ["a.1", "b.1"], ["c_1", "d_2"], None),
    ])  # fmt: skip
    def test_what_names_tell(self, name: str, first: list[str], second: list[str], expected: list[int] | None) -> None:
        self.assertEqual(told(first, second), expected)


class Repeated(unittest.TestCase):
    """One side holds once, as a table of positions, what the other holds for every sample."""

    @parameterized.expand([((1, 5, 4), (3, 5, 4)), ((5, 4), (3, 5, 4)), ((3, 1, 5, 4), (1, 5, 4))])
    def test_is_found(self, torch: tuple[int, ...], keras: tuple[int, ...]) -> None:
        table = np.arange(20.0).reshape(5, 4)
        one, other = np.broadcast_to(table, torch), np.broadcast_to(table, keras)
        found = repeated(one, other)
        assert found is not None
        np.testing.assert_array_equal(found.to_keras(one), other)
        np.testing.assert_array_equal(found.to_torch(other), one)

    def test_other_numbers_are_not(self) -> None:
        table = np.arange(20.0).reshape(1, 5, 4)
        self.assertIsNone(repeated(table, np.stack([table[0], table[0] + 1])))
        self.assertIsNone(repeated(table, np.ones((3, 5, 3))))
        self.assertIsNone(repeated(table, table))
