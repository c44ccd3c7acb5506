"""One step of a side whose weights several steps of the other hold between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .holding import SEPARATORS
from .layer import BLOCK, CUSTOM, Step
from .likeness import alike
from .paired import Paired, distinct

QKV = ("query", "key", "value")


def spans(
    torch: Sequence[Step], keras: Sequence[Step], held: list[list[frozenset[str]]], covered: set[str]
) -> list[Paired]:
    """One step of a side whose weights several steps of the other hold between them."""
    found = []
    for side, (one, many) in enumerate(((torch, keras), (keras, torch))):
        for i, step in enumerate(one):
            weights = held[side][i]
            if step.role in (BLOCK, CUSTOM) or not weights or weights & covered:
                continue
            inner = [
                j for j, names in enumerate(held[1 - side])
                if names and names <= weights and many[j].role not in (BLOCK, CUSTOM)
            ]  # fmt: skip
            if len(inner) > 1 and frozenset().union(*(held[1 - side][j] for j in inner)) == weights:
                covered |= weights
                calls = [j for j in range(len(one)) if held[side][j] == weights and one[j].name == step.name]
                found += _spanning((one, many), i, inner, side, weights) if len(calls) == 1 else []
    return found


def _spanning(
    steps: tuple[Sequence[Step], Sequence[Step]], place: int, inner: list[int], side: int, weights: frozenset[str]
) -> list[Paired]:
    """The pair of a step of one side and the last of several of the other's, each of them called once."""
    step, many = steps[0][place], steps[1]
    if len({many[j].name for j in inner}) < len(inner):
        return []
    given = tuple((place, argument) for argument in distinct(step) if step.role != "attention" or argument < len(QKV))
    sources = {id(many[j].inputs[0]): (j, 0) for j in reversed(inner[:-1]) if many[j].inputs}
    left = [source for source in dict.fromkeys((j, 0) for j in inner[:-1]) if source in sources.values()]
    ordered = []
    for own, argument in given:
        wanted = steps[0][own].inputs[argument]
        same = [source for source in left if alike(many[source[0]].inputs[0], wanted)]
        ordered += [source for source in same[:1] if source not in ordered]
    taken = tuple(ordered) if len(ordered) == len(given) else tuple(left)
    block = around([many[j].name for j in inner], list(SEPARATORS.values())[1 - side])
    last = replace(many[inner[-1]], name=block or many[inner[-1]].name, role=step.role, settings={})
    if side == 0:
        return [Paired(step, last, (place, inner[-1]), weights, (given, taken), whole=False)]
    return [Paired(last, step, (inner[-1], place), weights, (taken, given), whole=False)]


def around(names: Sequence[str], separator: str) -> str:
    """The block that several layers are in, by their names; nothing where they have none in common."""
    common = []
    for words in zip(*(name.split(separator)[:-1] for name in names), strict=False):
        if len(set(words)) > 1:
            break
        common.append(words[0])
    return separator.join(common)
