"""Files as Hugging Face's libraries write them, read and written: whole, in shards, with a configuration."""

from __future__ import annotations

import json
import os
from typing import Any

import torch
from parameterized import parameterized
from safetensors.torch import save_file

import diglot

from .files import same
from .huggingface import PLAIN, SPECS, STATES, Files, configured, live, made

INDEX = "model.safetensors.index.json"
CLASSES = [
    ("BertModel", "bert"),
    ("BertForPreTraining", "bert"),
    ("BertForMaskedLM", "bert_alone"),
    ("BertForSequenceClassification", "bert"),
    ("BertForQuestionAnswering", "bert_alone"),
    ("BertModel", "minilm"),
    ("DistilBertModel", "distilbert"),
    ("DistilBertForMaskedLM", "distilbert"),
    ("DistilBertForSequenceClassification", "distilbert"),
    ("GPT2Model", "gpt2_alone"),
    ("GPT2LMHeadModel", "gpt2"),
    ("GPT2LMHeadModel", "gpt2_untied"),
    ("GPT2LMHeadModel", "gpt2_alone"),
    ("GPT2ForSequenceClassification", "gpt2_alone"),
]


class Good(Files):
    @parameterized.expand(CLASSES)
    def test_what_save_pretrained_writes(self, kind: str, name: str) -> None:
        self.saved(name, kind)
        for origin in (self.folder, str(self.folder), self.folder / "model.safetensors"):
            self.assertTrue(same(self.read(name, origin), STATES[name]))

    @parameterized.expand([("bert", "BertForPreTraining"), ("gpt2", "GPT2LMHeadModel"), ("distilbert", "")])
    def test_shards(self, name: str, kind: str) -> None:
        self.saved(name, kind, "2KB")
        self.assertGreater(len(list(self.folder.glob("model-*-of-*.safetensors"))), 1)
        for origin in (self.folder, self.folder / INDEX):
            self.assertTrue(same(self.read(name, origin), STATES[name]))

    @parameterized.expand([("zip", True), ("legacy", False)])
    def test_older_files(self, case: str, is_zip: bool) -> None:
        """pytorch_model.bin, whole and in shards, with the names and buffers of the first years."""
        tensors = live("BertForPreTraining", "bert").state_dict()
        old = {key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
               for key, value in tensors.items()}  # fmt: skip
        old["bert.embeddings.position_ids"] = torch.arange(6)[None]
        options = {"_use_new_zipfile_serialization": is_zip}
        torch.save(old, self.folder / "pytorch_model.bin", **options)
        self.assertTrue(same(self.read("bert"), STATES["bert"]))
        os.remove(self.folder / "pytorch_model.bin")
        files = {key: f"pytorch_model-0000{1 + index % 2}-of-00002.bin" for index, key in enumerate(old)}
        for file in set(files.values()):
            torch.save({key: old[key] for key in old if files[key] == file}, self.folder / file, **options)
        (self.folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": files}))
        self.assertTrue(same(self.read("bert"), STATES["bert"]))

    def test_the_buffers_of_older_decoders(self) -> None:
        tensors = {
            key.removeprefix("transformer."): value.clone()
            for key, value in live("GPT2Model", "gpt2_alone").state_dict().items()
        }
        for block in range(2):
            tensors[f"h.{block}.attn.bias"] = torch.ones(1, 1, 6, 6).tril()
            tensors[f"h.{block}.attn.masked_bias"] = torch.tensor(-1e4)
        save_file(tensors, self.folder / "model.safetensors")
        self.assertTrue(same(self.read("gpt2_alone"), STATES["gpt2_alone"]))

    def test_a_name_of_sentence_transformers(self) -> None:
        tensors = {f"0.auto_model.{key}": value for key, value in live("BertModel", "minilm").state_dict().items()}
        self.assertTrue(same(self.read("minilm", tensors), STATES["minilm"]))

    @parameterized.expand(CLASSES)
    def test_the_spec_is_in_the_configuration(self, kind: str, name: str) -> None:
        """The weights beside it say whether there is a pooler, or a kernel of the head's own."""
        own = {("BertModel", "minilm"): "bert", ("GPT2LMHeadModel", "gpt2_alone"): "gpt2_untied"}
        expected = SPECS[own.get((kind, name), name)]
        self.assertEqual(diglot.pretrained_spec(live(kind, name), source="huggingface"), expected)
        found = diglot.pretrained_spec(self.saved(name, kind), source="huggingface", dropout_rate=0.25)
        self.assertEqual(found, expected.replace(dropout_rate=0.25))

    def test_a_configuration_of_the_first_years(self) -> None:
        """It says no more than sizes, and not even which model it is of."""
        self.saved("bert")
        kept = ("hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size", "vocab_size",
                "max_position_embeddings", "type_vocab_size", "hidden_act")  # fmt: skip
        held = json.loads((self.folder / "config.json").read_text())
        (self.folder / "config.json").write_text(json.dumps({key: held[key] for key in kept}))
        self.assertEqual(diglot.pretrained_spec(self.folder, source="huggingface"), SPECS["bert"])
        self.assertTrue(same(self.read("bert"), STATES["bert"]))

    def test_a_width_that_is_not_said(self) -> None:
        self.saved("gpt2_alone")
        spec = diglot.spec("gpt2", **{**PLAIN, "d_ff": 32})
        model = made(spec)
        model.save_pretrained(self.folder)
        self.rewritten("config.json", n_inner=None)
        self.assertEqual(diglot.pretrained_spec(self.folder, source="huggingface"), spec)

    @parameterized.expand([("unit_mean", True, {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}),
                           ("mean", False, {"pooling_mode": "mean"})])  # fmt: skip
    def test_a_folder_of_sentence_transformers(self, head: str, normalised: bool, pooling: dict[str, Any]) -> None:
        self.sentences("bert", "Normalize" if normalised else "", **pooling)
        spec = SPECS["minilm"].replace(head=head)
        self.assertEqual(diglot.pretrained_spec(self.folder, source="huggingface"), spec)
        read = diglot.load_pretrained(spec, self.folder, source="huggingface")
        self.assertTrue(same(read, STATES["minilm"] if head == "unit_mean" else diglot.initial_state(spec, 1)))
        other = spec.replace(head="mean" if head == "unit_mean" else "unit_mean")
        text = self.sentence(diglot.load_pretrained, other, self.folder, source="huggingface")
        self.assertIn(f"sentence_head '{head}', where this transformer_lm has head '{other.head}'; give head=", text)
        self.assertTrue(same(self.read("bert"), STATES["bert"]))


class Written(Files):
    @parameterized.expand([(name, suffix) for name in SPECS for suffix in ("safetensors", "bin")])
    def test_their_models_take_what_is_written(self, name: str, suffix: str) -> None:
        path = self.folder / ("model.safetensors" if suffix == "safetensors" else "pytorch_model.bin")
        diglot.export_pretrained(SPECS[name], STATES[name], path, source="huggingface")
        self.assertTrue(same(self.read(name, path), STATES[name]))
        configured(SPECS[name]).save_pretrained(self.folder)
        self.assertTrue(same(self.read(name), STATES[name]))
        model, said = type(made(SPECS[name])).from_pretrained(self.folder, output_loading_info=True)
        self.assertTrue(same(self.read(name, model), STATES[name]))
        pooled = {"pooler.dense.weight", "pooler.dense.bias"} if name in ("bert_alone", "minilm") else set()
        self.assertEqual((set(said["missing_keys"]), set(said["unexpected_keys"])), (pooled, set()))

    def test_a_tied_model_is_written_in_both_places(self) -> None:
        """One whose head has a kernel of its own gets the embedding there."""
        model = made(SPECS["gpt2_untied"])
        diglot.export_pretrained(SPECS["gpt2"], STATES["gpt2"], model, source="huggingface")
        self.assertTrue(torch.equal(model.lm_head.weight, model.transformer.wte.weight))
        self.assertTrue(same(self.read("gpt2", model), STATES["gpt2"]))

    @parameterized.expand([(name,) for name in SPECS])
    def test_convert(self, name: str) -> None:
        """With the configuration beside it, a checkpoint needs no spec."""
        source = "BertForMaskedLM" if name == "bert_alone" else "GPT2Model" if name == "gpt2_alone" else ""
        self.saved(name, source)
        canonical = self.folder / "ours.safetensors"
        found = diglot.convert(self.folder, canonical, SPECS[name] if name == "minilm" else None, "huggingface")
        self.assertEqual(found, SPECS[name])
        self.assertTrue(same(diglot.load(canonical)[1], STATES[name]))
        diglot.convert(canonical, self.folder / "back.safetensors", source="huggingface")
        self.assertTrue(same(self.read(name, self.folder / "back.safetensors"), STATES[name]))
