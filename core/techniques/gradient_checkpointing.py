"""Memory against time: layers whose results are computed again in the backward pass."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import whole
from ..technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class GradientCheckpointing(Technique):
    """Of each segment of a chain of layers only the input is kept; the rest is computed again when its gradient is due.

    Source: Chen et al., "Training deep nets with sublinear memory cost", 2016, section 4.1: with k segments of n layers
    in all, the memory falls from n results to about k + n / k, least at k = sqrt(n), for one more forward pass.

    The built function takes layers, to be applied one after another, and the first input; it gives the last output. Its
    gradients are those without it. Running statistics move once.

    Fields:
        segments: symbol k; more than there are layers is one for each layer.

    Frameworks differ: PyTorch's `checkpoint_sequential` keeps the last segment, which is computed again at once, and
    moves running statistics twice. Keras's `remat` takes one function; what to cut is up to its user.
    """

    segments: int = whole(3)

    STEPS: ClassVar[int] = 200
    LAYERS: ClassVar[int] = 8
    WIDTH: ClassVar[int] = 6
    RATE: ClassVar[float] = 2.0**-5
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"gradient_checkpointing_whole": {"segments": 1}}
    CHECKED = ("gradient_checkpointing", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"torch": "torch.utils.checkpoint.checkpoint", "keras": "keras.remat"}

    def cut(self, layers: int) -> list[slice]:
        """The layers of each segment, of about equal length."""
        edges = np.linspace(0, layers, min(self.segments, layers) + 1).round().astype(int)
        return [slice(int(first), int(last)) for first, last in itertools.pairwise(edges)]

    def case(self, rng: np.random.Generator) -> Arrays:
        """A chain of dense layers with tanh, (in, out), a batch and its targets, (samples, features)."""
        scale = 1 / np.sqrt(self.WIDTH)
        kernels = {f"kernel {i}": scale * rng.standard_normal((self.WIDTH, self.WIDTH)) for i in range(self.LAYERS)}
        return {"x": rng.standard_normal((10, self.WIDTH)), "y": 0.5 * rng.standard_normal((10, self.WIDTH)), **kernels}

    def rule(self, case: Arrays) -> Arrays:
        """Each loss and the last kernels of steps with everything kept, and how often each layer is computed."""
        kernels, losses = [case[f"kernel {index}"] for index in range(self.LAYERS)], []
        for _ in range(self.STEPS):
            kept = [case["x"]]
            for kernel in kernels:
                kept.append(np.tanh(kept[-1] @ kernel))
            upstream = 2 * (kept[-1] - case["y"]) / kept[-1].size
            losses.append(((kept[-1] - case["y"]) ** 2).mean())
            for index in reversed(range(self.LAYERS)):
                inner = upstream * (1 - kept[index + 1] ** 2)
                upstream = inner @ kernels[index].T
                kernels[index] = kernels[index] - self.RATE * kept[index].T @ inner
        found = {f"kernel {index}": kernel for index, kernel in enumerate(kernels)}
        return {"loss": np.array(losses), **found, "times computed": np.full(self.LAYERS, 2 * self.STEPS)}
