"""Mistakes in porting a variational autoencoder and its training."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import torch
from diglot.core import registry
from keras import ops

from . import LearnerBug, ModelBug

SMALL, GAUSSIAN = registry.make("vae_small"), registry.make("vae_small_gaussian")


@partial(ModelBug, "variance for the standard deviation", SMALL, "torch", "forward", "sampling")
def variance(model: Any) -> None:
    model.sampling.forward = lambda mean, log_variance, noise: mean + log_variance.exp() * noise


@partial(ModelBug, "transposed convolution cropped at the end", SMALL, "keras", "forward", "decoder.convolutions.0")
def cropped_as_same(model: Any) -> None:
    layer = model.decoder.convolutions[0]
    layer.padding = "same"
    layer.call = lambda x: keras.layers.Conv2DTranspose.call(layer, x)


@partial(ModelBug, "feature map unflattened channels last", SMALL, "torch", "forward", "decoder")
def unflattened_channels_last(model: Any) -> None:
    height, width, channels = model.spec.smallest
    model.decoder.unflatten.forward = lambda x: x.reshape(-1, height, width, channels).permute(0, 3, 1, 2)


@partial(ModelBug, "decoder fed the log-variance, as in the document", GAUSSIAN, "keras", "forward_training", "vae")
def fed_the_log_variance(model: Any) -> None:
    def call(images: Any, noise: Any = None, training: bool = False) -> Any:
        mean, log_variance = model.encoder(images)
        return model.decoder(log_variance), mean, log_variance

    model.call = call


@partial(ModelBug, "convolution padded at the end", GAUSSIAN, "keras", "gradients", "encoder.convolutions.0")
def padded_as_same(model: Any) -> None:
    layer = model.encoder.convolutions[0]
    layer.padding = "same"
    layer.call = lambda x: keras.layers.Conv2D.call(layer, x)


@partial(LearnerBug, "KL term without its gradient to the mean", SMALL, "torch", "update of network")
def kl_detached(learner: Any) -> None:
    model, objective = learner.model, learner.model.objective

    def terms(images: Any, noise: Any) -> Any:
        decoded, mean, log_variance = model(images, noise)
        return objective(images, decoded, mean.detach(), log_variance)

    model.terms = terms


@partial(LearnerBug, "KL term subtracted", GAUSSIAN, "keras", "loss")
def kl_subtracted(learner: Any) -> None:
    model, objective = learner.model, learner.model.objective

    def terms(images: Any, noise: Any, training: bool = False) -> Any:
        loss, reconstruction, kl = objective(images, *model(images, noise, training=training))
        return loss - 2 * model.spec.beta * kl, reconstruction, kl

    model.terms = terms


@partial(LearnerBug, "sample without its gradient", SMALL, "keras", "update of network")
def sample_without_gradient(learner: Any) -> None:
    model, objective = learner.model, learner.model.objective

    def terms(images: Any, noise: Any, training: bool = False) -> Any:
        mean, log_variance = model.encoder(images)
        latents = ops.stop_gradient(model.sampling(mean, log_variance, noise, training=training))
        return objective(images, model.decoder(latents), mean, log_variance)

    model.terms = terms


@partial(LearnerBug, "gradients of all steps added up", SMALL, "torch", "update of network")
def gradients_added_up(learner: Any) -> None:
    learner.optimizers["network"].zero_grad = lambda set_to_none=True: None


@partial(LearnerBug, "noise drawn anew for the reported terms", GAUSSIAN, "torch", "loss")
def noise_drawn_anew(learner: Any) -> None:
    model, terms = learner.model, learner.model.terms
    model.terms = lambda images, noise: terms(images, torch.roll(noise, 1, 0))


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug | LearnerBug))
