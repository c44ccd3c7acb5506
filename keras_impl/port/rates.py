"""The course of the rate under a schedule of Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ...core.technique import Arrays
from ..backend import as_array

SCHEDULES = keras.optimizers.schedules


def has_schedule(optimizer: Any) -> bool:
    """Whether the rate of an optimizer is a schedule, or another function."""
    return callable(optimizer._learning_rate) and not isinstance(optimizer._learning_rate, keras.Variable)


def rate_at(optimizer: Any, step: int) -> float:
    """The rate of an optimizer at a step; the present one where it goes by no step."""
    rate = optimizer._learning_rate
    if isinstance(rate, SCHEDULES.LearningRateSchedule):
        rate = rate(ops.convert_to_tensor(step, dtype="int64"))
    elif has_schedule(optimizer):
        rate = rate()
    return float(as_array(rate))


def rates(optimizers: Mapping[str, Any], steps: Sequence[int]) -> Arrays:
    """The rate of every tensor at these steps."""
    courses: dict[int, np.ndarray] = {}
    for own in optimizers.values():
        if id(own) not in courses:
            courses[id(own)] = np.array([rate_at(own, step) for step in steps])
    return {name: courses[id(own)] for name, own in optimizers.items()}


def marks(schedule: Any) -> tuple[int, ...]:
    """The whole numbers of a schedule, and their sum: some are steps at which it turns, or that it takes."""
    try:
        config = schedule.get_config()
    except NotImplementedError:
        return ()
    found = _whole(config)
    return (*found, sum(found))


def end(schedule: Any) -> int | None:
    """The step at which a cosine has come down."""
    if not isinstance(schedule, SCHEDULES.CosineDecay):
        return None
    return int(schedule.decay_steps) + int(schedule.warmup_steps or 0)


def _whole(tree: Any) -> tuple[int, ...]:
    if isinstance(tree, int | float) and not isinstance(tree, bool):
        return (int(tree),) if tree == int(tree) and tree > 0 else ()
    items = tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, list | tuple) else ()
    return tuple(mark for item in items for mark in _whole(item))
