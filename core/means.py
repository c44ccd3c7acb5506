"""Means over samples of what is measured batch by batch."""

from __future__ import annotations


class Means:
    """Sums by name, and over how many samples."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.samples = 0

    def add(self, samples: int, **values: float) -> None:
        """The means of a batch of so many samples."""
        self.samples += samples
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + samples * value

    def of(self, name: str) -> float:
        """The mean of one of them."""
        return self.sums[name] / self.samples

    def all(self) -> dict[str, float]:
        """Every mean by name."""
        return {name: self.of(name) for name in self.sums}
