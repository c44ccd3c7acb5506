"""Mistakes in porting a generative adversarial network and its training."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import torch
from diglot.core import registry
from diglot.torch_impl.architectures.gan import still
from keras import ops

from . import LearnerBug, ModelBug

SMALL, WASSERSTEIN = registry.make("gan_small"), registry.make("gan_small_wasserstein")


@partial(ModelBug, "transposed convolution cropped at the end", SMALL, "keras", "forward", "generator.convolutions.1")
def cropped_as_same(model: Any) -> None:
    layer = model.generator.convolutions[1]
    layer.padding = "same"
    layer.call = lambda x: keras.layers.Conv2DTranspose.call(layer, x)


@partial(ModelBug, "Keras's slope of the leaky ReLU", SMALL, "keras", "gradients", "discriminator")
def slope_of_keras(model: Any) -> None:
    model.discriminator.negative_slope = 0.3


@partial(ModelBug, "momentum of the other convention", SMALL, "keras", "forward_training", "generator.norms.0")
def other_momentum(model: Any) -> None:
    model.generator.norms[0].momentum = model.spec.norm_momentum


@partial(ModelBug, "sigmoid before a loss that takes logits", SMALL, "torch", "forward", "discriminator")
def sigmoid_twice(model: Any) -> None:
    forward = model.discriminator.forward
    model.discriminator.forward = lambda images: torch.sigmoid(forward(images))


@partial(ModelBug, "feature map unflattened channels last", WASSERSTEIN, "torch", "forward", "generator")
def unflattened_channels_last(model: Any) -> None:
    height, width, channels = model.spec.smallest
    model.generator.unflatten.forward = lambda x: x.reshape(-1, height, width, channels).permute(0, 3, 1, 2)


@partial(ModelBug, "logits of fakes and images taken for each other", WASSERSTEIN, "keras", "forward", "gan")
def taken_for_each_other(model: Any) -> None:
    judged = model.judged
    model.judged = lambda fakes, images, training=False: judged(fakes, images, training=training)[::-1]


@partial(ModelBug, "one dropout mask for fakes and images", SMALL, "torch", "forward_training", "gan")
def one_mask(model: Any) -> None:
    model.judged = lambda fakes, images: (model.discriminator(fakes), model.discriminator(images))


@partial(LearnerBug, "generator's optimizer moves the discriminator too", SMALL, "torch", "update of discriminator")
def moves_both(learner: Any) -> None:
    learner.optimizers["generator"].add_param_group({"params": learner.weights["discriminator"]})


@partial(LearnerBug, "fakes not detached, and gradients not cleared", SMALL, "torch", "update of generator")
def fakes_not_detached(learner: Any) -> None:
    model = learner.model

    def losses(images: Any, latents: Any, shares: Any = None) -> Any:
        with still(model.generator):
            fakes = model.generator(latents)
        return (model.objective.discriminator(*model.judged(fakes, images)),)

    model.discriminator_losses = losses
    learner.optimizers["generator"].zero_grad()
    learner.optimizers["generator"].zero_grad = lambda: None


@partial(LearnerBug, "statistics moved by the discriminator's update", SMALL, "keras", "update of generator")
def statistics_moved(learner: Any) -> None:
    model = learner.model

    def losses(images: Any, latents: Any, shares: Any = None, training: bool = False) -> Any:
        fakes = ops.stop_gradient(model.generator(latents, training=training))
        return (model.objective.discriminator(*model.judged(fakes, images, training=training)),)

    model.discriminator_losses = losses


@partial(LearnerBug, "fakes made in evaluation mode for the discriminator", SMALL, "torch", "discriminator_loss")
def faked_in_evaluation_mode(learner: Any) -> None:
    model = learner.model

    def losses(images: Any, latents: Any, shares: Any = None) -> Any:
        with torch.no_grad():
            fakes = model.generator.eval()(latents)
        model.generator.train()
        return (model.objective.discriminator(*model.judged(fakes, images)),)

    model.discriminator_losses = losses


@partial(LearnerBug, "saturating loss of the generator", SMALL, "keras", "generator_loss")
def saturating(learner: Any) -> None:
    learner.model.objective.generator = lambda fakes: -ops.mean(ops.softplus(fakes))


@partial(LearnerBug, "generator's loss with the critic's sign", WASSERSTEIN, "keras", "generator_loss")
def sign_of_the_critic(learner: Any) -> None:
    learner.model.objective.generator = lambda fakes: ops.mean(fakes)


@partial(LearnerBug, "penalty on the images themselves", WASSERSTEIN, "torch", "penalty")
def penalty_on_the_images(learner: Any) -> None:
    penalty = learner.model.objective.penalty
    learner.model.objective.penalty = lambda critic, images, fakes, shares: penalty(
        critic, images, fakes, torch.ones_like(shares)
    )


@partial(LearnerBug, "penalty without its gradient", WASSERSTEIN, "keras", "update of discriminator")
def penalty_without_gradient(learner: Any) -> None:
    penalty = learner.model.objective.penalty
    learner.model.objective.penalty = lambda *given: ops.stop_gradient(penalty(*given))


@partial(LearnerBug, "one share for the whole batch", WASSERSTEIN, "keras", "penalty")
def one_share(learner: Any) -> None:
    penalty = learner.model.objective.penalty
    learner.model.objective.penalty = lambda critic, images, fakes, shares: penalty(
        critic, images, fakes, ops.broadcast_to(shares[:1], ops.shape(shares))
    )


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug | LearnerBug))
