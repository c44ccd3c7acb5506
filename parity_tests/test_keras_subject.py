"""A user's Keras model laid bare: its weights' places, its steps, its gradients; and what is left alone."""

from __future__ import annotations

import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import tensorflow as tf
from diglot.core import compare, floor
from diglot.core.errors import InputError, StateError
from diglot.core.port.subject import examine
from diglot.core.verdict import Verdict
from keras import layers as kl
from keras import ops
from parameterized import parameterized


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def tokens(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 10, size=shape)


def subject(model: Any, *inputs: np.ndarray) -> Any:
    return examine("keras", model, list(inputs))


def stack(*layers: Any) -> Callable[[], keras.Model]:
    return lambda: keras.Sequential(list(layers))


def graph() -> keras.Model:
    """A shared layer, a nested model, functions and operators in the graph, two outputs."""
    given = keras.Input((8, 8, 3))
    x = kl.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="stem")(given)
    x = kl.BatchNormalization(name="norm")(x)
    twice = kl.DepthwiseConv2D(3, padding="same", name="twice")
    x = ops.add(twice(twice(x)), x)
    x = ops.gelu(kl.Flatten()(x)) * 0.3
    inner = keras.Sequential(
        [kl.Dense(5, name="first"), kl.Dropout(0.5, name="drop"), kl.LayerNormalization(name="last")], name="inner"
    )
    return keras.Model(given, {"logits": kl.Dense(2, name="head")(inner(x)), "features": inner(x)})


class Written(keras.Model):
    """Lists, dictionaries and private attributes of layers, a closure, a weight of its own and tied ones."""

    def __init__(self) -> None:
        super().__init__()
        self.table = kl.Embedding(10, 6)
        self.blocks = [kl.Dense(6, activation=kl.LeakyReLU(0.1)) for _ in range(2)]
        self.kept = {"one": [kl.Dense(6)]}
        self._norm = kl.LayerNormalization()
        self.again = self._norm
        self.attn = kl.MultiHeadAttention(2, 3)
        self.bi = kl.Bidirectional(kl.LSTM(3, return_sequences=True))
        self.closure = lambda x: self.blocks[1](self.blocks[0](x))
        self.calls = 0

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(6,), initializer="ones", name="scale")

    def call(self, ids: Any, training: bool = False) -> Any:
        self.calls += 1
        x = self.closure(self.table(ids)) * self.scale
        x = self._norm(x + self.attn(x, x, use_causal_mask=True))
        x = self.again(self.kept["one"][0](self.bi(x)))
        return ops.matmul(x, ops.transpose(self.table.embeddings))


class Attention(kl.Layer):
    """Attention as TensorFlow's tutorials write it, in float32 by name."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = kl.Dense(4), kl.Dense(4)

    def call(self, x: Any) -> Any:
        depth = tf.cast(tf.shape(x)[-1], tf.float32)
        return tf.nn.softmax(tf.matmul(self.query(x), self.key(x), transpose_b=True) / tf.math.sqrt(depth)) * tf.sqrt(
            2.0
        )


PICTURE, SEQUENCE, ROW = (2, 8, 8, 4), (2, 5, 6), (3, 6)
MODELS = [
    ("graph", graph, drawn(2, 8, 8, 3)),
    ("written", Written, tokens(2, 5)),
    ("separable", stack(kl.SeparableConv2D(3, 3, strides=2, padding="same", activation="relu")), drawn(*PICTURE)),
    ("grouped", stack(kl.Conv2D(8, 3, groups=2), kl.Conv2D(8, 3, groups=8)), drawn(*PICTURE)),
    ("one axis", stack(kl.SeparableConv1D(3, 3), kl.Conv1D(4, 2, padding="causal", dilation_rate=2)), drawn(*SEQUENCE)),
    ("transposed", stack(kl.Conv2DTranspose(3, 3, strides=2, padding="same")), drawn(*PICTURE)),
    ("three axes", stack(kl.Reshape((8, 8, 4, 1)), kl.Conv3D(2, 3), kl.MaxPooling3D(2)), drawn(*PICTURE)),
    ("norms", stack(kl.BatchNormalization(scale=False), kl.LayerNormalization(axis=[2, 3]), kl.GroupNormalization(2),
                    kl.GroupNormalization(-1), kl.RMSNormalization(), kl.UnitNormalization()), drawn(*PICTURE)),
    ("recurrent", stack(kl.LSTM(4, return_sequences=True), kl.GRU(4, return_sequences=True, reset_after=False),
                        kl.RNN([kl.GRUCell(3), kl.SimpleRNNCell(4)], return_sequences=True),
                        kl.Bidirectional(kl.GRU(3))), drawn(2, 3, 6)),
    ("masked", stack(kl.Embedding(10, 4, mask_zero=True), kl.LSTM(3, return_sequences=True), kl.GRU(2)), tokens(2, 3)),
    ("timed", stack(kl.TimeDistributed(kl.Dense(4, activation="relu"))), drawn(*SEQUENCE)),
    ("slopes", stack(kl.PReLU(shared_axes=[1, 2]), kl.PReLU()), drawn(*PICTURE)),
    ("einsum", stack(kl.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"),
                     kl.EinsumDense("abde,def->abf", (None, 7), bias_axes="f", activation="relu")), drawn(*SEQUENCE)),
    ("grouped attention", lambda: attending(kl.GroupQueryAttention(4, 4, 2)), drawn(*SEQUENCE)),
    ("as in tutorials", stack(Attention()), drawn(*SEQUENCE)),
    ("random", stack(kl.SpatialDropout1D(0.3), kl.GaussianNoise(0.1), kl.AlphaDropout(0.1), kl.Dense(3)),
               drawn(*SEQUENCE)),
    ("half", stack(kl.Dense(4, dtype="mixed_float16"), kl.Dense(2)), drawn(*ROW)),
    ("spectral", stack(kl.SpectralNormalization(kl.Dense(4))), drawn(*ROW)),
]  # fmt: skip


def attending(layer: Any) -> keras.Model:
    given = keras.Input(SEQUENCE[1:])
    return keras.Model(given, layer(given, given))


class TestKerasSubject(unittest.TestCase):
    @parameterized.expand(MODELS)
    def test_model(self, name: str, make: Callable[[], keras.Model], given: np.ndarray) -> None:
        """Raised to float64; every step by itself gives what it gave in the run; nothing of the user's is changed."""
        model = make()
        model(given)
        before = [array.tobytes() for array in model.get_weights()]
        held = [dict(vars(layer)) for layer in model._flatten_layers()]
        found = subject(model, given)
        self.assertEqual((found.precision, found.weaker), ("float64", ""))
        trace, state = found.run([given]), found.state()
        for step in trace.steps:
            result = found.replay(step, step.inputs, np.ones_like(step.outputs[0]))
            self.assertTrue(np.array_equal(result["output"], step.outputs[0]), step.name)
            if step.handle.buffers:
                found.replay(step, step.inputs, np.ones_like(step.outputs[0]), training=True)
        outputs = list(trace.outputs.values())
        gradients = found.gradients([given], [np.ones_like(one) for one in outputs])
        whole = found.replay(trace.steps[-1], [given], np.ones_like(outputs[0])) if len(outputs) == 1 else {}
        for name in set(whole) - {"output"}:
            self.assertTrue(np.array_equal(whole[name], gradients[name]), name)
        self.assertEqual(len(found.train([[given]] * 2, [[np.zeros_like(one) for one in outputs]] * 2, 0.1)["loss"]), 2)
        for name, array in found.state().items():
            self.assertEqual(array.tobytes(), state[name].tobytes(), name)
        found.run([given], training=True)
        self.assertEqual([array.tobytes() for array in model.get_weights()], before)
        for layer, contents in zip(model._flatten_layers(), held, strict=True):
            self.assertEqual([key for key in contents if vars(layer)[key] is not contents[key]], [], layer.name)
        self.assertEqual(keras.config.floatx(), "float32")

    @parameterized.expand(MODELS)
    def test_weights(self, name: str, make: Callable[[], keras.Model], given: np.ndarray) -> None:
        """Each slot is written and read bitwise, and lies in Keras's own file where it is said to."""
        model = make()
        found = subject(model, given)
        state, written = found.state(), {}
        for layer in found.layers:
            for slot in layer.slots:
                for piece in slot.pieces:
                    whole = written.setdefault(piece.tensor, np.zeros(state[piece.tensor].shape, np.float32))
                    part = drawn(*slot.shape, seed=len(written))
                    piece.write(whole, part, slot.axes)
                    self.assertTrue(np.array_equal(piece.read(whole, slot.axes), part))
        self.assertEqual(set(written), set(state))
        self.assertTrue(all(np.all(array != 0) for array in written.values()))
        found.write(written)
        for name, array in found.state().items():
            self.assertTrue(np.array_equal(array, written[name]), name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.weights.h5"
            model.save_weights(path)
            with h5py.File(path, "r") as file:
                for piece in (piece for layer in found.layers for slot in layer.slots for piece in slot.pieces):
                    self.assertEqual(file[piece.stored][()].tobytes(), state[piece.tensor].tobytes(), piece.tensor)

    def test_names(self) -> None:
        found = subject(Written(), tokens(2, 5))
        self.assertEqual(
            [layer.name for layer in found.layers],
            [
                "table",
                "blocks/0",
                "blocks/1",
                "kept/one/0",
                "norm",
                "attn",
                "bi/forward_layer",
                "bi/backward_layer",
                "",
            ],
        )
        self.assertLessEqual({"attn/query/kernel", "bi/forward_layer/cell/bias", "scale"}, set(found.state()))
        self.assertEqual(found.aliases, {"again/gamma": "norm/gamma", "again/beta": "norm/beta"})
        given = subject(graph(), drawn(2, 8, 8, 3))
        self.assertEqual(
            [layer.name for layer in given.layers], ["stem", "norm", "twice", "inner/first", "inner/last", "head"]
        )

    def test_steps(self) -> None:
        trace = subject(graph(), drawn(2, 8, 8, 3)).run([drawn(2, 8, 8, 3)])
        inner = ["inner/first", "inner/drop", "inner/last", "inner"]
        outer = ["stem", "stem:activation", "norm", "twice", "twice", ":add#0", ":gelu#0", ":multiply#0"]
        self.assertEqual(
            [step.name for step in trace.steps if step.role != "flatten"], [*outer, *inner, *inner, "head", ""]
        )
        roles = {step.name: step for step in trace.steps}
        self.assertEqual(roles["stem"].settings["padding"], ((0, 1), (0, 1)))
        self.assertEqual(roles[":gelu#0"].settings, {"approximate": True})
        self.assertIs(roles["stem"].outputs[0], roles["stem:activation"].inputs[0])
        self.assertEqual(set(trace.outputs), {"logits", "features"})
        self.assertIn(
            id(roles["head"].inputs[0]), [id(step.outputs[0]) for step in trace.steps if step.name == "inner"]
        )

    def test_reads_from_the_end(self) -> None:
        """What is turned back behind a layer that reads from the end is part of its step."""
        model = stack(kl.Bidirectional(kl.LSTM(3, return_sequences=True), name="bi"))()
        steps = subject(model, drawn(*SEQUENCE)).run([drawn(*SEQUENCE)]).steps
        self.assertEqual([step.name for step in steps][:3],
                         ["bi/forward_layer", "bi/backward_layer", "bi:concatenate#0"])  # fmt: skip
        self.assertIs(steps[1].outputs[0], steps[2].inputs[1])

    @parameterized.expand(
        [
            ("gelu", kl.Activation("gelu"), lambda x: x * normal(x)),
            ("tanh gelu", kl.Lambda(ops.gelu),
             lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))),
            ("leaky relu", kl.LeakyReLU(0.1), lambda x: np.where(x > 0, x, 0.1 * x)),
            ("relu with a slope", kl.ReLU(negative_slope=0.1), lambda x: np.where(x > 0, x, 0.1 * x)),
            ("relu to a limit", kl.ReLU(max_value=0.7), lambda x: np.clip(x, 0, 0.7)),
            ("rescaling", kl.Rescaling(1 / 255, offset=-0.1), lambda x: x / 255 - 0.1),
            ("elu", kl.ELU(0.3), lambda x: np.where(x > 0, x, 0.3 * np.expm1(x))),
            ("a cast", kl.Lambda(lambda x: x * tf.cast(0.1, tf.float32)), lambda x: 0.1 * x),
            ("a root", kl.Lambda(lambda x: x * tf.math.sqrt(2.0)), lambda x: x * np.sqrt(2)),
            ("a constant", kl.Lambda(lambda x: x + tf.constant(0.1)), lambda x: x + 0.1),
            ("zeros", kl.Lambda(lambda x: x + tf.zeros(tf.shape(x)) + ops.cast(0.3, "float32")), lambda x: x + 0.3),
        ]
    )  # fmt: skip
    def test_exact(self, name: str, layer: Any, formula: Callable[[np.ndarray], np.ndarray]) -> None:
        """In float64 a model computes with the numbers that the user wrote, not with what float32 makes of them."""
        found = subject(keras.Sequential([layer]), drawn(*ROW))
        self.assertEqual(found.weaker, "")
        self.close(found.run([drawn(*ROW)]).outputs["output"], formula(drawn(*ROW).astype(np.float64)))

    def test_exact_attention(self) -> None:
        model = attending(kl.MultiHeadAttention(2, 5, name="attn"))
        found = subject(model, drawn(*SEQUENCE))
        w = {name.removeprefix("attn/"): array.astype(np.float64) for name, array in found.state().items()}
        x = drawn(*SEQUENCE).astype(np.float64)
        q, k, v = (np.einsum("bti,ihd->bthd", x, w[f"{name}/kernel"]) + w[f"{name}/bias"]
                   for name in ("query", "key", "value"))  # fmt: skip
        scores = np.exp(np.einsum("bthd,bshd->bhts", q, k) / np.sqrt(5))
        joined = np.einsum("bhts,bshd->bthd", scores / scores.sum(-1, keepdims=True), v)
        wanted = np.einsum("bthd,hdo->bto", joined, w["attention_output/kernel"]) + w["attention_output/bias"]
        self.close(found.run([drawn(*SEQUENCE)]).outputs["output"], wanted)

    @parameterized.expand([(word, smooth) for word in ("nearest", "bilinear", "bicubic") for smooth in (False, True)])
    def test_resizes_as_tensorflow_does(self, word: str, smooth: bool) -> None:
        """TensorFlow resizes in float32 whatever it is given; what stands for it gives the same, but in float64."""
        resize = kl.Lambda(lambda x: ops.image.resize(x, (5, 11), interpolation=word, antialias=smooth))
        found = subject(keras.Sequential([resize]), drawn(*PICTURE))
        self.assertEqual(found.weaker, "")
        mine = found.run([drawn(*PICTURE)]).outputs["output"]
        self.assertEqual(mine.dtype, np.float64)
        theirs = ops.image.resize(drawn(*PICTURE), (5, 11), interpolation=word, antialias=smooth).numpy()
        self.close(mine, theirs.astype(np.float64), floor.WIDE)

    def test_hidden_float32(self) -> None:
        narrow = kl.Lambda(lambda x: tf.raw_ops.Cast(x=narrowed(x), DstT=x.dtype))
        found = subject(keras.Sequential([kl.Dense(3), narrow]), drawn(*ROW))
        self.assertEqual(found.precision, "float32")
        self.assertEqual(found.weaker, "it computes Cast in float32 even where everything else is float64")
        found = subject(keras.Sequential([kl.Lambda(lambda x: tf.raw_ops.AddV2(x=x, y=narrowed(1)))]), drawn(*ROW))
        self.assertRegex(found.weaker, "^it does not run in float64: InvalidArgumentError: cannot compute AddV2")

    def test_states_between_calls(self) -> None:
        """A layer that keeps a state between calls begins each run where the user has left it."""
        model = keras.Sequential([keras.Input(batch_shape=SEQUENCE), kl.LSTM(3, stateful=True)])
        model(drawn(*SEQUENCE))
        found = subject(model, drawn(*SEQUENCE))
        one, other = (found.run([drawn(*SEQUENCE)]).outputs["output"] for _ in range(2))
        self.assertEqual(one.tobytes(), other.tobytes())
        self.assertEqual(len(found.state()), 3)

    def test_compiled_model(self) -> None:
        """An optimizer that has been in use goes on as if nothing had been."""
        model = keras.Sequential([kl.Dense(3), kl.Dropout(0.5, seed=1), kl.BatchNormalization()])
        model.compile("adam", "mse")
        model.train_on_batch(drawn(*ROW), drawn(3, 3))
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        before = [variable.numpy().tobytes() for variable in (*model.optimizer.variables, *model.variables)]
        found = subject(model, drawn(*ROW))
        found.train([[drawn(*ROW)]], [[drawn(3, 3)]], 0.1)
        after = [variable.numpy().tobytes() for variable in (*model.optimizer.variables, *model.variables)]
        self.assertEqual(after, before)
        model.train_on_batch(drawn(*ROW), drawn(3, 3))
        self.assertNotEqual(model.variables[0].numpy().tobytes(), before[-len(model.variables)])

    def test_inputs(self) -> None:
        a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
        model = keras.Model({"a": a, "b": b}, kl.Dense(3)(kl.Subtract()([a, b])))
        given = {"a": drawn(3, 4), "b": drawn(3, 4, seed=1)}
        found = examine("keras", model, given)
        gradients = found.gradients(given, [np.ones((3, 3))])
        self.assertTrue(np.array_equal(gradients["input a"], -gradients["input b"]))
        listed = subject(keras.Model([a, b], kl.Subtract()([a, b])), *given.values())
        self.assertEqual(len(listed.run(list(given.values())).steps[0].inputs), 2)

    def test_factory(self) -> None:
        found = examine("keras", graph, [drawn(2, 8, 8, 3)])
        self.assertEqual((found.precision, found.state()["stem/kernel"].dtype), ("float64", np.float64))
        self.assertEqual(keras.config.floatx(), "float32")
        plain = examine("keras", graph, [drawn(2, 8, 8, 3)], precise=False)
        self.assertEqual((plain.precision, plain.weaker), ("float32", ""))

    def test_frozen(self) -> None:
        layer = kl.BatchNormalization(name="norm")
        layer.trainable = False
        found = subject(keras.Sequential([layer, kl.Dense(2, name="head")]), drawn(*ROW))
        before = found.state()
        found.run([drawn(*ROW)], training=True)
        self.assertEqual(
            {name for name, array in found.state().items() if not np.array_equal(array, before[name])}, set()
        )
        moved = found.train([[drawn(*ROW)]], [[np.zeros((3, 2))]], 0.1)
        self.assertTrue(np.array_equal(moved["norm/gamma"], before["norm/gamma"]))
        self.assertFalse(np.array_equal(moved["head/kernel"], before["head/kernel"]))

    def test_refused(self) -> None:
        found = subject(stack(kl.GRU(3, reset_after=False), kl.Dense(2))(), drawn(*SEQUENCE))
        self.assertRegex(found.layers[0].refused, r"reset_after=False.* PyTorch's GRU cannot express")

    def test_bad_requests(self) -> None:
        with self.assertRaisesRegex(InputError, "int is no Keras model: give a keras.Model or a function"):
            examine("keras", 3, [drawn(*ROW)])
        with self.assertRaisesRegex(InputError, "gave a dict and no Keras model"):
            examine("keras", dict, [drawn(*ROW)])
        with self.assertRaisesRegex(InputError, r"Functional does not take inputs of the shapes \(3, 6\): "):
            subject(graph(), drawn(*ROW))
        found = subject(graph(), drawn(2, 8, 8, 3))
        with self.assertRaisesRegex(StateError, "no weight 'stem/kernl'; did you mean 'stem/kernel'"):
            found.write({"stem/kernl": drawn(3)})
        with self.assertRaisesRegex(StateError, r"stem/bias of the Keras model is \(4,\) and not \(3,\)"):
            found.write({"stem/bias": drawn(3)})
        step = found.run([drawn(2, 8, 8, 3)]).steps[0]
        with self.assertRaisesRegex(InputError, "stem cannot be run by itself: "):
            found.replay(step, [drawn(2, 8, 8, 5)], None)

    def close(self, one: np.ndarray, other: np.ndarray, ulp: str = floor.NARROW) -> None:
        found = compare.pair("output", one, other, floor.unit(other, ulp))
        self.assertEqual(found.verdict, Verdict.EQUAL, f"{found.ratio} units in the last place")


def narrowed(x: Any) -> Any:
    return tf.raw_ops.Cast(x=x, DstT=tf.float32)


def normal(x: np.ndarray) -> np.ndarray:
    from math import erf

    return np.vectorize(lambda one: (1 + erf(one / np.sqrt(2))) / 2)(x)


if __name__ == "__main__":
    unittest.main()
