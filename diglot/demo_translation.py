"""From English to German, by a Transformer with encoder and decoder: the sentences of Django's own catalogues."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import generate, spec
from .core import compare, registry
from .core.backend import SIDES
from .core.recipe import Recipe
from .core.spec import Spec
from .demo_catalogue import Sentence, sentences
from .demo_pair import RealPair, Result, need_data
from .demo_tokens import PAD, batches, encoded, padded, tokenizer_of

STEPS = 1800
RATE = 0.003  # at twice this rate a difference of one rounding grows to the size of the losses within 1,500 steps
NEW = 64
EXAMPLES = 10
BEAMS: dict[str, Any] = {"strategy": "beam", "num_beams": 4, "length_penalty": 1.0}
NETWORK = {
    "d_model": 96,
    "num_heads": 4,
    "num_encoder_layers": 1,
    "num_decoder_layers": 1,
    "d_ff": 192,
    "max_len": 96,
    "activation": "gelu",  # a ReLU at its kink would do as a rate too high does
    "norm": "pre",
    "shared_embedding": True,
    "tied_head": True,
    "label_smoothing": 0.2,
    "dropout_rate": 0.0,
}


@dataclass(frozen=True, kw_only=True)
class TranslationResult(Result):
    """As Result, of the targets' tokens without padding.

    `translations` are those of each side and of two ways that need no network: to copy the source, and to give the
    translation of the sentence of the training part which is nearest. `scores` are BLEU and chrF of each, from 0 to
    100, and `signatures` say what sacreBLEU calls by these names.
    """

    training: list[Sentence]
    held_out: list[Sentence]
    tokens: int
    translations: dict[str, list[str]]
    scores: dict[str, tuple[float, ...]]
    signatures: tuple[str, ...]

    def examples(self) -> Iterator[dict[str, str]]:
        """The first sentences of the held-out part: the source, its translation, and that of each side."""
        for place, sentence in enumerate(self.held_out[:EXAMPLES]):
            found = {side: self.translations[side][place] for side in SIDES}
            yield {"English": sentence.source, "German": sentence.target, **found}


def translation(
    *, seed: int = 0, steps: int = STEPS, new: int = NEW, recipes: Mapping[str, Recipe] | None = None, **fields: Any
) -> TranslationResult:
    """`transformer` on the sentences of Django's catalogues, each translated by at most `new` tokens.

    `fields` are those of the network that are to be others.
    Raises DiglotError where Django, tokenizers or sacreBLEU is not installed.
    """
    need_data("django")
    need_data("tokenizers", "the demo's tokens are made by")
    need_data("sacrebleu", "the demo's translations are scored by")
    training, held_out = parts(sentences(), seed)
    tokenizer = tokenizer_of(training)
    learnt, unseen = encoded(tokenizer, training), padded(encoded(tokenizer, held_out))
    network = spec("transformer", source_vocab_size=tokenizer.get_vocab_size(), **{**NETWORK, **fields})
    pair = RealPair(network, seed, recipes or recipe(network, steps), unseen)
    result = pair.result(list(itertools.islice(batches(learnt, seed, network.max_len), steps)))
    written = {side: translated(pair, side, unseen["source"], new) for side in SIDES}
    result["comparisons"]["translations"] = compare.pair("translations", *written.values(), 0.0)
    real = unseen["targets"] != PAD
    translations = {
        **{side: tokenizer.decode_batch(tokens.tolist()) for side, tokens in written.items()},
        "copy": [sentence.source for sentence in held_out],
        "nearest": [nearest(sentence, training).target for sentence in held_out],
    }
    scores, signatures = scored(translations, [sentence.target for sentence in held_out])
    return TranslationResult(
        spec=network,
        sides={side: replace(trained, logits=trained.logits[real]) for side, trained in result["sides"].items()},
        comparisons=result["comparisons"],
        targets=unseen["targets"][real],
        training=training,
        held_out=held_out,
        tokens=sum(len(tokens) for pair in learnt for tokens in pair),
        translations=translations,
        scores=scores,
        signatures=signatures,
    )


def parts(everything: Sequence[Sentence], seed: int) -> tuple[list[Sentence], list[Sentence]]:
    """The training part, and the held-out part in the order of its chances."""
    held_out = [sentence for sentence in everything if sentence.is_held_out(seed)]
    training = [sentence for sentence in everything if not sentence.is_held_out(seed)]
    return training, sorted(held_out, key=lambda sentence: sentence.chance(seed))


def recipe(network: Spec, steps: int) -> dict[str, Recipe]:
    """One recipe for both sides: Adam along one cycle, and the loss that the network is to be trained with."""
    optimizer = registry.make("adam", learning_rate=RATE, beta_2=0.98).rounded()
    loss = registry.make("cross_entropy", **network.loss_fields()).rounded()
    schedule = registry.make("one_cycle", learning_rate=RATE, total_steps=steps, pct_start=0.2).rounded()
    return dict.fromkeys(SIDES, Recipe(optimizer, loss, schedule))


def translated(pair: RealPair, side: str, source: NDArray[np.int64], new: int) -> NDArray[np.int64]:
    """What a trained side makes of the source by beam search, (batch, time)."""
    model = pair.loaded(side, pair.trained[side].state)
    tokens: NDArray[np.int64] = generate(model, {"source": source}, max_new_tokens=new, **BEAMS)
    return tokens


def nearest(sentence: Sentence, training: Sequence[Sentence]) -> Sentence:
    """The sentence that shares most words with this one, by their number over that of the words of both."""
    words = set(sentence.normalised.split())

    def shared(other: Sentence) -> float:
        others = set(other.normalised.split())
        return len(words & others) / len(words | others)

    return max(training, key=shared)


def scored(
    translations: Mapping[str, list[str]], references: list[str]
) -> tuple[dict[str, tuple[float, ...]], tuple[str, ...]]:
    """BLEU and chrF of each way to translate, by sacreBLEU with its defaults, and the signatures of both."""
    from sacrebleu.metrics import BLEU, CHRF

    metrics = BLEU(), CHRF()
    scores = {
        way: tuple(metric.corpus_score(found, [references]).score for metric in metrics)
        for way, found in translations.items()
    }
    return scores, tuple(f"{metric.get_signature()}" for metric in metrics)
