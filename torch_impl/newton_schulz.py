"""A matrix with its singular values brought near one. See core/newton_schulz.py."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .per_weight import PerWeight, State, slot


def orthogonalised(
    matrix: torch.Tensor,
    coefficients: tuple[float, float, float],
    steps: int,
    epsilon: float,
    epsilon_convention: str,
    precision: str,
) -> torch.Tensor:
    """The matrix is `out in`, PyTorch's order."""
    a, b, c = coefficients

    def rounded(x: torch.Tensor) -> torch.Tensor:
        return x.bfloat16().to(x.dtype) if precision == "bfloat16" else x

    flipped = matrix.shape[0] > matrix.shape[1]
    x = rounded(matrix.T if flipped else matrix)
    norm = rounded(x.norm())
    x = rounded(x / (norm.clamp(min=epsilon) if epsilon_convention == "floor" else rounded(norm + epsilon)))
    for _ in range(steps):
        gram = rounded(x @ x.T)
        x = rounded(torch.addmm(x, rounded(torch.addmm(gram, gram, gram, beta=b, alpha=c)), x, beta=a))
    return x.T if flipped else x


class Orthogonal(PerWeight):
    """The step of core/techniques/muon.py for matrices, and for kernels that are flattened to matrices."""

    def _update(self, weight: nn.Parameter, gradient: torch.Tensor, state: State, group: dict[str, Any]) -> None:
        spec, momentum = self.spec, slot(state, "momentum_buffer", weight)
        share = 1 - spec.momentum if spec.momentum_convention == "average" else 1.0
        momentum.mul_(spec.momentum).add_(share * gradient)
        ahead = share * gradient + spec.momentum * momentum if spec.nesterov else momentum
        matrix = ahead.flatten(1)  # out (in height width)
        change = orthogonalised(
            matrix, spec.coefficients, spec.iterations, spec.epsilon, spec.epsilon_convention, spec.precision
        )
        outputs, inputs = matrix.shape
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.sub_(group["lr"] * spec.adjustment(inputs, outputs) * change.reshape(weight.shape))
