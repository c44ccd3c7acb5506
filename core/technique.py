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

from . import practice
from .spec import Hyperparameters, Weight

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

    It is tried twice: on the given gradients of twenty steps, so that every step can be compared, and on the small
    network of core/practice.py for two hundred. Each step has its own learning rate, so that a rate inside or outside
    a buffer makes a difference.

    Weights are in the canonical layout on all sides of a comparison: a vector, a matrix `in out`, or the kernel of a
    convolution `height width in out`; PyTorch sees them transposed, as its own layers hold them. `start` gives the
    slots of one weight, under the names of `slots`. A slot may have another shape than the weight: `slot_axes` then
    says its axes, in terms of the weight's; a weight may lack a slot, which `start` and `update` then leave out, and
    for which a side's `slots` function holds None in that weight's place.

    `TABLES` is set where the axes of a weight count for more than its elements: `build` then takes, as `tables`, those
    weights of two axes or more that are no kernels, such as an embedding, and so lie alike in both frameworks.
    `COUNTS` is unset where no step depends on how many came before it; PyTorch's own then does not count them.
    """

    STEPS: ClassVar[int] = 20
    SLOTS: ClassVar[tuple[str, ...]] = ()
    TABLES: ClassVar[bool] = False
    COUNTS: ClassVar[bool] = True
    AXES: ClassVar[Mapping[str, str]] = {"kernel": "in out", "bias": "out"}

    def slots(self) -> tuple[str, ...]:
        """The slots that this configuration keeps."""
        return self.SLOTS

    def told(self, named: Mapping[Weight, Any]) -> dict[str, list[Any]]:
        """What `build` has to be told of a model's weights, beside the weights themselves."""
        tables = [own for weight, own in named.items() if len(weight.shape) > 1 and "out" not in weight.axes]
        return {"tables": tables} if self.TABLES else {}

    def slot_axes(self, slot: str, axes: str) -> str:
        """The axes of a slot, by those of its weight; the same ones by default, and "" for a single number."""
        return axes

    def rates(self, steps: int) -> NDArray[Any]:
        """The learning rate of each step on which the optimizer is tried."""
        rates: NDArray[Any] = float(self.fields()["learning_rate"]) * np.linspace(1.0, 0.25, steps)
        return rates

    def case(self, rng: np.random.Generator) -> Arrays:
        """Two weights `w.NAME`, their gradients `g.NAME` (step first), the learning rates, and the small network."""
        shapes = {"kernel": (5, 4), "bias": (4,)}
        case: Arrays = {f"w.{name}": rng.standard_normal(shape) for name, shape in shapes.items()}
        case |= {f"g.{name}": rng.standard_normal((self.STEPS, *shape)) for name, shape in shapes.items()}
        case["learning_rate"] = self.rates(self.STEPS)
        return case | practice.draw(rng, self.rates(practice.STEPS))

    def start(self, weight: NDArray[Any]) -> Arrays:
        """The slots of a weight before the first step."""
        return {slot: np.zeros_like(weight) for slot in self.slots()}

    def update(
        self, weight: NDArray[Any], gradient: NDArray[Any], slots: Arrays, step: int, rate: float
    ) -> tuple[NDArray[Any], Arrays]:
        """One step, counted from 1, of one weight."""
        raise TypeError(f"{self.name} does not state its update")

    def rule(self, case: Arrays) -> Arrays:
        """Every weight after every given step and every slot after the last; then what the network gives."""
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
        return result | self.practised(case)

    def practised(self, case: Arrays, shares: Mapping[str, tuple[float, bool]] | None = None) -> Arrays:
        """Every loss of the small network, and its weights and slots after the last step.

        `shares` holds a factor of the learning rate for some weights by name, and whether they decay.
        """
        kept = {weight.name: self.start(case[f"practice {weight.name}"]) for weight in practice.WEIGHTS}

        def update(name: str, weight: NDArray[Any], gradient: NDArray[Any], step: int, rate: float) -> NDArray[Any]:
            factor, decays = (shares or {}).get(name, (1.0, True))
            own = self if decays else self.replace(weight_decay=0.0)
            weight, kept[name] = own.update(weight, gradient, kept[name], step, factor * rate)
            return weight

        result, weights = practice.train(case, update)
        for name, weight in weights.items():
            result[f"practice {name}"] = weight
            result |= {f"practice {slot} of {name}": np.asarray(value) for slot, value in kept[name].items()}
        return result
