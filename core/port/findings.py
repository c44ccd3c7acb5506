"""What was found at one place of two models."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..compare import Comparison
from ..verdict import Verdict


@dataclass(frozen=True)
class Fault:
    """The place at fault, with its names on both sides, and a sentence on it."""

    torch: str
    keras: str
    role: str
    cause: str
    index: int | None = None

    @property
    def located(self) -> str:
        """The name to point at: PyTorch's, or Keras's where only Keras has it."""
        return self.torch or self.keras


@dataclass(frozen=True)
class Finding:
    """One pair of steps, or the way from one to the next: its names on both sides, and its role.

    `accumulated` compares its result in the run of the whole models. `local` compares what it makes of the same input
    by itself: its result, its gradients, its buffers; empty where it was not or could not be replayed. `located` is set
    for the one at fault. `cause` says why, where that was found.
    """

    torch: str
    keras: str
    role: str
    accumulated: Comparison | None = None
    local: tuple[Comparison, ...] = ()
    located: bool = False
    cause: str = ""

    @property
    def label(self) -> str:
        """Both names, once where they are the same."""
        names = dict.fromkeys(name for name in (self.torch, self.keras) if name)
        return " | ".join(names)

    @property
    def agrees(self) -> bool:
        """Whether nothing was found wrong at this very place."""
        return all(item.verdict is Verdict.EQUAL for item in self.local)

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON values."""
        return asdict(self)
