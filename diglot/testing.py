"""For tests of your own: two models are the same, or the failure says where they part and why."""

from __future__ import annotations

from typing import Any

from . import compare
from .core.report import diagnosis

__all__ = ["assert_parity"]


def assert_parity(torch_model: Any, keras_model: Any, inputs: Any, **options: Any) -> None:
    """Raise AssertionError whose message is the diagnosis, unless two models are the same.

    The arguments are those of `diglot.compare`. The message holds the verdict, the layer at fault on both sides, its
    cause, each check, and the layers around it with their accumulated and their local error.

    Raises what `diglot.compare` raises for a request that cannot be met: that is no failure of parity.
    """
    __tracebackhide__ = True
    report = compare(torch_model, keras_model, inputs, **options)
    if not report.passed:
        raise AssertionError("\n".join(diagnosis.lines(report)))
