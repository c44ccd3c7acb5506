"""Returns and advantages of an episode's steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import flag, non_negative, positive
from ..technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class Advantages(Technique):
    """By how much an action was better than the value of its state: generalised advantage estimation.

    Source: Schulman et al., "High-dimensional continuous control using generalized advantage estimation", ICLR 2016,
    eq. 16: A_t = sum_l (gamma lambda)^l delta_{t+l} with delta_t = r_t + gamma V(s_{t+1}) - V(s_t) (eq. 10), and the
    returns A_t + V(s_t). With lambda 1 these are the discounted returns of REINFORCE (Williams, "Simple statistical
    gradient-following algorithms for connectionist reinforcement learning", Machine Learning 8, 1992), with V as the
    baseline; with lambda 0 they are those of one step.

    The built function takes `rewards`, `values` V(s_t), `next_values` V(s_{t+1}), `terminated` and `ended` (0 or 1),
    float, (time, environments). It gives the advantages and the returns, of the same shape, without gradients. The sum
    stops where an episode ended. A terminated one is worth nothing thereafter; one that was merely cut has ended and
    is not terminated, and goes on by its `next_values`, which must be those of the state in which it was cut.

    Fields:
        discount: symbol gamma, at most 1.
        gae_lambda: symbol lambda, at most 1.
        normalised: whether the advantages, not the returns, are given a mean of 0 and a standard deviation of 1.
        epsilon: added to that standard deviation.

    Departs from the document: it has the network alone.

    Frameworks differ: `torch.std` divides by N - 1, and `ops.std` by N; here it is N.
    """

    discount: float = non_negative(0.99)
    gae_lambda: float = non_negative(0.95)
    normalised: bool = flag(False)
    epsilon: float = positive(1e-8)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "advantages_normalised": {"normalised": True, "discount": 0.75, "gae_lambda": 0.5, "epsilon": 1e-3},
        "advantages_monte_carlo": {"gae_lambda": 1.0},
    }
    CHECKED = ("advantages", *PRESETS)

    def constraints(self) -> Iterator[str]:
        for name in ("discount", "gae_lambda"):
            if getattr(self, name) > 1:
                yield f"{name} {getattr(self, name)} is above 1, so returns would grow without bound; give at most 1"

    def case(self, rng: np.random.Generator) -> Arrays:
        """Episodes that terminate, that are cut, and that go on behind the last step."""
        terminated, cut = np.zeros((9, 3)), np.zeros((9, 3))
        terminated[3, 0] = terminated[8, 1] = 1.0
        cut[5, 0] = cut[2, 1] = cut[8, 2] = 1.0
        floats = {name: rng.standard_normal((9, 3)) for name in ("rewards", "values", "next_values")}
        return {**floats, "terminated": terminated, "ended": terminated + cut}

    def rule(self, case: Arrays) -> Arrays:
        rewards, values, ended = case["rewards"], case["values"], case["ended"]
        steps, count = rewards.shape
        delta = rewards + self.discount * (1 - case["terminated"]) * case["next_values"] - values
        advantages = np.zeros_like(rewards)
        for place in range(count):
            for start in range(steps):
                for step in range(start, steps):
                    advantages[start, place] += (self.discount * self.gae_lambda) ** (step - start) * delta[step, place]
                    if ended[step, place] > 0.5:
                        break
        returns = advantages + values
        if self.normalised:
            advantages = (advantages - advantages.mean()) / (advantages.std() + self.epsilon)
        return {"advantages": advantages, "returns": returns}
