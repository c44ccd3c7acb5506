"""Small pictures, shifted and mirrored at random. See core/techniques/augment.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from ...core.pictures import require_pictures
from ...core.technique import Arrays
from ...core.techniques.augment import Augment as Spec
from ..exact import constant


def crop(spec: Spec, images: Any, parameters: Arrays) -> Any:
    """The pixels of each crop, mirrored where it is drawn so, of the pictures' own type."""
    require_pictures("augment", images.shape)
    batch, height, width, channels = images.shape
    spec.require(parameters, batch, height, width, channels)
    border = (spec.padding, spec.padding)
    padded = tf.pad(images, ((0, 0), border, border, (0, 0)))  # (batch, height, width, channels)
    top, left, flip = (tf.convert_to_tensor(parameters[name]) for name in ("top", "left", "flip"))
    steps = tf.range(spec.crop_size, dtype=top.dtype)
    rows = top[:, None] + steps
    columns = left[:, None] + tf.where(flip[:, None], steps[::-1], steps)
    return tf.gather(tf.gather(padded, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)


def build(spec: Spec) -> Callable[..., Any]:
    def augment(images: Any, parameters: Arrays) -> Any:
        x = crop(spec, images, parameters)
        x = x if x.dtype.is_floating else tf.cast(x, keras.config.floatx())
        return (x * constant(spec.scale, x) - constant(spec.mean, x)) / constant(spec.deviation, x)

    return augment


def trace(spec: Spec, case: Arrays) -> Arrays:
    images, drawn = tf.convert_to_tensor(case["images"]), spec.drawn(case)
    return {"pixels": crop(spec, images, drawn).numpy(), "result": build(spec)(images, drawn).numpy()}
