"""What names tell: the words that a path is made of, and which of several names are most alike."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
SAME = {
    "q": "query", "wq": "query", "queries": "query", "k": "key", "wk": "key", "keys": "key", "v": "value",
    "wv": "value", "values": "value", "wo": "output", "out": "output", "o": "output", "mu": "mean", "loc": "mean",
    "logvar": "variance", "var": "variance", "sigma": "variance", "std": "variance", "enc": "encoder",
    "dec": "decoder", "src": "source", "tgt": "target", "trg": "target", "emb": "embedding", "embed": "embedding",
    "embeddings": "embedding", "tok": "token", "tokens": "token", "word": "token", "pos": "position",
    "positional": "position", "positions": "position", "seg": "segment", "type": "segment", "fwd": "forward",
    "bwd": "backward", "reverse": "backward", "img": "image", "txt": "text", "attn": "attention",
    "att": "attention", "disc": "discriminator",
    "gen": "generator", "users": "user", "items": "item", "conv": "convolution", "downsample": "shortcut",
    "skip": "shortcut", "residual": "shortcut", "proj": "projection", "cls": "class",
    "weight": "kernel", "scale": "gamma", "shift": "beta", "moving": "running",
}  # fmt: skip
SAID_ALREADY = frozenset(
    {"dense", "linear", "fc", "layer", "layers", "module", "block", "blocks", "model", "to", "net"}
)


def words(name: str) -> list[str]:
    """`layer1.0.q_proj` -> `["1", "0", "query", "projection"]`: synonyms as one, without what roles say."""
    found = [word.lower() for word in WORDS.findall(name)]
    return [SAME.get(word, word) for word in found if word not in SAID_ALREADY]


def told(first: Sequence[str], second: Sequence[str]) -> list[int] | None:
    """Which of the second names is which of the first, where the names tell; else None.

    Only the words in which the names of one side differ count: names with the same ones are a group, and a group is the
    other side's most alike. The last group goes with the last one. Within a group, numbers in ascending order tell.
    """
    if len(first) != len(second) or len(first) < 2:
        return None
    ours, theirs = _groups(first), _groups(second)
    chosen: dict[int, int] = {}
    while ours:
        both = _alike(ours, theirs) if len(ours) > 1 or len(theirs) > 1 else (next(iter(ours)), next(iter(theirs)))
        if both is None:
            return None
        pairs = _by_numbers(first, second, ours.pop(both[0]), theirs.pop(both[1]))
        if pairs is None or bool(ours) != bool(theirs):
            return None
        chosen.update(pairs)
    return [chosen[place] for place in range(len(first))]


def likeness(one: str, other: str) -> float:
    """How much two names have in common, between 0 and 1."""
    left, right = set(words(one)), set(words(other))
    return len(left & right) / len(left | right) if left | right else 0.0


def _groups(names: Sequence[str]) -> dict[frozenset[str], list[int]]:
    found: dict[frozenset[str], list[int]] = {}
    for place, telling in enumerate(_telling(names)):
        found.setdefault(telling, []).append(place)
    return found


def _alike(
    ours: Mapping[frozenset[str], list[int]], theirs: Mapping[frozenset[str], list[int]]
) -> tuple[frozenset[str], frozenset[str]] | None:
    """Two groups that are each other's most alike, and nobody else's as much."""
    for one in ours:
        scores = {other: _overlap(one, other) for other in theirs}
        best = max(scores.values())
        at = [other for other, score in scores.items() if score == best]
        if best > 0 and len(at) == 1 and all(_overlap(rival, at[0]) < best for rival in ours if rival != one):
            return one, at[0]
    return None


def _telling(names: Sequence[str]) -> list[frozenset[str]]:
    """The words of each name, without numbers and without those that all have in common."""
    each = [frozenset(word for word in words(name) if not word.isdigit()) for name in names]
    common = frozenset.intersection(*each) if len(each) > 1 else frozenset()
    return [found - common for found in each]


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 0.0


def _by_numbers(
    first: Sequence[str], second: Sequence[str], ours: Sequence[int], theirs: Sequence[int]
) -> list[tuple[int, int]] | None:
    """The names at these places in the order of their numbers, where no two of a side have the same."""
    if len(ours) != len(theirs):
        return None
    order = [
        sorted((_numbers(names[place]), place) for place in places)
        for names, places in ((first, ours), (second, theirs))
    ]
    distinct = all(len({number for number, _ in ranked}) == len(ranked) for ranked in order)
    pairs = [(one, other) for (_, one), (_, other) in zip(*order, strict=True)]
    return pairs if len(pairs) == 1 or distinct else None


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(int(word) for word in re.findall(r"\d+", name)) or (0,)
