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
from .core.backend import SIDES, Recipe
from .core.noise import generator
from .core.spec import Spec
from .core.technique import Arrays
from .demo_catalogue import PLACED, Sentence, sentences
from .demo_pair import RealPair, Result, need_data

STEPS = 1500
RATE = 0.006
TOKENS = 256  # of the longer side of a batch, padding included
HIDDEN = 0.1  # the share of the tokens that a network reads, in both languages, which are hidden from it in training
VOCABULARY = 1000
MARKS = ("[pad]", "[start]", "[end]", "[hidden]")
PAD, START, END, UNKNOWN = range(len(MARKS))
NEW = 64
EXAMPLES = 10
BEAMS = {"strategy": "beam", "num_beams": 4, "length_penalty": 1.0}
NETWORK = {
    "d_model": 96,
    "num_heads": 4,
    "num_encoder_layers": 1,
    "num_decoder_layers": 1,
    "d_ff": 192,
    "max_len": 96,
    "norm": "pre",
    "shared_embedding": True,
    "tied_head": True,
    "label_smoothing": 0.2,
    "dropout_rate": 0.0,
}


@dataclass(frozen=True, kw_only=True)
class TranslationResult(Result):
    """As Result, of the targets' tokens without padding. Pairs are (training part, held-out part).

    `translations` are of each side, and of two ways to translate without a network: to copy the source, and to give the
    translation of that sentence of the training part which shares most of its words.
    """

    sentences: tuple[int, int]
    tokens: int
    held_out: list[Sentence]
    translations: dict[str, list[str]]

    def scores(self) -> dict[str, tuple[float, float]]:
        """BLEU and chrF of each way to translate the held-out part, both from 0 to 100."""
        references = [[sentence.target for sentence in self.held_out]]
        bleu, chrf = metrics()
        return {
            way: (bleu.corpus_score(found, references).score, chrf.corpus_score(found, references).score)
            for way, found in self.translations.items()
        }

    def examples(self) -> Iterator[dict[str, str]]:
        """The first sentences of the held-out part, by name: the source, its translation, and that of each side."""
        for place, sentence in enumerate(self.held_out[:EXAMPLES]):
            found = {side: self.translations[side][place] for side in SIDES}
            yield {"English": sentence.source, "German": sentence.target, **found}


def translation(
    *, seed: int = 0, steps: int = STEPS, new: int = NEW, recipes: Mapping[str, Recipe] | None = None, **fields: Any
) -> TranslationResult:
    """`transformer` on the sentences of Django's catalogues; the fields are those of the network to be other ones.

    Raises DiglotError where Django, tokenizers or sacreBLEU is not installed.
    """
    need_data("django")
    need_data("tokenizers", "the demo's tokens are made by")
    need_data("sacrebleu", "the demo's translations are scored by")
    training, held_out = parts(sentences(), seed)
    tokenizer = tokenizer_of(training)
    network = spec("transformer", source_vocab_size=tokenizer.get_vocab_size(), **{**NETWORK, **fields})
    unseen = padded(tokenizer, held_out)
    pair = RealPair(network, seed, recipes or recipe(network, steps), unseen)
    result = pair.result(list(itertools.islice(batches(tokenizer, training, seed), steps)))
    written = {side: translated(pair, side, unseen["source"], new) for side in SIDES}
    comparisons = result["comparisons"]
    comparisons["translations"] = compare.pair("translations", *written.values(), 0.0)
    real = unseen["targets"] != PAD
    return TranslationResult(
        spec=network,
        sides={side: replace(trained, logits=trained.logits[real]) for side, trained in result["sides"].items()},
        comparisons=comparisons,
        targets=unseen["targets"][real],
        sentences=(len(training), len(held_out)),
        tokens=sum(len(encoding) for sentence in training for encoding in encoded(tokenizer, sentence)),
        held_out=held_out,
        translations={
            **{side: tokenizer.decode_batch(tokens.tolist()) for side, tokens in written.items()},
            "copy": [sentence.source for sentence in held_out],
            "nearest": [nearest(sentence, training).target for sentence in held_out],
        },
    )


def parts(everything: Sequence[Sentence], seed: int) -> tuple[list[Sentence], list[Sentence]]:
    """The training part and the held-out part, whose order is as good as random and the same everywhere."""
    held_out = [sentence for sentence in everything if sentence.is_held_out(seed)]
    training = [sentence for sentence in everything if not sentence.is_held_out(seed)]
    return training, sorted(held_out, key=lambda sentence: sentence.chance(seed))


def tokenizer_of(training: Sequence[Sentence]) -> Any:
    """Byte-pair encoding of both languages together, learnt from the training part. A placeholder is one token."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token=MARKS[UNKNOWN]))
    tokenizer.normalizer = normalizers.NFC()
    alone = pre_tokenizers.Split(Regex(f"[{PLACED}]"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation(), alone])
    tokenizer.decoder = decoders.Metaspace()
    texts = [text for sentence in training for text in (sentence.source, sentence.target)]
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=[*MARKS], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encoded(tokenizer: Any, sentence: Sentence) -> tuple[list[int], list[int]]:
    """The tokens of both languages, each with the end token."""
    one, other = (tokenizer.encode(text).ids for text in (sentence.source, sentence.target))
    return [*one, END], [*other, END]


def padded(tokenizer: Any, chosen: Sequence[Sentence]) -> Arrays:
    """What the network is given and what its loss compares with, whole numbers, (batch, time)."""
    batching = registry.make("dynamic_batching", max_tokens=TOKENS, pad_token_id=PAD)
    pairs = [encoded(tokenizer, sentence) for sentence in chosen]
    arrays = batching.batch([(source, [START, *target[:-1]], target) for source, target in pairs])
    return dict(zip(("source", "target", "targets"), arrays, strict=True))


def batches(tokenizer: Any, training: Sequence[Sentence], seed: int) -> Iterator[Arrays]:
    """Batches by a budget of tokens, one epoch after another, some of their tokens hidden. There is no end.

    Hidden tokens do here what dropout does elsewhere, and as data they are the same for both frameworks.
    """
    batching = registry.make("dynamic_batching", max_tokens=TOKENS, pad_token_id=PAD, seed=seed)
    lengths = np.array([[*map(len, encoded(tokenizer, sentence))] for sentence in training])
    plans = (batching.plan(lengths, epoch) for epoch in itertools.count())
    for step, places in enumerate(itertools.chain.from_iterable(plans)):
        batch, draw = padded(tokenizer, [training[place] for place in places]), generator(seed, "hidden tokens", step)
        for name in ("source", "target"):
            hidden = (draw.random(batch[name].shape) < HIDDEN) & (batch[name] >= len(MARKS))
            batch[name] = np.where(hidden, UNKNOWN, batch[name])
        yield batch


def recipe(network: Spec, steps: int) -> dict[str, Recipe]:
    """One recipe for both sides: Adam along one cycle, and the loss that the network is to be trained with."""
    optimizer = registry.make("adam", learning_rate=RATE, beta_2=0.98).rounded()
    loss = registry.make("cross_entropy", **network.loss_fields()).rounded()
    schedule = registry.make("one_cycle", learning_rate=RATE, total_steps=steps, pct_start=0.2).rounded()
    return dict.fromkeys(SIDES, Recipe(optimizer, loss, schedule))


def translated(pair: RealPair, side: str, source: NDArray[np.int64], new: int) -> NDArray[np.int64]:
    """What a trained side makes of the source by beam search, (batch, time)."""
    model = pair.loaded(side, pair.trained[side].state)
    return generate(model, {"source": source}, max_new_tokens=new, **BEAMS)


def nearest(sentence: Sentence, training: Sequence[Sentence]) -> Sentence:
    """The sentence that shares most words with this one, by their number over that of the words of both."""
    words = set(sentence.normalised.split())

    def shared(other: Sentence) -> float:
        others = set(other.normalised.split())
        return len(words & others) / len(words | others)

    return max(training, key=shared)


def metrics() -> tuple[Any, Any]:
    """BLEU and chrF by sacreBLEU, with its defaults; `get_signature` says which these are."""
    from sacrebleu.metrics import BLEU, CHRF

    return BLEU(), CHRF()
