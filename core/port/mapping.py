"""Which weight was taken for which, how that was found, and the same as a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .piece import Piece


@dataclass(frozen=True)
class Match:
    """One canonical weight and its places on both sides; several pieces of one side are summed.

    `name` is the PyTorch layer's path and the slot's name, `axes` its canonical axes. `how` it was found: `content`,
    `name`, `order` or `map`. `layers` are the layers on both sides, by their own names.
    """

    name: str
    axes: str
    torch: tuple[Piece, ...]
    keras: tuple[Piece, ...]
    how: str
    layers: tuple[str, str] = ("", "")
    trainable: bool = True


@dataclass
class WeightMapping(Mapping[str, tuple[str, ...]]):
    """`mapping["conv1.weight"]` is `("conv1/kernel",)`: the Keras tensors that a PyTorch tensor goes into.

    `matches` says it in full. `ignored` are the tensors of either side that were waved through by name, and `settled`
    are sentences on what was ambiguous and how it was decided.
    """

    matches: tuple[Match, ...]
    ignored: dict[str, tuple[str, ...]] = field(default_factory=dict)
    settled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        pairs: dict[str, dict[str, None]] = {}
        for match in self.matches:
            for piece in match.torch:
                pairs.setdefault(piece.tensor, {}).update(dict.fromkeys(other.tensor for other in match.keras))
        self._names = {name: tuple(others) for name, others in pairs.items()}

    def __getitem__(self, name: str) -> tuple[str, ...]:
        return self._names[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
