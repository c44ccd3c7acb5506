"""What the meta-learners of this side share. See core/meta_learning.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, vmap

from ..core import registry
from ..core.meta_learning import MetaSpec
from ..core.technique import Arrays
from . import learning
from .backend import as_array, sibling, trainable
from .layout import to_canonical
from .techniques import inner_loop


class MetaNetwork(nn.Module):
    """A network that can be asked with other weights than its own: `weights` are by attribute path in `network`."""

    def __init__(self, spec: MetaSpec) -> None:
        super().__init__()
        self.spec = spec
        self.network = sibling(spec.network()).build(spec.network())
        rule = registry.make(spec.loss())
        self.objective = sibling(rule).build(rule)
        self.inner = inner_loop.build(spec.inner_loop())

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.network(features)

    def own(self) -> dict[str, torch.Tensor]:
        return dict(self.network.named_parameters())

    def predicted(self, weights: dict[str, torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
        return functional_call(self.network, weights, (inputs,))

    def error(self, weights: dict[str, torch.Tensor], inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self.objective(self.predicted(weights, inputs), targets)

    def over_tasks(self, of_task: Callable[..., Any], *tasks: torch.Tensor) -> Any:
        """`of_task` of the arrays of each task, each of its results stacked."""
        if self.spec.parallel:
            return vmap(of_task)(*tasks)
        found = [of_task(*task) for task in zip(*tasks, strict=True)]
        return tuple(map(torch.stack, zip(*found, strict=True)))

    def adapted(
        self, support_inputs: torch.Tensor, support_targets: torch.Tensor, query_inputs: torch.Tensor
    ) -> torch.Tensor:
        """Predictions (tasks, steps, samples, features), before adaptation to the support set and after each step."""

        def of_task(support_inputs: torch.Tensor, support_targets: torch.Tensor, queries: torch.Tensor) -> Any:
            batches = [(support_inputs, support_targets)] * self.spec.evaluation_steps
            path = self.inner(self.error, self.own(), batches)
            return (torch.stack([self.predicted(weights, queries) for weights in path]),)

        (found,) = self.over_tasks(of_task, support_inputs, support_targets, query_inputs)
        return found


class Learner(learning.Learner):
    """With a second network, `joint`, that an ordinary optimizer of its own trains on all tasks together."""

    def restart(self) -> None:
        super().restart()
        rule = self.spec.adam()
        self.weights["joint"] = list(trainable(self.copies["joint"].requires_grad_(), self.spec).values())
        self.optimizers["joint"] = sibling(rule).build(rule, self.weights["joint"])

    def state(self) -> Arrays:
        result = super().state()
        for slot, tensors in self._slots("joint", self.spec.adam()).items():
            for weight, tensor in zip(trainable(self.model, self.spec), tensors, strict=True):
                array = to_canonical(as_array(tensor).copy(), weight.axes, weight.factors)
                result[f"joint {slot} of {weight.name}"] = array
        return result

    def step_joint(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        joint = self.copies["joint"]
        loss = joint.objective(joint(inputs), targets)
        self.optimizers["joint"].zero_grad()
        loss.backward()
        self.optimizers["joint"].step()
        return loss

    def adapt(
        self, support_inputs: torch.Tensor, support_targets: torch.Tensor, query_inputs: torch.Tensor
    ) -> torch.Tensor:
        return self.model.adapted(support_inputs, support_targets, query_inputs)

    def adapt_joint(
        self, support_inputs: torch.Tensor, support_targets: torch.Tensor, query_inputs: torch.Tensor
    ) -> torch.Tensor:
        return self.copies["joint"].adapted(support_inputs, support_targets, query_inputs)
