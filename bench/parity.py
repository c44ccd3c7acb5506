"""How long `diglot check` of everything takes, in one process and in two."""

from __future__ import annotations

import subprocess
import sys
import time

TITLE = "diglot check, all small presets and techniques"


def measure() -> str:
    """One run each, frameworks' start included."""
    rows = []
    for workers in (1, 2):
        start = time.perf_counter()
        command = [sys.executable, "-m", "diglot", "check", "--workers", str(workers)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        rows.append(f"| {workers} | {time.perf_counter() - start:.0f} |")
    return "| workers | seconds |\n|---|---|\n" + "\n".join(rows) + "\n"
