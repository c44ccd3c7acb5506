"""Checkpoints of Hugging Face's that are not the spec's, and hostile ones: one sentence, and nothing is executed."""

from __future__ import annotations

import json
import os
from typing import Any

import torch
from diglot.core.foreign import places, shapes_of, table
from parameterized import parameterized
from safetensors.torch import load_file, save_file

import diglot

from .files import same
from .huggingface import SPECS, STATES, Files, live, made
from .test_foreign_files import BOMB

INDEX = "model.safetensors.index.json"


class Other(Files):
    """A configuration that is not the spec's: names and shapes would have let it pass."""

    @parameterized.expand(
        [
            ("heads", "bert", {"num_attention_heads": 4}, "4, where this .* num_heads 2; give num_heads=4"),
            ("epsilon", "bert", {"layer_norm_eps": 1e-5}, "1e-05, where .* 1e-12; give norm_epsilon=1e-05"),
            ("activation", "bert", {"hidden_act": "gelu_new"}, "'gelu_new', where .*; give activation='gelu_tanh'"),
            ("unknown", "bert", {"hidden_act": "silu"}, "hidden_act 'silu', which no transformer_lm has$"),
            ("odd", "bert", {"hidden_act": ["gelu"]}, r"hidden_act \['gelu'\], which no transformer_lm has$"),
            ("relative", "bert", {"position_embedding_type": "relative_key"}, "'relative_key', which no "),
            ("decoder", "bert", {"is_decoder": True}, "is_decoder True, where .* causal False; give causal=True"),
            ("padding", "bert", {"pad_token_id": 1}, "pad_token_id 1, where .* 0; give pad_token_id=1"),
            ("roberta", "bert", {"model_type": "roberta"}, "model_type 'roberta', and .* for a BERT, 'bert'"),
            ("two", "bert", {"is_decoder": True, "num_attention_heads": 1}, "; and is_dec.*; give num_heads=1, caus"),
            ("heads", "distilbert", {"n_heads": 1}, "n_heads 1, where this transformer_lm has num_heads 2"),
            ("activation", "distilbert", {"activation": "relu"}, "give activation='relu'"),
            ("heads", "gpt2", {"n_head": 8}, "n_head 8, where this transformer_lm has num_heads 2"),
            ("unscaled", "gpt2", {"scale_attn_weights": False}, "weights False, which no transformer_lm has"),
            ("by layer", "gpt2", {"scale_attn_by_inverse_layer_idx": True}, "inverse_layer_idx True, which no"),
            ("epsilon", "gpt2", {"layer_norm_epsilon": 1e-6}, "give norm_epsilon=1e-06"),
        ]
    )  # fmt: skip
    def test_another_network(self, case: str, name: str, changes: dict[str, Any], said: str) -> None:
        self.saved(name)
        self.rewritten("config.json", **changes)
        self.assertRegex(self.sentence(self.read, name), said)
        self.assertIn("the configuration of the weights in", self.sentence(self.read, name))

    def test_a_live_model_in_both_directions(self) -> None:
        model = made(SPECS["bert"].replace(num_heads=4))
        for call in (
            lambda: self.read("bert", model),
            lambda: diglot.export_pretrained(SPECS["bert"], STATES["bert"], model, source="huggingface"),
        ):
            self.assertIn("of the huggingface model has num_attention_heads 4", self.sentence(call))

    def test_no_padding_is_nobodys_business(self) -> None:
        spec = SPECS["bert"].replace(pad_token_id=None)
        self.assertTrue(same(diglot.load_pretrained(spec, self.saved("bert"), source="huggingface"), STATES["bert"]))

    def test_a_checkpoint_of_another_network(self) -> None:
        path = self.saved("bert")
        for name, said in (("gpt2", "missing: wte.weight"), ("distilbert", "extra: ")):
            text = self.sentence(self.read, name, path)
            self.assertIn(said, text)
            self.assertIn("; diglot.pretrained_spec gives the spec that their configuration says", text)
        spec = SPECS["bert"].replace(vocab_size=20, max_len=5)
        text = self.sentence(diglot.load_pretrained, spec, path, source="huggingface")
        self.assertIn("13 tokens, and this transformer_lm 20; they have 6 positions, and this transformer_lm 5; ", text)
        self.assertIn("load with vocab_size=13, max_len=6", text)

    def test_a_checkpoint_of_another_preset(self) -> None:
        spec = diglot.spec("bert_mini")
        found = shapes_of(places(spec, table(spec, "huggingface")))
        tensors = {name: torch.zeros(shape) for name, shape in found.items()}
        text = self.sentence(diglot.load_pretrained, "bert_base", tensors, source="huggingface")
        self.assertIn("are those of bert_mini, not of this transformer_lm; ask for diglot.spec('bert_mini')", text)

    def test_a_spec_that_is_none_of_theirs(self) -> None:
        for name, preset in (("GPT-2", "transformer_lm"), ("BERT", "transformer_lm_small_bert")):
            spec = diglot.spec(preset, scale_embedding=True)
            self.assertIn(
                f"huggingface's {name}s have ", self.sentence(diglot.load_pretrained, spec, {}, source="huggingface")
            )

    def test_a_tied_head_that_is_not(self) -> None:
        self.saved("gpt2_untied")
        text = self.sentence(self.read, "gpt2")
        self.assertIn("hold another lm_head.weight than transformer.wte.weight, which are one in this", text)

    def test_no_spec_for_a_configuration(self) -> None:
        self.saved("bert")
        for changes, said in (
            ({"model_type": "t5"}, "there is no spec for the model_type 't5'"),
            ({"model_type": "t5", "hidden_size": ...}, "there is no spec for the model_type 't5'"),
            ({"model_type": "bert", "hidden_size": "8"}, "d_model"),
            ({"hidden_size": 8, "hidden_act": "silu"}, "the configuration has hidden_act 'silu', which no spec has"),
            ({"hidden_act": "gelu", "num_attention_heads": 3}, "d_model 8 is not divisible by num_heads 3"),
            ({"num_attention_heads": 2, "is_decoder": True}, "the head 'pooler' reads the first position"),
        ):
            self.rewritten("config.json", **changes)
            self.assertIn(said, self.sentence(diglot.pretrained_spec, self.folder, source="huggingface"))
        os.remove(self.folder / "config.json")
        text = self.sentence(diglot.pretrained_spec, self.folder, source="huggingface")
        self.assertIn("have no config.json beside them that says which network they are of; give a spec", text)
        text = self.sentence(diglot.convert, self.folder, self.folder / "x.pt", source="huggingface")
        self.assertIn("give a spec", text)
        self.assertIn("give a spec", self.sentence(diglot.pretrained_spec, self.folder, source="timm"))
        text = self.sentence(diglot.pretrained_spec, self.folder, source="hugingface")
        self.assertEqual(text, "there is no source 'hugingface'; did you mean 'huggingface'?")
        self.assertIn(
            "is a folder and no file of", self.sentence(diglot.convert, self.folder, self.folder / "x.weights.h5")
        )
        diglot.convert(self.folder, self.folder / "x.pt")  # PyTorch's weights as they are need no spec


class Hostile(Files):
    def damaged(self, name: str, content: Any) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        (self.folder / name).write_text(text)

    @parameterized.expand(
        [(file,) for file in ("../x.safetensors", "/etc/x.safetensors", "C:x.bin", "a/b.safetensors", "a\\b.bin", "..",
                              ".", "", "x\0.bin", "x.exe", "model.safetensors.index.json", "config.json")]
    )  # fmt: skip
    def test_an_index_that_leads_elsewhere(self, file: str) -> None:
        save_file({"secret": torch.zeros(1)}, self.folder / "x.safetensors")
        folder = self.folder / "model"
        folder.mkdir()
        (folder / INDEX).write_text(json.dumps({"weight_map": {"secret": file}}))
        text = self.sentence(self.read, "bert", folder)
        self.assertIn("which is no shard in its own folder; nothing was loaded", text)

    @parameterized.expand(
        [("no mapping", []), ("nothing", {}), ("empty", {"weight_map": {}}), ("list", {"weight_map": ["a"]}),
         ("numbers", {"weight_map": {"a": 3}}), ("null", "null"), ("text", "weights"), ("cut", '{"weight_map": {'),
         ("deep", "[" * 100_000), ("long", "1" * 10_000), ("no text", "\udcff")]
    )  # fmt: skip
    def test_a_damaged_index_and_configuration(self, case: str, content: Any) -> None:
        self.saved("bert", size="2KB")
        text = content if isinstance(content, str) else json.dumps(content)
        (self.folder / INDEX).write_bytes(text.encode("utf-8", "surrogateescape"))
        self.assertIn(INDEX, self.sentence(self.read, "bert"))
        if not isinstance(content, dict):
            self.saved("bert")
            os.remove(self.folder / INDEX) if (self.folder / INDEX).exists() else None
            (self.folder / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
            self.assertIn("config.json", self.sentence(self.read, "bert"))

    def test_shards_that_are_not_what_the_index_says(self) -> None:
        self.saved("bert", size="4KB")
        first, second = sorted(self.folder.glob("model-*"))
        self.assertIn("is one of 2 shards; give their folder or their index", self.sentence(self.read, "bert", first))
        whole = second.read_bytes()
        for length in (0, 7, 100, len(whole) - 1):
            second.write_bytes(whole[:length])
            self.assertIn(f"{second} is not a readable safetensors file", self.sentence(self.read, "bert"))
        save_file({key: value for key, value in load_file(first).items()}, second)
        self.assertRegex(
            self.sentence(self.read, "bert"), f"says that {second.name} holds [a-zA-Z.0-9]+, and it does not"
        )
        os.remove(second)
        self.assertIn(f"names {second.name} of 2 shards, not there", self.sentence(self.read, "bert"))
        os.mkdir(second)
        self.assertIn(f"names {second.name} of 2 shards, not there", self.sentence(self.read, "bert"))

    def test_code_in_a_shard_is_not_executed(self) -> None:
        namespace: dict[str, Any] = {}
        exec(BOMB.format(path=str(self.folder / "executed")), namespace)
        torch.save({"a": namespace["Trap"]()}, self.folder / "pytorch_model-00001-of-00002.bin")
        self.damaged("pytorch_model.bin.index.json", {"weight_map": {"a": "pytorch_model-00001-of-00002.bin"}})
        self.assertIn("nothing in it was executed", self.sentence(self.read, "bert"))
        self.assertFalse((self.folder / "executed").exists())

    def test_code_that_a_configuration_names_is_not_imported(self) -> None:
        self.saved("bert")
        (self.folder / "modeling.py").write_text(f"open({str(self.folder / 'executed')!r}, 'w')")
        self.rewritten("config.json", auto_map={"AutoModel": "modeling.Model"}, architectures=["os.system"])
        self.assertTrue(same(self.read("bert"), STATES["bert"]))
        self.assertEqual(diglot.pretrained_spec(self.folder, source="huggingface"), SPECS["bert"])
        self.assertFalse((self.folder / "executed").exists())

    def test_a_folder_without_weights(self) -> None:
        self.assertIn("holds none of model.safetensors, ", self.sentence(self.read, "bert"))
        text = self.sentence(diglot.load_pretrained, "resnet50_keras", self.folder, source="keras.applications")
        self.assertIn("is not a file", text)

    def test_one_weight_under_two_names(self) -> None:
        tensors = live("BertModel", "bert").state_dict()
        twice = {**tensors, **{f"bert.{key}": value for key, value in tensors.items()}}
        self.assertIn("under two names", self.sentence(self.read, "bert", twice))

    @parameterized.expand([("modules.json", [3]), ("modules.json", {"type": 3}), ("modules.json", "["),
                           ("1_Pooling/config.json", [3]), ("1_Pooling/config.json", "{")])  # fmt: skip
    def test_damaged_modules(self, file: str, content: Any) -> None:
        self.sentences("bert", "Normalize", pooling_mode_mean_tokens=True)
        self.damaged(file, content)
        self.assertIn(str(self.folder), self.sentence(self.read, "minilm"))

    def test_modules_that_no_head_has(self) -> None:
        self.sentences("bert", "Dense", pooling_mode_mean_tokens=True)
        said = "sentence_head 'Transformer then Pooling then Dense', which no transformer_lm has"
        self.assertIn(said, self.sentence(self.read, "minilm"))
        self.sentences("bert", "", pooling_mode_cls_token=True)
        self.assertIn("sentence_head 'cls_token', which no", self.sentence(self.read, "minilm"))
        self.assertTrue(same(self.read("bert"), STATES["bert"]))
