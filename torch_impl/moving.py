"""The state of an optimizer out of PyTorch in the canonical form, and into it. See core/moving.py."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ..core import moving
from ..core.errors import StateError
from ..core.spec import Weight
from ..core.technique import Arrays, Optimizer
from .backend import as_array, sibling
from .layout import to_canonical, to_native

Named = Mapping[Weight, torch.Tensor]
Slot = tuple[torch.Tensor, str, tuple[tuple[str, int], ...]]


def optimizer_state(spec: Optimizer, optimizer: torch.optim.Optimizer, named: Named, schedule: Any = None) -> Arrays:
    """Every slot of a spec's optimizer as `SLOT of WEIGHT`, and under `step` how many steps it has taken.

    `named` are a model's weights; those that the optimizer does not train are left out. SGD counts no steps in PyTorch:
    the number is then that of the schedule, and without one there is none.

    Raises StateError for an optimizer that has not stepped, and where two counts of steps differ.
    """
    trained = _trained(spec, optimizer, named)
    fresh = [weight.name for weight, tensor in trained.items() if spec.slots() and not optimizer.state.get(tensor)]
    if fresh:
        raise StateError(
            f"{spec.name} has taken no step of {', '.join(fresh)}, so there is no state to move", (*fresh,)
        )
    kept = {weight.name: optimizer.state.get(tensor, {}) for weight, tensor in trained.items()}
    counts = {name: int(state["step"]) for name, state in kept.items() if "step" in state}
    if schedule is not None:
        counts["the schedule"] = schedule.last_epoch
    step = moving.counted(counts)
    return {**slots(spec, optimizer, trained), **({} if step is None else {moving.STEP: np.array(step)})}


def set_optimizer_state(
    spec: Optimizer, optimizer: torch.optim.Optimizer, named: Named, arrays: Mapping[str, Any], schedule: Any = None
) -> None:
    """Copy a state into a spec's optimizer, new or not, and take a new schedule to the same step.

    Raises StateError that names every missing, extra and misshapen slot; all is then as before.
    """
    trained = _trained(spec, optimizer, named)
    ready = _ready(optimizer)
    twins = dict(zip(_weights(optimizer), _weights(ready), strict=True))
    found = _slots(spec, ready, {weight: twins[tensor] for weight, tensor in trained.items()})
    wanted = {name: _canonical(slot) for name, slot in found.items()}
    given, step = moving.fitting(spec, wanted, arrays, schedule is not None)
    if schedule is not None and step is not None and schedule.last_epoch > step:
        raise StateError(f"the schedule is at step {schedule.last_epoch} and the state at {step}; build a new schedule")
    for name, (tensor, axes, factors) in found.items():
        tensor.copy_(torch.from_numpy(np.require(to_native(given[name], axes, factors), requirements="CW")))
    for tensor, twin in twins.items():
        if state := ready.state.get(twin):
            if "step" in state:
                state["step"] = torch.full_like(torch.as_tensor(state["step"]), step)
            optimizer.state[tensor] = state
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # PyTorch's, that the optimizer has not stepped here
        while schedule is not None and schedule.last_epoch < step:
            schedule.step()


def slots(spec: Optimizer, optimizer: torch.optim.Optimizer, named: Named) -> Arrays:
    """Every slot of these weights as `SLOT of WEIGHT`, in the canonical layout."""
    return {name: _canonical(slot) for name, slot in _slots(spec, optimizer, named).items()}


def _slots(spec: Optimizer, optimizer: torch.optim.Optimizer, named: Named) -> dict[str, Slot]:
    """The tensors themselves, with their axes and the factors of these."""
    return {
        f"{slot} of {weight.name}": (tensor, spec.slot_axes(slot, weight.axes), weight.factors)
        for slot, tensors in sibling(spec).slots(optimizer, list(named.values())).items()
        for weight, tensor in zip(named, tensors, strict=True)
        if tensor is not None
    }


def _canonical(slot: Slot) -> np.ndarray:
    tensor, axes, factors = slot
    return to_canonical(as_array(tensor).copy(), axes, factors)


def _weights(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def _trained(spec: Optimizer, optimizer: torch.optim.Optimizer, named: Named) -> Named:
    """Those of a model's weights that the optimizer has."""
    own, known = _weights(optimizer), {id(tensor) for tensor in named.values()}
    moving.of_model([str(tuple(tensor.shape)) for tensor in own if id(tensor) not in known], spec)
    held = {id(tensor) for tensor in own}
    return {weight: tensor for weight, tensor in named.items() if id(tensor) in held}


def _ready(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """A copy, of the weights too, that has all its slots: PyTorch makes them in the first step."""
    ready = copy.deepcopy(optimizer)
    for weight in _weights(ready):
        weight.grad = torch.zeros_like(weight)
    ready.step()
    return ready
