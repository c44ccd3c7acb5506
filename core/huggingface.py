"""How Hugging Face's transformers name the weights of BERT, DistilBERT and GPT-2, and what their configurations say.

The names are those of the base models (`BertModel`, `DistilBertModel`, `GPT2Model`), which every class with a head over
them reads; older files and models with a head put a prefix before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .source import REQUIRED, Setting, Source, among

ACTIVATIONS = (
    ("gelu", "gelu"),
    ("gelu_new", "gelu_tanh"),
    ("gelu_pytorch_tanh", "gelu_tanh"),
    ("gelu_python", "gelu"),
    ("relu", "relu"),
)
BLOCKS = (
    ("positions", "learned"),
    ("norm_type", "layer"),
    ("feed_forward", "mlp"),
    ("bias", True),
    ("scale_embedding", False),
    ("num_key_value_heads", None),
)
ENCODER = (*BLOCKS, ("norm", "post"), ("embedding_norm", True), ("causal", False), ("tied_head", False))
OLD = (("*.gamma", "*.weight"), ("*.beta", "*.bias"), ("0.auto_model.*", "*"))
MEANS = ("mean", "unit_mean")
SENTENCE = Setting("sentence_head", "head", values=tuple(zip(MEANS, MEANS, strict=True)), only=MEANS)
BERT_EPSILON = 1e-12

BERT = Source(
    "torch",
    rules=(
        ("token_embedding", "embeddings.word_embeddings"),
        ("positions.vectors", "embeddings.position_embeddings.weight"),
        ("token_type_embedding", "embeddings.token_type_embeddings"),
        ("embedding_norm", "embeddings.LayerNorm"),
        ("blocks.{b}.attention.projection", "encoder.layer.{b}.attention.output.dense"),
        ("blocks.{b}.attention.*", "encoder.layer.{b}.attention.self.*"),
        ("blocks.{b}.norm1", "encoder.layer.{b}.attention.output.LayerNorm"),
        ("blocks.{b}.feed_forward.expand", "encoder.layer.{b}.intermediate.dense"),
        ("blocks.{b}.feed_forward.contract", "encoder.layer.{b}.output.dense"),
        ("blocks.{b}.norm2", "encoder.layer.{b}.output.LayerNorm"),
        ("pooler", "pooler.dense"),
    ),
    aliases=(*OLD, ("bert.*", "*")),
    left_out=("embeddings.position_ids", "pooler.*", "cls.*", "classifier.*", "qa_outputs.*"),
    requires=(*ENCODER, ("head", among("pooler", "none", *MEANS))),
    family="BERT",
    model_type="bert",
    settings=(
        Setting("vocab_size", "vocab_size", 30522),
        Setting("hidden_size", "d_model", REQUIRED),
        Setting("num_attention_heads", "num_heads", 12),
        Setting("num_hidden_layers", "num_layers", 12),
        Setting("intermediate_size", "d_ff", 3072),
        Setting("max_position_embeddings", "max_len", 512),
        Setting("type_vocab_size", "num_token_types", 2),
        Setting("hidden_act", "activation", "gelu", ACTIVATIONS),
        Setting("layer_norm_eps", "norm_epsilon", BERT_EPSILON),
        Setting("position_embedding_type", "positions", "absolute", (("absolute", "learned"),)),
        Setting("is_decoder", "causal", False),
        Setting("pad_token_id", "pad_token_id", 0),
        Setting("hidden_dropout_prob", "dropout_rate", 0.1, compared=False),
        SENTENCE,
    ),
)
DISTILBERT = Source(
    "torch",
    rules=(
        ("token_embedding", "embeddings.word_embeddings"),
        ("positions.vectors", "embeddings.position_embeddings.weight"),
        ("embedding_norm", "embeddings.LayerNorm"),
        ("blocks.{b}.attention.query", "transformer.layer.{b}.attention.q_lin"),
        ("blocks.{b}.attention.key", "transformer.layer.{b}.attention.k_lin"),
        ("blocks.{b}.attention.value", "transformer.layer.{b}.attention.v_lin"),
        ("blocks.{b}.attention.projection", "transformer.layer.{b}.attention.out_lin"),
        ("blocks.{b}.norm1", "transformer.layer.{b}.sa_layer_norm"),
        ("blocks.{b}.feed_forward.expand", "transformer.layer.{b}.ffn.lin1"),
        ("blocks.{b}.feed_forward.contract", "transformer.layer.{b}.ffn.lin2"),
        ("blocks.{b}.norm2", "transformer.layer.{b}.output_layer_norm"),
    ),
    aliases=(*OLD, ("distilbert.*", "*")),
    left_out=("vocab_transform.*", "vocab_layer_norm.*", "vocab_projector.*", "pre_classifier.*", "classifier.*",
              "qa_outputs.*"),
    requires=(*ENCODER, ("num_token_types", 0), ("norm_epsilon", BERT_EPSILON),
              ("head", among("none", *MEANS))),
    family="DistilBERT",
    model_type="distilbert",
    settings=(
        Setting("vocab_size", "vocab_size", 30522),
        Setting("dim", "d_model", REQUIRED),
        Setting("n_heads", "num_heads", 12),
        Setting("n_layers", "num_layers", 6),
        Setting("hidden_dim", "d_ff", 3072),
        Setting("max_position_embeddings", "max_len", 512),
        Setting("activation", "activation", "gelu", ACTIVATIONS),
        Setting("pad_token_id", "pad_token_id", 0),
        Setting("dropout", "dropout_rate", 0.1, compared=False),
        SENTENCE,
    ),
)  # fmt: skip


def _widest(config: Mapping[str, Any]) -> int | None:
    """The width of GPT-2's feed-forward network where its configuration says nothing of it."""
    width = config.get("n_embd")
    return 4 * width if isinstance(width, int) else None


# Its projections are convolutions of one position, whose kernels lie as inputs times outputs.
GPT2 = Source(
    "torch",
    rules=(
        ("token_embedding", "wte"),
        ("positions.vectors", "wpe.weight"),
        ("blocks.{b}.norm{n}", "h.{b}.ln_{n}"),
        ("blocks.{b}.attention.query.kernel", "h.{b}.attn.c_attn.weight[0/3]", "in out"),
        ("blocks.{b}.attention.query.bias", "h.{b}.attn.c_attn.bias[0/3]"),
        ("blocks.{b}.attention.key.kernel", "h.{b}.attn.c_attn.weight[1/3]", "in out"),
        ("blocks.{b}.attention.key.bias", "h.{b}.attn.c_attn.bias[1/3]"),
        ("blocks.{b}.attention.value.kernel", "h.{b}.attn.c_attn.weight[2/3]", "in out"),
        ("blocks.{b}.attention.value.bias", "h.{b}.attn.c_attn.bias[2/3]"),
        ("blocks.{b}.attention.projection.kernel", "h.{b}.attn.c_proj.weight", "in out"),
        ("blocks.{b}.attention.projection.bias", "h.{b}.attn.c_proj.bias"),
        ("blocks.{b}.feed_forward.expand.kernel", "h.{b}.mlp.c_fc.weight", "in out"),
        ("blocks.{b}.feed_forward.expand.bias", "h.{b}.mlp.c_fc.bias"),
        ("blocks.{b}.feed_forward.contract.kernel", "h.{b}.mlp.c_proj.weight", "in out"),
        ("blocks.{b}.feed_forward.contract.bias", "h.{b}.mlp.c_proj.bias"),
        ("norm", "ln_f"),
        ("head", "lm_head"),
    ),
    aliases=(*OLD, ("transformer.*", "*")),
    left_out=("h.{b}.attn.bias", "h.{b}.attn.masked_bias", "lm_head.weight", "score.weight", "multiple_choice_head.*"),
    requires=(*BLOCKS, ("norm", "pre"), ("embedding_norm", False), ("causal", True), ("num_token_types", 0),
              ("head", among("logits", "none"))),
    copies=(("lm_head.weight", "wte.weight"),),
    family="GPT-2",
    model_type="gpt2",
    settings=(
        Setting("vocab_size", "vocab_size", 50257),
        Setting("n_embd", "d_model", REQUIRED),
        Setting("n_head", "num_heads", 12),
        Setting("n_layer", "num_layers", 12),
        Setting("n_inner", "d_ff", _widest),
        Setting("n_positions", "max_len", 1024),
        Setting("activation_function", "activation", "gelu_new", ACTIVATIONS),
        Setting("layer_norm_epsilon", "norm_epsilon", 1e-5),
        Setting("scale_attn_weights", default=True, values=((True, True),)),
        Setting("scale_attn_by_inverse_layer_idx", default=False, values=((False, False),)),
        Setting("tie_word_embeddings", "tied_head", True, compared=False),
        Setting("head_bias", "head_bias", False, compared=False),  # which no GPT-2 has, and no configuration says
        Setting("pad_token_id", "pad_token_id"),
        Setting("resid_pdrop", "dropout_rate", 0.1, compared=False),
    ),
)  # fmt: skip
HUGGINGFACE = (DISTILBERT, BERT, GPT2)

PRE = {"norm": "pre", "activation": "gelu", "positions": "learned", "scale_embedding": False}
READER = {
    "activation": "gelu",
    "positions": "learned",
    "embedding_norm": True,
    "norm_epsilon": 1e-12,
    "scale_embedding": False,
    "causal": False,
    "pad_token_id": 0,
    "num_token_types": 2,
    "head": "pooler",
    "hidden_states": True,
}
BERT_BASE = {**READER, "vocab_size": 30522, "d_model": 768, "num_heads": 12, "num_layers": 12, "d_ff": 3072}
PUBLISHED: dict[str, dict[str, Any]] = {
    "bert_base": BERT_BASE,
    "bert_mini": {**BERT_BASE, "d_model": 256, "num_heads": 4, "num_layers": 4, "d_ff": 1024},
    "minilm_l6": {**BERT_BASE, "d_model": 384, "num_layers": 6, "d_ff": 1536, "head": "unit_mean"},
    "distilbert_base": {**BERT_BASE, "num_layers": 6, "num_token_types": 0, "head": "none"},
    "gpt2": {
        **{**PRE, "activation": "gelu_tanh", "tied_head": True, "head_bias": False},
        **{"vocab_size": 50257, "d_model": 768, "num_heads": 12, "num_layers": 12, "d_ff": 3072, "max_len": 1024},
    },
}
