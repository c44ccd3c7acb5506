"""The frameworks' own attention and encoder, with our weights, give what both of our siblings give."""

from __future__ import annotations

import math
import unittest

import keras
import numpy as np
import torch
from diglot.core import backend, floor
from diglot.core.noise import generator
from diglot.core.spec import Spec
from diglot.core.state import State, random_state
from diglot.core.technique import Arrays
from diglot.core.verdict import Verdict
from parameterized import parameterized

import diglot

from .agreement import agreement
from .oracle import made

SIDES = ("torch", "keras")
QUERIES, KEYS = 5, 6
WIDE = {"d_model": 8, "num_heads": 2, "need_weights": True}
ATTENTIONS = {
    "of one width": {**WIDE},
    "of three widths": {**WIDE, "key_channels": 3, "value_channels": 7},
    "under a boolean mask": {**WIDE, "mask": "boolean"},
    "under a mask of numbers": {**WIDE, "mask": "additive", "key_channels": 5},
    "without biases": {**WIDE, "bias": False, "mask": "boolean"},
}
SIZES = {
    "of sizes of its own": {**WIDE, "key_size": 5, "value_size": 3, "mask": "boolean"},
    "of sizes of its own without biases": {**WIDE, "key_size": 7, "value_size": 2, "value_channels": 4, "bias": False},
}
ENCODERS = [
    ("post", "relu", "both"), ("post", "gelu", "padding"), ("pre", "relu", "causal"), ("pre", "gelu", "padding"),
    ("pre", "gelu", "none"),
]  # fmt: skip


def given(spec: Spec, seed: int = 0) -> tuple[State, Arrays]:
    """A state, and inputs in which no row of a mask leaves out everything: of that, PyTorch's layer makes NaN."""
    arrays = spec.example(generator(seed, "oracle"))
    inputs = {tensor.name: arrays[tensor.name] for tensor in spec.inputs()}
    if "attention_mask" in inputs and inputs["attention_mask"].dtype.kind == "i":
        inputs["attention_mask"][..., 0] = 1
    return random_state(spec, seed), inputs


def ours(spec: Spec, state: State, inputs: Arrays, dtype: str = "float64") -> dict[str, Arrays]:
    """The outputs of both siblings."""
    found = {}
    for side in SIDES:
        model = diglot.build(spec, side, dtype)
        diglot.set_state(model, {name: array.astype(dtype) for name, array in state.items()})
        cast = {name: array.astype(dtype) if array.dtype.kind == "f" else array for name, array in inputs.items()}
        found[side] = backend.load(side).forward(model, cast).outputs
    return found


def torch_attention(spec: Spec, state: State) -> torch.nn.MultiheadAttention:
    """PyTorch's layer with our weights."""
    widths = {"kdim": spec.key_channels, "vdim": spec.value_channels}
    layer = torch.nn.MultiheadAttention(
        spec.d_model, spec.num_heads, bias=spec.bias, batch_first=True, dtype=torch.float64, **widths
    )
    load(layer, packed(state, layer._qkv_same_embed_dim))
    return layer.eval()


def packed(state: State, one_width: bool = True, name: str = "") -> State:
    """An attention's weights under PyTorch's names."""
    projections = [state[f"{name}{part}.kernel"].T for part in ("query", "key", "value")]
    result = {"out_proj.weight": state[f"{name}projection.kernel"].T}
    if one_width:
        result["in_proj_weight"] = np.concatenate(projections)
    else:
        names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        result |= dict(zip(names, projections, strict=True))
    if f"{name}query.bias" in state:
        result["in_proj_bias"] = np.concatenate([state[f"{name}{part}.bias"] for part in ("query", "key", "value")])
        result["out_proj.bias"] = state[f"{name}projection.bias"]
    return result


def load(layer: torch.nn.Module, arrays: State) -> None:
    layer.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})


def keras_attention(spec: Spec, state: State, dtype: str) -> keras.layers.MultiHeadAttention:
    """Keras's layer with our weights, whose kernels it keeps as (channels, heads, size)."""
    key_size, value_size = spec.sizes
    layer = keras.layers.MultiHeadAttention(
        spec.num_heads, key_size, value_size, use_bias=spec.bias, output_shape=spec.d_model, dtype=dtype
    )
    layer.build(*[(None, None, spec.widths[name][0]) for name in ("query", "value", "key")])
    sizes = {"query": key_size, "key": key_size, "value": value_size}
    for name, size in sizes.items():
        dense = getattr(layer, f"_{name}_dense")
        dense.kernel.assign(state[f"{name}.kernel"].reshape(-1, spec.num_heads, size))
        if spec.bias:
            dense.bias.assign(state[f"{name}.bias"].reshape(spec.num_heads, size))
    layer._output_dense.kernel.assign(state["projection.kernel"].reshape(spec.num_heads, value_size, -1))
    if spec.bias:
        layer._output_dense.bias.assign(state["projection.bias"])
    return layer


def keras_outputs(layer: keras.layers.MultiHeadAttention, inputs: Arrays, dtype: str) -> Arrays:
    """Keras's forward pass, whose arguments are (query, value, key)."""
    mask = inputs.get("attention_mask")
    arrays = [inputs[name].astype(dtype) for name in ("query", "value", "key")]
    kept = None if mask is None else mask.astype(bool)
    found = layer(*arrays, attention_mask=kept, return_attention_scores=True, training=False)
    return {name: np.asarray(tensor) for name, tensor in zip(("attended", "weights"), found, strict=True)}


class Oracle(unittest.TestCase):
    def same(self, theirs: Arrays, found: dict[str, Arrays], precision: str = floor.NARROW) -> None:
        for side in SIDES:
            for name, array in theirs.items():
                compared = agreement(array, found[side][name], precision)
                self.assertIs(compared.verdict, Verdict.EQUAL, (side, name, compared))

    def differs(self, theirs: Arrays, found: dict[str, Arrays]) -> None:
        for side in SIDES:
            self.assertIsNot(agreement(theirs["attended"], found[side]["attended"]).verdict, Verdict.EQUAL)


class OfPyTorch(Oracle):
    @parameterized.expand(ATTENTIONS)
    def test_attention(self, name: str) -> None:
        spec = diglot.spec("multi_head_attention", **ATTENTIONS[name])
        state, inputs = given(spec)
        mask = torch.tensor(inputs["attention_mask"]).flatten(0, 1) if "attention_mask" in inputs else None
        left_out = mask == 0 if spec.mask == "boolean" else mask  # True: leave out
        arrays = [torch.tensor(inputs[part]) for part in ("query", "key", "value")]
        found = torch_attention(spec, state)(*arrays, attn_mask=left_out, average_attn_weights=False)
        theirs = {name: tensor.detach().numpy() for name, tensor in zip(("attended", "weights"), found, strict=True)}
        self.same(theirs, ours(spec, state, inputs))

    def test_the_mask_of_keys(self) -> None:
        spec = diglot.spec("multi_head_attention", **ATTENTIONS["under a boolean mask"])
        state, inputs = given(spec)
        kept = inputs["attention_mask"][:, :1, :1]
        inputs["attention_mask"] = np.broadcast_to(kept, inputs["attention_mask"].shape)
        arrays = [torch.tensor(inputs[part]) for part in ("query", "key", "value")]
        for left_out, judged in ((kept == 0, self.same), (kept == 1, self.differs)):
            padding = torch.tensor(left_out[:, 0, 0])
            found, _ = torch_attention(spec, state)(*arrays, key_padding_mask=padding, need_weights=False)
            judged({"attended": found.detach().numpy()}, ours(spec, state, inputs))

    @parameterized.expand(ENCODERS)
    def test_encoder(self, norm: str, activation: str, masks: str) -> None:
        causal, pads = masks in ("causal", "both"), masks in ("padding", "both")
        spec = diglot.spec(
            "transformer_lm_small", norm=norm, activation=activation, head="none", hidden_states=True, max_len=8,
            causal=causal, pad_token_id=10 if pads else None,
        ).rounded()  # fmt: skip
        state, inputs = given(spec)
        if pads:  # nothing on the left: of a row that is masked everywhere, PyTorch's layer makes NaN
            inputs["tokens"] = np.sort(inputs["tokens"], axis=1)
        found = ours(spec, state, inputs)
        encoder = torch_encoder(spec, state)
        embedded = torch.tensor(found["torch"]["hidden_states.0"])
        time = embedded.shape[1]
        left_out = torch.ones(time, time, dtype=torch.bool).triu(1) if causal else None
        padding = torch.tensor(inputs["tokens"] == 10) if pads else None
        result = encoder(embedded, mask=left_out, src_key_padding_mask=padding)
        self.same({"last_hidden_state": result.detach().numpy()}, found)


def torch_encoder(spec: Spec, state: State) -> torch.nn.TransformerEncoder:
    """PyTorch's encoder with our weights."""
    layer = torch.nn.TransformerEncoderLayer(
        spec.d_model, spec.num_heads, spec.d_ff, 0.0, spec.activation, spec.norm_epsilon, batch_first=True,
        norm_first=spec.norm == "pre", dtype=torch.float64,
    )  # fmt: skip
    last = torch.nn.LayerNorm(spec.d_model, spec.norm_epsilon, dtype=torch.float64) if spec.norm == "pre" else None
    encoder = torch.nn.TransformerEncoder(layer, spec.num_layers, last, enable_nested_tensor=False)
    dense = {"feed_forward.expand": "linear1", "feed_forward.contract": "linear2"}
    arrays = {}
    for index in range(spec.num_layers):
        ours, theirs = f"blocks.{index}.", f"layers.{index}."
        attention = packed(state, name=f"{ours}attention.")
        arrays |= {f"{theirs}self_attn.{name}": array for name, array in attention.items()}
        for name, other in dense.items():
            arrays[f"{theirs}{other}.weight"] = state[f"{ours}{name}.kernel"].T
            arrays[f"{theirs}{other}.bias"] = state[f"{ours}{name}.bias"]
        for number in (1, 2):
            arrays |= normalised(state, f"{ours}norm{number}", f"{theirs}norm{number}")
    load(encoder, {**arrays, **(normalised(state, "norm", "norm") if last else {})})
    return encoder.eval()


def normalised(state: State, name: str, other: str) -> State:
    return {f"{other}.weight": state[f"{name}.gamma"], f"{other}.bias": state[f"{name}.beta"]}


class OfKeras(Oracle):
    """Keras's layer multiplies by a scale that it keeps as a Python float, which TensorFlow takes for a float32.

    Where a head has a power of four as its size, the scale is exact in float32. For other sizes the layer is given its
    scale as a float64, which is all that differs.
    """

    @parameterized.expand([name for name in (*ATTENTIONS, *SIZES) if "numbers" not in name])
    def test_attention(self, name: str) -> None:
        spec = diglot.spec("multi_head_attention", **{**ATTENTIONS, **SIZES}[name])
        state, inputs = given(spec)
        layer = made(lambda: keras_attention(spec, state, "float64"))
        layer._inverse_sqrt_key_dim = np.float64(1 / math.sqrt(spec.sizes[0]))
        self.same(made(lambda: keras_outputs(layer, inputs, "float64")), ours(spec, state, inputs))

    def test_as_it_is_where_its_scale_is_exact(self) -> None:
        spec = diglot.spec("multi_head_attention", **ATTENTIONS["of three widths"])
        state, inputs = given(spec)
        layer = made(lambda: keras_attention(spec, state, "float64"))
        self.assertEqual(layer._inverse_sqrt_key_dim, 0.5)
        self.same(made(lambda: keras_outputs(layer, inputs, "float64")), ours(spec, state, inputs))

    @parameterized.expand(SIZES)
    def test_as_it_is_in_float32_alone(self, name: str) -> None:
        spec = diglot.spec("multi_head_attention", **SIZES[name])
        state, inputs = given(spec)
        layer = made(lambda: keras_attention(spec, state, "float64"))
        self.differs(made(lambda: keras_outputs(layer, inputs, "float64")), ours(spec, state, inputs))
        single = keras_attention(spec, state, "float32")
        self.same(keras_outputs(single, inputs, "float32"), ours(spec, state, inputs, "float32"), floor.WIDE)

    def test_its_argument_order(self) -> None:
        spec = diglot.spec("multi_head_attention", **ATTENTIONS["of one width"])
        state, inputs = given(spec)
        layer = made(lambda: keras_attention(spec, state, "float64"))
        swapped = {**inputs, "key": inputs["value"], "value": inputs["key"]}
        self.differs(made(lambda: keras_outputs(layer, swapped, "float64")), ours(spec, state, inputs))
