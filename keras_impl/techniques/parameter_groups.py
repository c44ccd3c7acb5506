"""Groups of weights, each with its own learning rate and decay. See core/techniques/parameter_groups.py."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import keras

from ...core import practice
from ...core.technique import Arrays, Optimizer
from ...core.techniques.parameter_groups import ParameterGroups as Spec
from ..groups import Grouped, grouped, slots_of
from ..practice import practise


def build(
    spec: Spec, optimizer_spec: Optimizer, named: dict[str, keras.Variable], tables: Sequence[keras.Variable] = ()
) -> Grouped:
    return grouped(optimizer_spec, list(named.values()), list(spec.shares(named).values()), tables)


def slots(
    optimizer_spec: Optimizer, optimizer: Grouped, weights: list[keras.Variable]
) -> dict[str, list[keras.Variable | None]]:
    return slots_of(optimizer_spec, optimizer, weights)


def trace(spec: Spec, case: Arrays) -> Arrays:
    def built(optimizer: Optimizer, weights: list[keras.Variable]) -> Grouped:
        names = [weight.name for weight in practice.WEIGHTS]
        return build(spec, optimizer, dict(zip(names, weights, strict=True)))

    return practise(built, functools.partial(slots, spec.TRIED), spec.TRIED, case)
