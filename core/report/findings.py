"""What a comparison of two models found, as JSON values and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..compare import Comparison
from ..port.findings import Finding
from ..port.mapping import Match, WeightMapping
from ..port.piece import Piece
from ..results import Report
from ..verdict import Verdict

PAIRS = ("factors", "pick")


def to_json(report: Report) -> dict[str, Any] | None:
    """The notes, the mapping and the findings of a report; None for a run of Diglot's own checks."""
    if report.mapping is None:
        return None
    return {
        "notes": list(report.notes),
        "mapping": {
            "matches": [_match(match) for match in report.mapping.matches],
            "ignored": {side: list(names) for side, names in report.mapping.ignored.items()},
            "settled": list(report.mapping.settled),
        },
        "findings": [_finding(item) for item in report.findings],
    }


def into(report: Report, values: Mapping[str, Any]) -> None:
    """The inverse of `to_json`, into a report."""
    mapping = values["mapping"]
    report.notes = tuple(map(str, values["notes"]))
    report.mapping = WeightMapping(
        tuple(_read_match(match) for match in mapping["matches"]),
        {str(side): tuple(map(str, names)) for side, names in mapping["ignored"].items()},
        tuple(map(str, mapping["settled"])),
    )
    report.findings = tuple(_read_finding(item) for item in values["findings"])


def _match(match: Match) -> dict[str, Any]:
    places = {side: [_piece(piece) for piece in getattr(match, side)] for side in ("torch", "keras")}
    rest = {"how": match.how, "layers": list(match.layers), "trainable": match.trainable}
    return {"name": match.name, "axes": match.axes, **places, **rest}


def _piece(piece: Piece) -> dict[str, Any]:
    values = asdict(piece)
    return {**values, "factors": dict(piece.factors), "pick": dict(piece.pick), "span": list(piece.span)}


def _read_match(values: Mapping[str, Any]) -> Match:
    places = {
        side: tuple(
            Piece(**{**piece, "span": tuple(piece["span"]), **{name: tuple(piece[name].items()) for name in PAIRS}})
            for piece in values[side]
        )
        for side in ("torch", "keras")
    }
    return Match(**{**values, **places, "layers": tuple(values["layers"])})


def _finding(item: Finding) -> dict[str, Any]:
    return {
        **asdict(item),
        "accumulated": item.accumulated and _comparison(item.accumulated),
        "local": [_comparison(each) for each in item.local],
    }


def _comparison(item: Comparison) -> dict[str, Any]:
    """An infinite number becomes null."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in asdict(item).items()
    }


def _read_finding(values: Mapping[str, Any]) -> Finding:
    accumulated = values["accumulated"]
    return Finding(
        **{
            **values,
            "accumulated": accumulated and _read_comparison(accumulated),
            "local": tuple(_read_comparison(each) for each in values["local"]),
        }
    )


def _read_comparison(values: Mapping[str, Any]) -> Comparison:
    numbers: dict[str, Any] = {name: float("inf") if value is None else value for name, value in values.items()}
    return Comparison(**{**numbers, "verdict": Verdict(values["verdict"])})
