"""Preprocessing of photographs. See core/techniques/preprocess.py."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from ...core.errors import SpecError
from ...core.resample import matrix
from ...core.technique import Arrays
from ...core.techniques.preprocess import Preprocess as Spec
from ..exact import constant


@keras.saving.register_keras_serializable("diglot")
class Preprocess(keras.layers.Layer):
    def __init__(self, fields: dict[str, Any], **options: Any) -> None:
        super().__init__(**{"autocast": False, **options})
        self.spec = Spec(**fields)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fields": self.spec.fields()}

    def call(self, images: Any) -> Any:
        spec = self.spec
        x = ops.cast(images, self.compute_dtype)  # (batch, height, width, channels)
        if None in x.shape[1:3]:
            raise SpecError("preprocess: Keras must know the height and width of the photographs; give Input both")
        height, width = spec.resized(*x.shape[1:3])
        x = resize(spec, x, height, width)
        top, left = spec.corner(height, width)
        x = x[:, top : top + spec.crop_size, left : left + spec.crop_size]
        x = ops.flip(x, axis=-1) if spec.channel_order == "bgr" else x
        return (x * constant(spec.scale, x) - constant(spec.mean, x)) / constant(spec.deviation, x)


def resize(spec: Spec, x: Any, height: int, width: int) -> Any:
    """TensorFlow's resizing, which is float32, and cubic without antialiasing in a way of its own; else by matrices."""
    if x.dtype == "float32" and (spec.antialias or spec.interpolation == "bilinear"):
        return ops.image.resize(x, (height, width), interpolation=spec.interpolation, antialias=spec.antialias)
    options = {"method": spec.interpolation, "antialias": spec.antialias}
    rows = constant(matrix(x.shape[1], height, **options), x)
    columns = constant(matrix(x.shape[2], width, **options), x)
    return ops.einsum("hy,wx,byxc->bhwc", rows, columns, x)


def build(spec: Spec) -> keras.layers.Layer:
    return Preprocess(spec.fields())


def trace(spec: Spec, case: Arrays) -> Arrays:
    return {"result": build(spec)(tf.convert_to_tensor(case["images"])).numpy()}
