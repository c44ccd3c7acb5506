"""Images with a box of another one. See core/techniques/cutmix.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from ...core.mixing import require_batch
from ...core.pictures import require_pictures
from ...core.technique import Arrays
from ...core.techniques.cutmix import Cutmix as Spec
from ..mixing import mixed_targets, trace_mixing


def build(spec: Spec) -> Callable[..., tuple[Any, Any]]:
    def mix(images: Any, targets: Any, parameters: Arrays) -> tuple[Any, Any]:
        require_pictures("cutmix", images.shape)
        require_batch("cutmix", parameters, images, targets)
        images = ops.convert_to_tensor(images)
        inside = boxes(parameters, images)[..., None]  # (batch, height, width, 1)
        partners = ops.take(images, parameters["partner"], axis=0)
        return ops.where(inside, partners, images), mixed_targets(spec, targets, parameters, images)

    return mix


def boxes(parameters: Arrays, images: Any) -> Any:
    """Whether a pixel lies in the box of its sample, (batch, height, width)."""
    height, width = images.shape[1:3]
    top, left, bottom, right = ops.unstack(ops.transpose(ops.convert_to_tensor(parameters["box"]))[:, :, None])
    row, column = ops.arange(height, dtype="int64"), ops.arange(width, dtype="int64")
    rows, columns = (row >= top) & (row < bottom), (column >= left) & (column < right)
    return rows[:, :, None] & columns[:, None, :]


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_mixing(build, spec, case)
