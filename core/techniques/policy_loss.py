"""The loss of a policy and of the values that it is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import non_negative
from ..technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class PolicyLoss(Technique):
    """What a policy gradient descends: -log pi(a | s) A, less a bonus for entropy, and the squared error of the values.

    Source: Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement learning",
    Machine Learning 8 (1992); Mnih et al., "Asynchronous methods for deep reinforcement learning", ICML 2016, section
    4, "Asynchronous advantage actor-critic", with the entropy H of the policy in it.

    The built loss takes the policy's `logits`, float, (samples, actions), the `actions` taken, int, (samples), their
    `advantages`, and the `values` and `returns` of the states, float, (samples). It gives four scalars, each a mean
    over the samples: the loss, and its terms, the policy's, the values' (V - R)^2 and the entropy. No gradient goes
    through advantages and returns.

    Fields:
        value_weight: of the values' term in the loss.
        entropy_weight: of the entropy, symbol beta, which is subtracted: it keeps the policy from settling too soon.

    Departs from the document: it has the network alone.

    Frameworks differ: in nothing but names.
    """

    value_weight: float = non_negative(0.5)
    entropy_weight: float = non_negative(0.01)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "policy_loss_entropy": {"entropy_weight": 0.5, "value_weight": 2.0},
    }
    CHECKED = ("policy_loss", *PRESETS)

    def case(self, rng: np.random.Generator) -> Arrays:
        floats = {name: rng.standard_normal(8) for name in ("advantages", "values", "returns")}
        return {"logits": 2 * rng.standard_normal((8, 3)), "actions": rng.integers(3, size=8), **floats}

    def rule(self, case: Arrays) -> Arrays:
        powers = np.exp(case["logits"])
        p = powers / powers.sum(axis=1, keepdims=True)
        samples, error = len(p), case["values"] - case["returns"]
        taken = np.eye(p.shape[1])[case["actions"]]
        entropies = -(p * np.log(p)).sum(axis=1, keepdims=True)
        policy = -(np.log((p * taken).sum(axis=1)) * case["advantages"]).mean()
        value, entropy = (error**2).mean(), entropies.mean()
        slope = case["advantages"][:, None] * (p - taken) + self.entropy_weight * p * (np.log(p) + entropies)
        return {
            "loss": np.asarray(policy + self.value_weight * value - self.entropy_weight * entropy),
            "policy": np.asarray(policy),
            "value": np.asarray(value),
            "entropy": np.asarray(entropy),
            "gradient of logits": slope / samples,
            "gradient of values": 2 * self.value_weight * error / samples,
            "gradient of advantages": np.zeros(samples),
            "gradient of returns": np.zeros(samples),
        }
