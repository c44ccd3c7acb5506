"""A pair of steps by themselves: both are given the same input, so that accumulated error disappears."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import compare
from ..compare import Comparison
from ..measured import Job, Measured
from ..noise import generator
from ..technique import Arrays
from ..verdict import Verdict
from .layer import Step
from .layouts import SAME, Array, Layout, inner, masked
from .moving import moved
from .paired import Paired, distinct, first
from .porting import Porting, pieces_of
from .roles import layout_of
from .subject import Subject

ATTENTION = frozenset({"attention", "scaled_dot_product_attention"})


@dataclass(frozen=True)
class Agreement:
    """Whether two steps agree on the same input; `digits` are those of the worst tensor, `worst`."""

    equal: bool
    digits: float
    worst: str


def count_of(porting: Porting, index: int) -> int:
    """How many arguments of a pair of steps are data: an attention's mask is not, whose sense may be the opposite."""
    pair = porting.pairs[index]
    count = min(map(len, porting.arguments(index)))
    if {pair.torch.role, pair.keras.role} & ATTENTION:
        count = min(count, 3)
    kinds = [array.dtype.kind for array in porting.arguments(index)[1][:count]]
    return kinds.index("b") if "b" in kinds else count


class Replaying(Measured):
    """A pair of steps, replayed on PyTorch's own input. Tensors are in Keras's layout, which is the canonical one."""

    def __init__(self, porting: Porting, index: int) -> None:
        self.porting, self.index, self.seed, self.narrow = porting, index, porting.seed, porting.narrow
        self.pair: Paired = porting.pairs[index]
        self.steps: tuple[Step, Step] = (self._padded("torch"), self._padded("keras"))
        self.torch: Subject = porting.subjects["torch"]
        self.keras: Subject = porting.subjects["keras"]
        self.varied: tuple[Step, Step] = self.steps
        self.training = False
        self.layouts: list[Layout | None] = []
        given = porting.arguments(index)[0][: count_of(porting, index)]
        for place in range(len(given)):
            self.layouts.append(porting.layouts.get(f"input {index} {place}"))
        self.given = [
            masked(layout.to_keras(array) if layout is not None else array)
            for layout, array in zip(self.layouts, given, strict=False)
        ]
        self.output: Layout | None = None
        self.cotangent: Array = np.empty(0)

    @property
    def possible(self) -> bool:
        """Whether both sides can be given the same input: it must fit both, in one layout or another."""
        return self.pair.whole and bool(self.layouts) and all(layout is not None for layout in self.layouts)

    def arrays(self, side: str) -> tuple[tuple[Array, ...], Array]:
        """The input and the result of a side on the same input, in Keras's layout."""
        found = self.run(side, self._job(), [self._batch()])
        return tuple(self.given), found["output"]

    def tensors(self, side: str) -> Arrays:
        """The step's weights by the names of their slots, canonical; in a block, with the names of their layers."""
        held = self.porting.canonical(side, self.porting.states[side])
        chosen = [match for match in self.porting.mapping.matches if match.name in self.pair.weights & set(held)]
        layers = {match.layers[0] for match in chosen}
        own = next(iter(layers)) if len(layers) == 1 else self.pair.torch.layer or self.pair.torch.name
        return {match.name.removeprefix(f"{own}."): held[match.name] for match in chosen}

    def agree(
        self, torch_step: Step | None = None, keras_step: Step | None = None, *, training: bool = False
    ) -> Agreement:
        """Whether the two agree, with other steps in the place of these where they are given."""
        found = self.compared(torch_step, keras_step, training=training)
        worst = compare.worst(found)
        digits = min((item.digits for item in found), default=0.0)
        equal = bool(found) and all(item.verdict is Verdict.EQUAL for item in found)
        return Agreement(equal, digits, worst.name if worst else "")

    def compared(
        self, torch_step: Step | None = None, keras_step: Step | None = None, *, training: bool = False
    ) -> list[Comparison]:
        """The result, every gradient and, in training mode, every buffer of both, against their noise floors."""
        self.varied = (torch_step or self.steps[0], keras_step or self.steps[1])
        self.training = training
        try:
            self._settle()
            return self.measure(self._job(), [self._batch()])
        finally:
            self.varied, self.training = self.steps, False

    def _padded(self, side: str) -> Step:
        """A side's step, with the padding of a layer before it among its settings."""
        step = self.pair.torch if side == "torch" else self.pair.keras
        held = step.settings.get("padding")
        for place in self.pair.chains.get((side, 0), ()):
            link = self.porting.traces[side].steps[place]
            more = link.settings.get("padding")
            if link.role == "zero_pad" and more is not None and held is not None and len(more) == len(held):
                held = tuple((a + c, b + d) for (a, b), (c, d) in zip(held, more, strict=True))
        return (
            step if held == step.settings.get("padding") else replace(step, settings={**step.settings, "padding": held})
        )

    def _batch(self) -> Arrays:
        return {str(place): array for place, array in enumerate(self.given)}

    def _settle(self) -> None:
        """The layout of the result, and a cotangent of its shape."""
        self.cotangent = np.empty(0)
        one, other = (self._native(side, self._batch())["output"] for side in ("torch", "keras"))
        self.output = inner(one, other, self.porting.maps(), layout_of(self.pair.torch.role))
        if other.dtype.kind == "f" and (self.output is not None or one.shape == other.shape):
            label = f"cotangent {self.pair.label}"
            self.cotangent = generator(self.seed, label).standard_normal(other.shape)

    def _native(self, side: str, batch: Arrays) -> Arrays:
        place = 0 if side == "torch" else 1
        step = self.varied[place]
        laid = [
            (layout or SAME).to_torch(batch[str(index)]) if side == "torch" else batch[str(index)]
            for index, layout in enumerate(self.layouts)
        ]
        order = self.porting.order(self.index)
        if side == "torch" and len(order) == len(laid):  # back in PyTorch's own order
            laid = [laid[order.index(index)] for index in range(len(laid))]
        subject = self.torch if side == "torch" else self.keras
        before = {index: self._through(subject, side, index, laid) for index in range(len(laid))}
        cotangent = None
        if self.cotangent.size:
            cotangent = (self.output or SAME).to_torch(self.cotangent) if side == "torch" else self.cotangent
        links = [self.porting.traces[side].steps[place] for place in self.pair.tails.get(side, ())]
        direct = self._called(subject, step, laid, None if links else cotangent)
        found = self._onwards(subject, step, links, laid, direct, cotangent) if links else direct
        for index, passed in before.items():
            for link, given in reversed(passed):
                if f"input {index}" in found:
                    back = subject.replay(link, [given, *link.inputs[1:]], found[f"input {index}"])
                    found[f"input {index}"] = back["input 0"]
        return found

    def _onwards(
        self, subject: Subject, step: Step, links: list[Step], laid: list[Array], direct: Arrays, cotangent: Any
    ) -> Arrays:
        """Take a result on through the steps that the side has behind this one, and its cotangent the way back."""
        passed, array = [], direct["output"]
        for link in links:
            passed.append((link, array))
            array = subject.replay(link, [array, *link.inputs[1:]], None)["output"]
        found = dict(direct)
        if cotangent is not None:
            for link, given in reversed(passed):
                cotangent = subject.replay(link, [given, *link.inputs[1:]], cotangent)["input 0"]
            found |= self._called(subject, step, laid, cotangent)
        return {**found, "output": array}

    def _called(self, subject: Subject, step: Step, laid: list[Array], cotangent: Array | None) -> Arrays:
        """Replay a step on its distinct arguments; one that is given twice has the sum of both gradients."""
        places = distinct(step)
        numbers = [places.index(first(step, array)) for array in step.inputs]
        given = [laid[n] if n < len(laid) else array for n, array in zip(numbers, step.inputs, strict=True)]
        found = subject.replay(step, given, cotangent, training=self.training)
        result = {name: array for name, array in found.items() if not name.startswith("input ")}
        for place, number in enumerate(numbers):
            if (array := found.get(f"input {place}")) is not None:
                result[f"input {number}"] = result.get(f"input {number}", 0) + array
        return result

    def _through(self, subject: Subject, side: str, index: int, laid: list[Array]) -> list[tuple[Step, Array]]:
        """Take an argument through the steps that the side has before this one; what each of them was given."""
        passed = []
        for place in self.pair.chains.get((side, index), ()):
            link = self.porting.traces[side].steps[place]
            passed.append((link, laid[index]))
            laid[index] = subject.replay(link, [laid[index], *link.inputs[1:]], None)["output"]
        return passed

    def run(self, side: str, job: Job, batches: list[Arrays], move: str | None = None, throw: int = 0) -> Arrays:
        subject = self.torch if side == "torch" else self.keras
        names = self.porting.tensors(side, self.pair.weights)
        state = {name: array for name, array in self.porting.states[side].items() if name in names}
        if move:
            coins = self.coins(side, throw)
            subject.write(moved(state, coins, move, subject.trains))
            batches = [moved(batch, coins, move, lambda name: True) for batch in batches]
        try:
            return job(side, state, batches)
        finally:
            if move:
                subject.write(state)

    def _job(self) -> Job:
        def job(side: str, state: Arrays, batches: list[Arrays]) -> Arrays:
            found = self._native(side, batches[0])
            layout = self.output if side == "torch" else None
            result = {"output": layout.to_keras(found["output"]) if layout is not None else found["output"]}
            order = self.porting.order(self.index) if side == "torch" else range(len(self.steps[1].inputs))
            for place, source in zip(range(len(self.given)), order, strict=False):
                if f"input {source}" in found:
                    laid = self.layouts[place] if side == "torch" else None
                    array = found[f"input {source}"]
                    result[f"gradient of input {place}"] = laid.to_keras(array) if laid is not None else array
            for match in self.porting.mapping.matches:
                if match.name not in self.pair.weights:
                    continue
                piece = pieces_of(match, side)[0]
                for prefix, key in (("gradient of", piece.tensor), ("buffer", f"buffer {piece.tensor}")):
                    if key in found:
                        result[f"{prefix} {match.name}"] = piece.read(found[key], match.axes)
            return result

        return job
