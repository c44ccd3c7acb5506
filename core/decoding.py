"""Text generation, driven step by step over any network that gives logits: greedy, by sampling, or by beam search."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from . import field, sampling
from .backend import Call, Decoder, Run
from .beams import Beams
from .errors import InputError, SpecError
from .noise import generator
from .sampling import Floats, Tokens
from .technique import Arrays


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How tokens are chosen.

    Fields:
        max_new_tokens: the number of tokens after the prompt, at most.
        strategy: `greedy` takes the most probable token, `sample` draws one, `beam` looks for the most probable text.
        temperature: what the logits are divided by before a draw.
        top_k: a draw is among the k most probable tokens only; None is all.
        top_p: and among the fewest that hold this much of the probability (Holtzman et al. 2020); None is all.
        num_beams: hypotheses that beam search keeps of each row.
        length_penalty: alpha, by which long texts are favoured: the log-probability of one is divided by
            ((5 + length) / 6) ** alpha (Wu et al. 2016, eq. 14).
        start_token_id: the token that a network with an encoder starts from; None where a prompt is continued.
        end_token_id: the token behind which a row is complete; None if every row becomes as long as allowed.
        pad_token_id: what follows the end, where other rows are longer; None is the end token again.
        seed: of the draws. A row's draw depends on the seed, its place in the batch and the step, and on nothing else.

    Raises SpecError for a value against its rule.
    """

    max_new_tokens: int = field.whole(32)
    strategy: str = field.choice("greedy", "sample", "beam")
    temperature: float = field.positive(1.0)
    top_k: int | None = field.optional_whole(None, least=1)
    top_p: float | None = field.optional_share(None)
    num_beams: int = field.whole(4)
    length_penalty: float = field.non_negative(0.6)
    start_token_id: int | None = field.optional_whole(None)
    end_token_id: int | None = field.optional_whole(None)
    pad_token_id: int | None = field.optional_whole(None)
    seed: int = field.whole(0, least=0)

    def __post_init__(self) -> None:
        field.validate(self, "generate")
        for complaint in self.complaints():
            raise SpecError(f"generate: {complaint}")

    def complaints(self) -> Iterator[str]:
        """A sentence for each option that the strategy would not heed."""
        if self.strategy != "sample":
            for name, usual in (("temperature", 1.0), ("top_k", None), ("top_p", None)):
                if getattr(self, name) != usual:
                    yield f'{name} is for strategy="sample", and this is {self.strategy!r}'

    @property
    def filler(self) -> int:
        """What stands behind the end of a row. Where there is no end, nothing does."""
        return next((token for token in (self.pad_token_id, self.end_token_id) if token is not None), 0)


def decode(decoder: Decoder, prompt: Tokens, options: Decoding) -> Tokens:
    """The tokens that follow a prompt, (batch, time): as many as allowed, or fewer where every row came to its end."""
    by = _by_beams if options.strategy == "beam" else _one_by_one
    return by(decoder, prompt, options)


def _one_by_one(decoder: Decoder, prompt: Tokens, options: Decoding) -> Tokens:
    batch = len(prompt)
    ended = np.zeros(batch, dtype=bool)
    found: list[Tokens] = []
    for step in range(options.max_new_tokens):
        logits = _logits(decoder, prompt if step == 0 else found[-1][:, None], options, step)
        if options.strategy == "greedy":
            chosen = sampling.greedy(logits)
        else:
            chosen = sampling.sample(
                logits,
                generator(options.seed, "sample", step).random(batch),
                temperature=options.temperature,
                top_k=options.top_k,
                top_p=options.top_p,
            )
        found.append(np.where(ended, options.filler, chosen))
        ended |= chosen == options.end_token_id
        if ended.all():
            break
    return np.stack(found, axis=1)


def _by_beams(decoder: Decoder, prompt: Tokens, options: Decoding) -> Tokens:
    beams = Beams(
        len(prompt),
        num_beams=options.num_beams,
        length=options.max_new_tokens,
        alpha=options.length_penalty,
        end=options.end_token_id,
    )
    tokens = prompt
    for step in range(options.max_new_tokens):
        rows, chosen = beams.advance(_logits(decoder, tokens, options, step))
        if beams.settled:
            break
        decoder.reorder(rows)
        tokens = chosen[:, None]
    longest = max(len(best) for best in beams.best)
    filled = [np.pad(best, (0, longest - len(best)), constant_values=options.filler) for best in beams.best]
    return np.stack(filled)


def _logits(decoder: Decoder, tokens: Tokens, options: Decoding, step: int) -> Floats:
    logits = np.asarray(decoder.step(tokens), dtype=np.float64)
    vocabulary = logits.shape[-1]
    if options.top_k is not None and options.top_k > vocabulary:
        raise InputError(f"generate: top_k is {options.top_k}, and there are {vocabulary} tokens")
    if not sampling.usable(logits):
        raise InputError(f"generate: the logits of new token {step} are not finite, so none can be chosen")
    return logits


class Uncached:
    """A decoder that keeps no more than the tokens, and runs the whole network over all of them in every step.

    `forward` is a network's, from its inputs by name; `name` is that of the input which grows, `inputs` are the others.
    """

    def __init__(self, forward: Callable[[Arrays], Run], inputs: Arrays, name: str) -> None:
        self.forward, self.inputs, self.name = forward, dict(inputs), name
        self.calls: dict[str, Call] = {}

    def step(self, tokens: Tokens) -> Floats:
        """The logits after the last of these tokens, which follow those of the steps before."""
        before = self.inputs.get(self.name, tokens[:, :0])
        self.inputs[self.name] = np.concatenate([before, tokens], axis=1)
        run = self.forward(self.inputs)
        self.calls = run.calls
        logits: Floats = next(iter(run.outputs.values()))[:, -1]
        return logits

    def reorder(self, rows: Tokens) -> None:
        """Go on with these rows, in this order; one may be there several times."""
        self.inputs = {name: array[rows] for name, array in self.inputs.items()}
