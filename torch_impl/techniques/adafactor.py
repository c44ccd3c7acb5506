"""Adafactor. See core/techniques/adafactor.py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.adafactor import Adafactor as Spec
from ..per_weight import PerWeight, State, parted
from ..tracing import trace_optimizer


class Adafactor(PerWeight):
    """Adafactor in the conventions that `torch.optim.Adafactor` lacks.

    A weight of two axes or more is taken for a kernel, `out in ...`, unless it is among the tables, whose group says by
    its key `table` that they lie in the canonical order.
    """

    def _update(self, weight: nn.Parameter, gradient: torch.Tensor, state: State, group: dict[str, Any]) -> None:
        spec, rate, step = self.spec, group["lr"], int(state["step"])
        undecayed = weight.detach().clone() if spec.parameter_scaling == "undecayed" else weight
        weight.mul_(1 - rate * group["weight_decay"])
        alpha = min(float(rate), step**-0.5) if spec.relative_step else rate
        if spec.parameter_scaling != "none":
            alpha = alpha * root_mean_square(undecayed).clamp(min=spec.epsilon_2)
        axes = _factored(spec, weight.ndim, group.get("table", False))
        change = gradient * self._inverse_root(gradient, state, 1 - step**-spec.decay_exponent, axes)
        change = alpha * change / (root_mean_square(change) / spec.clip_threshold).clamp(min=1.0)
        if spec.beta_1:
            change = _average(state, "m", change, spec.beta_1)
        weight.sub_(change)

    def _inverse_root(
        self, gradient: torch.Tensor, state: State, beta_2: float, axes: tuple[int, int] | None
    ) -> torch.Tensor:
        floors, epsilon = self.spec.epsilon_convention == "floor", self.spec.epsilon_1
        square = gradient**2 if floors else gradient**2 + epsilon
        if axes is None:
            v = _average(state, "v", square, beta_2)
            return (v.clamp(min=epsilon**2) if floors else v).rsqrt()
        first, second = axes
        row = _average(state, "row", square.mean(second), beta_2).unsqueeze(second)
        column = _average(state, "column", square.mean(first), beta_2).unsqueeze(first)
        mean = row.mean(first, keepdim=True)
        if floors:
            return (row / mean.clamp(min=epsilon) * column).clamp(min=epsilon**2).rsqrt()
        # The product of two epsilons, where a row and a column of the gradient are zero, is zero in float32.
        return (row / mean).rsqrt() * column.rsqrt()


def _factored(spec: Spec, axes: int, table: bool) -> tuple[int, int] | None:
    if axes < 2:
        return None
    if table:
        return spec.factored(axes)
    if spec.factored_axes == "last_two":
        return axes - 2, axes - 1
    return 1, 0


def _average(state: State, name: str, value: torch.Tensor, beta: float) -> torch.Tensor:
    state[name] = value.mul(1 - beta).add_(beta * state[name]) if name in state else value * (1 - beta)
    return state[name]


def root_mean_square(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.square().mean().sqrt()


def build(spec: Spec, weights: list[Any], tables: Iterable[nn.Parameter] = ()) -> torch.optim.Optimizer:
    own = {id(weight) for weight in tables}
    weights = [
        group
        for table in (False, True)
        for group in parted(weights, lambda weight, table=table: (id(weight) in own) is table, table=table)
    ]
    conventions = spec.parameter_scaling, spec.epsilon_convention, spec.factored_axes
    if conventions != ("undecayed", "floor", "last_two") or not spec.relative_step or spec.beta_1:
        return Adafactor(weights, spec)
    return torch.optim.Adafactor(
        weights,
        lr=spec.learning_rate,
        beta2_decay=-spec.decay_exponent,
        eps=(spec.epsilon_1, spec.epsilon_2),
        d=spec.clip_threshold,
        weight_decay=spec.weight_decay,
    )


def slots(optimizer: torch.optim.Optimizer, weights: list[nn.Parameter]) -> dict[str, list[torch.Tensor | None]]:
    kept = [optimizer.state[weight] for weight in weights]
    if isinstance(optimizer, torch.optim.Adafactor):
        tables = {id(weight) for group in optimizer.param_groups if group["table"] for weight in group["params"]}
        moments = [_native_moments(state, id(weight) in tables) for state, weight in zip(kept, weights, strict=True)]
        return {name: [moment.get(name) for moment in moments] for name in ("row", "column", "v")}
    names = ("row", "column", "v", *(("m",) if optimizer.spec.beta_1 else ()))
    return {name: [state.get(name) for state in kept] for name in names}


def _native_moments(state: State, table: bool) -> dict[str, torch.Tensor]:
    if "variance" in state:
        return {"v": state["variance"]}
    row, column = state["row_var"].squeeze(-1), state["col_var"].squeeze(-2)
    return {"row": column, "column": row} if table else {"row": row, "column": column}


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
