"""Model-agnostic meta-learning. See core/architectures/maml.py."""

from __future__ import annotations

from typing import Any

import torch

from ...core.architectures.maml import MAML as Spec
from .. import meta_learning


class MAML(meta_learning.MetaNetwork):
    def terms(
        self,
        support_inputs: torch.Tensor,
        support_targets: torch.Tensor,
        query_inputs: torch.Tensor,
        query_targets: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Means over tasks: of the support loss before adaptation, and of the query loss after it."""
        weights = self.own()

        def of_task(
            support_inputs: torch.Tensor, support_targets: torch.Tensor, queries: torch.Tensor, wanted: torch.Tensor
        ) -> Any:
            support = support_inputs, support_targets
            path = self.inner(self.error, weights, [support] * self.spec.inner_steps)
            return self.error(weights, *support), self.error(path[-1], queries, wanted)

        before, after = self.over_tasks(of_task, support_inputs, support_targets, query_inputs, query_targets)
        return before.mean(), after.mean()  # (tasks) -> ()


class Learner(meta_learning.Learner):
    def step(
        self,
        support_inputs: torch.Tensor,
        support_targets: torch.Tensor,
        query_inputs: torch.Tensor,
        query_targets: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        before, after = self.model.terms(support_inputs, support_targets, query_inputs, query_targets)
        self.optimizers["network"].zero_grad()
        after.backward()
        self.optimizers["network"].step()
        return before, after


def build(spec: Spec) -> MAML:
    return MAML(spec)
