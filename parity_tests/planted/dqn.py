"""Mistakes in porting a deep Q-network and its training."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from diglot.core import registry
from diglot.torch_impl.techniques import temporal_difference
from keras import ops

from . import LearnerBug, ModelBug

SMALL, DUELING = registry.make("dqn_small"), registry.make("dqn_small_dueling")


@partial(ModelBug, "dueling without the mean", DUELING, "keras", "forward", "head")
def without_the_mean(model: Any) -> None:
    model.head.call = lambda x: model.head.value(x) + model.head.advantage(x)


@partial(ModelBug, "dueling by the best advantage", DUELING, "torch", "gradients", "head")
def best_for_mean(model: Any) -> None:
    def forward(x: Any) -> Any:
        advantage = head.advantage(x)
        return head.value(x) + advantage - advantage.amax(1, keepdim=True)

    head = model.head
    head.forward = forward


@partial(ModelBug, "last hidden layer without its ReLU", SMALL, "torch", "forward", "dqn")
def without_relu(model: Any) -> None:
    model.forward = lambda x: model.head(model.hidden[1](torch.relu(model.hidden[0](x))))


@partial(LearnerBug, "target by the network itself, not detached", SMALL, "torch", "update of network")
def target_not_detached(learner: Any) -> None:
    def step(observations: Any, actions: Any, rewards: Any, following: Any, terminated: Any) -> Any:
        targets = rewards + spec.discount * (1 - terminated) * model(following).amax(1)
        taken = model(observations).gather(1, actions[:, None])[:, 0]
        loss = torch.nn.functional.huber_loss(taken, targets, delta=spec.delta)
        learner.optimizers["network"].zero_grad()
        loss.backward()
        learner.optimizers["network"].step()
        return targets, loss

    spec, model, learner.step = learner.spec, learner.model, step


@partial(LearnerBug, "target network never synced", SMALL, "keras", "target")
def never_synced(learner: Any) -> None:
    learner.step_target = lambda: ()


@partial(LearnerBug, "hard update for the soft one", DUELING, "torch", "target")
def hard_for_soft(learner: Any) -> None:
    def step_target() -> tuple[()]:
        learner.copies["target"].load_state_dict(learner.model.state_dict())
        return ()

    learner.step_target = step_target


@partial(LearnerBug, "soft update by the share that stays", DUELING, "keras", "target")
def soft_the_other_way(learner: Any) -> None:
    def step_target() -> tuple[()]:
        pairs = zip(learner.copies["target"].trainable_variables, learner.model.trainable_variables, strict=True)
        for kept, weight in pairs:
            kept.assign_add((1 - learner.spec.tau) * (weight - kept))
        return ()

    learner.step_target = step_target


@partial(LearnerBug, "terminal state bootstrapped", SMALL, "keras", "targets")
def terminal_bootstrapped(learner: Any) -> None:
    objective = learner.objective
    learner.objective = lambda values, actions, rewards, terminated, *others: objective(
        values, actions, rewards, ops.zeros_like(terminated), *others
    )


@partial(LearnerBug, "double Q-learning that values by its own choice", DUELING, "torch", "targets")
def valued_by_the_chooser(learner: Any) -> None:
    objective = learner.objective
    learner.objective = lambda *given: objective(*given[:-2], given[-1], given[-1])


@partial(LearnerBug, "squared loss for the Huber loss", SMALL, "torch", "loss")
def squared(learner: Any) -> None:
    learner.objective = temporal_difference.build(learner.spec.objective().replace(delta=1e6))


@partial(LearnerBug, "actions by the target network", SMALL, "keras", "action")
def acts_by_the_target(learner: Any) -> None:
    learner.act = lambda observations: learner.copies["target"](observations)


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug | LearnerBug))
