"""What a user's layers hold, put back when we are done with them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any


@contextlib.contextmanager
def untouched(layers: Iterable[Any]) -> Iterator[None]:
    """Whatever happens, the layers then hold the very same objects under the very same attributes."""
    before = [(vars(layer), dict(vars(layer))) for layer in layers]
    losses = [(held["_losses"], list(held["_losses"])) for held, _ in before if "_losses" in held]
    seeds = [(seed.state, seed.state.numpy()) for held, _ in before for seed in held.get("_seed_generators", ())]
    try:
        yield
    finally:
        for held, contents in before:
            for key in [key for key in held if key not in contents]:
                del held[key]
            held.update(contents)
        for held_losses, contents in losses:
            held_losses[:] = contents
        for state, value in seeds:
            state.assign(value)
