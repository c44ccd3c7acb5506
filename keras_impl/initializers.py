"""The initial values that a spec asks for, drawn by Keras's own initialisers."""

from __future__ import annotations

from typing import Any

import keras

from ..core.spec import Init, Spec
from .layout import variable


def initialise(model: keras.Model, spec: Spec) -> None:
    for weight in spec.weights():
        target = variable(model, weight)
        target.assign(_draw(weight.init)(target.shape, dtype=target.dtype))


def _draw(init: Init) -> Any:
    match init.name:
        case "zeros":
            return keras.initializers.Zeros()
        case "ones":
            return keras.initializers.Ones()
        case "normal":
            return keras.initializers.RandomNormal(stddev=init.std)
        case "xavier_uniform":
            return keras.initializers.GlorotUniform()
        case "he_normal":
            return keras.initializers.VarianceScaling(2.0, mode="fan_in", distribution="untruncated_normal")
        case "he_normal_fan_out":
            return keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="untruncated_normal")
    raise ValueError(f"there is no initialisation {init.name!r}")
