"""Text that every format can hold."""

from __future__ import annotations

import re

# XML 1.0 forbids most of these, and a terminal would obey the rest (ESC and the C1 codes start its commands).
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def printable(text: str) -> str:
    """The text without control characters, direction overrides, lone surrogates and what XML forbids."""
    return _UNPRINTABLE.sub("", text)


def one_line(text: str) -> str:
    """The printable text on a single line."""
    return " ".join(printable(text).split())
