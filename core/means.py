"""Means of what is measured batch by batch, each over what it counts."""

from __future__ import annotations

Measured = dict[str, tuple[int, float]]


class Means:
    """Sums by name, and over how many."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def add(self, measured: Measured) -> None:
        """What a batch gave: over how many samples or positions, and their mean."""
        for name, (count, value) in measured.items():
            self.sums[name] = self.sums.get(name, 0.0) + count * value
            self.counts[name] = self.counts.get(name, 0) + count

    def of(self, name: str) -> float:
        """One of the means."""
        return self.sums[name] / max(1, self.counts[name])

    def all(self) -> dict[str, float]:
        """Every mean by name."""
        return {name: self.of(name) for name in self.sums}
