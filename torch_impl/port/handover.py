"""What a native optimizer of PyTorch, or one of ours, does and keeps of a user's model. See core/port/handover.py."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ...core.errors import StateError
from ...core.port.held import Held, Trained
from ...core.port.rule import Rule, spec_of
from ...core.technique import Arrays
from ..backend import sibling
from ..groups import grouped
from .course import check, end, marks, rates
from .rules import Group, family_of, name_of
from .tensors import Tensors
from .values import array_of

PATHS = {
    "sgd": {"velocity": "momentum_buffer"},
    "adam": {"m": "exp_avg", "v": "exp_avg_sq", "v_max": "max_exp_avg_sq"},
    "rmsprop": {"v": "square_avg", "mean": "grad_avg", "velocity": "momentum_buffer"},
    "adafactor": {"row": "row_var", "column": "col_var", "v": "variance"},
}


def read(model: nn.Module, optimizer: Any, schedule: Any = None) -> Held:
    """What an optimizer does and keeps. See core/port/held.py."""
    family, rules = family_of(optimizer)
    names, trained = _names(model), {}
    strange = [weight for weight, _ in _weights(optimizer) if not names.get(id(weight), "")]
    if strange:
        raise StateError(
            f"{name_of(optimizer)} holds {len(strange)} weights that the PyTorch model does not have under a name of "
            f"their own, the first of shape {tuple(strange[0].shape)}; give the model whose parameters() it was given"
        )
    for weight, group in _weights(optimizer):
        if weight.requires_grad:
            settings = {"learning_rate": float(group["lr"]), **rules(optimizer, group, weight)}
            trained[names.get(id(weight), "")] = _trained(Rule(family, settings), optimizer, weight, group)
    differences: dict[str, str] = {}
    if schedule is None and any("initial_lr" in group for group in optimizer.param_groups):
        differences["schedule"] = f"a schedule was built on {name_of(optimizer)}, and is not given"
    if schedule is not None:
        check(schedule, optimizer)
    return Held(
        "torch",
        name_of(optimizer),
        trained,
        type(schedule).__name__ if schedule is not None else "",
        schedule.last_epoch if schedule is not None else None,
        lambda steps: rates(optimizer, schedule, names, steps),
        marks(schedule),
        end(schedule),
        differences,
    )


def build(model: nn.Module, rules: Mapping[str, Rule], tables: Sequence[str]) -> Any:
    """A new optimizer by these rules. See core/port/held.py."""
    tensors = Tensors(model)
    weights = [tensors[name].get() for name in rules]
    spec, shares = spec_of(rules)
    told = [tensors[name].get() for name in tables]
    if set(shares) > {(1.0, True)}:
        return grouped(spec, weights, shares, told)  # type: ignore[arg-type]
    return sibling(spec).build(spec, weights, **({"tables": told} if spec.TABLES else {}))


def scheduled(optimizer: Any, schedule: Any) -> Any:
    """The schedule of a new optimizer, made by a function. See core/port/held.py."""
    if schedule is None:
        return None
    if not callable(schedule):
        raise StateError(
            "where Diglot builds PyTorch's optimizer, target_schedule is a function that makes the schedule from it, "
            f"not a {type(schedule).__name__}"
        )
    return schedule(optimizer)


def freeze(model: nn.Module, tensors: Sequence[str]) -> list[str]:
    """Let tensors of a model be trained no more. See core/port/held.py."""
    places = Tensors(model)
    found = [name for name in tensors if not places[name].computed and places[name].get().requires_grad]
    for name in found:
        places[name].get().requires_grad_(False)
    return found


def write(
    model: nn.Module, optimizer: Any, slots: Mapping[str, Arrays], step: int | None, schedule: Any = None
) -> None:
    """Put slots and the count of steps into an optimizer and its schedule. See core/port/held.py."""
    family, _ = family_of(optimizer)
    names, states = _names(model), {}
    for weight, group in _weights(optimizer):
        given = slots.get(names.get(id(weight), ""), {})
        state: dict[str, Any] = {}
        if family != "sgd":
            near = group.get("capturable") or group.get("fused")
            state["step"] = torch.tensor(float(step or 0), device=weight.device if near else None)
        for slot, array in given.items():
            name, axis = _kept(optimizer, family, slot)
            tensor = torch.tensor(np.ascontiguousarray(array)).to(weight)
            state[name] = tensor if axis is None else tensor.unsqueeze(axis)
        states[weight] = state if names.get(id(weight), "") in slots else {}
    for weight, state in states.items():
        optimizer.state.pop(weight, None)
        if state:
            optimizer.state[weight] = state
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # PyTorch's, that the optimizer has not stepped here
        while schedule is not None and schedule.last_epoch < (step or 0):
            schedule.step()


def _names(model: nn.Module) -> dict[int, str]:
    """The name of each tensor that is held as it is."""
    return {id(place.get()): name for name, place in Tensors(model).items() if not place.computed}


def _weights(optimizer: Any) -> list[tuple[torch.Tensor, Group]]:
    return [(weight, group) for group in optimizer.param_groups for weight in group["params"]]


def _kept(optimizer: Any, family: str, slot: str) -> tuple[str, int | None]:
    """Where PyTorch keeps a slot, and the axis of length one in it."""
    if family == "adafactor" and not isinstance(optimizer, torch.optim.Adafactor):
        return slot, None
    return PATHS[family][slot], {"row": -1, "column": -2}.get(slot)


def _trained(rule: Rule, optimizer: Any, weight: torch.Tensor, group: Group) -> Trained:
    state = optimizer.state.get(weight) or {}
    shape, lost = tuple(weight.shape), _lost(optimizer, weight, group) if rule.family == "adafactor" else {}
    arrays = {}
    for slot in rule.slots(weight.ndim):
        name, axis = _kept(optimizer, rule.family, slot)
        own = tuple(size for place, size in enumerate(shape) if place != lost.get(slot))
        kept = state.get(name)
        if kept is not None and axis is not None:
            kept = kept.squeeze(axis)
        arrays[slot] = array_of(torch.zeros(own, dtype=weight.dtype) if kept is None else kept)
    counts = rule.family != "sgd"
    started = "step" in state or any(kept is not None for kept in state.values()) or not (arrays or counts)
    return Trained(rule, arrays, lost, int(state.get("step", 0)) if counts else None, started)


def _lost(optimizer: Any, weight: torch.Tensor, group: Group) -> dict[str, int]:
    if weight.ndim < 2:
        return {}
    if isinstance(optimizer, torch.optim.Adafactor):
        return {"row": weight.ndim - 1, "column": weight.ndim - 2}
    row, column = (weight.ndim - 2, weight.ndim - 1) if optimizer.spec.factored_axes == "last_two" else (1, 0)
    if group.get("table"):
        row, column = optimizer.spec.factored(weight.ndim)
    return {"row": column, "column": row}
