"""Which weight is which, as a TOML file that people read, write and correct.

`[rename]` holds names alone, of tensors or of layers: PyTorch's = Keras's. `[[weight]]` holds one weight in full: its
`axes`, and on each side the tensor, with its own axes where they are others, the sizes of what is folded into one of
them (`_factors`), and which part is taken (`_pick`, or `_span` of
one axis). `[ignored]` names the tensors that have no counterpart.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..axes import parse
from ..errors import CheckpointError, StateError, nearest
from .entries import consistent, distinct, unignored
from .mapping import Match, WeightMapping
from .piece import ONE, Piece, words
from .stated import renaming

SIDES = ("torch", "keras")
PARTS = ("", "_axes", "_factors", "_pick", "_span", "_stored")
KEYS = ("name", "axes", *(side + part for side in SIDES for part in PARTS), "layers", "how", "trainable")
SPAN = ("axis", "start", "stop", "whole")
SPAN_EXAMPLE = "axis = 1, start = 0, stop = 64, whole = 80"
BARE = re.compile(r"[A-Za-z0-9_-]+")
HEAD = """\
# Which weight of a PyTorch model is which of a Keras model, for diglot compare --map, transfer(map=) and convert --map.
# Axes are named in each framework's own order; (a b) is one axis that holds both, 1 an axis of length one.
# A line under [rename] is enough where the layers say the rest: "fc1.weight" = "dense/kernel", or "fc1" = "dense".
"""

Path_ = str | os.PathLike[str]
Names = tuple[str, ...]


def check_map(path: Path_, force: bool) -> None:
    """Raises CheckpointError where a map file is in the way, or where its folder takes none."""
    target = Path(path)
    if target.exists() and not (force and target.is_file()):
        advice = "choose another name" + (", or --force" if target.is_file() else "")
        raise CheckpointError(f"the map file {target} is there already, and was left as it is; {advice}")
    if not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
        raise CheckpointError(f"the map file {target} cannot be written: its folder takes no files")


def write_map(path: Path_, mapping: WeightMapping, undecided: Sequence[tuple[Names, Names]] = ()) -> None:
    """Write a mapping, complete or not at all; names that are `undecided` as candidates, behind a #.

    Raises CheckpointError where the file cannot be written.
    """
    lines = [HEAD]
    if mapping.settled:
        lines += ["# What was ambiguous, and how it was decided.", f"settled = {_value(list(mapping.settled))}", ""]
    renamed = [match for match in mapping.matches if not match.axes]
    if renamed or undecided:
        lines.append("[rename]")
        lines += [f"{_value(one.torch[0].tensor)} = {_value(_plain([p.tensor for p in one.keras]))}" for one in renamed]
        for ours, theirs in undecided:
            lines += _candidates(ours, theirs)
        lines.append("")
    if mapping.ignored:
        lines.append("[ignored]")
        lines += [f"{side} = {_value(list(names))}" for side, names in mapping.ignored.items()]
        lines.append("")
    for match in mapping.matches:
        if match.axes:
            lines += ["[[weight]]", *_lines(match), ""]
    target = Path(path)
    partial = target.with_name(f"{target.name}.partial")
    try:
        partial.write_text("\n".join(lines).rstrip("\n") + "\n", encoding="utf-8", newline="\n")
        partial.replace(target)
    except (OSError, UnicodeError) as error:
        partial.unlink(missing_ok=True)
        raise CheckpointError(f"the map file {target} cannot be written: {_reason(error)}") from None


def read_map(path: Path_) -> WeightMapping:
    """The mapping of a file. What it only renames has no axes yet: the layers of the models say them.

    Raises CheckpointError for a file that cannot be read or is no TOML, and StateError for an entry that is not valid.
    """
    if not os.path.isfile(path):  # a pipe or a device would be waited for
        raise CheckpointError(f"the map file {path} cannot be read: it is not a file; --write-map writes one")
    try:
        held = tomllib.loads(Path(path).read_bytes().decode("utf-8"))
    except (OSError, UnicodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise CheckpointError(f"the map file {path} cannot be read: {_reason(error)}") from None
    where = f"the map file {path}"
    _only(held, ("settled", "rename", "ignored", "weight"), where)
    renamed = held.get("rename", {})
    if not isinstance(renamed, dict) or not all(_is_names(names) for names in renamed.values()):
        raise StateError(f'{where}: [rename] takes PyTorch\'s names and Keras\'s, as in "fc1.weight" = "dense/kernel"')
    entries = held.get("weight", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise StateError(f"{where}: each weight begins with a line [[weight]]")
    matches = [*renaming(renamed).matches, *(_match(entry, number, where) for number, entry in enumerate(entries, 1))]
    distinct(matches, where)
    consistent(matches, where)
    ignored = held.get("ignored", {})
    if not isinstance(ignored, dict):
        raise StateError(f"{where}: [ignored] takes torch = [names] and keras = [names]")
    _only(ignored, SIDES, f"{where}, [ignored]")
    lists = {f"[ignored] {side}": names for side, names in ignored.items()} | {"settled": held.get("settled", [])}
    for key, names in lists.items():
        if not isinstance(names, list) or not _is_names(names or ["none"]):
            raise StateError(f"{where}: {key} takes a list of texts")
    left = {side: tuple(names) for side, names in ignored.items()}
    unignored(matches, left, where)
    return WeightMapping(tuple(matches), left, tuple(held.get("settled", [])))


def _candidates(ours: Names, theirs: Names) -> list[str]:
    """Lines of names that may go together, none of which counts until its # is taken away."""
    said = f"{', '.join(ours) or 'nothing'} of PyTorch are {', '.join(theirs) or 'nothing'} of Keras"
    lines = ["# " + json.dumps(f"{said}; which is which could not be told: correct, and take the # away.",
                               ensure_ascii=False)[1:-1]]  # fmt: skip
    lines += [f"# {_value(one)} = {_value(other)}" for one, other in zip(ours, theirs, strict=False)]
    return lines


def _lines(match: Match) -> list[str]:
    lines = [f"name = {_value(match.name)}", f"axes = {_value(match.axes)}"]
    for side in SIDES:
        pieces: tuple[Piece, ...] = getattr(match, side)
        lines.append(f"{side} = {_value(_plain([piece.tensor for piece in pieces]))}")
        for part, values, empty in (
            ("axes", [piece.axes for piece in pieces], match.axes),
            ("factors", [dict(piece.factors) for piece in pieces], {}),
            ("pick", [dict(piece.pick) for piece in pieces], {}),
            ("span", [dict(zip(SPAN, piece.span, strict=False)) for piece in pieces], {}),
            ("stored", [piece.stored for piece in pieces], ""),
        ):
            if any(value != empty for value in values):
                same = all(value == values[0] for value in values)
                lines.append(f"{side}_{part} = {_value(values[0] if same and part != 'stored' else _plain(values))}")
    if any(match.layers):
        lines.append(f"layers = {_value(list(match.layers))}")
    if not match.trainable:
        lines.append("trainable = false")
    lines.append(f"how = {_value(match.how)}")
    return lines


def _match(entry: Mapping[str, Any], number: int, where: str) -> Match:
    where = f"{where}, weight {number}" + (f" ({entry['name']})" if isinstance(entry.get("name"), str) else "")
    _only(entry, KEYS, where)
    for key in ("axes", *SIDES):
        if key not in entry:
            raise StateError(f"{where}: {key} is missing; a weight has axes, torch and keras")
    axes = _text(entry, "axes", where)
    _parsed(axes, "axes", where)
    pieces = {side: _pieces(entry, side, axes, where) for side in SIDES}
    layers = entry.get("layers", ["", ""])
    if not isinstance(layers, list) or len(layers) != 2 or not all(isinstance(name, str) for name in layers):
        raise StateError(f"{where}: layers takes two names, PyTorch's and Keras's")
    trainable = entry.get("trainable", True)
    if not isinstance(trainable, bool):
        raise StateError(f"{where}: trainable takes true or false, not {trainable!r}")
    name = _text(entry, "name", where) if "name" in entry else pieces["torch"][0].tensor
    how = _text(entry, "how", where) if "how" in entry else "map"
    return Match(name, axes, pieces["torch"], pieces["keras"], how, (layers[0], layers[1]), trainable)


def _pieces(entry: Mapping[str, Any], side: str, axes: str, where: str) -> tuple[Piece, ...]:
    if not _is_names(entry[side]):
        raise StateError(f"{where}: {side} takes the name of a tensor, or a list of those that are summed")
    names = _listed(entry[side])
    parts: dict[str, list[Any]] = {}
    for part, empty, kind in (
        ("axes", axes, str),
        ("factors", {}, dict),
        ("pick", {}, dict),
        ("span", {}, dict),
        ("stored", "", str),
    ):
        values = _listed(entry.get(f"{side}_{part}", empty))
        values = values * len(names) if len(values) == 1 else values
        if len(values) != len(names) or not all(isinstance(value, kind) for value in values):
            raise StateError(f"{where}: {side}_{part} takes one {_KINDS[kind]} for each tensor")
        parts[part] = values
    wanted = sorted(name for group in parse(axes) for name in group)
    found = []
    for name, own, factors, pick, span, stored in zip(names, *parts.values(), strict=True):
        for key, table, least in (
            (f"{side}_factors", factors, 1),
            (f"{side}_pick", pick, 0),
            (f"{side}_span", span, 0),
        ):
            for axis, number in table.items():
                if isinstance(number, bool) or not isinstance(number, int) or number < least:
                    raise StateError(f"{where}: {key} takes whole numbers from {least} up, and {axis} is {number!r}")
        _parsed(" ".join(word for word in words(own) if word != ONE), f"{side}_axes", where)
        places = tuple(span.get(key, -1) for key in SPAN) if span else ()
        if places and (
            set(span) != set(SPAN) or not (places[0] < len(words(own)) and places[1] < places[2] <= places[3])
        ):
            raise StateError(f"{where}: {side}_span takes {', '.join(SPAN)}, as in {{ {SPAN_EXAMPLE} }}")
        piece = Piece(name, own, tuple(factors.items()), tuple(pick.items()), stored, places)
        held = [axis for word in words(own) if word != ONE for axis in word.strip("()").split()]
        for axis in (*factors, *pick):
            if axis not in held:
                raise StateError(f"{where}: {axis} is no axis of {name}, which has {own!r}{nearest(axis, held)}")
        if sorted(piece.left().split()) != wanted:
            raise StateError(f"{where}: {name} has the axes {own!r}, which are not those of {axes!r}")
        found.append(piece)
    return tuple(found)


_KINDS = {str: "text", dict: "table, as in { heads = 8 }"}


def _only(held: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in held:
        if key not in known:
            raise StateError(f"{where}: there is no key {key!r}{nearest(key, known)}")


def _parsed(axes: str, key: str, where: str) -> None:
    try:
        if parse(axes) or not axes:
            return
    except ValueError as error:
        raise StateError(f"{where}: {key} is not valid: {error}") from None


def _text(entry: Mapping[str, Any], key: str, where: str) -> str:
    if not isinstance(entry[key], str):
        raise StateError(f"{where}: {key} takes a text, not {entry[key]!r}")
    return str(entry[key])


def _is_names(value: Any) -> bool:
    names = _listed(value)
    return bool(names) and all(isinstance(name, str) and name for name in names)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _plain(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _value(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, dict):
        items = [f"{key if BARE.fullmatch(key) else _value(key)} = {item}" for key, item in value.items()]
        return f"{{ {', '.join(items)} }}" if items else "{}"
    if isinstance(value, list):
        inline = f"[{', '.join(_value(item) for item in value)}]"
        return inline if len(inline) < 80 else "[\n" + "".join(f"    {_value(item)},\n" for item in value) + "]"
    return str(value)


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)
