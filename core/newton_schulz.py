"""A matrix with its singular values brought near one, by an iteration of products alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def orthogonalised(
    matrix: NDArray[Any],
    coefficients: tuple[float, float, float],
    steps: int,
    epsilon: float,
    epsilon_convention: str,
    precision: str,
) -> NDArray[Any]:
    """After Jordan et al., "Muon", 2024: X <- a X + (b A + c A^2) X with A = X X^T, from the matrix over its norm.

    The matrix is `in out`. The shorter axis comes first while it lasts, so that A is small; in a square matrix that is
    `out`, as PyTorch holds it, which only bfloat16 can tell.
    """
    a, b, c = coefficients
    rounded = bfloat16 if precision == "bfloat16" else np.asarray
    flipped = matrix.shape[0] >= matrix.shape[1]
    x = rounded(matrix.T if flipped else matrix)
    norm = rounded(np.asarray(np.linalg.norm(x)))
    x = rounded(x / (np.maximum(norm, epsilon) if epsilon_convention == "floor" else rounded(norm + epsilon)))
    for _ in range(steps):
        gram = rounded(x @ x.T)
        x = rounded(a * x + rounded(b * gram + c * gram @ gram) @ x)
    return x.T if flipped else x


def bfloat16(array: NDArray[Any]) -> NDArray[Any]:
    """The numbers as bfloat16 holds them, rounded to even, through float32 as the frameworks do; infinities stay."""
    bits = np.asarray(array).astype(np.float32).view(np.uint32)
    bits = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return bits.view(np.float32).astype(np.float64)
