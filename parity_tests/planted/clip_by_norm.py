"""Mistakes in porting the clipping by each gradient's own norm."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("clip_by_norm")
ADDED = registry.make("clip_by_norm_with_epsilon")


@partial(TechniqueBug, "one norm for all gradients", PLAIN, "torch")
def one_norm(true: Any, spec: Any, case: Arrays) -> Arrays:
    result: Arrays = {}
    for kind in spec.SETS:
        gradients = {name: array for name, array in case.items() if name.startswith(f"{kind}.")}
        scale = min(1.0, spec.max_norm / float(np.sqrt(sum((array**2).sum() for array in gradients.values()))))
        result |= {f"clipped {name}": array * scale for name, array in gradients.items()}
    return result


@partial(TechniqueBug, "each row clipped by its own norm", PLAIN, "keras")
def rows(true: Any, spec: Any, case: Arrays) -> Arrays:
    norms = {name: np.linalg.norm(array, axis=-1, keepdims=True) for name, array in case.items()}
    return {f"clipped {name}": array * np.minimum(1, spec.max_norm / norms[name]) for name, array in case.items()}


@partial(TechniqueBug, "1e-6 of PyTorch's clip_grad_norm_ in the norm", PLAIN, "torch")
def added_epsilon(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(epsilon=1e-6), case)


@partial(TechniqueBug, "epsilon left out", ADDED, "keras")
def no_epsilon(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(epsilon=0.0), case)


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
