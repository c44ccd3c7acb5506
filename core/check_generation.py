"""What the check of generation compares: a decoder's logits with those of the whole network, and all the tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import compare, floor, verdict
from .backend import SIDES, Decoder
from .compare import Comparison
from .decoding import Decoding, decode
from .noise import generator
from .pair import Pair
from .sampling import Floats, Tokens
from .state import State
from .technique import Arrays

WAYS = ("cached", "uncached")
STRATEGIES: dict[str, dict[str, Any]] = {
    "greedy": {},
    "top-k": {"strategy": "sample", "top_k": 2},
    "top-p": {"strategy": "sample", "top_p": 0.9, "temperature": 0.7},
    "beam": {"strategy": "beam", "num_beams": 3},
}
NEW, END = 5, 1


@dataclass(frozen=True)
class Script:
    """A text that is fed to a decoder in pieces: a prompt, then token by token, half-way on with other rows.

    These `rows` are all of them in reverse and the first again: every row changes its place, and their number changes.
    """

    others: Arrays
    tokens: Tokens
    prompt: int
    turn: int

    @classmethod
    def of(cls, arrays: Arrays, name: str) -> Script:
        """The script of a network's inputs, of which the one of this name grows."""
        time = arrays[name].shape[1]
        prompt = max(1, time // 3)
        others = {key: array for key, array in arrays.items() if key != name}
        return cls(others, arrays[name], prompt, (prompt + time) // 2)

    @property
    def rows(self) -> Tokens:
        """Which rows go on after the turn."""
        return np.append(np.arange(len(self.tokens))[::-1], 0)

    @property
    def ends(self) -> range:
        """How many tokens there are after each piece."""
        return range(self.prompt, self.tokens.shape[1] + 1)

    def feed(self, decoder: Decoder) -> Iterator[Floats]:
        """The logits after each piece."""
        tokens = self.tokens
        for end in self.ends:
            if end == self.turn + 1:
                decoder.reorder(self.rows)
                tokens = tokens[self.rows]
            yield decoder.step(tokens[:, 0 if end == self.prompt else end - 1 : end])

    def whole(self, end: int, name: str) -> Arrays:
        """The inputs that hold all that a decoder has seen after a piece."""
        arrays = {**self.others, name: self.tokens[:, :end]}
        return {key: array[self.rows] for key, array in arrays.items()} if end > self.turn else arrays


def prompt(pair: Pair) -> Arrays:
    """The inputs that generation is checked on."""
    return pair.spec.prompt(generator(pair.seed, "prompt"))


def logits(pair: Pair) -> list[Comparison]:
    """The logits after each piece of a given text: cached and uncached, on one side, and from side to side."""
    grows = pair.spec.generates

    def job(side: str, state: State, batches: list[Arrays]) -> Arrays:
        model, backend, script = pair.loaded(side, state), pair.side(side), Script.of(batches[0], grows)
        fed = list(script.feed(backend.decoder(model, script.others)))
        turn = script.turn - script.prompt + 1
        result = {}
        for text, steps, ends in (
            ("logits", fed[:turn], script.ends[:turn]),
            ("logits after new rows", fed[turn:], script.ends[turn:]),
        ):
            whole = next(iter(backend.forward(model, script.whole(ends[-1], grows)).outputs.values()))
            result[f"cached {text}"] = np.stack(steps, axis=1)
            result[f"uncached {text}"] = whole[:, [end - 1 for end in ends]]
        return result

    return pair.measure(job, [prompt(pair)], _every_way)


def _every_way(
    base: dict[str, Arrays], floors: dict[str, float], wide: dict[str, float] | None = None
) -> list[Comparison]:
    found = compare.every(base["torch"], base["keras"], floors, wide)
    for side, label in zip(SIDES, compare.SIDES, strict=True):
        one, other = (_of_way(base[side], way) for way in WAYS)
        bounds, wider = (floor.larger(*(_of_way(given or {}, way) for way in WAYS)) for given in (floors, wide))
        sides = tuple(f"{label}, {way}" for way in WAYS)
        found += [
            item.renamed(f"{item.name} ({label}, cached and uncached)")
            for item in compare.every(one, other, bounds, wider, (sides[0], sides[1]))
        ]
    return found


def _of_way(given: dict[str, Any], way: str) -> dict[str, Any]:
    return {name.removeprefix(f"{way} "): value for name, value in given.items() if name.startswith(f"{way} ")}


def tokens(pair: Pair) -> list[Comparison]:
    """The tokens of each strategy, on both sides, cached and not: all must be the same."""
    start = Script.of(prompt(pair), pair.spec.generates)
    found: dict[str, Arrays] = {}
    for side, label in zip(SIDES, compare.SIDES, strict=True):
        model = pair.loaded(side, pair.state)
        for way in WAYS:
            found[f"{label}, {way}"] = {
                f"{name} tokens": decode(
                    pair.side(side).decoder(model, start.others, cache=way == "cached"),
                    start.tokens[:, : start.prompt],
                    options,
                )
                for name, options in _options(pair, start)
            }
    first, *others = found
    return [
        item.renamed(f"{item.name} ({first}; {other})")
        for other in others
        for item in compare.every(found[first], found[other], {}, sides=(first, other))
    ]


def _options(pair: Pair, start: Script) -> Iterator[tuple[str, Decoding]]:
    new = min(NEW, start.tokens.shape[1] - start.prompt)
    for name, fields in STRATEGIES.items():
        padding = pair.spec.fields().get("pad_token_id")
        yield (
            name,
            Decoding(max_new_tokens=new, end_token_id=END, pad_token_id=padding, seed=pair.seed, **fields),
        )


def forgetful(pair: Pair) -> list[tuple[str | None, str]]:
    """A complaint where the logits after the last token do not depend on the first, so that no cache is needed."""
    arrays, grows = prompt(pair), pair.spec.growing()
    changed = {**arrays, grows.name: arrays[grows.name].copy()}
    padding = pair.spec.fields().get("pad_token_id")
    other = [token for token in range(grows.high) if token != padding]
    changed[grows.name][:, 0] = [next(one for one in other if one != token) for token in arrays[grows.name][:, 0]]

    def last(state: State, inputs: Arrays) -> Arrays:
        outputs = pair.side("torch").forward(pair.loaded("torch", state), inputs).outputs
        return {"logits": next(iter(outputs.values()))[:, -1]}

    base = last(pair.state, arrays)
    floors = floor.movement(base, last(floor.moved(pair.state, pair.seed), arrays))
    moved = np.max(np.abs(last(pair.state, changed)["logits"] - base["logits"])) / floors["logits"]
    if verdict.is_seen(float(moved)):
        return []
    return [(None, "the logits of the last token do not depend on the first, so this comparison could not fail")]
