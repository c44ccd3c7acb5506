"""Weights from one side's tensors into the other's, as a mapping says. No framework, and no arithmetic but sums."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import StateError
from ..technique import Arrays
from .mapping import Match, WeightMapping
from .piece import Piece


def carried(
    mapping: WeightMapping, source: Mapping[str, NDArray[Any]], target: Mapping[str, NDArray[Any]], to: str
) -> Arrays:
    """The target's tensors, by its own names, with what the mapping takes out of the source's.

    `to` is the target's side, `torch` or `keras`. Bitwise where the types are the same, and rounded once where the
    target's is narrower. Where one side sums several tensors, the way into one is their sum, and the way back puts all
    of it into the first and zeros into the others. Tensors that no match names are left out; what a match leaves of a
    tensor is as it is in `target`.

    Raises StateError for a tensor that is missing on either side or does not have the match's shape, where numbers are
    too large for the target's type, and where one tensor of the target would hold two weights that differ.
    """
    found: Arrays = {}
    written: dict[tuple[object, ...], str] = {}
    for match in mapping.matches:
        pieces = match.torch if to == "torch" else match.keras
        whole = canonical(match, source, "keras" if to == "torch" else "torch")
        for number, piece in enumerate(pieces):
            if piece.tensor not in target:
                raise StateError(f"{piece.tensor}, which {match.name} goes into, is no tensor of the target")
            if piece.tensor not in found:
                found[piece.tensor] = np.array(target[piece.tensor], order="C")
            part = whole if number == 0 else np.zeros_like(whole)
            place = (piece.tensor, piece.pick, piece.span)
            before = found[piece.tensor].copy() if place in written else None
            _put(match, piece, found[piece.tensor], part)
            if before is not None and not np.array_equal(before, found[piece.tensor], equal_nan=True):
                raise StateError(
                    f"{piece.tensor} would hold {written[place]} and {match.name}, whose numbers "
                    "differ; the target has one tensor for both"
                )
            written[place] = match.name
    return found


def canonical(match: Match, arrays: Mapping[str, NDArray[Any]], side: str) -> NDArray[Any]:
    """The weight of a match out of one side's tensors, its axes as `match.axes` names them. A copy.

    Raises StateError for a tensor that is missing or does not have the match's shape.
    """
    parts = []
    for piece in match.torch if side == "torch" else match.keras:
        if piece.tensor not in arrays:
            raise StateError(f"{piece.tensor}, which {match.name} is taken from, is no tensor of the {side} side")
        try:
            parts.append(piece.read(arrays[piece.tensor], match.axes))
        except (ValueError, IndexError) as error:
            raise StateError(f"{match.name} cannot be taken from {piece.tensor}: {error}") from None
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _put(match: Match, piece: Piece, whole: NDArray[Any], part: NDArray[Any]) -> None:
    with np.errstate(over="ignore"):
        cast = part.astype(whole.dtype)
    if np.issubdtype(part.dtype, np.floating) and not np.array_equal(np.isfinite(part), np.isfinite(cast)):
        large = float(np.max(np.abs(part[np.isfinite(part)])))
        raise StateError(
            f"{match.name} holds {large:.3g}, which is too large for {piece.tensor} in {whole.dtype}; "
            "build the target in float32"
        )
    try:
        piece.write(whole, cast, match.axes)
    except (ValueError, IndexError) as error:
        raise StateError(f"{match.name} cannot be put into {piece.tensor}: {error}") from None
