"""Sentences of two languages as tokens: a vocabulary that both share, and batches by a budget of tokens."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .core import registry
from .core.noise import generator
from .core.technique import Arrays
from .demo_catalogue import PLACED, Sentence

MARKS = ("[pad]", "[start]", "[end]", "[unknown]")
PAD, START, END, UNKNOWN = range(len(MARKS))
VOCABULARY = 1000
TOKENS = 256  # of the longer side of a batch, padding included
JOINED = 0.25  # the share of the sentences that another one follows in training
HIDDEN = 0.1  # the share of the tokens, in both languages, that are not shown to the network in training


def tokenizer_of(training: Sequence[Sentence]) -> Any:
    """Byte-pair encoding of both languages together, learnt from the training part. A placeholder is one token."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token=MARKS[UNKNOWN]))
    tokenizer.normalizer = normalizers.NFC()
    alone = pre_tokenizers.Split(Regex(f"[{PLACED}]"), "isolated")
    words = [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation(), alone]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(words)
    tokenizer.decoder = decoders.Metaspace()
    texts = [text for sentence in training for text in (sentence.source, sentence.target)]
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=[*MARKS], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encoded(tokenizer: Any, sentences: Sequence[Sentence]) -> list[tuple[list[int], list[int]]]:
    """The tokens of each sentence in both languages, without marks."""
    sides = ([getattr(sentence, name) for sentence in sentences] for name in ("source", "target"))
    tokens = ([encoding.ids for encoding in tokenizer.encode_batch(texts)] for texts in sides)
    return list(zip(*tokens, strict=True))


def padded(pairs: Sequence[tuple[list[int], list[int]]]) -> Arrays:
    """What the network is given and what its loss compares with, whole numbers, (batch, time)."""
    batching = registry.make("dynamic_batching", max_tokens=TOKENS, pad_token_id=PAD)
    arrays = batching.batch([([*source, END], [START, *target], [*target, END]) for source, target in pairs])
    return dict(zip(("source", "target", "targets"), arrays, strict=True))


def batches(training: Sequence[tuple[list[int], list[int]]], seed: int, longest: int) -> Iterator[Arrays]:
    """Batches by a budget of tokens, one epoch after another, without an end.

    In each epoch some sentences are followed by another one, unless that makes them longer than `longest`, and some
    tokens are unknown. That does what dropout does elsewhere, and as data it is the same for both frameworks.
    """
    batching = registry.make("dynamic_batching", max_tokens=TOKENS, pad_token_id=PAD, seed=seed)
    for epoch in itertools.count():
        draw = generator(seed, "joined sentences and hidden tokens", epoch)
        others = draw.permutation(len(training))
        pairs = [
            joined(pair, training[other], longest) if draw.random() < JOINED else pair
            for pair, other in zip(training, others, strict=True)
        ]
        lengths = np.array([[len(source), len(target)] for source, target in pairs]) + 1
        for places in batching.plan(lengths, epoch):
            batch = padded([pairs[place] for place in places])
            for name in ("source", "target"):
                hidden = (draw.random(batch[name].shape) < HIDDEN) & (batch[name] >= len(MARKS))
                batch[name] = np.where(hidden, UNKNOWN, batch[name])
            yield batch


def joined(
    pair: tuple[list[int], list[int]], other: tuple[list[int], list[int]], longest: int
) -> tuple[list[int], list[int]]:
    """Both pairs as one, or the first alone where there is no room."""
    source, target = pair[0] + other[0], pair[1] + other[1]
    return (source, target) if max(len(source), len(target)) < longest else pair
