"""Linear and additive attention against their formulas, written out in NumPy as the papers have them."""

from __future__ import annotations

import unittest
from typing import Any

import numpy as np
import tensorflow as tf
import torch
from diglot.core import backend
from diglot.core.errors import InputError
from diglot.core.noise import generator
from diglot.core.spec import Spec
from diglot.core.state import State, random_state
from diglot.core.verdict import Verdict
from parameterized import parameterized

import diglot

from .agreement import agreement

SIDES = ("torch", "keras")
TIME = 7
# Chunks of one position, that divide the sequence or not, and longer than it.
FORMS = [(causal, masked, chunk) for causal, masked in ((True, False), (True, True)) for chunk in (1, 3, 7, 50)]
FORMS += [(False, False, 3), (False, True, 3)]


def linear(spec: Any, state: State, x: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Katharopoulos et al. (2020), eq. 3 and 7: the attention map of every pair of positions, and its rows' sums."""
    query, key, value = (
        np.stack(np.split(x @ state[f"{name}.kernel"] + state.get(f"{name}.bias", 0), spec.num_heads, axis=-1), axis=1)
        for name in ("query", "key", "value")
    )
    similarity = np.einsum("bhic,bhjc->bhij", elu(query) + 1, elu(key) + 1)
    if mask is not None:
        similarity = similarity * mask[:, None, None, :]
    if spec.causal:
        similarity = similarity * np.tri(x.shape[1])
    attended = np.einsum("bhij,bhjc->bihc", similarity, value)
    attended = attended / (similarity.sum(axis=-1).swapaxes(1, 2)[..., None] + spec.epsilon)
    return attended.reshape(x.shape) @ state["projection.kernel"] + state.get("projection.bias", 0)


def elu(x: np.ndarray) -> np.ndarray:
    """Clevert, Unterthiner and Hochreiter (2016), eq. 15."""
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def additive(state: State, query: np.ndarray, values: np.ndarray, mask: np.ndarray | None) -> dict[str, np.ndarray]:
    """Bahdanau, Cho and Bengio (2015), eq. 5 and 6 and appendix A.1.2, one query and one value at a time."""
    weights = np.zeros((len(query), query.shape[1], values.shape[1]))
    for row, given in enumerate(query):
        for i, state_of_decoder in enumerate(given):
            for j, annotation in enumerate(values[row]):
                hidden = state["query.kernel"].T @ state_of_decoder + state["key.kernel"].T @ annotation
                score = state["score.kernel"][:, 0] @ np.tanh(hidden + state.get("key.bias", 0))
                weights[row, i, j] = np.exp(score) * (1 if mask is None else mask[row, j])
            weights[row, i] /= max(weights[row, i].sum(), 1e-300)
    return {"context": np.einsum("bij,bjc->bic", weights, values), "weights": weights}


def made(spec: Spec, side: str) -> tuple[Any, State]:
    """A model in float64 with random weights, and these."""
    model, state = diglot.build(spec, side, "float64"), random_state(spec, 1)
    diglot.set_state(model, state)
    return model, state


def tensor(side: str, array: np.ndarray) -> Any:
    return torch.from_numpy(array) if side == "torch" else tf.constant(array)


def array(found: Any) -> np.ndarray:
    return found.detach().numpy() if isinstance(found, torch.Tensor) else np.asarray(found)


class Linear(unittest.TestCase):
    def equal(self, one: np.ndarray, other: np.ndarray) -> None:
        self.assertEqual(agreement(one, other).verdict, Verdict.EQUAL)

    def spec(self, **fields: Any) -> Any:
        fields = {"d_model": 6, "num_heads": 2, "length": TIME, "epsilon": 2**-20, **fields}
        return diglot.spec("linear_attention", **fields)

    @parameterized.expand([(side, *form) for side in SIDES for form in FORMS])
    def test_the_quadratic_formula(self, side: str, causal: bool, masked: bool, chunk: int) -> None:
        spec = self.spec(causal=causal, masked=masked, chunk_size=chunk)
        model, state = made(spec, side)
        batch = spec.drawn(generator(0, "linear"), 4)
        found = backend.load(side).forward(model, batch).outputs["attended"]
        self.equal(found, linear(spec, state, batch["x"], batch.get("attention_mask")))

    @parameterized.expand(
        [(side, pieces, masked) for side in SIDES for pieces in ((1,) * TIME, (3, 1, 3), (5, 2)) for masked in (0, 1)]
    )
    def test_positions_come_in_pieces(self, side: str, pieces: tuple[int, ...], masked: int) -> None:
        """The recurrent form of eq. 18 to 20 is the parallel one, whatever the pieces; its memory does not grow."""
        spec = self.spec(masked=bool(masked), chunk_size=2)
        model, _ = made(spec, side)
        batch = spec.drawn(generator(1, "linear"), 3)
        given = [tensor(side, batch[item.name]) for item in spec.inputs()]
        cache, found, start = model.start(3), [], 0
        for size in pieces:
            found.append(array(model(*[item[:, start : start + size] for item in given], cache=cache)))
            start += size
            self.assertEqual([tuple(item.shape) for item in cache.tensors()], [(3, 2, 3, 3), (3, 2, 3)])
        self.equal(np.concatenate(found, axis=1), array(model(*given)))

    @parameterized.expand([(side, causal) for side in SIDES for causal in (True, False)])
    def test_what_attends_to_nothing_is_zero(self, side: str, causal: bool) -> None:
        spec = self.spec(causal=causal, masked=True, bias=False, chunk_size=2)
        model, _ = made(spec, side)
        x, mask = generator(2, "linear").standard_normal((2, TIME, 6)), np.ones((2, TIME), "int64")
        mask[0], mask[1, :3] = 0, 0
        found = backend.load(side).forward(model, {"x": x, "attention_mask": mask}).outputs["attended"]
        self.assertTrue(np.all(found[0] == 0))
        self.assertTrue(np.all((found[1, :3] == 0) == causal))
        self.assertTrue(np.all(found[1, 3:] != 0))
        slopes = backend.load(side).pull_back(model, {"x": x, "attention_mask": mask}, {"attended": np.ones(x.shape)})
        self.assertTrue(all(np.all(np.isfinite(slope)) for slope in slopes.values()))

    @parameterized.expand([(side, *shape) for side in SIDES for shape in ((2, TIME - 1), (1, TIME), (TIME,))])
    def test_a_mask_of_another_shape(self, side: str, *shape: int) -> None:
        model = diglot.build(self.spec(masked=True), side)
        x, mask = np.ones((2, TIME, 6), "float32"), np.ones(shape, "int64")
        with self.assertRaisesRegex(InputError, r"mask of .* not fit 7 keys in a batch of 2; it must"):
            model(tensor(side, x), tensor(side, mask))

    @parameterized.expand([(side,) for side in SIDES])
    def test_the_feature_map_is_never_zero(self, side: str) -> None:
        """The frameworks' own float32 elu(-30) is exactly -1, and adding one loses the key."""
        model = diglot.build(self.spec(), side)
        found = array(model.feature_map(tensor(side, np.array([-80.0, -30.0, 0.0, 2.0], "float32"))))
        np.testing.assert_allclose(found, [np.exp(-80.0), np.exp(-30.0), 1, 3], rtol=1e-6)

    @parameterized.expand([(causal,) for causal in (True, False)])
    def test_one_graph_for_any_length(self, causal: bool) -> None:
        spec = self.spec(causal=causal, masked=True, chunk_size=3)
        model, state = made(spec, "keras")
        signature = [tf.TensorSpec((None, None, 6), tf.float64), tf.TensorSpec((None, None), tf.int64)]
        graph = tf.function(model, input_signature=signature, jit_compile=False)
        for length in (1, 2, 3, 8):
            batch = spec.replace(length=length).drawn(generator(3, "linear"), 3)
            found = graph(tf.constant(batch["x"]), tf.constant(batch["attention_mask"]))
            self.equal(array(found), linear(spec, state, batch["x"], batch["attention_mask"]))


class Efficient(unittest.TestCase):
    """The whole language model; that its pieces give what the whole gives is the check of generation."""

    SPEC = diglot.spec("efficient_transformer_small", max_len=40, num_layers=1)

    @parameterized.expand([(side,) for side in SIDES])
    def test_the_cache_does_not_grow(self, side: str) -> None:
        model, _ = made(self.SPEC, side)
        cache, sizes = model.start(2), set()
        for _ in range(4):
            model.decode(tensor(side, np.full((2, 5), 3)), cache)
            sizes.add(tuple(tuple(item.shape) for item in cache.tensors()))
        self.assertEqual(sizes, {((2, 1), (2, 2, 4, 4), (2, 2, 4))})

    @parameterized.expand([(side,) for side in SIDES])
    def test_a_text_that_is_too_long(self, side: str) -> None:
        model, _ = made(self.SPEC, side)
        cache = model.start(1)
        model.decode(tensor(side, np.full((1, 40), 3)), cache)
        with self.assertRaisesRegex(InputError, "a sequence of 41 positions is longer than max_len 40"):
            model.decode(tensor(side, np.full((1, 1), 3)), cache)

    def test_a_gated_network_has_the_size_of_an_ungated_one(self) -> None:
        """Shazeer (2020), section 3: by a factor of 2/3 in width, the defaults of both specs have about as many."""
        counts = [
            sum(weight.size for weight in diglot.spec(name).weights() if "feed_forward" in weight.name)
            for name in ("efficient_transformer", "transformer_lm")
        ]
        self.assertLess(abs(counts[0] / counts[1] - 1), 1e-3)


class Additive(unittest.TestCase):
    @parameterized.expand([(side, bias, masked) for side in SIDES for bias, masked in ((0, 1), (1, 0))])
    def test_the_formula(self, side: str, bias: int, masked: int) -> None:
        fields = {"query_size": 4, "value_size": 6, "units": 5, "num_queries": 3, "num_keys": 7}
        spec = diglot.spec("additive_attention", bias=bool(bias), masked=bool(masked), **fields)
        model, state = made(spec, side)
        batch = spec.drawn(generator(4, "additive"), 3)
        found = backend.load(side).forward(model, batch).outputs
        wanted = additive(state, batch["query"], batch["values"], batch.get("attention_mask"))
        for name in wanted:
            self.assertEqual(agreement(found[name], wanted[name]).verdict, Verdict.EQUAL)
        sums = found["weights"].sum(axis=-1)
        self.assertTrue(np.all(sums[:1] == 0) if masked else np.allclose(sums[:1], 1))
        self.assertTrue(np.allclose(sums[1:], 1))


if __name__ == "__main__":
    unittest.main()
