"""Mistakes in porting a diffusion model, its training and its samplers."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diglot.core import registry
from diglot.keras_impl.techniques import exponential_moving_average as keras_average
from diglot.torch_impl.techniques import exponential_moving_average as torch_average
from diglot.torch_impl.techniques import gaussian_diffusion as torch_process
from keras import ops

from . import LearnerBug, ModelBug

SMALL, UNLABELLED = registry.make("diffusion_small"), registry.make("diffusion_small_unlabelled")


@partial(ModelBug, "time embedding left out of a block", SMALL, "torch", "forward", "down.0")
def no_time(model: Any) -> None:
    block, call = model.down[0], type(model.down[0]).forward
    block.forward = lambda x, embedding: call(block, x, torch.zeros_like(embedding))


@partial(ModelBug, "sines and cosines interleaved", SMALL, "keras", "forward", "time")
def interleaved(model: Any) -> None:
    sines, cosines = np.split(model.time.waves, 2, axis=1)
    model.time.waves = np.stack([sines, cosines], axis=-1).reshape(len(sines), -1)


@partial(ModelBug, "Keras's own epsilon in a group normalisation", SMALL, "keras", "forward", "middle.0.norm2")
def own_epsilon(model: Any) -> None:
    model.middle[0].norm2.epsilon = 1e-3


@partial(ModelBug, "groups of a normalisation in turn", SMALL, "torch", "gradients", "norm")
def groups_in_turn(model: Any) -> None:
    norm, call = model.norm, type(model.norm).forward
    channels = torch.arange(norm.num_channels).reshape(norm.num_groups, -1).T.flatten()
    norm.forward = lambda x: call(norm, x[:, channels])[:, channels.argsort()]


@partial(ModelBug, "attention in place of what it is added to", UNLABELLED, "keras", "forward", "attention")
def not_added(model: Any) -> None:
    layer, call = model.attention, type(model.attention).call
    layer.call = lambda x: call(layer, x) - x


@partial(ModelBug, "way down joined on the wrong side", UNLABELLED, "torch", "gradients", "up.0")
def joined_on_the_wrong_side(model: Any) -> None:
    block, call = model.up[0], type(model.up[0]).forward
    block.forward = lambda x, embedding: call(block, torch.roll(x, x.shape[1] // 2, 1), embedding)


@partial(ModelBug, "doubled behind the convolution", SMALL, "torch", "forward_training", "upsample.0")
def doubled_behind(model: Any) -> None:
    layer = model.upsample[0]
    layer.forward = lambda x: F.interpolate(layer.conv(x), scale_factor=2, mode="nearest")


@partial(LearnerBug, "schedule off by one", SMALL, "torch", "loss")
def off_by_one(learner: Any) -> None:
    process = learner.model.process
    process.noised = lambda images, noise, times: type(process).noised(
        process, images, noise, (times + 1).clamp(max=process.spec.timesteps - 1)
    )


@partial(LearnerBug, "label never left out", SMALL, "keras", "loss")
def never_left_out(learner: Any) -> None:
    model, error = learner.model, learner.model.__class__.error
    model.error = lambda *batch: error(model, *batch[:-1], ops.zeros_like(batch[-1]))


@partial(LearnerBug, "noised image predicted for the noise", UNLABELLED, "torch", "loss")
def image_predicted(learner: Any) -> None:
    model = learner.model
    model.error = lambda images, noise, times: F.mse_loss(model(model.process.noised(images, noise, times), times),
                                                          images)  # fmt: skip


@partial(LearnerBug, "average follows the other way round", UNLABELLED, "torch", "average")
def other_way_round(learner: Any) -> None:
    rule = learner.spec.average()
    learner.follow = torch_average.build(rule.replace(decay=1 - rule.decay))


@partial(LearnerBug, "average starts at the initial weights", SMALL, "keras", "average")
def starts_at_the_initial(learner: Any) -> None:
    follow = keras_average.build(learner.spec.average())
    learner.follow = lambda averages, weights, count: follow(averages, weights, count + 1)


@partial(LearnerBug, "samples drawn from the weights in training", SMALL, "keras", "ddpm samples")
def not_from_the_average(learner: Any) -> None:
    learner.ddpm = lambda *arrays: learner.model.ddpm(*arrays)


@partial(LearnerBug, "guidance of the other sign", SMALL, "keras", "ddpm samples")
def guided_away(learner: Any) -> None:
    process = learner.copies["average"].process
    process.guided = lambda conditional, unconditional: type(process).guided(process, unconditional, conditional)


@partial(LearnerBug, "posterior variance for beta", UNLABELLED, "torch", "ddpm samples")
def posterior_for_beta(learner: Any) -> None:
    rule = learner.spec.process().replace(variance="posterior")
    learner.copies["average"].process = torch_process.build(rule)


@partial(LearnerBug, "sampler fed clipped images", SMALL, "torch", "ddpm samples")
def fed_clipped_images(learner: Any) -> None:
    average = learner.copies["average"]
    ddpm = type(average).ddpm
    average.ddpm = lambda images, *more: ddpm(average, images.clamp(-1, 1), *more)


@partial(LearnerBug, "noise added at the last step", UNLABELLED, "torch", "ddpm samples")
def noise_at_the_last_step(learner: Any) -> None:
    process = learner.copies["average"].process
    process.deviations = process.betas.sqrt()


@partial(LearnerBug, "steps of DDIM to the time before", UNLABELLED, "keras", "ddim samples")
def to_the_time_before(learner: Any) -> None:
    average = learner.copies["average"]
    learner.ddim = lambda images, noise, times, previous: average.ddim(images, noise, times, times - 1)


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug | LearnerBug))
