"""English and German: the sentences of the catalogues that Django's own texts are translated by."""

from __future__ import annotations

import ast
import gettext
import hashlib
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .core.errors import DiglotError
from .demo_pair import need_data

SHARE = 7  # one sentence of so many is held out
LEAST = 3  # words of a sentence that may be held out: what a single word means does not follow from other sentences
LONGEST = 24  # words
FIELD = re.compile(r'^(msgctxt|msgid|msgid_plural) ((?:"(?:[^"\\]|\\.)*"\s*)+)', re.MULTILINE)
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[a-z]|\{\w*\}|<[^>]+>|&\w+;")
PLACED = "①②③④⑤⑥⑦⑧⑨⑩"
BETWEEN = re.compile(r"(?<=[.?!])\s+(?=[A-ZÄÖÜ“„])")


@dataclass(frozen=True)
class Sentence:
    """A sentence in English and in German; `family` is the same for the singular and the plural of one text."""

    source: str
    target: str
    family: str

    @property
    def normalised(self) -> str:
        """The source without case and punctuation."""
        return normalised(self.source)

    def chance(self, seed: int) -> int:
        """A number that depends on the seed and the normalised source alone."""
        return _number(f"{seed}/{self.normalised}")

    def is_held_out(self, seed: int) -> bool:
        """Whether the sentence is in the held-out part; a plural is where its singular is, if it is long enough."""
        return len(self.normalised.split()) >= LEAST and _number(f"{seed}/{self.family}") % SHARE == 0


def _number(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest(), 16)


def sentences() -> list[Sentence]:
    """Every sentence that can be learnt from, once. Raises DiglotError without Django or its German catalogues.

    A text of several sentences becomes those, where it has as many in both languages. Left out are sentences that are
    not translated or are the same in both languages, without letters, too long, and such as have a placeholder in the
    translation alone. Of sentences whose normalised sources are the same, the first stays.
    """
    found: dict[str, Sentence] = {}
    for _, forms in entries():
        families: list[str] = []
        for form in forms:
            pieces = list(zip(*_pieces(*form), strict=True))
            families = families if len(families) == len(pieces) else [normalised(source) for source, _ in pieces]
            for (source, target), family in zip(pieces, families, strict=True):
                if _is_useful(source, target):
                    sentence = Sentence(source, target, family)
                    found.setdefault(sentence.normalised, sentence)
    return list(found.values())


def entries() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The catalogue of each entry, and its texts and their translations: one, or a singular and a plural.

    `gettext` cannot be asked what a catalogue holds, and forgets English plurals. So the questions are those of the
    `.po` file, and the answers are `gettext`'s, from the `.mo` file beside it. A question without an answer comes back.
    """
    need_data("django")
    folder = Path(str(importlib.util.find_spec("django").origin)).parent  # type: ignore[union-attr]
    catalogues = sorted(folder.rglob("locale/de/LC_MESSAGES/*.po"))
    if not catalogues:
        raise DiglotError(f"{folder} has no German catalogues: install it with `pip install 'diglot[demo]'`")
    for catalogue in catalogues:
        texts = gettext.translation(catalogue.stem, str(catalogue.parents[2]), ["de"])
        for asked in questions(catalogue.read_text("utf-8")):
            one, more = asked["msgid"], asked.get("msgid_plural")
            context = (asked["msgctxt"],) if "msgctxt" in asked else ()
            if more is None:
                single = texts.pgettext if context else texts.gettext
                forms = [(one, single(*context, one))]
            else:
                several = texts.npgettext if context else texts.ngettext
                forms = [(text, several(*context, one, more, count)) for count, text in ((1, one), (2, more))]
            yield str(catalogue.relative_to(folder)), forms


def questions(text: str) -> Iterator[dict[str, str]]:
    """The `msgctxt`, `msgid` and `msgid_plural` of each entry of a `.po` file, but for its header, whose is empty."""
    for entry in re.split(r"\n\s*\n", text):
        lines = "\n".join(line for line in entry.splitlines() if not line.startswith("#"))
        asked = {name: "".join(map(ast.literal_eval, QUOTED.findall(value))) for name, value in FIELD.findall(lines)}
        if asked.get("msgid"):
            yield asked


def normalised(sentence: str) -> str:
    """The words of a sentence, in lower case."""
    return " ".join(re.findall(r"\w+", sentence.lower()))


def _pieces(source: str, target: str) -> tuple[list[str], list[str]]:
    """The sentences of a text and of its translation, where there are as many, with circled numbers as placeholders."""
    several = BETWEEN.split(" ".join(source.split())), BETWEEN.split(" ".join(target.split()))
    pieces = several if len(several[0]) == len(several[1]) else ([source], [target])
    placed = [_placed(*pair) for pair in zip(*pieces, strict=True)]
    return [one for one, _ in placed], [other for _, other in placed]


def _placed(source: str, target: str) -> tuple[str, str]:
    """Each placeholder as a circled number: the first of the source is ① in both languages, whatever its name."""
    numbers = dict(zip(dict.fromkeys(PLACEHOLDER.findall(source)), PLACED, strict=False))
    one, other = (PLACEHOLDER.sub(lambda found: numbers.get(found[0], found[0]), text) for text in (source, target))
    return " ".join(one.split()), " ".join(other.split())


def _is_useful(source: str, target: str) -> bool:
    both = source, target
    return (
        source != target
        and all(any(map(str.isalpha, text)) and len(text.split()) <= LONGEST for text in both)
        and not any(PLACEHOLDER.search(text) for text in both)
    )
