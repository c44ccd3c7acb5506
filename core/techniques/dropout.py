"""Dropout with a mask that both sides share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import fraction
from ..noise import Noise
from ..technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class Dropout(Technique):
    """In training, each unit is zeroed with probability `rate` and the others are divided by 1 - rate.

    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 4; scaled in training instead of in testing
    ("inverted"), as both frameworks do.

    Fields:
        rate: probability that a unit is dropped.

    As a regulariser: the mean over the masks is the unit itself, so training and evaluation have one scale, and rate 0
    is no dropout. It acts in training mode alone: `train()` in PyTorch, `training=True` in Keras, which `fit` passes.
    A network in PyTorch that is never put into evaluation mode goes on dropping when it predicts. Before a batch
    normalisation it makes the running variance that of training, which is larger than what evaluation feeds it.

    In a check the mask is drawn by `core/noise.py`, by the layer's name and the step; otherwise by the framework.

    Frameworks differ: the generators, so the masks must be shared to compare a training run.
    """

    rate: float = fraction(0.5)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"dropout_light": {"rate": 0.1}}
    CHECKED = ("dropout", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"torch": "torch.nn.Dropout", "keras": "keras.layers.Dropout"}
    SEED = 20260101

    def case(self, rng: np.random.Generator) -> Arrays:
        """`x` (batch, height, width, channels), and the gradient with respect to the output."""
        return {"x": rng.standard_normal((4, 3, 2, 5)), "cotangent": rng.standard_normal((4, 3, 2, 5))}

    def noise(self) -> Noise:
        """The shared draws of the case, for the layer named `dropout`."""
        return Noise(self.SEED)

    def rule(self, case: Arrays) -> Arrays:
        keep = self.noise().keep_mask("dropout", case["x"].shape, self.rate)
        return {
            "training output": case["x"] * keep / (1 - self.rate),
            "evaluation output": case["x"],
            "gradient": case["cotangent"] * keep / (1 - self.rate),
        }
