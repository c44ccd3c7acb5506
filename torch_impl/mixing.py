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
    """The images and the targets, mixed."""
    images = torch.tensor(to_native(case["images"], IMAGE))
    images, targets = build(spec)(images, torch.tensor(case["targets"]), spec.drawn(case))
    return {"images": to_canonical(images.numpy(), IMAGE), "targets": targets.numpy()}
