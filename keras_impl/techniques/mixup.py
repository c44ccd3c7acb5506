"""Mixtures of two samples. See core/techniques/mixup.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from ...core.mixing import require_batch
from ...core.technique import Arrays
from ...core.techniques.mixup import Mixup as Spec
from ..mixing import mixed_targets, trace_mixing


def build(spec: Spec) -> Callable[..., tuple[Any, Any]]:
    def mix(images: Any, targets: Any, parameters: Arrays) -> tuple[Any, Any]:
        require_batch("mixup", parameters, images, targets)
        images = ops.convert_to_tensor(images)
        weight = ops.reshape(ops.cast(parameters["weight"], images.dtype), (-1, *[1] * (len(images.shape) - 1)))
        partners = ops.take(images, parameters["partner"], axis=0)  # (batch, ...)
        return weight * images + (1 - weight) * partners, mixed_targets(spec, targets, parameters, images)

    return mix


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_mixing(build, spec, case)
