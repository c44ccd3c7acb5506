"""Groups of weights, each with its own learning rate and decay. See core/techniques/parameter_groups.py."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import keras

from ...core import practice
from ...core.technique import Arrays, Optimizer
from ...core.techniques.parameter_groups import ParameterGroups as Spec
from ..backend import sibling
from ..groups import Grouped, grouped
from ..practice import practise


def build(
    spec: Spec, optimizer_spec: Optimizer, named: dict[str, keras.Variable], tables: Sequence[keras.Variable] = ()
) -> Grouped:
    return grouped(optimizer_spec, list(named.values()), list(spec.shares(named).values()), tables)


def slots(
    optimizer_spec: Optimizer, optimizer: Grouped, weights: list[keras.Variable]
) -> dict[str, list[keras.Variable]]:
    found: dict[str, list[keras.Variable]] = {}
    for weight in weights:
        inner = optimizer.inner(weight)
        index = inner._get_variable_index(weight)
        for slot, variables in sibling(optimizer_spec).slots(inner, inner._trainable_variables).items():
            found.setdefault(slot, []).append(variables[index])
    return found


def trace(spec: Spec, case: Arrays) -> Arrays:
    def built(optimizer: Optimizer, weights: list[keras.Variable]) -> Grouped:
        names = [weight.name for weight in practice.WEIGHTS]
        return build(spec, optimizer, dict(zip(names, weights, strict=True)))

    return practise(built, functools.partial(slots, spec.TRIED), spec.TRIED, case)
