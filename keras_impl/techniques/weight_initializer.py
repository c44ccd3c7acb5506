"""Initial values of weights. See core/techniques/weight_initializer.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import initializers, ops
from keras.src.initializers.random_initializers import compute_fans

from ...core.technique import Arrays
from ...core.techniques.weight_initializer import WeightInitializer as Spec
from ..exact import constant


def spread(spec: Spec, shape: tuple[int, ...]) -> float:
    """What the standard draws are multiplied by, from Keras's own fans of a kernel."""
    rectified = (2 / (1 + spec.negative_slope**2)) ** 0.5 if spec.distribution.startswith("he") else 1.0
    return spec.spread(*compute_fans(shape), spec.gain * rectified)


def fill(spec: Spec, shape: tuple[int, ...], draws: Any) -> Any:
    """The initial values of a kernel that standard draws of this shape become, both in Keras's layout."""
    if spec.distribution in ("zeros", "ones"):
        return ops.full_like(draws, float(spec.distribution == "ones"))
    if spec.distribution != "orthogonal":
        return constant(spread(spec, shape), draws) * draws
    matrix = ops.reshape(draws, (-1, shape[-1]))  # (height, width, in, out) -> (height width in, out)
    wide = matrix.shape[0] < matrix.shape[1]
    q, r = ops.qr(ops.transpose(matrix) if wide else matrix)
    q = q * ops.sign(ops.diag(r))
    return constant(spec.gain, draws) * ops.reshape(ops.transpose(q) if wide else q, shape)


def build(spec: Spec) -> Callable[..., Any]:
    gain = spec.gain**2 * (2 / (1 + spec.negative_slope**2) if spec.distribution.startswith("he") else 1)
    mode = "fan_avg" if spec.distribution.startswith("xavier") else spec.mode
    scaled = {"uniform": "uniform", "normal": "untruncated_normal", "truncated": "truncated_normal"}[spec.standard()]
    match spec.distribution:
        case "zeros":
            return initializers.Zeros()
        case "ones":
            return initializers.Ones()
        case "normal":
            return initializers.RandomNormal(stddev=spec.scale)
        case "truncated_normal":
            return initializers.TruncatedNormal(stddev=spec.scale)
        case "uniform":
            return initializers.RandomUniform(-spec.scale, spec.scale)
        case "orthogonal":
            return initializers.Orthogonal(gain=spec.gain)
    return initializers.VarianceScaling(scale=gain, mode=mode, distribution=scaled)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return {name: fill(spec, array.shape, tf.convert_to_tensor(array)).numpy() for name, array in case.items()}
