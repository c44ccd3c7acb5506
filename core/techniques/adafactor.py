"""Adafactor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..axes import parse, render
from ..field import choice, flag, fraction, non_negative, positive
from ..technique import Arrays, Optimizer


@dataclass(frozen=True, kw_only=True)
class Adafactor(Optimizer):
    """Adam's second moment kept as the means of its rows and of its columns, and steps in proportion to the weight.

    Source: Shazeer and Stern, "Adafactor: adaptive learning rates with sublinear memory cost", ICML 2018, algorithms 4
    (matrices), 5 (vectors) and 6 (hyperparameters). At step t, from 1, with s = g^2 + epsilon_1 and b = 1 - t^-c:
    R <- b R + (1 - b) mean over columns of s; C <- b C + (1 - b) mean over rows; V = R C / mean(R); u = g / sqrt(V),
    divided by max(1, rms(u) / d); w <- w - alpha u, alpha = rho max(epsilon_2, rms(w)), rho = min(rate, t^-1/2).
    A vector keeps the whole of V. A matrix that is no kernel, such as an embedding, is factored over both its axes too;
    only which of them is `row` depends on `build`'s `tables`.

    Slots: `row` and `column` of a weight of two axes or more, symbols R and C: `row` lacks the second factored axis,
    `column` the first. `v`, symbol V, of a vector. `m` with `beta_1`.

    Fields:
        learning_rate: the largest relative step, 0.01 in algorithm 6; without `relative_step` the step itself, which
            may then follow any schedule.
        decay_exponent: symbol c; b rises from 0 at the first step, so nothing has to be corrected.
        epsilon_1: keeps the divisor above zero.
        epsilon_2: the least scale of a weight.
        clip_threshold: symbol d, the largest root mean square of a step before it is scaled.
        relative_step: rho = min(rate, t^-1/2), otherwise rho is the rate.
        parameter_scaling: `decayed` takes rms(w) after the decay (Keras), `undecayed` before it (PyTorch); `none`
            leaves max(epsilon_2, rms(w)) out.
        epsilon_convention: `squared` adds epsilon_1 to the squared gradient (the paper; Keras); `floor` adds nothing,
            but keeps mean(R) at epsilon_1 and V at its square at least (PyTorch).
        factored_axes: `features` factors a kernel over its inputs and outputs, whatever the layout (Keras's last two);
            `last_two` over those that come last in PyTorch's layout, which are height and width in a convolution.
        beta_1: decay of the first moment, which is a running mean of alpha u and takes its place; 0 keeps none.
        weight_decay: strength lambda of the decay; w <- w - rate lambda w before the step.

    Departs from paper: sums over rows and columns are means, which changes nothing but epsilon_1's size. The paper's
    matrices are taken from kernels of more axes one spatial position at a time. The decay, which the paper does not
    have, is that of both frameworks; the first moment is that of the authors' code in Tensor2Tensor.

    Departs from the document: its class ends with its constructor, which calls c `decay_rate`, lets no step be scaled
    by its weight and has no epsilon_2.

    Frameworks differ: in all three conventions, in the rate (0.01 and 0.001), in epsilon_1 (None, which is the unit
    roundoff of the weight's precision, and 1e-30). With an epsilon_1 whose square underflows, PyTorch's divides 0 by 0
    for a gradient of zero. So does Keras's in float32 where a whole row and a whole column of the gradient are zero, as
    a dead input and a dead unit make them, and every element of the kernel is NaN from then on; the siblings take the
    roots before the product. Keras's takes min(rate, t^-1/2) even with `relative_step=False`; it keeps a whole V for
    every weight beside its factors, so it saves no memory; and on TensorFlow it squares the gradient of an embedding
    row by row, before the rows of one repeated index are added up. The sibling does none of these. A depthwise kernel
    with several filters for each channel is `channels filters` in Keras and one axis in PyTorch, so its factors differ.
    """

    learning_rate: float = positive(0.01)
    decay_exponent: float = positive(0.8)
    epsilon_1: float = positive(1e-30)
    epsilon_2: float = positive(1e-3)
    clip_threshold: float = positive(1.0)
    relative_step: bool = flag(True)
    parameter_scaling: str = choice("decayed", "undecayed", "none")
    epsilon_convention: str = choice("squared", "floor")
    factored_axes: str = choice("features", "last_two")
    beta_1: float = fraction(0.0)
    weight_decay: float = non_negative(0.0)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "adafactor_decay": {"learning_rate": 0.3, "epsilon_1": 1e-3, "weight_decay": 0.1},
        "adafactor_floor": {
            "epsilon_1": 1e-3,
            "parameter_scaling": "undecayed",
            "epsilon_convention": "floor",
            "factored_axes": "last_two",
            "weight_decay": 0.1,
        },
        "adafactor_external": {"relative_step": False, "parameter_scaling": "none", "beta_1": 0.9},
    }
    CHECKED = ("adafactor", *PRESETS)
    TABLES: ClassVar[bool] = True
    NATIVE: ClassVar[dict[str, str]] = {"torch": "torch.optim.Adafactor", "keras": "keras.optimizers.Adafactor"}
    DEFAULTS: ClassVar[dict[str, Any]] = {
        "learning_rate": (("lr", 0.01), ("learning_rate", 0.001)),
        "epsilon_1": (("eps", (None, 1e-3)), ("epsilon_1", 1e-30)),
    }

    def slots(self) -> tuple[str, ...]:
        return ("row", "column", "v", *(("m",) if self.beta_1 else ()))

    def slot_axes(self, slot: str, axes: str) -> str:
        groups = parse(axes)
        if slot not in ("row", "column") or len(groups) < 2:
            return axes
        kept, lost = self.factored(len(groups))
        gone = lost if slot == "row" else kept
        return render(tuple(group for number, group in enumerate(groups) if number != gone))

    def factored(self, axes: int) -> tuple[int, int]:
        """The two axes, of so many in the canonical order, whose means are kept: that of `row`, that of `column`."""
        if self.factored_axes == "features":
            return axes - 2, axes - 1
        return (axes - 4, axes - 3) if axes > 3 else (1, 0)

    def start(self, weight: NDArray[Any]) -> Arrays:
        first = {"m": np.zeros_like(weight)} if self.beta_1 else {}
        if weight.ndim < 2:
            return {"v": np.zeros_like(weight), **first}
        row, column = self.factored(weight.ndim)
        return {"row": np.zeros_like(weight.mean(column)), "column": np.zeros_like(weight.mean(row)), **first}

    def update(
        self, weight: NDArray[Any], gradient: NDArray[Any], slots: Arrays, step: int, rate: float
    ) -> tuple[NDArray[Any], Arrays]:
        undecayed, weight = weight, weight - rate * self.weight_decay * weight
        alpha = min(rate, step**-0.5) if self.relative_step else rate
        if self.parameter_scaling != "none":
            scaled = weight if self.parameter_scaling == "decayed" else undecayed
            alpha *= max(self.epsilon_2, root_mean_square(scaled))
        variance, kept = self.moments(gradient, slots, 1 - step**-self.decay_exponent)
        if self.epsilon_convention == "floor":
            variance = np.maximum(variance, self.epsilon_1**2)
        change = gradient / np.sqrt(variance)
        change = alpha * change / max(1.0, root_mean_square(change) / self.clip_threshold)
        if self.beta_1:
            change = kept["m"] = self.beta_1 * slots["m"] + (1 - self.beta_1) * change
        return weight - change, kept

    def moments(self, gradient: NDArray[Any], slots: Arrays, beta_2: float) -> tuple[NDArray[Any], Arrays]:
        """The second moment V, and the slots that keep it."""
        square = gradient**2 + (self.epsilon_1 if self.epsilon_convention == "squared" else 0.0)
        if gradient.ndim < 2:
            v = beta_2 * slots["v"] + (1 - beta_2) * square
            return v, {"v": v}
        first, second = self.factored(gradient.ndim)
        row = beta_2 * slots["row"] + (1 - beta_2) * square.mean(second)
        column = beta_2 * slots["column"] + (1 - beta_2) * square.mean(first)
        across, down = np.expand_dims(row, second), np.expand_dims(column, first)
        mean = across.mean(first, keepdims=True)
        if self.epsilon_convention == "floor":
            mean = np.maximum(mean, self.epsilon_1)
        return across / mean * down, {"row": row, "column": column}


def root_mean_square(array: NDArray[Any]) -> float:
    """The root of the mean of the squares."""
    return float(np.sqrt(np.mean(array**2)))
