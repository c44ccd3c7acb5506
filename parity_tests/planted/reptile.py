"""Mistakes in Reptile."""

from __future__ import annotations

from functools import partial
from typing import Any

from diglot.core import registry

from . import LearnerBug

SMALL, ADAM, DIGITS = map(registry.make, ("reptile_small", "reptile_small_adam", "reptile_small_digits"))


@partial(LearnerBug, "away from the adapted weights", DIGITS, "torch", "update of network")
def away(learner: Any) -> None:
    model = learner.model

    def turned(inputs: Any, targets: Any) -> Any:
        towards, first, last = type(model).trained(model, inputs, targets)  # planted once, however often
        return {name: 2 * weight.detach() - towards[name] for name, weight in model.own().items()}, first, last

    learner.model.trained = turned


@partial(LearnerBug, "tasks summed instead of averaged", SMALL, "keras", "update of network")
def summed(learner: Any) -> None:
    trained, own = learner.model.trained, learner.model.own

    def added(inputs: Any, targets: Any) -> Any:
        towards, first, last = trained(inputs, targets)
        tasks = inputs.shape[0]
        return {name: weight + tasks * (towards[name] - weight) for name, weight in own().items()}, first, last

    learner.model.trained = added


@partial(LearnerBug, "all the way to the adapted weights", SMALL, "torch", "update of network")
def all_the_way(learner: Any) -> None:
    learner.optimizers["network"].param_groups[0]["lr"] = 1.0


@partial(LearnerBug, "every inner step on the first samples", DIGITS, "keras", "last_loss")
def on_the_first(learner: Any) -> None:
    inner = learner.model.inner
    learner.model.inner = lambda loss, weights, batches: inner(loss, weights, batches[:1] * len(batches))


@partial(LearnerBug, "inner rate for the outer rate", SMALL, "torch", "update of network")
def inner_for_outer(learner: Any) -> None:
    learner.optimizers["network"].param_groups[0]["lr"] = learner.spec.inner_rate


@partial(LearnerBug, "towards the last task alone", ADAM, "torch", "update of network")
def last_task_alone(learner: Any) -> None:
    trained = learner.model.trained

    def last(inputs: Any, targets: Any) -> Any:
        _, first, last_loss = trained(inputs, targets)
        return trained(inputs[-1:], targets[-1:])[0], first, last_loss

    learner.model.trained = last


@partial(LearnerBug, "gradient of the last inner step alone", DIGITS, "torch", "update of network")
def last_step_alone(learner: Any) -> None:
    model, inner = learner.model, learner.model.inner

    def adapt(loss: Any, weights: Any, batches: Any) -> Any:
        path = inner(loss, weights, batches)
        return [{name: weights[name] + path[-1][name] - path[-2][name] for name in weights}]

    true = model.trained

    def trained(inputs: Any, targets: Any) -> Any:
        _, first, last = true(inputs, targets)
        model.inner = adapt
        towards = true(inputs, targets)[0]
        model.inner = inner
        return towards, first, last

    model.trained = trained


BUGS = tuple(found for found in vars().values() if isinstance(found, LearnerBug))
