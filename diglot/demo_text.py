"""English text: scikit-learn's own descriptions of its data sets, character by character."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from . import spec
from .core import compare
from .core.backend import SIDES
from .core.noise import generator
from .core.recipe import Recipe
from .core.technique import Arrays
from .demo_pair import RealPair, Result, need_data, same_recipe

STEPS = 400
BATCH = 16
HELD_OUT = 3
UNKNOWN = "\ufffd"
PROMPT = "The data set "
CONTINUED = 60
LENGTH = 32
NETWORK = {
    "d_model": 48,
    "num_heads": 4,
    "num_layers": 2,
    "d_ff": 128,
    "max_len": LENGTH,
    "activation": "gelu",
    "positions": "learned",
    "norm": "pre",
    "dropout_rate": 0.0,
}


@dataclass(frozen=True, kw_only=True)
class TextResult(Result):
    """As Result. Pairs are (training part, held-out part); `baseline` is the unigram model's bits per character."""

    documents: tuple[int, int]
    characters: tuple[int, int]
    baseline: float
    continuations: dict[str, str]

    def bits(self, side: str) -> float:
        """A side's cross-entropy on the held-out part in bits per character."""
        logits = self.sides[side].logits
        shifted = logits - logits.max(axis=-1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        return float(-np.take_along_axis(log_p, self.targets[..., None], axis=-1).mean() / np.log(2))


def text(*, seed: int = 0, steps: int = STEPS, recipes: Mapping[str, Recipe] | None = None) -> TextResult:
    """`transformer_lm` on the descriptions, whole documents held out; `recipes` says how each side trains.

    Raises DiglotError where scikit-learn is not installed.
    """
    need_data()
    documents = descriptions()
    order = generator(seed, "held-out documents").permutation(len(documents))
    parts = order[HELD_OUT:], order[:HELD_OUT]
    training, held_out = ("\n".join(documents[place] for place in part) for part in parts)
    alphabet = UNKNOWN + "".join(sorted(set(training)))
    tokens, unseen = encoded(training, alphabet), encoded(held_out, alphabet)
    draws = (generator(seed, "windows", step) for step in range(steps))
    batches = [windows(tokens, draw.integers(len(tokens) - LENGTH, size=BATCH)) for draw in draws]
    pair = RealPair(
        spec("transformer_lm", vocab_size=len(alphabet), **NETWORK),
        seed,
        recipes or same_recipe("adam", learning_rate=0.006),
        windows(unseen, np.arange(0, len(unseen) - LENGTH, LENGTH)),
    )
    fields = pair.result(batches)
    written = {side: continuation(pair, side, encoded(PROMPT, alphabet)) for side in SIDES}
    fields["comparisons"]["continuation"] = compare.pair("continuation", *written.values(), 0.0)
    counts = np.bincount(tokens, minlength=len(alphabet)) + 1.0  # what training never saw must not be impossible
    return TextResult(
        **fields,
        documents=(len(parts[0]), len(parts[1])),
        characters=(len(training), len(held_out)),
        baseline=float(-np.log2(counts / counts.sum())[fields["targets"]].mean()),
        continuations={side: "".join(alphabet[token] for token in found) for side, found in written.items()},
    )


def descriptions() -> list[str]:
    """The descriptions, in the order of the names of their files."""
    folder = files("sklearn.datasets.descr").iterdir()
    found = sorted((item for item in folder if item.name.endswith(".rst")), key=lambda item: item.name)
    return [item.read_text("utf-8") for item in found]


def encoded(characters: str, alphabet: str) -> NDArray[np.int64]:
    """The tokens of a text, (time,): indices in the alphabet, whose first stands for every unknown character."""
    indices = {character: place for place, character in enumerate(alphabet)}
    return np.array([indices.get(character, 0) for character in characters])


def windows(tokens: NDArray[np.int64], starts: NDArray[np.int64]) -> Arrays:
    """Tokens from each start, and as targets the same one character later, both (batch, time)."""
    rows = tokens[starts[:, None] + np.arange(LENGTH + 1)]
    return {"tokens": rows[:, :-1], "targets": rows[:, 1:]}


def continuation(pair: RealPair, side: str, prompt: NDArray[np.int64]) -> NDArray[np.int64]:
    """A prompt and what a trained side finds likeliest after it, one token after another, (time,)."""
    model = pair.loaded(side, pair.trained[side].state)
    tokens = prompt
    for _ in range(CONTINUED):
        logits = pair.side(side).forward(model, {"tokens": tokens[None, -LENGTH:]}).outputs["logits"]
        tokens = np.append(tokens, logits[0, -1].argmax())  # (batch, time, channels) -> one token
    return tokens
