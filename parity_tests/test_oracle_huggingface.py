"""BERT, DistilBERT, MiniLM and GPT-2 against Hugging Face's own, in float64: hidden states, and what is generated."""

from __future__ import annotations

import dataclasses
import re
import unittest
from typing import Any
from unittest import mock

import torch
from diglot.core import compare, floor, foreign
from diglot.core.compare import worst
from diglot.core.noise import generator
from diglot.core.spec import Spec
from diglot.core.technique import Arrays
from diglot.core.verdict import Verdict
from parameterized import parameterized

import diglot

from . import oracle
from .huggingface import made

TINY = {"vocab_size": 13, "d_model": 12, "num_heads": 3, "num_layers": 2, "d_ff": 20, "max_len": 9}
GPT = {**TINY, "hidden_states": True}
PADDED = {"pad_token_id": 0}
VARIED = 4  # of the first seeds, the one by which every row goes on differently
FUSED = ("bert", "distilbert", "gpt2", "gpt2_with_padding")
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("bert", "bert_base", TINY),
    ("bert_of_one_block", "bert_base", {**TINY, "num_layers": 1, "activation": "gelu_tanh", "norm_epsilon": 1e-5}),
    ("bert_without_a_pooler", "bert_base", {**TINY, "head": "none", "activation": "relu", "pad_token_id": None}),
    ("bert_of_other_types", "bert_base", {**TINY, "num_token_types": 3, "pad_token_id": 2}),
    ("minilm", "minilm_l6", TINY),
    ("mean", "minilm_l6", {**TINY, "head": "mean"}),
    ("distilbert", "distilbert_base", TINY),
    ("distilbert_for_sentences", "distilbert_base", {**TINY, "head": "unit_mean", "activation": "relu"}),
    ("gpt2", "gpt2", GPT),
    ("gpt2_with_padding", "gpt2", {**GPT, **PADDED, "activation": "gelu", "norm_epsilon": 1e-6}),
    ("gpt2_with_a_kernel_of_its_own", "gpt2", {**GPT, "tied_head": False}),
    ("gpt2_without_a_head", "gpt2", {**GPT, "tied_head": False, "head": "none"}),
]


def inputs_of(spec: Spec, time: int, seed: int = 0) -> Arrays:
    """Four sequences of which all but the first end in padding, if there is any."""
    drawn = spec.replace(max_len=time).drawn(generator(seed, "huggingface"), 4)
    padding = spec.fields()["pad_token_id"]
    if padding is not None:
        tokens = drawn["tokens"]
        tokens[tokens == padding] = (padding + 1) % spec.fields()["vocab_size"]
        for row in range(1, 4):
            tokens[row, -row:] = padding
    return {tensor.name: drawn[tensor.name] for tensor in spec.inputs()}


def forward(model: Any, spec: Any, inputs: Arrays) -> Arrays:
    """Their outputs by our names; the vector of a sentence by its formula, as no model of theirs computes it."""
    real = torch.ones_like(torch.from_numpy(inputs["tokens"]))
    if spec.pad_token_id is not None:
        real = torch.from_numpy(inputs["tokens"] != spec.pad_token_id).long()
    options = {"token_type_ids": torch.from_numpy(inputs["token_types"])} if spec.num_token_types else {}
    with torch.no_grad():
        found = model(torch.from_numpy(inputs["tokens"]), attention_mask=real, output_hidden_states=True, **options)
    outputs = {f"hidden_states.{index}": each.numpy() for index, each in enumerate(found.hidden_states)}
    if spec.head == "logits":
        return {"logits": found.logits.numpy(), **outputs}
    outputs["last_hidden_state"] = found.last_hidden_state.numpy()
    if spec.head == "pooler":
        outputs["pooled"] = found.pooler_output.numpy()
    elif spec.head != "none":
        weights = real[:, :, None].double()
        mean = (found.last_hidden_state * weights).sum(1) / weights.sum(1)
        length = mean.norm(dim=1, keepdim=True) if spec.head == "unit_mean" else 1.0
        outputs["pooled"] = (mean / length).numpy()
    return outputs


class Oracle(unittest.TestCase):
    def same(self, spec: Spec, model: Any, time: int) -> None:
        found = oracle.agreement(spec, model, "huggingface", 0, forward, inputs_of(spec, time))
        for side, items in found.items():
            self.assertEqual({item.name for item in items}, {tensor.name for tensor in spec.outputs()})
            item = worst(items)
            self.assertIs(item.verdict, Verdict.EQUAL, f"{side}: {item}")

    @parameterized.expand(CASES)
    def test_every_output(self, name: str, preset: str, fields: dict[str, Any]) -> None:
        spec = diglot.spec(preset, **fields)
        self.same(spec, made(spec), 7)

    @parameterized.expand([case for case in CASES if case[0] in FUSED])
    def test_their_fused_attention(self, name: str, preset: str, fields: dict[str, Any]) -> None:
        spec = diglot.spec(preset, **fields)
        self.same(spec, made(spec, "sdpa"), 7)

    def test_the_whole_of_gpt2(self) -> None:
        """124 million parameters, one short sequence, and the floor of one side alone: more would need 9 GiB."""
        spec = diglot.spec("gpt2", hidden_states=True).rounded()
        model, inputs = oracle.randomise(made(spec)), inputs_of(spec, 6)
        base, state = forward(model, spec, inputs), diglot.load_pretrained(spec, model, source="huggingface")
        del model
        least: dict[str, float] = {}
        for side in ("torch", "keras"):
            network = diglot.build(spec, side, "float64")
            found = oracle.run(side, network, state, inputs, base)
            if not least:
                least = floor.movement(found, oracle.run(side, network, floor.moved(state, 1), inputs, base))
            del network
            item = worst(compare.every(base, found, least, sides=("huggingface", side)))
            self.assertIs(item.verdict, Verdict.EQUAL, f"{side}: {item}")

    @parameterized.expand([("gpt2", "key", "value", GPT), ("distilbert_base", "norm1", "norm2", TINY)])
    def test_a_wrong_table_is_seen(self, preset: str, one: str, other: str, fields: dict[str, Any]) -> None:
        """Every shape fits, and only the numbers tell."""
        spec = diglot.spec(preset, **fields)
        table = foreign.table(spec, "huggingface")
        swap = {one: other, other: one}
        rules = tuple((re.sub(rf"{one}|{other}", lambda found: swap[found[0]], ours), *rest)
                      for ours, *rest in table.rules)  # fmt: skip
        with mock.patch.dict(spec.SOURCES, {"huggingface": dataclasses.replace(table, rules=rules)}):
            found = oracle.agreement(spec, made(spec), "huggingface", 0, forward, inputs_of(spec, 7))
        self.assertEqual({side: worst(items).verdict for side, items in found.items()},
                         dict.fromkeys(found, Verdict.DIFFERENT))  # fmt: skip

    @parameterized.expand([(name, preset, fields) for name, preset, fields in CASES if fields.get("num_layers") != 1])
    def test_the_way_back(self, name: str, preset: str, fields: dict[str, Any]) -> None:
        spec = diglot.spec(preset, **fields)
        found = oracle.returned(spec, made(spec), made(spec).double(), "huggingface")
        ours = foreign.shapes_of(foreign.places(spec, foreign.table(spec, "huggingface")))
        kept = [item for item in found if item.verdict is Verdict.EQUAL]
        self.assertGreaterEqual(len(kept), len(ours))
        left = 2 if spec.head != "pooler" and spec.num_token_types else 0  # the kernel and bias of BERT's own pooler
        self.assertEqual(len(found) - len(kept), left)


class Generation(unittest.TestCase):
    """The same tokens as GPT-2's own `generate`, from both sides."""

    SPEC = diglot.spec("gpt2", **{**TINY, "vocab_size": 17, "max_len": 24}).rounded()
    PROMPTS = generator(1, "prompts").integers(17, size=(5, 4))

    @parameterized.expand(
        [("greedy", 1, None), ("greedy_to_an_end", 1, 3), ("beams", 3, None), ("beams_to_an_end", 3, 3)]
    )
    def test_the_same_tokens(self, name: str, num_beams: int, end: int | None) -> None:
        """Without a penalty of length, which is another formula there."""
        model = oracle.randomise(made(self.SPEC), VARIED)
        prompts = torch.from_numpy(self.PROMPTS)
        options = {"max_new_tokens": 16, "do_sample": False, "eos_token_id": end, "pad_token_id": end or 0}
        options |= {"num_beams": num_beams, "length_penalty": 0.0} if num_beams > 1 else {}
        expected = model.generate(prompts, attention_mask=prompts >= 0, **options).numpy()
        self.assertGreaterEqual(len({tuple(row[4:]) for row in expected.tolist()}), 2)
        state = diglot.load_pretrained(self.SPEC, model, source="huggingface")
        ours: dict[str, Any] = {"max_new_tokens": 16, "end_token_id": end}
        ours |= {"strategy": "beam", "num_beams": num_beams, "length_penalty": 0.0} if num_beams > 1 else {}
        for side in ("torch", "keras"):
            network = diglot.build(self.SPEC, side, "float64")
            diglot.set_state(network, state)
            self.assertEqual(diglot.generate(network, self.PROMPTS, **ours).tolist(), expected.tolist(), side)
