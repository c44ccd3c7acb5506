"""PyTorch's own decoder, and transformers' LLaMA, with our weights, give what both of our siblings give."""

from __future__ import annotations

import unittest
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from diglot.core import floor
from diglot.core.spec import Spec
from diglot.core.state import State
from diglot.core.technique import Arrays
from diglot.core.verdict import Verdict
from parameterized import parameterized
from torch.overrides import TorchFunctionMode

import diglot

from . import oracle  # noqa: F401  transformers can be imported after it
from .agreement import agreement
from .test_oracle_attention import SIDES, given, load, normalised, ours, packed

PAD = 0
DENSE = {"expand": "linear1", "contract": "linear2"}
ATTENTIONS = {"attention": "self_attn", "cross_attention": "multihead_attn"}
LLAMA = {
    "vocab_size": 17, "d_model": 16, "num_heads": 4, "num_key_value_heads": 2, "num_layers": 2, "d_ff": 24,
    "positions": "rotary", "norm": "pre", "norm_type": "rms", "feed_forward": "swiglu", "bias": False, "head": "none",
    "scale_embedding": False, "causal": True, "pad_token_id": None, "dropout_rate": 0.0, "max_len": 12,
}  # fmt: skip
PARTS = {
    "attention.query.kernel": "self_attn.q_proj",
    "attention.key.kernel": "self_attn.k_proj",
    "attention.value.kernel": "self_attn.v_proj",
    "attention.projection.kernel": "self_attn.o_proj",
    "feed_forward.gate.kernel": "mlp.gate_proj",
    "feed_forward.expand.kernel": "mlp.up_proj",
    "feed_forward.contract.kernel": "mlp.down_proj",
    "norm1.scale": "input_layernorm",
    "norm2.scale": "post_attention_layernorm",
}


class Oracle(unittest.TestCase):
    def same(self, theirs: np.ndarray, found: dict[str, Arrays], name: str, precision: str = floor.NARROW) -> None:
        for side in SIDES:
            compared = agreement(theirs, found[side][name], precision)
            self.assertIs(compared.verdict, Verdict.EQUAL, (side, compared))

    def differs(self, theirs: np.ndarray, found: dict[str, Arrays], name: str) -> None:
        self.assertTrue(np.isfinite(theirs).all())
        for side in SIDES:
            self.assertIs(agreement(theirs, found[side][name]).verdict, Verdict.DIFFERENT, side)


def swapped(state: State, part: str, one: str = "key", other: str = "value") -> State:
    """The weights with two layers of a part the wrong way round."""
    pairs = {f"{part}.{one}.": f"{part}.{other}.", f"{part}.{other}.": f"{part}.{one}."}
    return {name: state[renamed(name, pairs)] for name in state}


def renamed(name: str, pairs: dict[str, str]) -> str:
    return next((name.replace(one, other) for one, other in pairs.items() if one in name), name)


def small(norm: str, **changed: Any) -> Spec:
    return diglot.spec("transformer_small", norm=norm, pad_token_id=PAD, **changed).rounded()


def torch_decoder(spec: Spec, state: State) -> torch.nn.TransformerDecoder:
    """PyTorch's decoder with our weights."""
    layer = torch.nn.TransformerDecoderLayer(
        spec.d_model, spec.num_heads, spec.d_ff, 0.0, spec.activation, spec.norm_epsilon, batch_first=True,
        norm_first=spec.norm == "pre", dtype=torch.float64,
    )  # fmt: skip
    last = torch.nn.LayerNorm(spec.d_model, spec.norm_epsilon, dtype=torch.float64) if spec.norm == "pre" else None
    decoder = torch.nn.TransformerDecoder(layer, spec.num_decoder_layers, last)
    arrays = normalised(state, "decoder.norm", "norm") if last else {}
    for index in range(spec.num_decoder_layers):
        own, other = f"decoder.blocks.{index}.", f"layers.{index}."
        for name, theirs in ATTENTIONS.items():
            attention = packed(state, name=f"{own}{name}.")
            arrays |= {f"{other}{theirs}.{part}": array for part, array in attention.items()}
        for name, theirs in DENSE.items():
            arrays[f"{other}{theirs}.weight"] = state[f"{own}feed_forward.{name}.kernel"].T
            arrays[f"{other}{theirs}.bias"] = state[f"{own}feed_forward.{name}.bias"]
        for number in (1, 2, 3):
            arrays |= normalised(state, f"{own}norm{number}", f"{other}norm{number}")
    load(decoder, arrays)
    return decoder.eval()


@torch.no_grad()
def decoded(spec: Spec, state: State, inputs: Arrays, copied: State, without: str = "") -> np.ndarray:
    """Logits of PyTorch's decoder with the `copied` weights, between our encoder and embedding and our head."""
    network = diglot.build(spec, "torch", "float64")
    diglot.set_state(network, state)
    network.eval()
    source, target = [torch.tensor(inputs[name]) for name in ("source", "target")]
    time = target.shape[1]
    masks = {  # True: leave out
        "tgt_mask": torch.ones(time, time, dtype=torch.bool).triu(1),
        "tgt_key_padding_mask": target == PAD,
        "memory_key_padding_mask": source == PAD,
    }
    masks.pop(without, None)
    hidden = torch_decoder(spec, copied)(network.decoder.embed(target), network.encoder(source), **masks)
    return hidden.numpy() @ state["decoder.head.kernel"] + state["decoder.head.bias"]


class OfPyTorch(Oracle):
    @parameterized.expand([("post", "relu"), ("pre", "gelu")])
    def test_decoder(self, norm: str, activation: str) -> None:
        spec = small(norm, activation=activation)
        state, inputs = given(spec)
        for name in ("source", "target"):
            self.assertTrue((inputs[name] == PAD).any())
        self.same(decoded(spec, state, inputs, state), ours(spec, state, inputs), "logits")

    @parameterized.expand(["post", "pre"])
    def test_what_must_differ(self, norm: str) -> None:
        spec = small(norm)
        state, inputs = given(spec)
        found = ours(spec, state, inputs)
        for attention in ATTENTIONS:
            wrong = swapped(state, f".{attention}")
            self.differs(decoded(spec, state, inputs, wrong), found, "logits")
        for mask in ("tgt_mask", "tgt_key_padding_mask", "memory_key_padding_mask"):
            self.differs(decoded(spec, state, inputs, state, without=mask), found, "logits")


class InFloat64(TorchFunctionMode):
    """Runs code in which float32 is written out as if it said float64."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.float:
            return args[0].double()
        wide = [torch.float64 if value is torch.float32 else value for value in args]
        named = {name: torch.float64 if value is torch.float32 else value for name, value in (kwargs or {}).items()}
        return func(*wide, **named)


@torch.no_grad()
def llama(spec: Spec, state: State, inputs: Arrays, dtype: torch.dtype, casts: bool) -> np.ndarray:
    """The last hidden states of transformers' model with our weights, with its own casts to float32 or without."""
    from transformers import LlamaConfig, LlamaModel

    config = LlamaConfig(
        vocab_size=spec.vocab_size, hidden_size=spec.d_model, intermediate_size=spec.d_ff,
        num_hidden_layers=spec.num_layers, num_attention_heads=spec.num_heads,
        num_key_value_heads=spec.num_key_value_heads, max_position_embeddings=spec.max_len,
        rms_norm_eps=spec.norm_epsilon, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        attn_implementation="eager", pad_token_id=None, use_cache=False,
    )  # fmt: skip
    arrays = {"embed_tokens.weight": state["token_embedding.table"], "norm.weight": state["norm.scale"]}
    for index in range(spec.num_layers):
        for name, other in PARTS.items():
            arrays[f"layers.{index}.{other}.weight"] = state[f"blocks.{index}.{name}"].T
    with nullcontext() if casts else InFloat64():
        model = LlamaModel(config).to(dtype)
        load(model, arrays)
        return model.eval()(torch.tensor(inputs["tokens"])).last_hidden_state.numpy()


class OfTransformers(Oracle):
    """LLaMA in transformers computes in float32 whatever its own type is.

    It writes float32 out for the angles and their cosines, the root mean squares and the softmax. In float64 it
    therefore runs with these casts widened, and all else as it stands: its own formulas are what is compared. As it
    stands, it is compared in float32.
    """

    def setUp(self) -> None:
        self.spec = diglot.spec("transformer_lm", **LLAMA).rounded()
        self.state, self.inputs = given(self.spec)

    def test_llama(self) -> None:
        theirs = llama(self.spec, self.state, self.inputs, torch.float64, casts=False)
        self.same(theirs, ours(self.spec, self.state, self.inputs), "last_hidden_state")

    def test_llama_as_it_is_in_float32_alone(self) -> None:
        theirs = llama(self.spec, self.state, self.inputs, torch.float64, casts=True)
        self.differs(theirs, ours(self.spec, self.state, self.inputs), "last_hidden_state")
        single = llama(self.spec, self.state, self.inputs, torch.float32, casts=True)
        found = ours(self.spec, self.state, self.inputs, "float32")
        self.same(single, found, "last_hidden_state", floor.WIDE)

    def test_what_must_differ(self) -> None:
        found = ours(self.spec, self.state, self.inputs)
        gates = swapped(self.state, ".feed_forward", "gate", "expand")
        for wrong in (swapped(self.state, ".attention"), gates):
            theirs = llama(self.spec, wrong, self.inputs, torch.float64, casts=False)
            self.differs(theirs, found, "last_hidden_state")
