"""The temporal-difference error of Q-learning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import flag, non_negative, positive
from ..technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class TemporalDifference(Technique):
    """The loss of Q-learning: how far the values of the actions taken are from what a target network makes of them.

    Source: Mnih et al., "Human-level control through deep reinforcement learning", Nature 518 (2015), methods,
    "Training algorithm": y = r + gamma max_a Q'(s', a), and y = r where the episode terminated. Double: van Hasselt,
    Guez and Silver, "Deep reinforcement learning with double Q-learning", AAAI 2016, eq. 4: the online network
    chooses the action and the target network values it. Loss: Huber, "Robust estimation of a location parameter",
    Annals of Mathematical Statistics 35 (1964): e^2 / 2 up to |e| = delta, and delta (|e| - delta / 2) beyond.

    The built loss takes `values`, Q(s, a) of the online network, float, (batch, actions); `actions`, int, (batch);
    `rewards` and `terminated` (0 or 1), float, (batch); `next_values`, Q'(s', a) of the target network, and
    `next_online`, Q(s', a) of the online one, float, (batch, actions). It gives the loss, a mean over the batch, and
    the targets y, float, (batch). No gradient goes through the targets.

    Fields:
        discount: symbol gamma, at most 1.
        double: whether `next_online` chooses the action that `next_values` values; otherwise it goes unused.
        delta: of the Huber loss; 1 clips the error as the paper does.

    Departs from the document: it has no loss at all.

    Frameworks differ: PyTorch's `smooth_l1_loss` is the Huber loss divided by its beta; `huber_loss` is Keras's.
    """

    discount: float = non_negative(0.99)
    double: bool = flag(False)
    delta: float = positive(1.0)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "temporal_difference_double": {"double": True, "delta": 0.5, "discount": 0.75},
    }
    CHECKED = ("temporal_difference", *PRESETS)

    def constraints(self) -> Iterator[str]:
        if self.discount > 1:
            yield f"discount {self.discount} is above 1, so returns would grow without bound; give at most 1"

    def case(self, rng: np.random.Generator) -> Arrays:
        values = {name: 2 * rng.standard_normal((8, 3)) for name in ("values", "next_values", "next_online")}
        return {
            **values,
            "actions": rng.integers(3, size=8),
            "rewards": rng.standard_normal(8),
            "terminated": np.array([0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]),
        }

    def rule(self, case: Arrays) -> Arrays:
        targets, losses, gradient = [], [], np.zeros_like(case["values"])
        batch = len(case["values"])
        for row, action in enumerate(case["actions"]):
            chooser = case["next_online" if self.double else "next_values"][row]
            future = (
                0.0 if case["terminated"][row] > 0.5 else self.discount * case["next_values"][row, chooser.argmax()]
            )
            targets.append(case["rewards"][row] + future)
            error = case["values"][row, action] - targets[-1]
            near = abs(error) <= self.delta
            losses.append(0.5 * error**2 if near else self.delta * (abs(error) - 0.5 * self.delta))
            gradient[row, action] = np.clip(error, -self.delta, self.delta) / batch
        return {
            "loss": np.asarray(np.mean(losses)),
            "targets": np.array(targets),
            "gradient of values": gradient,
            "gradient of next_values": np.zeros_like(gradient),
            "gradient of next_online": np.zeros_like(gradient),
        }
