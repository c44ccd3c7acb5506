"""`python -m bench [NAME...]`: measurements, printed as Markdown; `--write` puts them into docs/bench.md."""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path

from diglot.core import checkpoint, runner

from . import (
    comparison,
    conversion,
    files,
    generation,
    learning,
    linear_attention,
    loading,
    meta_learning,
    parity,
    recompute,
    sequence,
    startup,
    trainer,
    vision,
)

PAGE = Path(__file__).parents[1] / "docs" / "bench.md"
ORDER = (
    startup,
    files,
    loading,
    conversion,
    vision,
    recompute,
    sequence,
    generation,
    linear_attention,
    learning,
    meta_learning,
    trainer,
    parity,
    comparison,
)
MODULES = {module.__name__.rpartition(".")[2]: module for module in ORDER}


def main() -> None:
    """Measure, print, and on request write what was measured into the page, whose other sections stay."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Run measurements.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all if none: {', '.join(MODULES)}")
    parser.add_argument("--write", action="store_true", help="write docs/bench.md")
    options = parser.parse_args()
    if unknown := set(options.names) - set(MODULES):
        parser.error(f"there is no measurement {', '.join(sorted(unknown))}; there are {', '.join(MODULES)}")
    versions = ", ".join(f"{name} {number}" for name, number in runner.versions().items())
    where = f"`python -m bench` on {platform.machine()}, {os.cpu_count()} cores, {platform.system()}; {versions}."
    found = sections()
    for name in options.names or MODULES:
        module = MODULES[name]
        found[module.TITLE] = module.measure()
        print(f"## {module.TITLE}\n\n{found[module.TITLE]}", flush=True)
    if options.write:
        ordered = [module.TITLE for module in MODULES.values() if module.TITLE in found]
        text = f"# Measurements\n\n{where}\n" + "".join(f"\n## {title}\n\n{found[title]}" for title in ordered)
        with checkpoint.replacing(PAGE) as file:
            file.write(text.encode())


def sections() -> dict[str, str]:
    """What the page holds, by title."""
    _, *parts = PAGE.read_text(encoding="utf-8").split("\n## ")
    return {title: text for title, _, text in (part.partition("\n\n") for part in parts)}


if __name__ == "__main__":
    main()
