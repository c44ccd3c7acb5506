"""The course of the rate under a schedule of PyTorch, without taking a step of it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ...core.errors import StateError
from ...core.technique import Arrays

SCHEDULES = torch.optim.lr_scheduler


def check(schedule: Any, optimizer: Any) -> None:
    """Raise StateError for what is no schedule of this optimizer, or one that does not go by the step alone."""
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


def rates(optimizer: Any, schedule: Any, names: Mapping[int, str], steps: Sequence[int]) -> Arrays:
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


def marks(tree: Any, depth: int = 0) -> tuple[int, ...]:
    """The whole numbers of a schedule, some of which are steps at which it turns."""
    if isinstance(tree, SCHEDULES.LRScheduler):
        tree = {name: value for name, value in vars(tree).items() if name not in ("last_epoch", "_step_count")}
    if isinstance(tree, int) and not isinstance(tree, bool):
        return (tree,)
    if depth > 4 or not isinstance(tree, Mapping | list | tuple):
        return ()
    items = [*tree.keys(), *tree.values()] if isinstance(tree, Mapping) else tree
    return tuple(mark for item in items for mark in marks(item, depth + 1))


def end(schedule: Any) -> int | None:
    """The step at which a cosine has come down, by itself or behind a warm-up."""
    if isinstance(schedule, SCHEDULES.SequentialLR):
        last = end(schedule._schedulers[-1])
        return None if last is None else schedule._milestones[-1] + last
    return int(schedule.T_max) if isinstance(schedule, SCHEDULES.CosineAnnealingLR) else None
