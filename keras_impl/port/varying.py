"""The same step with another value of a setting."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ...core.port.layer import Step
from .replaying import Call

Change = Callable[[Call, Any], Call | None]


def varied(step: Step, setting: str, value: Any) -> Step | None:
    """The step with this setting; None where it cannot be changed."""
    change = CHANGES.get((step.role, setting)) or CHANGES.get(("", setting))
    call: Call = step.handle
    changed = None if change is None or call is None else change(call, value)
    if changed is None:
        return None
    return dataclasses.replace(step, settings={**step.settings, setting: value}, handle=changed)


def _held(attribute: str) -> Change:
    def change(call: Call, value: Any) -> Call | None:
        if call.layer is None or attribute not in vars(call.layer):
            return None
        return call.replace(held={**call.held, attribute: value})

    return change


CHANGES: dict[tuple[str, str], Change] = {
    ("batch_norm", "epsilon"): _held("epsilon"), ("layer_norm", "epsilon"): _held("epsilon"),
    ("group_norm", "epsilon"): _held("epsilon"), ("rms_norm", "epsilon"): _held("epsilon"),
    ("batch_norm", "momentum"): _held("momentum"), ("group_norm", "groups"): _held("groups"),
}  # fmt: skip
