"""The Kullback-Leibler divergence of two distributions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import choice, flag
from ..loss import Loss
from ..technique import Arrays


@dataclass(frozen=True, kw_only=True)
class KLDivergence(Loss):
    """How far a predicted distribution q is from a wanted one p: sum_k p_k (log p_k - log q_k), 0 log 0 being 0.

    Source: Kullback and Leibler, "On information and sufficiency", Annals of Mathematical Statistics 22 (1951),
    section 2; in distillation, Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network" (2015).

    The built loss takes outputs log q and targets p of one shape, (..., channels), and gives a scalar. Feed it a
    log-softmax: where q is computed first and its logarithm is taken behind, float32 loses all below 1e-45.

    Fields:
        log_targets: the targets are log p.
        reduction: `positions` divides by all positions, `batch` by the first axis alone, so that the divergences of a
            sequence are summed up. The two are one for outputs (batch, channels).

    Raises InputError for outputs and targets of two shapes.

    Frameworks differ: PyTorch's `KLDivLoss` takes log q and p, and its default, `mean`, divides by all elements, the
    classes too, which is no divergence; the document's `batchmean` is `batch`. Keras's takes p and q, both as
    probabilities cut at 1e-7, and divides by the positions.
    """

    log_targets: bool = flag(False)
    reduction: str = choice("positions", "batch")

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "kl_divergence_batch": {"reduction": "batch"},
        "kl_divergence_log": {"log_targets": True},
    }
    CHECKED = ("kl_divergence", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"torch": "torch.nn.KLDivLoss", "keras": "keras.losses.KLDivergence"}
    DEFAULTS: ClassVar[dict[str, Any]] = {"reduction": (("reduction", "mean"), ("reduction", "sum_over_batch_size"))}

    def case(self, rng: np.random.Generator) -> Arrays:
        """Log-probabilities (batch, time, channels) and targets; p is 0 once, and q is e^-25 once."""
        scores, wanted = 3 * rng.standard_normal((4, 3, 6)), 3 * rng.standard_normal((4, 3, 6))
        scores[0, 0, 0], wanted[0, 0, 1] = -25.0, -np.inf if not self.log_targets else -25.0
        outputs, targets = (x - np.log(np.exp(x).sum(axis=-1, keepdims=True)) for x in (scores, wanted))
        return {"outputs": outputs, "targets": targets if self.log_targets else np.exp(targets)}

    def value(self, output: NDArray[Any], targets: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
        p = np.exp(targets) if self.log_targets else targets
        log_p = targets if self.log_targets else np.log(np.where(p > 0, p, 1.0))
        count = len(output) if self.reduction == "batch" else output[..., 0].size
        return (p * (log_p - output)).sum() / count, -p / count
