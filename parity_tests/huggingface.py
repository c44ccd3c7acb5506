"""Hugging Face's own model of a spec, and files as its libraries write them: nothing is downloaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from diglot.core import foreign

import diglot

from . import oracle  # noqa: F401  transformers can be imported after it
from .files import InFolder

TINY = {"vocab_size": 13, "d_model": 8, "num_heads": 2, "num_layers": 2, "d_ff": 12, "max_len": 6, "dropout_rate": 0.1}
PLAIN = {**TINY, "hidden_states": False}
SPECS = {
    "bert": diglot.spec("bert_base", **PLAIN),
    "bert_alone": diglot.spec("bert_base", **PLAIN, head="none"),
    "minilm": diglot.spec("minilm_l6", **PLAIN),
    "distilbert": diglot.spec("distilbert_base", **PLAIN),
    "gpt2": diglot.spec("gpt2", **PLAIN),
    "gpt2_untied": diglot.spec("gpt2", **PLAIN, tied_head=False),
    "gpt2_alone": diglot.spec("gpt2", **PLAIN, tied_head=False, head="none"),
}
STATES = {name: diglot.initial_state(spec, 1) for name, spec in SPECS.items()}
ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu"}


def configured(spec: Any) -> Any:
    """Their configuration of a spec."""
    from transformers import BertConfig, DistilBertConfig, GPT2Config

    shared = {"vocab_size": spec.vocab_size, "pad_token_id": spec.pad_token_id}
    family = foreign.table(spec, "huggingface").family
    if family == "BERT":
        return BertConfig(
            **shared,
            hidden_size=spec.d_model,
            num_attention_heads=spec.num_heads,
            num_hidden_layers=spec.num_layers,
            intermediate_size=spec.d_ff,
            max_position_embeddings=spec.max_len,
            type_vocab_size=spec.num_token_types,
            hidden_act=ACTIVATIONS[spec.activation],
            layer_norm_eps=spec.norm_epsilon,
        )
    if family == "DistilBERT":
        return DistilBertConfig(
            **shared,
            dim=spec.d_model,
            n_heads=spec.num_heads,
            n_layers=spec.num_layers,
            hidden_dim=spec.d_ff,
            max_position_embeddings=spec.max_len,
            activation=ACTIVATIONS[spec.activation],
        )
    return GPT2Config(
        **shared,
        n_embd=spec.d_model,
        n_head=spec.num_heads,
        n_layer=spec.num_layers,
        n_inner=spec.d_ff,
        n_positions=spec.max_len,
        activation_function=ACTIVATIONS[spec.activation],
        layer_norm_epsilon=spec.norm_epsilon,
        tie_word_embeddings=spec.tied_head,
        bos_token_id=None,
        eos_token_id=None,
    )


def made(spec: Any, attention: str = "eager") -> Any:
    """Their model of a spec: the base model, or GPT-2's with its head."""
    from transformers import BertModel, DistilBertModel, GPT2LMHeadModel, GPT2Model

    config = configured(spec)
    config._attn_implementation = attention
    headed = GPT2LMHeadModel if spec.head == "logits" else GPT2Model
    kind = {"bert": BertModel, "distilbert": DistilBertModel, "gpt2": headed}[config.model_type]
    return kind(config)


def live(kind: str, name: str) -> Any:
    """A model of theirs with a state of ours."""
    import transformers

    model = getattr(transformers, kind)(configured(SPECS[name]))
    diglot.export_pretrained(SPECS[name], STATES[name], model, source="huggingface")
    return model


class Files(InFolder):
    def read(self, name: str, origin: Any = None) -> Any:
        return diglot.load_pretrained(SPECS[name], self.folder if origin is None else origin, source="huggingface")

    def saved(self, name: str, kind: str = "", size: str = "1GB") -> Path:
        default = {"bert": "BertModel", "minilm": "BertModel", "distilbert": "DistilBertModel"}
        live(kind or default.get(name, "GPT2LMHeadModel"), name).save_pretrained(self.folder, max_shard_size=size)
        return self.folder

    def sentences(self, name: str, last: str, **pooling: Any) -> None:
        """A folder as sentence-transformers writes it."""
        self.saved(name)
        parts = ("Transformer", "Pooling", last) if last else ("Transformer", "Pooling")
        modules = [{"idx": index, "type": f"sentence_transformers.models.{part}"} for index, part in enumerate(parts)]
        (self.folder / "modules.json").write_text(json.dumps(modules))
        (self.folder / "1_Pooling").mkdir(exist_ok=True)
        (self.folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))

    def rewritten(self, file: str, **changes: Any) -> None:
        path = self.folder / file
        held = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({key: value for key, value in held.items() if value is not ...}))
