"""How mixing is run on a case, and the mixture of the targets. See core/mixing.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from ..core.mixing import Mixing, require_classes
from ..core.technique import Arrays
from .layout import to_canonical, to_native

IMAGE = "batch height width channels"


def mixed_targets(spec: Mixing, targets: torch.Tensor, parameters: Arrays, like: torch.Tensor) -> torch.Tensor:
    """The classes of each sample and its partner as probabilities (batch, classes), in the precision of `like`."""
    require_classes(spec, int(targets.min()), int(targets.max()))
    classes = F.one_hot(targets.long(), spec.num_classes).to(like)
    weight = torch.as_tensor(parameters["weight"]).to(like)[:, None]
    return weight * classes + (1 - weight) * classes[torch.as_tensor(parameters["partner"])]


def trace_mixing(build: Callable[..., Any], spec: Mixing, case: Arrays) -> Arrays:
    """The images, what other samples there are, and the targets, mixed."""
    result: Arrays = {}
    for name, array in case.items():
        if name != "targets":
            axes = IMAGE if array.ndim == 4 else "batch features"
            samples, targets = torch.tensor(to_native(array, axes)), torch.tensor(case["targets"])
            samples, targets = build(spec)(samples, targets, spec.drawn(case))
            result |= {name: to_canonical(samples.numpy(), axes), "targets": targets.numpy()}
    return result
