"""Weights of other libraries: a small table of names beside a spec, in both directions.

A rule is `(ours, theirs)` or `(ours, theirs, axes)`. In `ours`, `{x}` stands for a number and `*` for any text; both may be
used in `theirs`, where `{x+1}` counts on. The first rule that matches wins; a name that none matches is the same there.

`ours` names a weight (`class_token.vectors`) or the part that owns it (`layer{s}.{b}.shortcut.conv`); of a part, the
leaf names and the order of the axes are those of the library's framework. `axes` gives theirs where it differs, a 1 for
an axis of length 1. `theirs` may end in `[k/n]`: the k-th of n equal slices along their first axis, as of a packed
projection. `theirs` may end in `#`: the library numbers such layers in order of creation, which is the spec's order.
"""

from __future__ import annotations

from dataclasses import dataclass

Rule = tuple[str, str] | tuple[str, str, str]


@dataclass(frozen=True)
class Source:
    """How a library names the weights of a spec.

    `side` is its framework, `torch` or `keras`. `aliases` are `(old, new)` spellings of names in older files, as in a
    rule. `left_out` are patterns of names that their files hold and that a spec without these parts leaves out.
    """

    side: str
    rules: tuple[Rule, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    left_out: tuple[str, ...] = ()
