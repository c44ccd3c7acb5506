"""What a native optimizer of PyTorch, or one of ours, does and keeps of a user's model. See core/port/handover.py."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ...core.errors import StateError
from ...core.port.held import Held, Trained
from ...core.port.rule import FAMILIES, Rule, spec_of
from ...core.technique import Arrays
from ..backend import sibling
from ..groups import grouped
from ..techniques import adafactor, adam, adamw, rmsprop, sgd
from .tensors import Tensors
from .values import array_of

Group = Mapping[str, Any]
SCHEDULES = torch.optim.lr_scheduler
PATHS = {
    "sgd": {"velocity": "momentum_buffer"},
    "adam": {"m": "exp_avg", "v": "exp_avg_sq", "v_max": "max_exp_avg_sq"},
    "rmsprop": {"v": "square_avg", "mean": "grad_avg", "velocity": "momentum_buffer"},
    "adafactor": {"row": "row_var", "column": "col_var", "v": "variance"},
}


def read(model: nn.Module, optimizer: Any, schedule: Any = None) -> Held:
    """What an optimizer does and keeps. See core/port/held.py."""
    family, rules = _family(optimizer)
    names, trained = _names(model), {}
    strange = [weight for weight, _ in _weights(optimizer) if not names.get(id(weight), "")]
    if strange:
        raise StateError(
            f"{_name(optimizer)} holds {len(strange)} weights that the PyTorch model does not have under a name of "
            f"their own, the first of shape {tuple(strange[0].shape)}; give the model whose parameters() it was given"
        )
    for weight, group in _weights(optimizer):
        if weight.requires_grad:
            settings = {"learning_rate": float(group["lr"]), **rules(optimizer, group, weight)}
            trained[names.get(id(weight), "")] = _trained(Rule(family, settings), optimizer, weight, group)
    differences: dict[str, str] = {}
    if schedule is None and any("initial_lr" in group for group in optimizer.param_groups):
        differences["schedule"] = f"a schedule was built on {_name(optimizer)}, and is not given"
    if schedule is not None:
        _check(schedule, optimizer)
    return Held(
        "torch",
        _name(optimizer),
        trained,
        type(schedule).__name__ if schedule is not None else "",
        schedule.last_epoch if schedule is not None else None,
        lambda steps: _rates(optimizer, schedule, names, steps),
        _marks(schedule),
        _end(schedule),
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


def write(
    model: nn.Module, optimizer: Any, slots: Mapping[str, Arrays], step: int | None, schedule: Any = None
) -> None:
    """Put slots and the count of steps into an optimizer and its schedule. See core/port/held.py."""
    family, _ = _family(optimizer)
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


def _name(optimizer: Any) -> str:
    own = type(optimizer).__module__.startswith("torch.")
    return ("torch.optim." if own else "Diglot's ") + type(optimizer).__name__


def _weights(optimizer: Any) -> list[tuple[torch.Tensor, Group]]:
    return [(weight, group) for group in optimizer.param_groups for weight in group["params"]]


def _sgd(optimizer: Any, group: Group, weight: torch.Tensor) -> dict[str, Any]:
    own = isinstance(optimizer, sgd.SGD)
    return {
        "momentum": float(group["momentum"]),
        "dampening": float(group["dampening"]),
        "nesterov": group["nesterov"],
        "weight_decay": float(group["weight_decay"]),
        "decay": optimizer.decay if own else "l2",
        "velocity": optimizer.velocity if own else "gradient",
        "maximize": group["maximize"],
        "use_ema": False,
    }


def _adam(optimizer: Any, group: Group, weight: torch.Tensor) -> dict[str, Any]:
    decoupled = isinstance(optimizer, torch.optim.AdamW) or group.get("decoupled_weight_decay", False)
    return {
        "beta_1": float(group["betas"][0]),
        "beta_2": float(group["betas"][1]),
        "epsilon": float(group["eps"]),
        "epsilon_convention": "uncorrected" if isinstance(optimizer, adam.Adam | adamw.AdamW) else "corrected",
        "amsgrad": group["amsgrad"],
        "weight_decay": float(group["weight_decay"]),
        "decay": "decoupled" if decoupled else "l2",
        "embedding": "added",
        "maximize": group["maximize"],
        "use_ema": False,
    }


def _rmsprop(optimizer: Any, group: Group, weight: torch.Tensor) -> dict[str, Any]:
    conventions = {"decay": "l2", "epsilon_convention": "outside", "velocity": "gradient"}
    return {
        "rho": float(group["alpha"]),
        "epsilon": float(group["eps"]),
        "momentum": float(group["momentum"]),
        "centered": group["centered"],
        "weight_decay": float(group["weight_decay"]),
        **(optimizer.conventions if isinstance(optimizer, rmsprop.RMSprop) else conventions),
        "embedding": "added",
        "maximize": group["maximize"],
        "use_ema": False,
    }


def _adafactor(optimizer: Any, group: Group, weight: torch.Tensor) -> dict[str, Any]:
    common = {"embedding": "added", "use_ema": False, "weight_decay": float(group["weight_decay"])}
    if isinstance(optimizer, adafactor.Adafactor):
        own = optimizer.spec.fields()
        named = ("decay_exponent", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step", "beta_1")
        conventions = ("parameter_scaling", "epsilon_convention", "factored_axes")
        return common | {name: own[name] for name in (*named, *conventions)} | {"maximize": False}
    least = group["eps"][0]
    return common | {
        "decay_exponent": -float(group["beta2_decay"]),
        "epsilon_1": torch.finfo(weight.dtype).eps if least is None else float(least),
        "epsilon_2": float(group["eps"][1]),
        "clip_threshold": float(group["d"]),
        "relative_step": True,
        "parameter_scaling": "undecayed",
        "epsilon_convention": "floor",
        "factored_axes": "last_two",
        "beta_1": 0.0,
        "maximize": group["maximize"],
    }


Reader = Callable[[Any, Group, torch.Tensor], dict[str, Any]]
KNOWN: dict[type, tuple[str, Reader]] = {
    torch.optim.SGD: ("sgd", _sgd),
    sgd.SGD: ("sgd", _sgd),
    torch.optim.Adam: ("adam", _adam),
    adam.Adam: ("adam", _adam),
    torch.optim.AdamW: ("adam", _adam),
    adamw.AdamW: ("adam", _adam),
    torch.optim.RMSprop: ("rmsprop", _rmsprop),
    rmsprop.RMSprop: ("rmsprop", _rmsprop),
    torch.optim.Adafactor: ("adafactor", _adafactor),
    adafactor.Adafactor: ("adafactor", _adafactor),
}


def _family(optimizer: Any) -> tuple[str, Reader]:
    if type(optimizer) not in KNOWN:
        raise StateError(
            f"{type(optimizer).__module__}.{type(optimizer).__name__} cannot be handed over from or to PyTorch: what "
            f"it does is known only of torch.optim's own {', '.join(FAMILIES)}, and of those that Diglot builds"
        )
    return KNOWN[type(optimizer)]


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


def _check(schedule: Any, optimizer: Any) -> None:
    name = f"torch.optim.lr_scheduler.{type(schedule).__name__}"
    if not isinstance(schedule, SCHEDULES.LRScheduler):
        raise StateError(f"a schedule of PyTorch is one of torch.optim.lr_scheduler, not {type(schedule).__name__}")
    if isinstance(schedule, SCHEDULES.ReduceLROnPlateau):
        raise StateError(
            f"{name} goes by a metric and not by the step; set the rate by hand instead of handing it over"
        )
    if schedule.optimizer is not optimizer:
        raise StateError(f"{name} is the schedule of another optimizer; give the one that was built on this")
    if getattr(schedule, "cycle_momentum", False):
        raise StateError(f"{name} moves the momentum too, which Keras's schedules cannot; set cycle_momentum=False")


def _rates(optimizer: Any, schedule: Any, names: Mapping[int, str], steps: Sequence[int]) -> Arrays:
    """The rate of every tensor at these steps, the first of which is the present one; nothing is stepped itself."""
    now = [float(group["lr"]) for group in optimizer.param_groups]
    rows = [now] * len(steps) if schedule is None else _course(optimizer, schedule, steps)
    return {
        names.get(id(weight), ""): np.array([row[index] for row in rows])
        for index, group in enumerate(optimizer.param_groups)
        for weight in group["params"]
    }


def _course(optimizer: Any, schedule: Any, steps: Sequence[int]) -> list[list[float]]:
    groups = [
        {**{name: copy.deepcopy(value) for name, value in group.items() if name != "params"}, "params": [weight]}
        for group in optimizer.param_groups
        for weight in [nn.Parameter(torch.zeros(1))]
    ]
    stand_in = torch.optim.SGD(groups, lr=0.0)
    twin, found = copy.deepcopy(schedule, {id(optimizer): stand_in}), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # PyTorch's, that the optimizer has not stepped
        for step in steps:
            while twin.last_epoch < step:
                twin.step()
            found.append([float(group["lr"]) for group in stand_in.param_groups])
    return found


def _marks(tree: Any, depth: int = 0) -> tuple[int, ...]:
    """The whole numbers of a schedule, some of which are steps at which it turns."""
    if isinstance(tree, SCHEDULES.LRScheduler):
        tree = {name: value for name, value in vars(tree).items() if name not in ("last_epoch", "_step_count")}
    if isinstance(tree, int) and not isinstance(tree, bool):
        return (tree,)
    if depth > 4 or not isinstance(tree, Mapping | list | tuple):
        return ()
    items = [*tree.keys(), *tree.values()] if isinstance(tree, Mapping) else tree
    return tuple(mark for item in items for mark in _marks(item, depth + 1))


def _end(schedule: Any) -> int | None:
    """The step at which a cosine has come down, by itself or behind a warm-up."""
    if isinstance(schedule, SCHEDULES.SequentialLR):
        last = _end(schedule._schedulers[-1])
        return None if last is None else schedule._milestones[-1] + last
    return int(schedule.T_max) if isinstance(schedule, SCHEDULES.CosineAnnealingLR) else None
