"""Whether the entries of a map agree with each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import StateError
from .mapping import Match

SIDES = ("torch", "keras")


def distinct(matches: Sequence[Match], where: str) -> None:
    """Refuse two entries on one weight."""
    seen: set[tuple[tuple[Any, ...], ...]] = set()
    for match in matches:
        key = tuple((piece.tensor, piece.pick, piece.span) for side in SIDES for piece in getattr(match, side))
        if key in seen:
            raise StateError(f"{where} says twice what {match.torch[0].tensor} is; leave one entry out")
        seen.add(key)


def consistent(matches: Sequence[Match], where: str) -> None:
    """Refuse a tensor, or a layer, that lies at two places in Keras's own file, and two tensors at one place."""
    places: dict[str, str] = {}
    names: dict[str, str] = {}
    for piece in (piece for match in matches for piece in match.keras if piece.stored):
        layers = piece.tensor.rpartition("/")[0], piece.stored.rpartition("/vars/")[0]
        for name, place in ((piece.tensor, piece.stored), (f"{layers[0]}/", f"{layers[1]}/")):
            alone = name == f"{layers[0]}/" or names.setdefault(place, name) == name
            if places.setdefault(name, place) != place or not alone:
                other = places[name] if places[name] != place else names[place]
                raise StateError(
                    f"{where} contradicts itself: keras = {piece.tensor!r} has keras_stored = {piece.stored!r}, but "
                    f"elsewhere {name if places[name] != place else place} goes with {other}; correct both together"
                )


def unignored(matches: Sequence[Match], ignored: Mapping[str, Sequence[str]], where: str) -> None:
    """Refuse a tensor that has a counterpart and is ignored."""
    for side, names in ignored.items():
        for match in matches:
            for piece in getattr(match, side):
                if piece.tensor in names:
                    raise StateError(
                        f"{where} says what {piece.tensor} is, and ignores it under [ignored]; leave one of them out"
                    )
