"""Cross-entropy of logits with classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import any_whole, choice, fraction, optional_positives
from ..loss import Loss
from ..technique import Arrays


@dataclass(frozen=True, kw_only=True)
class CrossEntropy(Loss):
    """The mean over all positions of -sum_k q_k log softmax(logits)_k.

    Source: Bishop, "Pattern recognition and machine learning" (2006), eq. 4.108; label smoothing after Szegedy et al.,
    "Rethinking the Inception architecture", CVPR 2016, section 7: q_k = (1 - epsilon) [k = target] + epsilon / K for K
    classes.

    The built loss takes logits, float, (..., channels), and targets, and gives a scalar.

    Fields:
        label_smoothing: symbol epsilon.
        ignore_index: positions with this target count neither in the sum nor in the number divided by; None for none.
        targets: `indices`, whole numbers (...), or `probabilities`, float (..., channels), which stand for [k = target]
            and must sum to 1, as those of mixup do. No probability is ignored.
        class_weights: a weight w_k for each class, or None.
        weight_convention: `by_weights` weighs each class's own term, w_k q_k, and divides by the sum of the targets'
            weights (PyTorch); `by_count` weighs the position by the weight of its target and divides by the number of
            positions (Keras's `class_weight`).

    At least one position must not be ignored: the mean of none is not defined, and is not a number in PyTorch.

    Departs from the document: its smoothed loss counts the padding that its plain one ignores; here both ignore it.

    Raises SpecError for class weights on probabilities, where the two frameworks agree in nothing: PyTorch divides by
    the number of positions, and Keras takes the weight of the largest probability.

    Frameworks differ: PyTorch takes logits with the classes on axis 1; Keras takes probabilities unless told otherwise,
    its sparse loss has no smoothing, and its smoothing loss ignores no class. `by_count` grows with the weights, as if
    the learning rate did, and a batch of rare classes counts for more; with smoothing, not even the numerators of the
    two conventions are equal. Where probabilities do not sum to 1, TensorFlow's gradient is not that of its loss.
    """

    label_smoothing: float = fraction(0.0)
    ignore_index: int | None = any_whole(-100)
    targets: str = choice("indices", "probabilities")
    class_weights: tuple[float, ...] | None = optional_positives(None)
    weight_convention: str = choice("by_weights", "by_count")

    OUTPUT: ClassVar[str] = "logits"
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "cross_entropy_smoothed": {"label_smoothing": 0.1, "ignore_index": None},
        "cross_entropy_smoothed_padded": {"label_smoothing": 0.1, "ignore_index": 0},
        "cross_entropy_soft": {"targets": "probabilities", "label_smoothing": 0.1},
        "cross_entropy_weighted": {
            "class_weights": (0.5, 1.0, 2.0, 0.25, 3.0, 1.5, 4.0),
            "label_smoothing": 0.1,
        },
        "cross_entropy_weighted_by_count": {
            "class_weights": (0.5, 1.0, 2.0, 0.25, 3.0, 1.5, 4.0),
            "label_smoothing": 0.1,
            "weight_convention": "by_count",
        },
    }
    CHECKED = ("cross_entropy", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {
        "torch": "torch.nn.CrossEntropyLoss",
        "keras": "keras.losses.SparseCategoricalCrossentropy",
    }
    DEFAULTS: ClassVar[dict[str, Any]] = {"ignore_index": (("ignore_index", -100), ("ignore_class", None))}

    def constraints(self) -> Iterator[str]:
        if self.class_weights and self.targets == "probabilities":
            yield "class_weights need targets of indices; weigh the probabilities or the losses instead"

    def case(self, rng: np.random.Generator) -> Arrays:
        """Logits (batch, time, channels) and targets (batch, time), some of them ignored, or probabilities."""
        targets: NDArray[Any] = rng.integers(0, 7, (6, 5))
        if self.targets == "probabilities":
            targets = rng.dirichlet(np.ones(7), (6, 5))
        elif self.ignore_index is not None:
            targets = np.where(rng.random(targets.shape) < 0.3, self.ignore_index, targets)
            targets[0, 0] = 3
        return {"logits": 3 * rng.standard_normal((6, 5, 7)), "targets": targets}

    def value(self, output: NDArray[Any], targets: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
        classes = output.shape[-1]
        valid, wanted, own = np.ones(output.shape[:-1]), targets, np.ones(output.shape[:-1])
        if self.targets == "indices":
            valid = valid if self.ignore_index is None else (targets != self.ignore_index) * 1.0
            known = np.where(valid > 0, targets, 0)
            wanted = np.eye(classes)[known]
            own = np.array(self.class_weights or np.ones(classes))[known]
        wanted = (1 - self.label_smoothing) * wanted + self.label_smoothing / classes
        if self.weight_convention == "by_weights":
            wanted, total = wanted * np.array(self.class_weights or 1.0), (valid * own).sum()
        else:
            wanted, total = wanted * own[..., None], valid.sum()
        shifted = output - output.max(axis=-1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        loss = -(valid * (wanted * log_p).sum(axis=-1)).sum() / total
        gradient = np.exp(log_p) * wanted.sum(axis=-1, keepdims=True) - wanted
        return loss, valid[..., None] * gradient / total
