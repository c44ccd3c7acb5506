"""The loss of a policy and of the values that it is judged by. See core/techniques/policy_loss.py."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ...core.technique import Arrays
from ...core.techniques.policy_loss import PolicyLoss as Spec


def build(spec: Spec) -> Callable[..., tuple[torch.Tensor, ...]]:
    def loss(
        logits: torch.Tensor,
        actions: torch.Tensor,
        advantages: torch.Tensor,
        values: torch.Tensor,
        returns: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        logs = logits.log_softmax(1)
        taken = logs.gather(1, actions[:, None])[:, 0]  # (samples, actions) -> (samples)
        policy = -(taken * advantages.detach()).mean()
        value = (values - returns.detach()).square().mean()
        entropy = -(logs.exp() * logs).sum(1).mean()
        return policy + spec.value_weight * value - spec.entropy_weight * entropy, policy, value, entropy

    return loss


def trace(spec: Spec, case: Arrays) -> Arrays:
    names = ("logits", "values", "advantages", "returns")
    given = {name: torch.tensor(case[name]).requires_grad_(name in names) for name in case}
    losses = build(spec)(**given)
    found = torch.autograd.grad(losses[0], [given[name] for name in names], allow_unused=True, materialize_grads=True)
    result = dict(zip(("loss", "policy", "value", "entropy"), losses, strict=True))
    result |= {f"gradient of {name}": gradient for name, gradient in zip(names, found, strict=True)}
    return {name: tensor.detach().numpy() for name, tensor in result.items()}
