"""Arithmetic in half precision, with a loss that is scaled so that small gradients survive it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import choice, flag, fraction, positive, whole
from ..technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class MixedPrecision(Technique):
    """Layers compute in half precision, weights stay in float32, and the loss is scaled before the backward pass.

    Source: Micikevicius et al., "Mixed precision training", ICLR 2018, sections 3.1 (weights in float32) and 3.2 (loss
    scaling). The dynamic scale is that of both frameworks: section 3.2 names it, and gives no rule.

    With a scale s, the gradient of s x loss is divided by s before anything else is done with it. If an element is not
    finite, the step is skipped and s becomes s x backoff_factor; after growth_interval steps in a row that were taken,
    s becomes s x growth_factor, if that is finite in float32. A skipped step moves neither a weight, nor a slot, nor a
    schedule, and the count of steps in a row starts again.

    `build` gives what scales: PyTorch's `GradScaler`, Keras's `LossScaleOptimizer` around the optimizer. `lowered` is
    the context in which the layers of a model compute in `dtype`: `torch.autocast`, and a dtype policy of every layer.
    `kept` runs a layer of each usual type, and says in which precision it answers.

    Fields:
        dtype: `float16` (5 bits of exponent, 10 of fraction) or `bfloat16` (8 and 7).
        scaled: scale the loss. bfloat16 has float32's range and does well without.
        initial_scale: the first scale, a power of two, so that scaling rounds nothing.
        growth_factor: of a rise, above 1.
        backoff_factor: of a fall, between 0 and 1.
        growth_interval: steps in a row before a rise.

    Departs from the document: its PyTorch snippets clip scaled gradients or never unscale them, and its Keras snippet
    sets the dtype of an output tensor, which nothing reads; the loss is what has to be float32.

    Raises SpecError for a growth factor that does not grow, and a backoff factor of 0.

    Frameworks differ: `autocast` lowers single operations, matrix products and convolutions; the others answer in the
    precision that they are given, on a GPU normalisations, softmax, losses and sums in float32. A dtype policy lowers
    whole layers, these included, whatever they are given. The first scale is 65536 in PyTorch and 32768 in Keras.
    Keras's factors are fixed at 2 and 1/2, and its scale may grow to infinity, from where no backoff leads back; the
    sibling stops before. Keras scales every micro-batch by itself, so with accumulation the sibling of
    `gradient_accumulation` goes around it.
    """

    dtype: str = choice("float16", "bfloat16")
    scaled: bool = flag(True)
    initial_scale: float = positive(65536.0)
    growth_factor: float = positive(2.0)
    backoff_factor: float = fraction(0.5)
    growth_interval: int = whole(2000)

    STEPS: ClassVar[int] = 200
    RATE: ClassVar[float] = 2.0**-4
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "mixed_precision_bfloat16": {"dtype": "bfloat16", "scaled": False},
        "mixed_precision_often": {"growth_interval": 7, "initial_scale": 1024.0},
        "mixed_precision_steep": {"growth_interval": 5, "growth_factor": 4.0, "backoff_factor": 0.125},
    }
    CHECKED = ("mixed_precision", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"torch": "torch.amp.GradScaler", "keras": "keras.optimizers.LossScaleOptimizer"}
    DEFAULTS: ClassVar[dict[str, Any]] = {"initial_scale": (("init_scale", 65536.0), ("initial_scale", 32768.0))}

    def constraints(self) -> Iterator[str]:
        if self.growth_factor <= 1:
            yield f"growth_factor must be above 1, not {self.growth_factor!r}, or the scale never rises"
        if self.backoff_factor <= 0:
            yield "backoff_factor must be above 0, or one overflow ends all scaling"
        if np.frexp(self.initial_scale)[0] != 0.5:
            yield f"initial_scale must be a power of two, so that scaling rounds nothing, not {self.initial_scale!r}"

    def case(self, rng: np.random.Generator) -> Arrays:
        """A weight, the gradients of 200 steps and which of them overflow; and a small network with a batch."""
        often = 0.02 if self.growth_interval == 1 else 0.08
        return {
            "weight": rng.standard_normal((5, 4)),
            "gradients": rng.standard_normal((self.STEPS, 5, 4)),
            "overflow": ((rng.random(self.STEPS) < often) & self.scaled).astype(np.int64),
            "x": rng.standard_normal((16, 12)),
            "hidden": rng.standard_normal((12, 8)) / np.sqrt(12),
            "output": rng.standard_normal((8, 3)) / np.sqrt(8),
            "targets": rng.integers(0, 3, 16),
        }

    def rule(self, case: Arrays) -> Arrays:
        weight, scales, taken = case["weight"], [], []
        scale, in_a_row = np.float32(self.initial_scale if self.scaled else 1.0), 0
        for gradient, overflow in zip(case["gradients"], case["overflow"], strict=True):
            taken.append(int(not overflow))
            if overflow:
                scale, in_a_row = np.float32(scale * self.backoff_factor), 0
            else:
                weight, in_a_row = weight - self.RATE * gradient, in_a_row + 1
                if self.scaled and in_a_row == self.growth_interval:
                    scale, in_a_row = self._grown(scale), 0
            scales.append(scale)
        return {
            "weight": weight,
            "scale": np.array(scales, np.float64),
            "steps taken": np.cumsum(taken),
            **self._network(case),
        }

    def _grown(self, scale: np.float32) -> np.float32:
        with np.errstate(over="ignore"):
            grown = np.float32(scale * np.float32(self.growth_factor))
        return grown if np.isfinite(grown) else scale

    def _network(self, case: Arrays) -> Arrays:
        """The loss and the gradients of a network without biases: dense, tanh, dense, cross-entropy."""
        x, hidden, output, targets = (case[name] for name in ("x", "hidden", "output", "targets"))
        h = np.tanh(x @ hidden)
        logits = h @ output
        shifted = logits - logits.max(axis=-1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        upstream = (np.exp(log_p) - np.eye(3)[targets]) / len(x)
        return {
            "loss": np.asarray(-log_p[np.arange(len(x)), targets].mean()),
            "gradient of hidden": x.T @ ((upstream @ output.T) * (1 - h**2)),
            "gradient of output": h.T @ upstream,
        }
