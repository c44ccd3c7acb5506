"""Tokens of sequences: where padding lies, and what a decoder is given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def padded(tokens: NDArray[Any], pad_token_id: int, vocab_size: int, rng: np.random.Generator) -> NDArray[Any]:
    """Random tokens, (batch, time), with padding on the right in most sequences, on the left in the first, within the
    second, and nowhere in the last. No row is padding alone."""
    count, time = tokens.shape
    ends = rng.integers(1, time + 1, (count, 1))
    ends[-1] = time
    places = np.arange(time) >= ends
    places[0] = np.arange(time) < time // 3
    places[1 % count] = np.arange(time) == time // 2
    tokens = np.where(tokens == pad_token_id, (pad_token_id + 1) % vocab_size, tokens)
    result: NDArray[Any] = np.where(places, pad_token_id, tokens)
    return result


def shifted(targets: NDArray[Any], start_token_id: int) -> NDArray[Any]:
    """What a decoder is given, (batch, time), so that each position is to say the target there: a start token, and the
    targets one position later."""
    start = np.full_like(targets[:, :1], start_token_id)
    return np.concatenate([start, targets[:, :-1]], axis=1)
