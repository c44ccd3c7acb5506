"""One thread per process: networks of a few thousand weights lose more to the handing out of work than they gain.

Measured on 2 cores: the checks of a small residual network and a small Transformer took 60 s of processor time with the
frameworks' own choice of threads and 22 s with one.
"""

from __future__ import annotations

import os

VARIABLES = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def single() -> None:
    """Ask for one thread, where the user has not asked for another number. Only before a framework is imported."""
    for name in VARIABLES:
        os.environ.setdefault(name, "1")
