"""What a cause is looked for in, a pair of steps that can be replayed; and what a cause is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from ..technique import Arrays
from .layer import Step
from .subject import Subject

Array = NDArray[Any]


@dataclass(frozen=True)
class Cause:
    """Why two steps differ, in a sentence. `confirmed` where it was tried: undone, it makes them agree.

    `setting` is the one of core/port/roles.py that differs, `role` where the steps do different things, or "".
    """

    text: str
    setting: str = ""
    confirmed: bool = False


class Agreeing(Protocol):
    """Whether two steps agree; `digits` are those of the worst tensor, by the name of `worst`."""

    @property
    def equal(self) -> bool: ...

    @property
    def digits(self) -> float: ...

    @property
    def worst(self) -> str: ...


class Replayed(Protocol):
    """A matched pair of steps, given the same input. Arrays are in Keras's layout, weights canonical."""

    @property
    def torch(self) -> Subject: ...

    @property
    def keras(self) -> Subject: ...

    @property
    def steps(self) -> tuple[Step, Step]: ...

    def arrays(self, side: str) -> tuple[tuple[Array, ...], Array]:
        """The inputs and the result."""

    def tensors(self, side: str) -> Arrays:
        """The weights by the names of their slots."""

    def agree(
        self, torch_step: Step | None = None, keras_step: Step | None = None, *, training: bool = False
    ) -> Agreeing:
        """Whether both give the same, forward and backward, with varied steps in the place of the recorded ones."""


def told(digits: float) -> str:
    """Digits in common as a sentence gives them."""
    return f"{min(int(digits), 15)} digits"


def labels(replay: Replayed) -> tuple[str, str]:
    """How a sentence names the two steps."""
    torch, keras = replay.steps
    return f"PyTorch's `{torch.name}`", f"Keras's `{keras.name}`"
