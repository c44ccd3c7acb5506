"""The state of an optimizer out of Keras in the canonical form, and into it. See core/moving.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from ..core import moving
from ..core.errors import StateError
from ..core.spec import Weight
from ..core.technique import Arrays, Optimizer
from .backend import as_array
from .groups import Grouped, slots_of
from .wrapping import Wrapper

Named = Mapping[Weight, keras.Variable]


def optimizer_state(
    spec: Optimizer, optimizer: keras.optimizers.Optimizer, named: Named, schedule: Any = None
) -> Arrays:
    """Every slot of a spec's optimizer as `SLOT of WEIGHT`, and under `step` how many steps it has taken.

    `named` are a model's weights; those that the optimizer does not train are left out. Of optimizers around the
    spec's, it is the state of the innermost. A `schedule` need not be given: Keras's go by the optimizer's steps.

    Raises StateError for an optimizer that is not built.
    """
    optimizer = _innermost(optimizer)
    found = slots(spec, optimizer, _trained(spec, optimizer, named))
    return {**found, moving.STEP: np.array(int(optimizer.iterations), np.int64)}


def set_optimizer_state(
    spec: Optimizer,
    optimizer: keras.optimizers.Optimizer,
    named: Named,
    arrays: Mapping[str, Any],
    schedule: Any = None,
) -> None:
    """Copy a state into a spec's optimizer, new or not, whose schedule goes on from the same step.

    Raises StateError that names every missing, extra and misshapen slot; all is then as before.
    """
    optimizer = _innermost(optimizer)
    found = _slots(spec, optimizer, _trained(spec, optimizer, named))
    wanted = {name: as_array(variable) for name, variable in found.items()}
    scheduled = isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule)
    given, step = moving.fitting(spec, wanted, arrays, scheduled)
    shared: dict[int, str] = {}
    for name, variable in found.items():
        first = shared.setdefault(id(variable), name)
        if not np.array_equal(given[first], given[name], equal_nan=True):
            raise StateError(f"{first} and {name} are one number in Keras, and differ in the state", (first, name))
    for name, variable in found.items():
        variable.assign(given[name].astype(variable.dtype))
    for each in (optimizer, *(optimizer._inner_optimizers if isinstance(optimizer, Grouped) else ())):
        if step is not None:
            each._iterations.assign(step)


def slots(spec: Optimizer, optimizer: keras.optimizers.Optimizer, named: Named) -> Arrays:
    """Every slot of these weights as `SLOT of WEIGHT`, in the canonical layout."""
    return {name: as_array(variable).copy() for name, variable in _slots(spec, optimizer, named).items()}


def _slots(spec: Optimizer, optimizer: keras.optimizers.Optimizer, named: Named) -> dict[str, keras.Variable]:
    """The variables themselves."""
    return {
        f"{slot} of {weight.name}": variable
        for slot, variables in slots_of(spec, optimizer, list(named.values())).items()
        for weight, variable in zip(named, variables, strict=True)
        if variable is not None
    }


def _trained(spec: Optimizer, optimizer: keras.optimizers.Optimizer, named: Named) -> Named:
    """Those of a model's weights that the optimizer has."""
    if not optimizer.built:
        raise StateError(f"{spec.name} is not built, so it has no slots; call its build with the model's weights")
    own, known = optimizer._trainable_variables, {id(variable) for variable in named.values()}
    moving.of_model([str(tuple(variable.shape)) for variable in own if id(variable) not in known], spec)
    held = {id(variable) for variable in own}
    return {weight: variable for weight, variable in named.items() if id(variable) in held}


def _innermost(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    while isinstance(optimizer, Wrapper | keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner if isinstance(optimizer, Wrapper) else optimizer.inner_optimizer
    return optimizer
