"""Shared randomness: every draw that both sides must see, by seed, name and step.

A draw depends on nothing else: not on the order of the calls, the machine, the framework or the number of workers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import SpecError


def generator(seed: int, name: str, step: int = 0) -> np.random.Generator:
    """A NumPy generator for one named draw."""
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise SpecError(f"a seed is a whole number, at least 0, not {seed!r}")
    digest = hashlib.sha256(f"{seed}/{name}/{step}".encode()).digest()
    return np.random.Generator(np.random.Philox(int.from_bytes(digest[:16], "little")))


@dataclass
class Noise:
    """The draws of one run. A side asks by name; `step` is advanced by whoever drives the run."""

    seed: int
    step: int = 0

    def keep_mask(self, name: str, shape: tuple[int, ...], rate: float) -> NDArray[np.bool_]:
        """A dropout mask: True where the unit is kept, each with probability `1 - rate`."""
        return generator(self.seed, f"mask {name}", self.step).random(shape) >= rate

    def normal(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Standard normal draws."""
        return generator(self.seed, f"normal {name}", self.step).standard_normal(shape)

    def uniform(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Draws between 0 and 1."""
        return generator(self.seed, f"uniform {name}", self.step).random(shape)

    def beta(self, name: str, alpha: float, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Draws between 0 and 1 of the symmetric beta distribution: uniform for an alpha of 1, at the ends below."""
        return generator(self.seed, f"beta {name}", self.step).beta(alpha, alpha, shape)

    def integers(self, name: str, high: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Whole numbers below `high`."""
        return generator(self.seed, f"integers {name}", self.step).integers(high, size=shape)

    def permutation(self, name: str, count: int) -> NDArray[np.int64]:
        """The numbers below `count` in a random order."""
        return generator(self.seed, f"permutation {name}", self.step).permutation(count)
