"""Steps paired by their order: the highest score of two runs, between pairs that are known."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence

import numpy as np

from .layer import Step
from .likeness import score


def increasing(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of pairs that is in order on both sides."""
    ordered = sorted(set(pairs))
    tails: list[int] = []
    chain: list[list[tuple[int, int]]] = []
    for pair in ordered:
        place = bisect.bisect_left(tails, pair[1])
        before = chain[place - 1] if place else []
        if place == len(tails):
            tails.append(pair[1])
            chain.append([*before, pair])
        else:
            tails[place], chain[place] = pair[1], [*before, pair]
    return chain[-1] if chain else []


def segments(
    anchors: list[tuple[int, int]], ours: list[int], theirs: list[int]
) -> Iterable[tuple[list[int], list[int]]]:
    """The places of both sides between each two pairs that are known."""
    last = (-1, -1)
    for anchor in [*anchors, (1 << 60, 1 << 60)]:
        yield (
            [i for i in ours if last[0] < i < anchor[0]],
            [i for i in theirs if last[1] < i < anchor[1]],
        )
        last = anchor


def by_order(torch: Sequence[Step], keras: Sequence[Step], ours: list[int], theirs: list[int]) -> list[tuple[int, int]]:
    """The alignment of two short runs of steps with the highest score, by dynamic programming."""
    best = np.zeros((len(ours) + 1, len(theirs) + 1))
    scores = np.zeros((len(ours), len(theirs)))
    for i, one in enumerate(ours):
        for j, other in enumerate(theirs):
            scores[i, j] = score(torch[one], keras[other])
            best[i + 1, j + 1] = max(best[i, j + 1], best[i + 1, j], best[i, j] + scores[i, j])
    found, i, j = [], len(ours), len(theirs)
    while i and j:
        if scores[i - 1, j - 1] > 0 and best[i, j] == best[i - 1, j - 1] + scores[i - 1, j - 1]:
            found.append((ours[i - 1], theirs[j - 1]))
            i, j = i - 1, j - 1
        elif best[i, j] == best[i - 1, j]:
            i -= 1
        else:
            j -= 1
    return found
