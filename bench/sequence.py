"""Our Transformers against those that a user would pick instead, in one run: forward pass and training step.

The pairs take turns, on the same tokens, with the same shapes and two threads.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from .vision import ROUNDS, THREADS, timed

TITLE = "Transformers, against torch.nn, transformers and Keras's layers"
BATCH, TIME, VOCABULARY = 8, 128, 8000
SHAPE = {"d_model": 512, "num_heads": 8, "d_ff": 2048, "max_len": TIME, "dropout_rate": 0.1}
READER = {**SHAPE, "vocab_size": VOCABULARY, "num_layers": 4, "head": "none", "scale_embedding": False}
NAMES = ("torch_encoder", "torch_both", "bert", "gpt2", "keras_encoder")


def measure() -> str:
    """A row for each pair and task."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), str(THREADS))
    rows: list[list[str]] = []
    for name in NAMES:
        command = [sys.executable, "-m", "bench.sequence", name]
        done = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
        rows += json.loads(done.stdout.splitlines()[-1])
    shape = f"width {SHAPE['d_model']}, {SHAPE['num_heads']} heads, feed-forward {SHAPE['d_ff']}"
    note = (
        f"float32, batch {BATCH}, {TIME} tokens, {shape}, {READER['num_layers']} blocks, {THREADS} threads, median of "
        f"{ROUNDS} runs each, in turn after two to warm up; a training step "
        "has dropout, but none against transformers, which has it in other places. Keras is compiled."
    )
    head = "| network | against | what | ours, s | theirs, s | theirs / ours |\n|---|---|---|---|---|---|\n"
    return f"{note}\n\n{head}" + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def tokens(seed: int = 0) -> Any:
    """A batch of random tokens, (batch, time)."""
    return np.random.default_rng(seed).integers(1, VOCABULARY, (BATCH, TIME))


def rows(network: str, against: str, tasks: dict[str, tuple[Any, Any]]) -> list[list[str]]:
    """A row of the table for each task."""
    result = []
    for what, calls in tasks.items():
        ours, theirs = timed(*calls)
        result.append([network, against, what, f"{ours:.3f}", f"{theirs:.3f}", f"{theirs / ours:.2f}"])
    return result


def torch_tasks(ours: Any, theirs: Any, inputs: tuple[Any, ...]) -> dict[str, tuple[Any, Any]]:
    """Forward pass and training step of a pair; each is called with the inputs and gives hidden states or logits."""
    import torch

    def forward(model: Any, call: Callable[..., Any]) -> Callable[[], None]:
        def run() -> None:
            model.eval()
            with torch.no_grad():
                call(*inputs)

        return run

    def step(model: Any, call: Callable[..., Any]) -> Callable[[], None]:
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

        def run() -> None:
            model.train()
            optimizer.zero_grad()
            call(*inputs).square().mean().backward()
            optimizer.step()

        return run

    pairs = [(model, getattr(model, "hidden", model)) for model in (ours, theirs)]
    one, other = ((forward(*pair), step(*pair)) for pair in pairs)
    return {"forward": (one[0], other[0]), "training step": (one[1], other[1])}


def torch_encoder() -> list[list[str]]:
    """Our encoder against `nn.TransformerEncoder` behind an embedding; with padding, whose mask both make."""
    import torch
    from torch import nn

    import diglot

    torch.set_num_threads(THREADS)

    class Theirs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = nn.TransformerEncoderLayer(
                SHAPE["d_model"], SHAPE["num_heads"], SHAPE["d_ff"], SHAPE["dropout_rate"], batch_first=True
            )
            self.embedding = nn.Embedding(VOCABULARY, SHAPE["d_model"])
            self.positions = nn.Parameter(torch.zeros(TIME, SHAPE["d_model"]))
            self.encoder = nn.TransformerEncoder(layer, READER["num_layers"])

        def forward(self, given: Any) -> Any:
            return self.encoder(self.embedding(given) + self.positions, src_key_padding_mask=given == 0)

    spec = diglot.spec("transformer_lm", **READER, causal=False, positions="learned", pad_token_id=0)
    tasks = torch_tasks(diglot.build(spec, "torch"), Theirs(), (torch.from_numpy(tokens()),))
    return rows("`transformer_lm`, encoder, PyTorch", "`nn.TransformerEncoder`", tasks)


def torch_both() -> list[list[str]]:
    """Our encoder-decoder against `nn.Transformer` behind embeddings and before a head."""
    import torch
    from torch import nn

    import diglot

    torch.set_num_threads(THREADS)

    class Theirs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.source, self.target = (nn.Embedding(VOCABULARY, SHAPE["d_model"]) for _ in range(2))
            self.both = nn.Transformer(
                SHAPE["d_model"], SHAPE["num_heads"], 2, 2, SHAPE["d_ff"], SHAPE["dropout_rate"], batch_first=True
            )
            self.head = nn.Linear(SHAPE["d_model"], VOCABULARY)

        def forward(self, source: Any, target: Any) -> Any:
            ahead = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
            x = self.both(self.source(source), self.target(target), tgt_mask=ahead, tgt_is_causal=True)
            return self.head(x)

    fields = {"source_vocab_size": VOCABULARY, "num_encoder_layers": 2, "num_decoder_layers": 2, "pad_token_id": None}
    ours = diglot.build(diglot.spec("transformer", **SHAPE, **fields), "torch")
    inputs = tuple(torch.from_numpy(tokens(seed)) for seed in range(2))
    return rows("`transformer`, 2 + 2 blocks, PyTorch", "`nn.Transformer`", torch_tasks(ours, Theirs(), inputs))


def hugging_face(name: str, against: str, theirs: Any, **fields: Any) -> list[list[str]]:
    """Ours with their weights, and without dropout: theirs has none within the feed-forward network."""
    import torch

    import diglot

    torch.set_num_threads(THREADS)
    spec = diglot.spec(name, **{**READER, "dropout_rate": 0.0, **fields})
    ours = diglot.build(spec, "torch")
    diglot.set_state(ours, diglot.load_pretrained(spec, theirs, source="huggingface"))
    given = torch.from_numpy(tokens())
    types = (torch.zeros_like(given),) if spec.num_token_types else ()
    theirs.hidden = lambda given, *types: theirs(given, token_type_ids=types[0] if types else None).last_hidden_state
    return rows(f"`{name}`, PyTorch", against, torch_tasks(ours, theirs, (given, *types)))


def oracle() -> None:
    """Define the operators without which transformers' models cannot be imported where torchvision's do not fit."""
    importlib.import_module("parity_tests.oracle")


def bert() -> list[list[str]]:
    """Our encoder against Hugging Face's BERT."""
    oracle()
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=SHAPE["d_model"],
        num_hidden_layers=READER["num_layers"],
        num_attention_heads=SHAPE["num_heads"],
        intermediate_size=SHAPE["d_ff"],
        max_position_embeddings=TIME,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    theirs = BertModel(config, add_pooling_layer=False)
    return hugging_face("bert_base", "transformers' `BertModel`", theirs, hidden_states=False, pad_token_id=None)


def gpt2() -> list[list[str]]:
    """Our decoder against Hugging Face's GPT-2."""
    oracle()
    from transformers import GPT2Config, GPT2Model

    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=TIME,
        n_embd=SHAPE["d_model"],
        n_layer=READER["num_layers"],
        n_head=SHAPE["num_heads"],
        n_inner=SHAPE["d_ff"],
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        resid_pdrop=0.0,
    )
    theirs = GPT2Model(config)
    return hugging_face("gpt2", "transformers' `GPT2Model`", theirs, tied_head=False)


def keras_encoder() -> list[list[str]]:
    """Our encoder in Keras against one of `keras.layers.MultiHeadAttention`."""
    import keras
    from keras import layers

    import diglot

    spec = diglot.spec("transformer_lm", **READER, causal=False, positions="learned", pad_token_id=0)
    given = keras.Input((TIME,), dtype="int64")
    x = layers.Embedding(VOCABULARY, SHAPE["d_model"])(given)
    x = layers.Dropout(SHAPE["dropout_rate"])(x + layers.Embedding(TIME, SHAPE["d_model"])(keras.ops.arange(TIME)))
    kept = keras.ops.not_equal(given, 0)[:, None, :]
    for _ in range(READER["num_layers"]):
        size = SHAPE["d_model"] // SHAPE["num_heads"]
        attention = layers.MultiHeadAttention(SHAPE["num_heads"], size, dropout=SHAPE["dropout_rate"])
        attended = layers.Dropout(SHAPE["dropout_rate"])(attention(x, x, attention_mask=kept))
        x = layers.LayerNormalization(epsilon=1e-5)(x + attended)
        fed = layers.Dropout(SHAPE["dropout_rate"])(layers.Dense(SHAPE["d_ff"], activation="relu")(x))
        fed = layers.Dropout(SHAPE["dropout_rate"])(layers.Dense(SHAPE["d_model"])(fed))
        x = layers.LayerNormalization(epsilon=1e-5)(x + fed)
    ours, theirs = diglot.build(spec, "keras"), keras.Model(given, x)
    batch, target = tokens(), np.zeros((BATCH, TIME, SHAPE["d_model"]), "float32")
    for model in (ours, theirs):
        model.compile(keras.optimizers.SGD(1e-3), "mean_squared_error", jit_compile=False)
    tasks = {
        "forward": (lambda: ours.predict_on_batch(batch), lambda: theirs.predict_on_batch(batch)),
        "training step": (lambda: ours.train_on_batch(batch, target), lambda: theirs.train_on_batch(batch, target)),
    }
    return rows("`transformer_lm`, encoder, Keras", "`layers.MultiHeadAttention`", tasks)


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]]()))
