"""Mistakes in porting Muon."""

from __future__ import annotations

from functools import partial
from typing import Any

from diglot.core import registry
from diglot.core.technique import Arrays
from diglot.core.techniques.muon import Muon

from . import TechniqueBug

PLAIN, SUM, FLATTENED = (registry.make(name) for name in ("muon", "muon_sum", "muon_flattened"))


class Sideways(Muon):
    def adjustment(self, inputs: int, outputs: int) -> float:
        return super().adjustment(outputs, inputs)


class AdjustedDecay(Muon):
    def update(self, weight: Any, gradient: Any, slots: Arrays, step: int, rate: float) -> tuple[Any, Arrays]:
        if not self.orthogonalises(weight.ndim):
            return super().update(weight, gradient, slots, step, rate)
        adjusted = self.adjustment(weight.size // weight.shape[-1], weight.shape[-1])
        changed = self.replace(weight_decay=self.weight_decay * adjusted)
        return Muon.update(changed, weight, gradient, slots, step, rate)


@partial(TechniqueBug, "outputs and inputs swapped in the adjustment", PLAIN, "keras")
def sideways(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), **Sideways(**spec.fields()).rule(case)}


@partial(TechniqueBug, "decay by the adjusted rate", SUM, "torch")
def adjusted_decay(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), **AdjustedDecay(**spec.fields()).rule(case)}


@partial(TechniqueBug, "Nesterov's momentum left out", SUM, "keras")
def heavy_ball(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(nesterov=False), case)


@partial(TechniqueBug, "iteration in bfloat16", PLAIN, "torch")
def coarse(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(precision="bfloat16"), case)


@partial(TechniqueBug, "convolution left to AdamW", FLATTENED, "keras")
def unflattened(true: Any, spec: Any, case: Arrays) -> Arrays:
    wrong = true(spec.replace(convolutions="adamw"), case)
    return {**true(spec, case), **{name: array for name, array in wrong.items() if " of " not in name}}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
