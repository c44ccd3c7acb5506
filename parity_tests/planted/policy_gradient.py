"""Mistakes in porting a policy, its critic and their training."""

from __future__ import annotations

from functools import partial
from typing import Any

from diglot.core import registry
from diglot.keras_impl.techniques import advantages as keras_advantages
from keras import ops

from . import LearnerBug, ModelBug

ACTOR_CRITIC = registry.make("policy_gradient_small")


@partial(ModelBug, "critic on the policy's first layer", ACTOR_CRITIC, "keras", "forward", "critic")
def shared_layer(model: Any) -> None:
    first, critic = model.policy.hidden[0], model.critic
    critic.call = lambda x: critic.head(ops.relu(critic.hidden[1](ops.relu(first(x)))))


@partial(ModelBug, "softmax in the policy", ACTOR_CRITIC, "torch", "forward", "policy")
def softmax_inside(model: Any) -> None:
    forward = model.policy.forward
    model.policy.forward = lambda x: forward(x).softmax(1)


@partial(LearnerBug, "cut episode taken for a terminated one", ACTOR_CRITIC, "torch", "policy_loss")
def cut_for_terminated(learner: Any) -> None:
    advantages = learner.advantages
    learner.advantages = lambda *given: advantages(*given[:3], given[4], given[4])


@partial(LearnerBug, "returns not reset where an episode ends", ACTOR_CRITIC, "keras", "policy_loss")
def not_reset(learner: Any) -> None:
    advantages = learner.advantages
    learner.advantages = lambda *given: advantages(*given[:4], ops.zeros_like(given[4]))


@partial(LearnerBug, "lambda for gamma", ACTOR_CRITIC, "keras", "policy_loss")
def lambda_for_gamma(learner: Any) -> None:
    rule = learner.spec.judged()
    learner.advantages = keras_advantages.build(rule.replace(discount=rule.gae_lambda, gae_lambda=rule.discount))


@partial(LearnerBug, "baseline not detached from the policy's loss", ACTOR_CRITIC, "torch", "update of critic")
def baseline_not_detached(learner: Any) -> None:
    advantages, objective = learner.advantages, learner.objective

    def baseline(rewards: Any, values: Any, *others: Any) -> Any:
        gained, returns = advantages(rewards, values, *others)
        return gained - (values - values.detach()), returns

    def loss(logits: Any, actions: Any, gained: Any, values: Any, returns: Any) -> Any:
        total, policy, *others = objective(logits, actions, gained, values, returns)
        taken = logits.log_softmax(1).gather(1, actions[:, None])[:, 0]
        return total - policy - (taken * gained).mean(), policy, *others

    learner.advantages, learner.objective = baseline, loss


@partial(LearnerBug, "entropy of the other sign", ACTOR_CRITIC, "keras", "loss")
def entropy_added(learner: Any) -> None:
    objective = learner.objective

    def loss(*given: Any) -> Any:
        total, policy, value, entropy = objective(*given)
        return total + 2 * learner.spec.entropy_weight * entropy, policy, value, entropy

    learner.objective = loss


@partial(LearnerBug, "advantages in the order of the environments", ACTOR_CRITIC, "torch", "policy_loss")
def other_order(learner: Any) -> None:
    objective, count = learner.objective, learner.spec.environments
    learner.objective = lambda logits, actions, gained, *others: objective(
        logits, actions, gained.reshape(-1, count).T.flatten(), *others
    )


@partial(LearnerBug, "gradients of all updates added up", ACTOR_CRITIC, "torch", "update of policy")
def gradients_added_up(learner: Any) -> None:
    learner.model.zero_grad()
    for optimizer in learner.optimizers.values():
        optimizer.zero_grad = lambda set_to_none=True: None


@partial(LearnerBug, "each gradient clipped by its own norm", ACTOR_CRITIC, "keras", "update of policy")
def clipped_one_by_one(learner: Any) -> None:
    optimizer, limit = learner.optimizers["policy"], learner.spec.max_norm
    apply = optimizer.apply

    def clipped(gradients: Any, weights: Any) -> Any:
        norms = [ops.sqrt(ops.sum(ops.square(gradient))) for gradient in gradients]
        return apply([limit * item / norm for item, norm in zip(gradients, norms, strict=True)], weights)

    optimizer.apply = clipped


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug | LearnerBug))
