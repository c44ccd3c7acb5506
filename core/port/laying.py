"""How a pair's weights lie in both tensors: by their axes, by the maps that they work on, and by what they hold."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from ..axes import Array, parse
from ..technique import Arrays
from . import flattening
from .fitting import Fit, fits, sizes_in
from .layer import CUSTOM, Slot, Step, Trace
from .pairing import Pair
from .wiring import Wiring

SEVERAL = 3  # axes of outputs; two are heads and their depth, of which there is one order
APART = {"in0": "before", "out0": "behind"}
"""At which end of a dense layer of several axes a group of them is, by its first."""


class Laying:
    """Finds the fits of weights; `settled` are sentences on what was not certain."""

    def __init__(self, states: Mapping[str, Arrays], traces: Mapping[str, Trace | None]) -> None:
        self.states = states
        self.courses = {side: flattening.Course(trace) if trace else None for side, trace in traces.items()}
        self.settled: list[str] = []

    def laid(self, pair: Pair, name: str, torch: Slot, keras: Slot, wirings: Mapping[str, Wiring]) -> list[Fit]:
        """The fit of a pair's weight of this name, in several parts where several maps were joined; none, if none fits.

        Raises InputError where only a run would tell.
        """
        custom = CUSTOM in (pair.torch.layer.role, pair.keras.layer.role)
        found = self._fit(torch, keras, custom, self._turned(pair, torch, keras, wirings))
        if found is None:
            return []
        laid = self._folded(pair, name, found, wirings)
        if laid == [found] and pair.how != "content":
            self._apart(torch, keras)
        return laid

    def _apart(self, torch: Slot, keras: Slot) -> None:
        """Say in which order outputs are taken that Keras has in several axes, slices and heads, and PyTorch in one."""
        if len(torch.shape) < 2 or len(keras.shape) != len(torch.shape):
            return
        inner = parse(keras.axes)[-1]
        if len(parse(torch.axes)[-1]) == 1 and len(inner) >= SEVERAL:
            sizes = tuple(sizes_in(keras)[name] for name in inner)
            self.settled.append(
                f"the {torch.shape[-1]} outputs of {torch.pieces[0].tensor} are taken as {sizes}, in the order of "
                f"those of {keras.pieces[0].tensor}; nothing tells whether PyTorch cuts them so"
            )

    def _turned(self, pair: Pair, torch: Slot, keras: Slot, wirings: Mapping[str, Wiring]) -> tuple[int, ...]:
        """The order in which Keras has the axes of a weight for every place of a map, by the map that it works on."""
        ours, theirs = self.courses["torch"], self.courses["keras"]
        rank = len(torch.shape)
        if ours is None or theirs is None or rank != len(keras.shape) or not torch.axes.startswith("axis0 axis1"):
            return ()
        maps = []
        for side, unit, slot, course in (("torch", pair.torch, torch, ours), ("keras", pair.keras, keras, theirs)):
            step = wirings[side].calls.get(unit)
            known = None if unit.layer.role == CUSTOM or step is None else step.inputs[0]
            maps.append(course.beside(self.states[side][slot.pieces[0].tensor]) if known is None else known)
        return flattening.turned(maps[0], maps[1], rank, ours)

    def _fit(self, torch: Slot, keras: Slot, turned: bool, rule: tuple[int, ...]) -> Fit | None:
        found = (fits(torch, keras, turned, rule) if rule else []) or fits(torch, keras, turned)
        if len(found) < 2:
            return found[0] if found else None
        same = [fit for fit in found if np.array_equal(self._whole("torch", fit), self._whole("keras", fit))]
        if len(same) != 1 and torch.shape != keras.shape:
            tensors = torch.pieces[0].tensor, keras.pieces[0].tensor
            self.settled.append(
                f"{tensors[0]} {torch.shape} and {tensors[1]} {keras.shape} may lie in {len(found)} ways; "
                f"taken as {found[0].torch[0].axes!r} and {found[0].keras[0].axes!r}"
            )
        chosen = (same or found)[0]
        if chosen is not found[0] and torch.shape == keras.shape:
            self.settled.append(
                f"{keras.pieces[0].tensor} holds the numbers of {torch.pieces[0].tensor} transposed, which is taken "
                "for its layout: nothing tells that of a weight of a class's own"
            )
        return chosen

    def _folded(self, pair: Pair, name: str, fit: Fit, wirings: Mapping[str, Wiring]) -> list[Fit]:
        """The fit with the features of a flattened map in each side's own order; of several maps, a fit for each."""
        if None in self.courses.values():
            flattening.refuse(pair.torch, wirings["torch"])
            return [fit]
        steps = [wirings[side].calls.get(getattr(pair, side)) for side in ("torch", "keras")]
        ours, theirs = self.courses["torch"], self.courses["keras"]
        if pair.torch.layer.role == "dense" and ours is not None and None not in steps:
            spread = self._spread(fit, ours, steps)
            if spread is not fit:
                return [spread]
        for (axis, *rest), end in itertools.product(parse(fit.axes), ("before", "behind")):
            fitting = not rest and end in flattening.ends(pair.torch.layer.role, name, axis)
            if not fitting or None in steps or ours is None or theirs is None:
                continue
            parts = flattening.orders(ours.parts(steps[0], end), theirs.parts(steps[1], end))
            if any(order for _, order in parts):
                whole, start, found = sum(width for width, _ in parts), 0, []
                for width, order in parts:
                    part = fit.part(axis, start, start + width, whole) if len(parts) > 1 else fit
                    found.append(part.folded(axis, order.torch, order.keras, order.sizes) if order else part)
                    start += width
                return found
        return [fit]

    def _whole(self, side: str, fit: Fit) -> Array:
        pieces = fit.torch if side == "torch" else fit.keras
        total: Array = sum(piece.read(self.states[side][piece.tensor], fit.axes) for piece in pieces)  # type: ignore
        return total

    def _spread(self, fit: Fit, ours: flattening.Course, steps: list[Step | None]) -> Fit:
        """The fit of a dense layer that in Keras takes or gives a map as it is, where PyTorch flattens it."""
        for group in parse(fit.axes):
            end = APART.get(group[0], "")
            order = end and flattening.apart(ours.parts(steps[0], end), steps[1], end, len(group))
            if order:
                known = {name: f"{group[0][:-1]}_{name}" for name in order.sizes}
                fit = fit.spread(
                    group,
                    tuple(known[name] for name in order.torch),
                    tuple(known.get(name, "") for name in order.keras),
                    {known[name]: size for name, size in order.sizes.items()},
                )
        return fit
