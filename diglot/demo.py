"""`python -m diglot.demo [digits|text|mnist|translation]`: real data in both frameworks, and whether they are the same.

Exit status: 0 both sides are the same, 1 they are not, 2 the request was wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.table import Table

from .core import compare, threads, verdict
from .core.backend import SIDES
from .core.errors import DiglotError
from .core.verdict import Verdict
from .demo_digits import NETWORKS, digits
from .demo_mnist import PLANS, mnist, transfer
from .demo_pair import Result
from .demo_text import TextResult, text
from .demo_translation import TranslationResult, translation

TITLES = dict(zip(SIDES, compare.SIDES, strict=True))
DATA = ("digits", "text", "mnist", "translation")


def show(name: str, result: Result, console: Console) -> None:
    """Print a result under a name: a table of both sides, and what the comparison found."""
    steps = len(next(iter(result.sides.values())).losses)
    title = f"{name}: {result.spec.parameter_count():,} parameters, {steps} steps"
    table = Table("", *TITLES.values(), title=title, title_justify="left")
    for place, label in ((0, "first loss"), (-1, "last loss")):
        table.add_row(label, *(f"{side.losses[place]:.15f}" for side in result.sides.values()))
    table.add_row("held-out accuracy", *(f"{result.accuracy(side):.2%}" for side in result.sides))
    if isinstance(result, TextResult):
        table.add_row("held-out bits per character", *(f"{result.bits(side):.12f}" for side in result.sides))
    if isinstance(result, TranslationResult):
        for name, place in (("held-out BLEU", 0), ("held-out chrF", 1)):
            table.add_row(name, *(f"{result.scores[side][place]:.2f}" for side in result.sides))
    table.add_row("seconds of training", *(f"{side.seconds:.1f}" for side in result.sides.values()))
    console.print(table)
    loss, logits = result.comparisons["loss"], result.comparisons["logits"]
    for name, found in (("loss history", loss), ("held-out outputs", logits)):
        console.print(f"{name}: {found.verdict}, worst ratio {found.ratio:.2g} noise floors, {found.digits:.1f} digits")
    console.print(f"held-out predictions: {result.same:,} of {result.targets.size:,} are the same")
    if isinstance(result, TextResult):
        for what, count, size in zip(("training", "held-out"), result.documents, result.characters, strict=True):
            console.print(f"{what} part: {count} documents, {size:,} characters")
        console.print(f"unigram baseline: {result.baseline:.2f} bits per character")
        for side, written in result.continuations.items():
            console.print(f"{TITLES[side]} continues: {written!r}", markup=False, highlight=False, soft_wrap=True)
    if isinstance(result, TranslationResult):
        for line in translations(result):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print()


def translations(result: TranslationResult) -> Iterator[str]:
    """What the translation of sentences comes to, line by line."""
    one, other = (result.translations[side] for side in SIDES)
    yield f"held-out translations: {sum(map(str.__eq__, one, other)):,} of {len(one):,} are the same"
    yield f"training part: {len(result.training):,} sentences, {result.tokens:,} tokens in both languages"
    yield f"held-out part: {len(result.held_out):,} sentences"
    for way, label in (("copy", "the source, copied"), ("nearest", "the translation of the nearest training sentence")):
        bleu, chrf = result.scores[way]
        yield f"{label}: BLEU {bleu:.2f}, chrF {chrf:.2f}"
    for name, signature in zip(("BLEU", "chrF"), result.signatures, strict=True):
        yield f"{name} is {signature}"
    for example in result.examples():
        yield ""
        yield from (f"{TITLES.get(name, name)}: {text}" for name, text in example.items())


def jobs(wanted: str | None) -> Iterator[tuple[str, Callable[[], dict[str, Result]]]]:
    """What is trained on the data that is wanted, None is all: a name, and what gives its results by their titles."""
    if wanted in (None, "digits"):
        for network in NETWORKS:
            yield network, lambda network=network: {network: digits(network)}
    if wanted in (None, "text"):
        yield "transformer_lm", lambda: {"transformer_lm": text()}
    if wanted in (None, "mnist"):
        for network in PLANS:
            yield f"{network} on MNIST", lambda network=network: {f"{network} on MNIST": mnist(network)}
        yield "a transferred network", lambda: transfer().titled()
    if wanted in (None, "translation"):
        yield "a translator", lambda: {"transformer from English to German": translation()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo, and give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m diglot.demo", description="Real data, trained in both frameworks.")
    parser.add_argument("data", nargs="?", choices=DATA, help="which data; all if not given")
    wanted = parser.parse_args(arguments).data
    threads.single()
    found: list[Result] = []
    try:
        for name, job in jobs(wanted):
            with Console(stderr=True).status(f"training {name} in both frameworks, and each again for the noise floor"):
                results = job()
            for label, result in results.items():
                show(label, result, Console())
            found += results.values()
    except DiglotError as error:
        print(f"diglot.demo: {error}", file=sys.stderr)
        return 2
    return 0 if verdict.worst(result.verdict for result in found) is Verdict.EQUAL else 1


if __name__ == "__main__":
    sys.exit(main())
