"""What a native optimizer of Keras, or one of ours, does and keeps of a user's model. See core/port/handover.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from ...core.errors import StateError
from ...core.port.held import Held, Trained
from ...core.port.rule import Rule, spec_of
from ...core.technique import Arrays
from ..backend import as_array, sibling
from ..groups import grouped
from ..techniques import adafactor
from ..wrapping import Wrapper
from .naming import named
from .rates import SCHEDULES, end, has_schedule, marks, rate_at, rates
from .rules import family_of, name_of

PATHS = {
    "sgd": {"velocity": "momentums"},
    "adam": {"m": "_momentums", "v": "_velocities", "v_max": "_velocity_hats"},
    "rmsprop": {"v": "_velocities", "mean": "_average_gradients", "velocity": "_momentums"},
    "adafactor": {"row": "_r", "column": "_c", "v": "_v"},
}


def read(model: keras.Model, optimizer: Any, schedule: Any = None) -> Held:
    """What an optimizer does and keeps. See core/port/held.py."""
    optimizer = _innermost(optimizer)
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        family_of(optimizer)
    names = named(model).names
    weights = _weights(model, optimizer)
    strange = [weight for weight in weights if id(weight) not in names]
    if strange:
        raise StateError(
            f"{name_of(optimizer)} holds {len(strange)} weights that are not the Keras model's, the first of shape "
            f"{tuple(strange[0].shape)}; give the model whose trainable_variables it was built on"
        )
    trained, owners = {}, {}
    for weight in weights:
        own = _inner(optimizer, weight)
        family, rules = family_of(own)
        if weight.trainable:
            settings = {"learning_rate": rate_at(own, int(optimizer.iterations)), **rules(own, weight)}
            trained[names[id(weight)]] = _trained(Rule(family, settings), own, weight)
            owners[names[id(weight)]] = own
    inner = list({id(own): own for own in owners.values()}.values())
    kinds = dict.fromkeys(type(own._learning_rate).__name__ for own in inner if has_schedule(own))
    if schedule is not None and all(own._learning_rate is not schedule for own in (optimizer, *inner)):
        raise StateError("a schedule of Keras is given to its optimizer as learning_rate; this one has another")
    return Held(
        "keras",
        name_of(optimizer),
        trained,
        ", ".join(kinds),
        int(optimizer.iterations),
        lambda steps: rates(owners, steps),
        tuple(mark for own in inner if has_schedule(own) for mark in marks(own._learning_rate)),
        max((last for own in inner if (last := end(own._learning_rate)) is not None), default=None),
        _differences(optimizer),
        tuple(_notes(optimizer, inner)),
    )


def build(model: keras.Model, rules: Mapping[str, Rule], tables: Sequence[str]) -> Any:
    """A new optimizer by these rules. See core/port/held.py."""
    variables = named(model).variables
    weights = [variables[name] for name in rules]
    spec, shares = spec_of(rules)
    told = [variables[name] for name in tables]
    if set(shares) > {(1.0, True)}:
        return grouped(spec, weights, shares, told)
    return sibling(spec).build(spec, weights, **({"tables": told} if spec.TABLES else {}))


def scheduled(optimizer: Any, schedule: Any) -> Any:
    """The schedule of a new optimizer, which is given it. See core/port/held.py."""
    if schedule is not None and not isinstance(schedule, SCHEDULES.LearningRateSchedule):
        raise StateError(
            "target_schedule of Keras is one of keras.optimizers.schedules, or another LearningRateSchedule, not a "
            f"{type(schedule).__name__}"
        )
    if schedule is not None:
        optimizer.learning_rate = schedule
    return schedule


def freeze(model: keras.Model, tensors: Sequence[str]) -> list[str]:
    """Let tensors of a model be trained no more. See core/port/held.py."""
    variables = named(model).variables
    trained = {id(variable) for variable in model.trainable_variables}
    found = [name for name in tensors if id(variables[name]) in trained]
    for name in found:
        variables[name].trainable = False
    return found


def write(
    model: keras.Model, optimizer: Any, slots: Mapping[str, Arrays], step: int | None, schedule: Any = None
) -> None:
    """Put slots and the count of steps into an optimizer and its schedule. See core/port/held.py."""
    optimizer = _innermost(optimizer)
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    names = named(model).names
    for weight in _weights(model, optimizer):
        own = _inner(optimizer, weight)
        for slot, array in slots.get(names[id(weight)], {}).items():
            variable = _kept(own, family_of(own)[0], slot)[own._get_variable_index(weight)]
            variable.assign(array.astype(variable.dtype))
        if own.use_ema:
            own._model_variables_moving_average[own._get_variable_index(weight)].assign(weight)
    for own in (optimizer, *getattr(optimizer, "_inner_optimizers", ())):
        if step is not None:
            own._iterations.assign(step * (own.gradient_accumulation_steps or 1))


def _innermost(optimizer: Any) -> Any:
    while isinstance(optimizer, Wrapper | keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner if isinstance(optimizer, Wrapper) else optimizer.inner_optimizer
    return optimizer


def _inner(optimizer: Any, weight: keras.Variable) -> Any:
    """The optimizer of a weight."""
    if not isinstance(optimizer, keras.optimizers.MultiOptimizer):
        return optimizer
    return optimizer._inner_optimizers[optimizer._var_to_optimizer_idx[optimizer._var_key(weight)]]


def _weights(model: keras.Model, optimizer: Any) -> list[keras.Variable]:
    if optimizer.built:
        return list(optimizer._trainable_variables)
    if isinstance(optimizer, keras.optimizers.MultiOptimizer):
        raise StateError("a MultiOptimizer says which weights are whose once it is built; call its build first")
    return list(model.trainable_variables)


def _kept(optimizer: Any, family: str, slot: str) -> list[keras.Variable]:
    if isinstance(optimizer, adafactor.Adafactor):
        return list(optimizer.kept[slot])
    return list(getattr(optimizer, PATHS[family][slot]))


def _trained(rule: Rule, optimizer: Any, weight: keras.Variable) -> Trained:
    shape, lost = tuple(weight.shape), {}
    if rule.family == "adafactor" and len(shape) > 1:
        row, column = len(shape) - 2, len(shape) - 1
        if isinstance(optimizer, adafactor.Adafactor):
            row, column = optimizer.spec.factored(len(shape))
        lost = {"row": column, "column": row}
    arrays = {}
    for slot in rule.slots(len(shape)):
        own = tuple(size for place, size in enumerate(shape) if place != lost.get(slot))
        kept = _kept(optimizer, rule.family, slot)[optimizer._get_variable_index(weight)] if optimizer.built else None
        arrays[slot] = np.zeros(own, weight.dtype) if kept is None else as_array(kept).copy()
    steps = int(optimizer.iterations)
    return Trained(rule, arrays, lost, steps, started=steps > 0)


def _differences(optimizer: Any) -> dict[str, str]:
    inner = (optimizer, *getattr(optimizer, "_inner_optimizers", ()))
    if any(has_schedule(own) and not isinstance(own._learning_rate, SCHEDULES.LearningRateSchedule) for own in inner):
        return {
            "schedule": f"the rate of {name_of(optimizer)} is a function of no step, whose course cannot be foreseen"
        }
    return {}


def _notes(optimizer: Any, inner: Sequence[Any]) -> list[str]:
    found = []
    for setting, how in (
        ("clipnorm", "each gradient's own norm"),
        ("global_clipnorm", "the norm of all, as torch.nn.utils.clip_grad_norm_ does"),
        ("clipvalue", "each number, as torch.nn.utils.clip_grad_value_ does"),
    ):
        if value := getattr(optimizer, setting, None):
            found.append(
                f"Keras's optimizer clips gradients ({setting}={value}): in PyTorch the training has to clip {how}"
            )
    for own in inner:
        if count := own.gradient_accumulation_steps:
            if int(own._iterations) % count:
                raise StateError(
                    f"{name_of(own)} is amid {count} batches whose gradients it adds up; hand over between two steps"
                )
            found.append(
                f"Keras's optimizer takes the mean of {count} batches' gradients: in PyTorch the training has to"
            )
    return list(dict.fromkeys(found))
