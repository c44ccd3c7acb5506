"""Two models of a user's with one state, and the jobs on which they are compared."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .. import floor
from ..axes import parse
from ..backend import SIDES
from ..errors import InputError
from ..measured import Job, Measured
from ..noise import generator
from ..technique import Arrays
from .alignment import aligned
from .given import Given, Hint, Output, outputs
from .layer import BLOCK, CUSTOM, Trace
from .layouts import SAME, Array, Layout, alike_in, below, fitting, inner, masked, misfit, repeated
from .linking import Linking
from .mapping import Match, WeightMapping
from .moving import moved
from .paired import Paired
from .roles import layout_of
from .subject import Subject

CLEARLY = 2  # times better than by the rule, if the inputs are to lie otherwise than it says
CHANGE = 0.01  # by which part of their length the weights move in one training step


class Porting(Measured):
    """Both subjects, the state that both are given, and how every tensor of one lies in the other."""

    def __init__(self, subjects: Mapping[str, Subject], mapping: WeightMapping, given: Given, seed: int) -> None:
        self.subjects, self.mapping, self.given, self.seed = subjects, mapping, given, seed
        self.precision = "float32" if any(one.precision == "float32" for one in subjects.values()) else "float64"
        self.narrow = floor.NARROW if self.precision == "float64" else floor.WIDE
        self.states: dict[str, Arrays] = {}
        self.traces: dict[str, Trace] = {}
        self.outputs: list[Output] = []
        self.pairs: list[Paired] = []
        self.layouts: dict[str, Layout | None] = {}
        self._orders: dict[int, list[int]] = {}
        self._made: dict[tuple[int, int], int] = {}
        self._below: dict[str, float] = {}

    def share(self, states: Mapping[str, Arrays]) -> None:
        """Give both sides their states, which are the same numbers."""
        self.states = {side: dict(states[side]) for side in SIDES}
        for side in SIDES:
            self.subjects[side].write(self.states[side])

    def settle(self, torch_outputs: Hint, keras_outputs: Hint) -> None:
        """Of several layouts of the inputs in which PyTorch's model runs, take the one whose outputs agree best."""
        if len(self.given.options) < 2:
            return
        theirs = self.subjects["keras"].run(self.given.of("keras", self.given.batch()), watch=False).outputs
        misfits = []
        for option in self.given.options:
            self.given.layouts = option
            try:
                ours = self.subjects["torch"].run(self.given.of("torch", self.given.batch()), watch=False).outputs
            except InputError:  # a copy that was built on another layout may refuse this one
                misfits.append(math.inf)
                continue
            pairs = outputs(ours, theirs, torch_outputs, keras_outputs)
            both = [
                (ours[one.torch], theirs[one.keras]) for one in pairs if one.torch is not None and one.keras is not None
            ]
            misfits.append(sum(misfit(one, other) for one, other in both))
        best = int(np.argmin(misfits))  # the rule's unless another is clearly better: of a wrong port none fits
        self.given.layouts = self.given.options[best if misfits[best] * CLEARLY < misfits[0] else 0]

    def watch(self, torch_outputs: Hint, keras_outputs: Hint) -> None:
        """Run both once, and settle which step and which tensor of one is which of the other."""
        for side in SIDES:
            self.traces[side] = self.subjects[side].run(self.given.of(side, self.given.batch()))
        torch, keras = self.traces["torch"], self.traces["keras"]
        self.outputs = outputs(torch.outputs, keras.outputs, torch_outputs, keras_outputs)
        self.pairs = aligned(torch, keras, self.mapping, self.states)
        maps = self.maps()
        for output in self.outputs:
            if output.torch is not None and output.keras is not None:
                one, other = torch.outputs[output.torch], keras.outputs[output.keras]
                self.layouts[f"output {output.name}"] = output.layout or fitting(one, other, maps)
                self._below |= {f"output {output.name}": number for number in below(one, other)}
        Linking(self.traces, self.pairs)
        for index, pair in enumerate(self.pairs):
            word = layout_of(pair.torch.role)
            results = self.results(index)
            self.layouts[f"tap {index}"] = inner(*results, maps, word) or repeated(*results)
            for place, (one, other) in enumerate(zip(*self.arguments(index), strict=False)):
                found = inner(one, other, maps, word)
                flat = self._flat(pair)
                if flat is not None and found == SAME and one.shape[-1] == math.prod(flat.sizes):
                    found = SAME if alike_in(SAME, one, other) else flat
                self.layouts[f"input {index} {place}"] = found

    def _flat(self, pair: Paired) -> Layout | None:
        """How a flattened map reaches a dense layer, as its kernel says it, even where the maps themselves differ."""
        for match in self.mapping.matches:
            if match.name in pair.weights and match.name.endswith(".kernel") and match.axes.startswith("("):
                *space, channels = parse(match.axes)[0]
                sizes = dict(match.keras[0].factors)
                if parse(match.torch[0].axes.replace("1 ", ""))[-1][:1] == (channels,) and channels in sizes:
                    return Layout("flat", (sizes[channels], *(sizes[axis] for axis in space)))
        return None

    def results(self, index: int) -> tuple[Array, Array]:
        """What a pair of steps gave, behind what one side alone does with it."""
        ours, theirs = (self.result(side, index, self.traces[side]) for side in SIDES)
        return ours, theirs

    def result(self, side: str, index: int, trace: Trace) -> Array:
        """What a side's step of a pair gave in a run."""
        pair = self.pairs[index]
        place = (pair.places[list(SIDES).index(side)], *pair.tails.get(side, ()))[-1]
        return trace.steps[place].outputs[0]

    def maps(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of PyTorch's feature maps, channels first."""
        found = {
            array.shape[1:]: None for step in self.traces["torch"].steps for array in step.outputs if array.ndim > 2
        }
        return tuple(found)

    def arguments(self, index: int) -> tuple[list[Array], list[Array]]:
        """The tensors that a pair of steps was given, PyTorch's in the order of Keras's."""
        ours, theirs = self._sources(index)
        return [ours[place] for place in self.order(index)], theirs

    def _sources(self, index: int) -> tuple[list[Array], list[Array]]:
        sources = self.pairs[index].sources
        steps = [self.traces[side].steps for side in SIDES]
        ours, theirs = ([held[i].inputs[j] for i, j in own] for held, own in zip(steps, sources, strict=True))
        return ours, theirs

    def order(self, index: int) -> list[int]:
        """PyTorch's arguments in the order of Keras's: a sum may have its terms the other way round."""
        if index not in self._orders:
            self._orders[index] = self._ordered(index)
        return self._orders[index]

    def _ordered(self, index: int) -> list[int]:
        pair = self.pairs[index]
        one, other = self._sources(index)
        places = list(range(len(one)))
        if pair.torch.role in ("add", "multiply") and len(one) == len(other) == 2:
            crossed = [misfit(one[1], other[0]), misfit(one[0], other[1])]
            straight = [misfit(one[0], other[0]), misfit(one[1], other[1])]
            if sum(crossed) < sum(straight):
                return places[::-1]
        return places

    def run(self, side: str, job: Job, batches: list[Arrays], move: str | None = None, throw: int = 0) -> Arrays:
        state = self.states[side]
        if move:
            coins = self.coins(side, throw)
            state = moved(state, coins, move, self.subjects[side].trains)
            batches = [moved(batch, coins + 1000 * step, move) for step, batch in enumerate(batches)]
        self.subjects[side].write(state)
        try:
            return job(side, state, batches)
        finally:
            self.subjects[side].write(self.states[side])

    def forward(self) -> Job:
        """Every output, every matched step's result, and what each was given that no matched step gave before."""

        def job(side: str, state: Arrays, batches: list[Arrays]) -> Arrays:
            return self.seen(side, self.subjects[side].run(self.given.of(side, batches[0])))

        return job

    def seen(self, side: str, trace: Trace) -> Arrays:
        """The tensors of a trace under names that both sides share, in Keras's layout."""
        found = {}
        for output in self.outputs:
            name = output.torch if side == "torch" else output.keras
            if name is not None:
                found[f"output {output.name}"] = self.laid(side, f"output {output.name}", trace.outputs[name])
        own = 0 if side == "torch" else 1
        for index, pair in enumerate(self.pairs):
            found[f"tap {index}"] = self.laid(side, f"tap {index}", self.result(side, index, trace))
            order = self.order(index) if side == "torch" else range(len(pair.sources[own]))
            for place, source in enumerate(order):
                name = f"input {index} {place}"
                if name in self.layouts and self.known(index, place) is None:
                    where, argument = pair.sources[own][source]
                    found[name] = self.laid(side, name, trace.steps[where].inputs[argument])
        return found

    def known(self, index: int, place: int) -> int | None:
        """The pair of steps whose result this argument is on both sides, if there is one."""
        if not self._made:
            for other in range(len(self.pairs)):
                one, two = self.results(other)
                self._made[id(one), id(two)] = other
        ours, theirs = self.arguments(index)
        return self._made.get((id(ours[place]), id(theirs[place])))

    def leads_to(self, index: int) -> set[int]:
        """The pairs whose steps, in PyTorch, are given what this one gave, or what came of it."""
        steps = self.traces["torch"].steps
        by_place = {pair.places[0]: other for other, pair in enumerate(self.pairs)}
        made = {id(array) for array in self.pairs[index].torch.outputs}
        found = set()
        for place in range(self.pairs[index].places[0] + 1, len(steps)):
            if steps[place].role not in (BLOCK, CUSTOM) and any(id(array) in made for array in steps[place].inputs):
                if place in by_place:
                    found.add(by_place[place])
                made |= {id(array) for array in steps[place].outputs}
        return found

    def laid(self, side: str, name: str, array: Array) -> Array:
        """A tensor in Keras's layout, with a number for what is masked: in an output only -inf is."""
        layout = self.layouts.get(name)
        laid = layout.to_keras(array) if side == "torch" and layout is not None else array
        if name.startswith("output "):
            return np.where(np.isneginf(laid), self._below[name], laid) if name in self._below else laid
        return masked(laid)

    def gradients(self) -> Job:
        """The gradient of <outputs, cotangents> for every matched weight and every float input."""
        cotangents = self.drawn("cotangent")

        def job(side: str, state: Arrays, batches: list[Arrays]) -> Arrays:
            inputs = self.given.of(side, batches[0])
            found = self.subjects[side].gradients(inputs, self.in_order(side, cotangents))
            result = {f"gradient of {name}": value for name, value in self.canonical(side, found, summed=False).items()}
            for name in self.given.keras if self.given.own is None else ():
                if f"input {name}" in found:
                    layout = self.given.layouts.get(name, SAME) if side == "torch" else SAME
                    result[f"gradient of input {name}"] = layout.to_keras(found[f"input {name}"])
            return result

        return job

    def training(self, steps: int, rate: float, still: Mapping[str, tuple[str, ...]]) -> Job:
        """The loss of each step of plain gradient descent, and every matched weight and buffer after the last."""
        targets = [self.drawn(f"target {step}") for step in range(steps)]

        def job(side: str, state: Arrays, batches: list[Arrays]) -> Arrays:
            inputs = [self.given.of(side, batch) for batch in batches]
            aims = [self.in_order(side, target) for target in targets]
            found = self.subjects[side].train(inputs, aims, rate, still=still[side])
            return {"loss": found["loss"], **self.canonical(side, found)}

        return job

    def drawn(self, label: str) -> Arrays:
        """An array of normal numbers for every float output, in Keras's layout."""
        held = self.traces["keras"].outputs
        return {
            output.name: generator(self.seed, f"{label} {output.name}").standard_normal(held[output.keras].shape)
            for output in self.outputs
            if self.layouts.get(f"output {output.name}") is not None
            if output.keras is not None and held[output.keras].dtype.kind == "f"
        }

    def in_order(self, side: str, arrays: Arrays) -> list[Array | None]:
        """Arrays by the names of outputs, as a side takes them: in the order of its own float outputs."""
        own = {(output.torch if side == "torch" else output.keras): output for output in self.outputs}
        found: list[Array | None] = []
        for name, array in self.traces[side].outputs.items():
            if array.dtype.kind != "f":
                continue
            output = own.get(name)
            if output is None or output.name not in arrays:
                found.append(None)
                continue
            layout = self.layouts.get(f"output {output.name}")
            laid = arrays[output.name]
            found.append(layout.to_torch(laid) if side == "torch" and layout is not None else laid)
        return found

    def canonical(self, side: str, arrays: Mapping[str, Any], *, summed: bool = True) -> Arrays:
        """Arrays by a side's names of tensors as canonical weights, by the names of their matches.

        Of several pieces the sum is taken, or else the first: each of them has the gradient of their sum.
        """
        found = {}
        for match in self.mapping.matches:
            pieces = pieces_of(match, side)
            if all(piece.tensor in arrays for piece in pieces):
                parts = [piece.read(np.asarray(arrays[piece.tensor]), match.axes) for piece in pieces]
                found[match.name] = sum(parts[1:], parts[0]) if summed else parts[0]
        return found

    def tensors(self, side: str, names: Iterable[str]) -> set[str]:
        """A side's tensors that hold these matches."""
        wanted = set(names)
        return {
            piece.tensor for match in self.mapping.matches if match.name in wanted for piece in pieces_of(match, side)
        }

    def rate(self, gradients: Arrays) -> float:
        """A power of two as learning rate, by which the weights move a little in one step."""
        weights = self.canonical("torch", self.states["torch"])
        names = [name for name in weights if f"gradient of {name}" in gradients]
        if broken := [name for name in names if not np.all(np.isfinite(gradients[f"gradient of {name}"]))]:
            raise InputError(
                f"the gradient of `{broken[0]}` is not finite in PyTorch on these inputs, so no training was compared; "
                "give inputs on which it is"
            )
        length = math.sqrt(sum(float(np.sum(weights[name] ** 2)) for name in names)) or 1.0
        slope = math.sqrt(sum(float(np.sum(gradients[f"gradient of {name}"] ** 2)) for name in names)) or 1.0
        return float(2.0 ** round(math.log2(CHANGE * length / slope)))


def pieces_of(match: Match, side: str) -> tuple[Any, ...]:
    """The places of a match on a side."""
    return match.torch if side == "torch" else match.keras
