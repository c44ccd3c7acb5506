"""How long the command line and the import take, against bare Python in the same run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

TITLE = "Start-up"
RUNS = 11
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import diglot": ["-c", "import diglot"],
    "diglot --help": ["-m", "diglot", "--help"],
    "diglot list": ["-m", "diglot", "list"],
}


def measure() -> str:
    """Median wall time of each command over eleven runs, the commands taking turns."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(RUNS):
        for name, arguments in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    bare = medians["python -c pass"]
    rows = [
        f"| `{name}` | {median:.3f} | {min(times[name]):.3f} | {median - bare:.3f} | {median / bare:.1f} |"
        for name, median in medians.items()
    ]
    head = "| command | median | least | over bare Python | ratio |\n|---|---|---|---|---|\n"
    return f"{RUNS} runs each, in turn; seconds.\n\n{head}" + "\n".join(rows) + "\n"
