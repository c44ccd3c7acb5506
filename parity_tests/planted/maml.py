"""Mistakes in meta-learning by gradients."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from diglot.core import registry
from diglot.keras_impl.techniques import inner_loop as keras_loop
from diglot.torch_impl.techniques import inner_loop as torch_loop
from keras import ops

from . import LearnerBug, ModelBug

SMALL, FIRST, DIGITS = map(registry.make, ("maml_small", "maml_small_first_order", "maml_small_digits"))


def inner_loop(model: Any, **changes: Any) -> Any:
    """The side's inner loop with other fields."""
    side = torch_loop if isinstance(model, torch.nn.Module) else keras_loop
    return side.build(model.spec.inner_loop().replace(**changes))


@partial(ModelBug, "activation after the head", SMALL, "torch", "forward", "network")
def activation_after_the_head(model: Any) -> None:
    forward = model.network.forward
    model.network.forward = lambda features: torch.relu(forward(features))


@partial(LearnerBug, "first order passed off as second", SMALL, "torch", "update of network")
def first_for_second(learner: Any) -> None:
    learner.model.inner = inner_loop(learner.model, first_order=True)


@partial(LearnerBug, "second order where first is asked for", FIRST, "keras", "update of network")
def second_for_first(learner: Any) -> None:
    learner.model.inner = inner_loop(learner.model, first_order=False)


@partial(LearnerBug, "only the last inner step differentiated", DIGITS, "torch", "update of network")
def only_the_last(learner: Any) -> None:
    first, second = inner_loop(learner.model, first_order=True), learner.model.inner

    def adapt(loss: Any, weights: Any, batches: Any) -> Any:
        before = first(loss, weights, batches[:-1])
        return [*before[:-1], *second(loss, before[-1], batches[-1:])]

    learner.model.inner = adapt


@partial(LearnerBug, "inner step uphill", SMALL, "keras", "query_loss")
def uphill(learner: Any) -> None:
    inner, error = learner.model.inner, learner.model.error
    learner.model.inner = lambda _, *rest: inner(lambda *given: -error(*given), *rest)


@partial(LearnerBug, "adapted to the queries", SMALL, "torch", "query_loss")
def adapted_to_the_queries(learner: Any) -> None:
    terms = learner.model.terms

    def swapped(support_inputs: Any, support_targets: Any, query_inputs: Any, query_targets: Any) -> Any:
        before, _ = terms(support_inputs, support_targets, query_inputs, query_targets)
        return before, terms(query_inputs, query_targets, query_inputs, query_targets)[1]

    learner.model.terms = swapped


@partial(LearnerBug, "meta-gradient of the support loss", DIGITS, "keras", "query_loss")
def of_the_support(learner: Any) -> None:
    terms = learner.model.terms
    learner.model.terms = lambda x, y, queries, wanted: terms(x, y, x, y)


@partial(LearnerBug, "each task adapted from where the last one ended", FIRST, "torch", "support_loss")
def not_reset(learner: Any) -> None:
    model = learner.model

    def terms(*tasks: Any) -> Any:
        weights, found = model.own(), []
        for x, y, queries, wanted in zip(*tasks, strict=True):
            before = model.error(weights, x, y)
            weights = model.inner(model.error, weights, [(x, y)] * model.spec.inner_steps)[-1]
            found.append((before, model.error(weights, queries, wanted)))
        before, after = map(torch.stack, zip(*found, strict=True))
        return before.mean(), after.mean()

    model.terms = terms


@partial(LearnerBug, "tasks summed instead of averaged", SMALL, "keras", "support_loss")
def summed(learner: Any) -> None:
    model, over_tasks = learner.model, learner.model.over_tasks
    model.over_tasks = lambda *given: tuple(given[1].shape[0] * found for found in over_tasks(*given))


@partial(LearnerBug, "adapted weights written back into the model", SMALL, "torch", "update of network")
def written_back(learner: Any) -> None:
    model, terms = learner.model, learner.model.terms

    def kept(x: Any, y: Any, queries: Any, wanted: Any) -> Any:
        found = terms(x, y, queries, wanted)
        adapted = model.inner(model.error, model.own(), [(x[0], y[0])] * model.spec.inner_steps)[-1]
        for name, weight in model.own().items():
            weight.data = adapted[name].detach()
        return found

    model.terms = kept


@partial(LearnerBug, "inner rate for the outer rate", FIRST, "torch", "update of network")
def inner_for_outer(learner: Any) -> None:
    learner.optimizers["network"].param_groups[0]["lr"] = learner.spec.inner_rate


@partial(LearnerBug, "outer rate for the inner rate", DIGITS, "torch", "query_loss")
def outer_for_inner(learner: Any) -> None:
    learner.model.inner = inner_loop(learner.model, rate=learner.spec.learning_rate)


@partial(LearnerBug, "one inner step for two", SMALL, "keras", "query_loss")
def one_step(learner: Any) -> None:
    inner = learner.model.inner
    learner.model.inner = lambda loss, weights, batches: inner(loss, weights, batches[:1])


@partial(LearnerBug, "second derivatives cut off at the end", DIGITS, "keras", "update of network")
def cut_off(learner: Any) -> None:
    inner = learner.model.inner

    def adapt(loss: Any, weights: Any, batches: Any) -> Any:
        *path, last = inner(loss, weights, batches)
        found = {name: weight + ops.stop_gradient(last[name] - weight) for name, weight in weights.items()}
        return [*path, found]

    learner.model.inner = adapt


@partial(LearnerBug, "joint network started from other weights", SMALL, "torch", "joint_loss")
def joint_elsewhere(learner: Any) -> None:
    with torch.no_grad():
        learner.copies["joint"].network.head.weight.mul_(1.001)


@partial(LearnerBug, "joint network's gradients added up", FIRST, "torch", "joint")
def joint_added_up(learner: Any) -> None:
    learner.optimizers["joint"].zero_grad = lambda set_to_none=True: None


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug | LearnerBug))
