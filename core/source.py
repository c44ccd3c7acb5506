"""Weights of other libraries: a small table of names beside a spec, in both directions.

A rule is `(ours, theirs)` or `(ours, theirs, axes)`. In `ours`, `{x}` stands for a number and `*` for any text; both
may be used in `theirs`, where `{x+1}` counts on. The first rule that matches wins; a name that none matches is the
same there.

`ours` names a weight (`class_token.vectors`) or the part that owns it (`layer{s}.{b}.shortcut.conv`); of a part, the
leaf names and the order of the axes are those of the library's framework. `axes` gives theirs where it differs, a 1 for
an axis of length 1. `theirs` may end in `[k/n]`: the k-th of n equal slices along the axis of the outputs, or else the
first, as of a packed projection. `theirs` may end in `#`: the library numbers such layers in order of creation, which
is the spec's order. What a name holds beyond that is a Keras layer and its variable, `conv1_conv/kernel`, or a path in
PyTorch.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Rule = tuple[str, str] | tuple[str, str, str]
SEPARATORS = {"torch": ".", "keras": "/"}
SLICE = re.compile(r"\[(\d+)/(\d+)\]$")
WORD = re.compile(r"\{(\w+)([+-]\d+)?\}|\*")
REQUIRED = object()


@dataclass(frozen=True)
class Setting:
    """A key of a library's configuration, and the field of a spec that it stands for.

    `default` is its value where it is absent or null, or a function of the configuration; REQUIRED where every
    configuration of the family has the key. `values` are `(theirs, ours)` where the two have other names for it; a
    value that is not among them is one that no spec has. A setting without a field has to have one of them.
    `compared` says whether another value than the spec's makes another network; if `only` is given, it does for these
    values of ours.
    """

    key: str
    field: str = ""
    default: Any = None
    values: tuple[tuple[Any, Any], ...] = ()
    compared: bool = True
    only: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Source:
    """How a library names the weights of a spec.

    `side` is its framework, `torch` or `keras`. `aliases` are `(old, new)` spellings of names in older files, as in a
    rule, applied one after another. `left_out` are patterns of names that their files hold and that a spec without
    these parts leaves out. `copies` are `(copy, original)` names of the table's tensors that must hold the same numbers
    wherever both are there. `requires` are `(field, value)` of their networks, or `among` several values: what no name
    and no shape would tell, and what leads from the spec of another library's network to theirs. `settings` are what
    the library's own configuration says of a spec, and `model_type` what it calls itself.

    Where a spec covers several `family`s of a library's networks, `SOURCES` has a table for each under the one name.
    """

    side: str
    rules: tuple[Rule, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    left_out: tuple[str, ...] = ()
    requires: tuple[tuple[str, Any], ...] = ()
    copies: tuple[tuple[str, str], ...] = ()
    family: str = ""
    model_type: str = ""
    settings: tuple[Setting, ...] = ()


@dataclass(frozen=True)
class Among:
    """Values of a field that a library's networks may have, the likeliest first."""

    values: tuple[Any, ...]


def among(*values: Any) -> Among:
    """Values of a field that a library's networks may have, the likeliest first."""
    return Among(values)


def tables(entry: Source | tuple[Source, ...]) -> tuple[Source, ...]:
    """The tables under one name of `SOURCES`."""
    return (entry,) if isinstance(entry, Source) else entry


@functools.cache
def _pattern(text: str) -> re.Pattern[str]:
    parts, last, seen = [], 0, set()
    for word in WORD.finditer(text):
        name = word[1]
        parts.append(re.escape(text[last : word.start()]))
        parts.append("(.*)" if name is None else f"(?P={name})" if name in seen else rf"(?P<{name}>\d+)")
        seen.add(name)
        last = word.end()
    return re.compile("".join([*parts, re.escape(text[last:])]))


def matches(pattern: str, name: str) -> bool:
    """Whether a name is one that a pattern stands for."""
    return _pattern(pattern).fullmatch(name) is not None


def filled(ours: str, theirs: str, name: str) -> str | None:
    """A name, read by one pattern and written by the other; None where it does not match."""
    found = _pattern(ours).fullmatch(name)
    if found is None:
        return None
    numbers = found.groupdict()
    named = set(found.re.groupindex.values())
    texts = iter([text for index, text in enumerate(found.groups(), 1) if index not in named])

    def fill(word: re.Match[str]) -> str:
        return next(texts) if word[1] is None else str(int(numbers[word[1]]) + int(word[2] or 0))

    return WORD.sub(fill, theirs)


def translated(rules: Iterable[Rule], name: str) -> tuple[str, str] | None:
    """What the first rule that matches makes of a name, and the axes that it gives or an empty string."""
    for ours, theirs, *axes in rules:
        text = filled(ours, theirs, name)
        if text is not None:
            return text, "".join(axes)
    return None


def current(source: Source, name: str) -> str:
    """The present spelling of a name in an older file."""
    for alias in source.aliases:
        found = translated((alias,), name)
        name = found[0] if found else name
    return name
