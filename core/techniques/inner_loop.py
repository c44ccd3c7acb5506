"""The inner loop of gradient-based meta-learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import flag, positive
from ..technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class InnerLoop(Technique):
    """Adaptation to a task by steps of gradient descent, through which the gradient of a later loss can be taken.

    Source: Finn, Abbeel and Levine, "Model-agnostic meta-learning for fast adaptation of deep networks", ICML 2017,
    eq. 1 and section 2.2; the first-order form from section 5.2.

    The built function takes a loss of weights and a batch, the weights theta, and a batch for each step. It gives a
    list: the weights before the first step and after each, w_i+1 = w_i - alpha grad L_i(w_i).

    The rule is that of a linear model with squared error, where every step is w <- (I - alpha H_i) w + alpha b_i with
    the Hessian H_i. So the meta-gradient, of the query loss by theta, is the product of all (I - alpha H_i), the last
    step's outermost, times the gradient at the adapted weights; in the first-order form that gradient alone.

    Fields:
        rate: step size, symbol alpha.
        first_order: take the inner gradients for constants, so that no second derivative is computed.

    Departs from the document: its `adapt` takes one step, and no gradient can pass through it to the model's weights
    but by another tape around it, which it leaves out; then nothing is meta-learnt.

    Frameworks differ: `torch.func.grad` is differentiated by whatever encloses it. TensorFlow's inner tape must be
    opened and asked inside the outer one, or the outer one does not see the inner gradient being taken.
    """

    rate: float = positive(0.01)
    first_order: bool = flag(False)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "inner_loop_second_order": {"rate": 0.25},
        "inner_loop_first_order": {"rate": 0.25, "first_order": True},
    }
    CHECKED = ("inner_loop", *PRESETS)

    def case(self, rng: np.random.Generator) -> Arrays:
        """Three steps, each on a support set of its own, of a linear model from three channels to two."""
        return {
            "kernel": rng.standard_normal((3, 2)),
            "bias": rng.standard_normal(2),
            "support inputs": rng.standard_normal((3, 5, 3)),
            "support targets": rng.standard_normal((3, 5, 2)),
            "query inputs": rng.standard_normal((4, 3)),
            "query targets": rng.standard_normal((4, 2)),
        }

    def rule(self, case: Arrays) -> Arrays:
        weights = np.vstack([case["kernel"], case["bias"]])  # the bias is the weight of a channel of ones
        through, support = np.eye(len(weights)), []
        for features, y in zip(case["support inputs"], case["support targets"], strict=True):
            x = np.column_stack([features, np.ones(len(features))])
            support.append(((x @ weights - y) ** 2).mean())
            hessian = 2 * x.T @ x / y.size
            weights = weights - self.rate * (hessian @ weights - 2 * x.T @ y / y.size)
            through = (np.eye(len(weights)) - self.rate * hessian) @ through
        x = np.column_stack([case["query inputs"], np.ones(len(case["query inputs"]))])
        error = x @ weights - case["query targets"]
        slope = 2 * x.T @ error / error.size
        gradient = slope if self.first_order else through.T @ slope
        return {
            "support losses": np.array(support),
            "kernel": weights[:-1],
            "bias": weights[-1],
            "query loss": np.asarray((error**2).mean()),
            "gradient of kernel": gradient[:-1],
            "gradient of bias": gradient[-1],
        }
