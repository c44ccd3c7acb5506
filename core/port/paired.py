"""A step of one model and what it is held to be in the other."""

from __future__ import annotations

from dataclasses import dataclass, field

from .layer import Step
from .layouts import Array

Sources = tuple[tuple[int, int], ...]


@dataclass(eq=False)
class Paired:
    """A step of PyTorch and the step of Keras that it is held to be. `weights` are the names of their matches.

    `places` are their positions in the two traces, and `sources` where their arguments are: (position, argument). Where
    several steps of one side are one of the other, as the layers of a hand-written attention are Keras's own, the last
    stands for them, and their arguments are those of the first; they are not `whole`, and cannot be replayed. `chains`
    are the positions of steps that a side takes between an argument and the step itself, such as padding by a layer of
    its own: by side and argument. `tails` are those of what a side does with the result, such as cropping it.
    """

    torch: Step
    keras: Step
    places: tuple[int, int]
    weights: frozenset[str] = frozenset()
    sources: tuple[Sources, Sources] = ((), ())
    whole: bool = True
    chains: dict[tuple[str, int], tuple[int, ...]] = field(default_factory=dict)
    tails: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Both names, once where they are the same."""
        return self.torch.name if self.torch.name == self.keras.name else f"{self.torch.name} | {self.keras.name}"


def distinct(step: Step) -> list[int]:
    """The places of a step's arguments, each tensor once: self-attention is given one as query, key and value."""
    return [place for place, array in enumerate(step.inputs) if first(step, array) == place]


def first(step: Step, array: Array) -> int:
    """The first place at which a step is given this very tensor."""
    return next(place for place, other in enumerate(step.inputs) if other is array)
