"""A matrix with its singular values brought near one. See core/newton_schulz.py."""

from __future__ import annotations

from typing import Any

from keras import ops

from .exact import constant


def orthogonalised(
    matrix: Any,
    coefficients: tuple[float, float, float],
    steps: int,
    epsilon: float,
    epsilon_convention: str,
    precision: str,
) -> Any:
    """The matrix is `in out`, Keras's order."""
    a, b, c = (constant(value, matrix) for value in coefficients)

    def rounded(x: Any) -> Any:
        return ops.cast(ops.cast(x, "bfloat16"), x.dtype) if precision == "bfloat16" else x

    flipped = matrix.shape[0] >= matrix.shape[1]
    x = rounded(ops.transpose(matrix) if flipped else matrix)
    norm, least = rounded(ops.norm(x)), constant(epsilon, matrix)
    x = rounded(x / (ops.maximum(norm, least) if epsilon_convention == "floor" else rounded(norm + least)))
    for _ in range(steps):
        gram = rounded(x @ ops.transpose(x))
        x = rounded(a * x + rounded(b * gram + c * (gram @ gram)) @ x)
    return ops.transpose(x) if flipped else x
