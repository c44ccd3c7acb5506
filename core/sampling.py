"""How the next token is chosen from logits, in float64, so that equal logits give equal tokens in every framework.

Of tokens with equal logits the lowest comes first, everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Tokens = NDArray[np.int64]


def greedy(logits: Floats) -> Tokens:
    """The token with the largest logit of each row."""
    return np.asarray(np.argmax(logits, axis=-1))


def sample(
    logits: Floats,
    draws: Floats,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Tokens:
    """A token for each row by one uniform draw in [0, 1): the inverse of the cumulative distribution, in token order.

    The logits are divided by the temperature, then `top_k` keeps the k largest, and then `top_p` the nucleus of what is
    left, which is made a distribution again after each.
    """
    with np.errstate(over="ignore"):  # a low temperature may send a logit to minus infinity, as it should
        scaled = (logits - logits.max(axis=-1, keepdims=True)) / temperature
    if top_k is not None:
        scaled = np.where(largest(scaled, top_k), scaled, -np.inf)
    shares = np.exp(log_softmax(scaled))
    if top_p is not None:
        shares = np.where(nucleus(shares, top_p), shares, 0.0)
    reached = np.cumsum(shares, axis=-1)
    return np.asarray(np.argmax(reached > draws[:, None] * reached[:, -1:], axis=-1))


def log_softmax(logits: Floats) -> Floats:
    """The logarithm of each token's probability."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: Floats = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
    return result


def largest(values: Floats, count: int) -> NDArray[np.bool_]:
    """Which are the `count` largest of each row: exactly so many, of equal ones the first."""
    least = np.partition(values, -count, axis=-1)[..., -count, None]
    above, level = values > least, values == least
    room = count - above.sum(axis=-1, keepdims=True)
    kept: NDArray[np.bool_] = above | (level & (np.cumsum(level, axis=-1) <= room))
    return kept


def ranked(values: Floats, count: int) -> NDArray[np.int64]:
    """The indices of the `count` largest of each row, the largest first, of equal ones the first."""
    found = np.nonzero(largest(values, count))[-1].reshape(-1, count)
    order = np.argsort(-np.take_along_axis(values, found, axis=-1), axis=-1, kind="stable")
    return np.take_along_axis(found, order, axis=-1)


def nucleus(shares: Floats, top_p: float) -> NDArray[np.bool_]:
    """Which tokens are in the nucleus of each row: the fewest, the most probable first, that hold at least `top_p`.

    Holtzman et al., "The curious case of neural text degeneration" (2020), eq. 2. For 1 it is all of them.
    """
    if top_p == 1:
        return np.ones(shares.shape, dtype=bool)
    order = np.argsort(-shares, axis=-1, kind="stable")
    sums = np.cumsum(np.take_along_axis(shares, order, axis=-1), axis=-1)
    kept = np.zeros(shares.shape, dtype=bool)
    np.put_along_axis(kept, order[..., :1], True, axis=-1)
    np.put_along_axis(kept, order[..., 1:], sums[..., :-1] < top_p, axis=-1)
    return kept


def usable(logits: NDArray[Any]) -> bool:
    """Whether a token can be chosen from every row: no NaN, no plus infinity, and a number in each."""
    return bool(np.all(logits < np.inf) and np.all(logits.max(axis=-1) > -np.inf))
