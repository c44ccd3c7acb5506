"""`python -m bench`: every measurement, printed as Markdown; `--write` puts it into docs/bench.md."""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path

from diglot.core import checkpoint, runner

from . import files, loading, parity, recompute, startup, vision

PAGE = Path(__file__).parents[1] / "docs" / "bench.md"


def main() -> None:
    """Measure, print, and on request write the page."""
    parser = argparse.ArgumentParser(description="Run every measurement.")
    parser.add_argument("--write", action="store_true", help="write docs/bench.md")
    options = parser.parse_args()
    versions = ", ".join(f"{name} {number}" for name, number in runner.versions().items())
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
    text = f"# Measurements\n\n`python -m bench` on {machine}; {versions}.\n"
    for module in (startup, files, loading, vision, recompute, parity):
        text += f"\n## {module.TITLE}\n\n{module.measure()}"
        print(module.TITLE, flush=True)
    print(f"\n{text}")
    if options.write:
        with checkpoint.replacing(PAGE) as file:
            file.write(text.encode())


if __name__ == "__main__":
    main()
