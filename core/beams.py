"""Beam search over all rows of a batch at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .sampling import Floats, Tokens, log_softmax, ranked


def penalty(length: int, alpha: float) -> float:
    """What a sum of log-probabilities is divided by: ((5 + length) / 6) ** alpha.

    Wu et al., "Google's neural machine translation system" (2016), eq. 14. The length is that of the new tokens, an end
    token included.
    """
    return float(((5 + length) / 6) ** alpha)


class Beams:
    """The live and the finished hypotheses of every row of a batch, in which each row has as many live ones.

    A live hypothesis that continues with the end token is finished if it is among the row's best `num_beams`
    continuations of that step, and the best finished one of each row is kept: to finish whatever could end would favour
    the shortest texts. Of equal hypotheses the one that finished first wins, then the one of the higher beam, then the
    lower token.
    """

    def __init__(self, batch: int, *, num_beams: int, length: int, alpha: float, end: int | None) -> None:
        self.num_beams, self.length, self.alpha, self.end = num_beams, length, alpha, end
        self.tokens: Tokens = np.zeros((batch, 1, 0), dtype=np.int64)  # of the live ones: (batch, beams, time)
        self.sums: Floats = np.zeros((batch, 1))
        self.best: list[Tokens] = [np.zeros(0, dtype=np.int64)] * batch
        self.scores: Floats = np.full(batch, -np.inf)

    def advance(self, logits: Floats) -> tuple[NDArray[np.int64], Tokens]:
        """Take the logits of every live hypothesis, row by row. Gives which of them each new one continues, and how."""
        batch, beams, time = self.tokens.shape
        candidates = self.sums[:, :, None] + log_softmax(logits).reshape(batch, beams, -1)  # (batch, beams, tokens)
        vocabulary = candidates.shape[-1]
        flat = candidates.reshape(batch, -1)  # a view
        kept = min(self.num_beams, flat.shape[1])
        if self.end is not None:
            ends = np.full((batch, beams), -np.inf)
            for row, places in enumerate(ranked(flat, kept)):
                beam = places[places % vocabulary == self.end] // vocabulary
                ends[row, beam] = candidates[row, beam, self.end]
            self._finish(ends, _longer(self.tokens, np.full((batch, beams), self.end)))
            candidates[:, :, self.end] = -np.inf
        chosen = ranked(flat, kept)  # (batch, beams)
        self.sums = np.take_along_axis(flat, chosen, axis=1)
        beam, token = np.divmod(chosen, vocabulary)
        self.tokens = _longer(np.take_along_axis(self.tokens, beam[:, :, None], axis=1), token)
        if time + 1 == self.length:  # what is as long as allowed is finished too, without an end
            self._finish(self.sums, self.tokens)
        return (beam + beams * np.arange(batch)[:, None]).ravel(), token.ravel()

    @property
    def settled(self) -> bool:
        """Whether no live hypothesis can still beat its row's finished one, however it goes on.

        A sum of log-probabilities only falls, and of the lengths it may yet have the penalty is kindest to the longest.
        """
        reachable = self.sums.max(axis=1) / penalty(self.length, self.alpha)
        return self.tokens.shape[2] == self.length or bool(np.all(self.scores >= reachable))

    def _finish(self, sums: Floats, tokens: Tokens) -> None:
        scores = sums / penalty(tokens.shape[2], self.alpha)
        for row, beam in enumerate(np.argmax(scores, axis=1)):
            if scores[row, beam] > self.scores[row]:
                self.scores[row], self.best[row] = scores[row, beam], tokens[row, beam]


def _longer(tokens: Tokens, last: Tokens) -> Tokens:
    return np.concatenate([tokens, last[:, :, None]], axis=2)
