"""What an optimizer holds of a user's model, in terms that both frameworks share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..technique import Arrays
from .rule import Rule


@dataclass(frozen=True)
class Trained:
    """One tensor that an optimizer trains.

    `slots` are arrays in the tensor's own layout, zeros before the first step. `lost` names the axis of the tensor over
    which a slot is a mean. `steps` is None where nothing is counted, and 0 for a tensor that has not been stepped.
    """

    rule: Rule
    slots: Arrays
    lost: Mapping[str, int] = field(default_factory=dict)
    steps: int | None = None
    started: bool = True


@dataclass(frozen=True)
class Held:
    """An optimizer. `name` is that of its class as users write it, `trained` says what it holds of each tensor.

    `schedule` names the schedule of its rate, "" for a constant one, and `position` is the step at which that is.
    `rates` gives the rate of every tensor at steps from the present one on; `marks` are steps at which a schedule may
    turn, and `end` is the one at which it has come to its last rate, if it says so. `differences` can be accepted, by
    key; `notes` are for the user to know.
    """

    side: str
    name: str
    trained: Mapping[str, Trained]
    schedule: str
    position: int | None
    rates: Callable[[Sequence[int]], Arrays]
    marks: tuple[int, ...] = ()
    end: int | None = None
    differences: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Trainer(Protocol):
    """One side. Tensors go by the names that the model's Subject gives them."""

    def read(self, model: Any, optimizer: Any, schedule: Any = None) -> Held:
        """What an optimizer does and keeps; one that is not built yet stays so.

        Raises StateError for a class whose rule is not known, and for weights that are not the model's.
        """

    def build(self, model: Any, rules: Mapping[str, Rule], tables: Sequence[str]) -> Any:
        """A new optimizer by these rules of one family. `tables` are matrices that lie alike in both frameworks."""

    def scheduled(self, optimizer: Any, schedule: Any) -> Any:
        """The schedule of a new optimizer, which is given it: Keras's own, or what a function makes for PyTorch."""

    def freeze(self, model: Any, tensors: Sequence[str]) -> list[str]:
        """Let tensors of a model be trained no more, and say which of them were until now."""

    def write(
        self, model: Any, optimizer: Any, slots: Mapping[str, Arrays], step: int | None, schedule: Any = None
    ) -> None:
        """Put slots, by tensor and in its layout, and the count of steps into an optimizer and its schedule."""
