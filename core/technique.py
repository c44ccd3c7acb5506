"""What is true of a training technique in both languages: its hyperparameters, and the rule itself in NumPy.

The rule is the third opinion. A check gives the same arrays to the rule, to PyTorch and to Keras, and all three must
return the same named arrays; so the two siblings cannot be wrong together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .spec import Hyperparameters

Arrays = dict[str, NDArray[Any]]
Default = tuple[str, Any]


@dataclass(frozen=True, kw_only=True)
class Technique(Hyperparameters):
    """A technique. A subclass gives the fields, `case` and `rule`; its docstring is its documentation.

    `NATIVE` is each framework's own class or function, by side. `DEFAULTS` holds what these two have different defaults
    for, by the field that sets it: PyTorch's argument and its default, then Keras's.
    """

    kind: ClassVar[str] = "technique"
    NATIVE: ClassVar[Mapping[str, str]] = {}
    DEFAULTS: ClassVar[Mapping[str, tuple[Default, Default]]] = {}

    def case(self, rng: np.random.Generator) -> Arrays:
        """Random arrays on which the technique is tried; floats are float64."""
        raise TypeError(f"{self.name} does not say on which arrays it is tried")

    def rule(self, case: Arrays) -> Arrays:
        """What the technique makes of the case, by its definition, in float64 NumPy."""
        raise TypeError(f"{self.name} does not state its rule")


@dataclass(frozen=True, kw_only=True)
class Optimizer(Technique):
    """An optimizer: weights, gradients and slots in, weights and slots out.

    `SLOTS` names the arrays that the optimizer keeps beside each weight. The case holds two weights, the gradients of
    twenty steps, and a learning rate for each step, so that a rate inside or outside a buffer makes a difference.
    """

    STEPS: ClassVar[int] = 20
    SLOTS: ClassVar[tuple[str, ...]] = ()

    def slots(self) -> tuple[str, ...]:
        """The slots that this configuration keeps."""
        return self.SLOTS

    def case(self, rng: np.random.Generator) -> Arrays:
        """Two weights `w.NAME`, their gradients `g.NAME` (step first) and the learning rates."""
        shapes = {"kernel": (5, 4), "bias": (4,)}
        case: Arrays = {f"w.{name}": rng.standard_normal(shape) for name, shape in shapes.items()}
        case |= {f"g.{name}": rng.standard_normal((self.STEPS, *shape)) for name, shape in shapes.items()}
        rate = float(self.fields()["learning_rate"])
        case["learning_rate"] = rate * np.linspace(1.0, 0.25, self.STEPS)
        return case

    def start(self, weight: NDArray[Any]) -> Arrays:
        """The slots of a weight before the first step."""
        return {slot: np.zeros_like(weight) for slot in self.slots()}

    def update(
        self, weight: NDArray[Any], gradient: NDArray[Any], slots: Arrays, step: int, rate: float
    ) -> tuple[NDArray[Any], Arrays]:
        """One step, counted from 1, of one weight."""
        raise TypeError(f"{self.name} does not state its update")

    def rule(self, case: Arrays) -> Arrays:
        """Every weight after every step, and every slot after the last."""
        result: Arrays = {}
        for name in (key[2:] for key in case if key.startswith("w.")):
            weight = case[f"w.{name}"]
            slots, history = self.start(weight), []
            for step in range(1, self.STEPS + 1):
                rate = float(case["learning_rate"][step - 1])
                weight, slots = self.update(weight, case[f"g.{name}"][step - 1], slots, step, rate)
                history.append(weight)
            result[name] = np.stack(history)
            result |= {f"{slot} of {name}": value for slot, value in slots.items()}
        return result
