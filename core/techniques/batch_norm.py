"""Batch normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import choice, flag, fraction, positive
from ..technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Technique):
    """Normalise each channel by the mean and variance of the batch, and keep running ones for evaluation.

    Source: Ioffe and Szegedy, "Batch normalization", ICML 2015, algorithms 1 and 2.

    The built layer takes and returns (batch, channels) or, on images, the framework's own layout of (batch, height,
    width, channels).

    As a regulariser (section 3.4): in training a sample's output depends on the others of its batch, a noise that grows
    as batches get smaller, and that is gone in evaluation. So gradients of small batches that are added up are not
    those of one large batch. Gamma and beta are usually left out of weight decay: decay on the weights before them does
    not limit the function, which is the same for any scale of these, but raises the step relative to their size.

    Fields:
        epsilon: added to the variance, symbol epsilon.
        momentum: weight of the new batch in the running statistics.
        running_variance: the running variance takes the batch's divided by n - 1 (`unbiased`, algorithm 2) or by n
            (`biased`). The batch itself is normalised by the biased one in either case.
        scale: multiply by a learned gamma; without it only beta is learned, as where a ReLU and a convolution follow.

    Frameworks differ: PyTorch's momentum is the weight of the new batch and Keras's that of the old statistics; epsilon
    1e-5 and 1e-3; PyTorch's running variance is unbiased and Keras's biased: after a step outputs and gradients agree,
    and the state does not. A single value per channel has no variance: PyTorch refuses to train on it, Keras does not.
    """

    epsilon: float = positive(1e-5)
    momentum: float = fraction(0.1)
    running_variance: str = choice("unbiased", "biased")
    scale: bool = flag(True)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "batch_norm_biased": {"running_variance": "biased", "epsilon": 1e-3, "momentum": 0.01},
        "batch_norm_unscaled": {"scale": False, "epsilon": 1e-3},
        "batch_norm_biased_unscaled": {"scale": False, "running_variance": "biased"},
    }
    CHECKED = ("batch_norm", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"torch": "torch.nn.BatchNorm2d", "keras": "keras.layers.BatchNormalization"}
    DEFAULTS: ClassVar[dict[str, Any]] = {
        "epsilon": (("eps", 1e-5), ("epsilon", 1e-3)),
        "momentum": (("momentum", 0.1), ("momentum", 0.99)),
    }

    def case(self, rng: np.random.Generator) -> Arrays:
        """An image `x`, the gradient with respect to the output, and a state."""
        channels = 3
        case = {
            "x": rng.normal(0.5, 2.0, (4, 3, 2, channels)),
            "cotangent": rng.standard_normal((4, 3, 2, channels)),
            "gamma": rng.uniform(0.5, 1.5, channels),
            "beta": rng.standard_normal(channels),
            "mean": rng.standard_normal(channels),
            "variance": rng.uniform(0.5, 1.5, channels),
        }
        return case if self.scale else {name: array for name, array in case.items() if name != "gamma"}

    def rule(self, case: Arrays) -> Arrays:
        x, axes = case["x"], (0, 1, 2)
        gamma = case["gamma"] if self.scale else np.ones(x.shape[-1])
        count = x.size // x.shape[-1]
        mean, variance = x.mean(axis=axes), x.var(axis=axes)
        scale = 1 / np.sqrt(variance + self.epsilon)
        normal, upstream = (x - mean) * scale, case["cotangent"]
        share = (upstream - upstream.mean(axis=axes) - normal * (upstream * normal).mean(axis=axes)) * scale * gamma
        kept = variance * (count / (count - 1) if self.running_variance == "unbiased" else 1.0)
        fixed = (x - case["mean"]) / np.sqrt(case["variance"] + self.epsilon)
        result = {
            "training output": normal * gamma + case["beta"],
            "evaluation output": fixed * gamma + case["beta"],
            "mean": (1 - self.momentum) * case["mean"] + self.momentum * mean,
            "variance": (1 - self.momentum) * case["variance"] + self.momentum * kept,
            "gradient of x": share,
            "gradient of gamma": (upstream * normal).sum(axis=axes),
            "gradient of beta": upstream.sum(axis=axes),
        }
        return result if self.scale else {name: array for name, array in result.items() if name != "gradient of gamma"}
