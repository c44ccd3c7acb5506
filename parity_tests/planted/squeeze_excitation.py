"""Mistakes in porting squeeze-and-excitation."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from diglot.core import registry
from keras import ops

from . import ModelBug

SMALL = registry.make("squeeze_excitation_small")
CHANNEL = registry.make("channel_attention_small")


@partial(ModelBug, "reduction of another factor", SMALL, "torch", "structure", "excitation.reduce")
def other_reduction(model: Any) -> None:
    model.excitation.reduce = torch.nn.Linear(6, 2, bias=False, dtype=torch.float64)
    model.excitation.expand = torch.nn.Linear(2, 6, bias=False, dtype=torch.float64)


@partial(ModelBug, "hard sigmoid for the sigmoid", SMALL, "keras", "forward", "squeeze_excitation")
def hard_sigmoid(model: Any) -> None:
    def call(image: Any, training: bool = False) -> Any:
        scores = model.excitation(model.squeeze(image))
        return image * ops.hard_sigmoid(scores)[:, None, None, :]

    model.call = call


@partial(ModelBug, "weights added instead of multiplied", SMALL, "torch", "forward_training", "squeeze_excitation")
def weights_added(model: Any) -> None:
    model.forward = lambda x: x + torch.sigmoid(model.excitation(model.squeeze(x)))[:, :, None, None]


@partial(ModelBug, "maximum squeezed for the mean", SMALL, "keras", "gradients", "squeeze")
def maximum_squeezed(model: Any) -> None:
    model.squeeze.call = lambda x: ops.max(x, axis=(1, 2))


@partial(ModelBug, "activation between the two layers forgotten", SMALL, "torch", "forward", "excitation")
def activation_forgotten(model: Any) -> None:
    excitation = model.excitation
    excitation.forward = lambda x: excitation.expand(excitation.reduce(x))


@partial(ModelBug, "sigmoid of each branch instead of their sum", CHANNEL, "keras", "forward", "squeeze_excitation")
def sigmoid_of_each(model: Any) -> None:
    def call(image: Any, training: bool = False) -> Any:
        branches = [model.excitation(squeeze(image)) for squeeze in (model.squeeze, model.squeeze_maximum)]
        return image * (ops.sigmoid(branches[0]) + ops.sigmoid(branches[1]))[:, None, None, :]

    model.call = call


@partial(ModelBug, "gradient of the maximum to the mean", CHANNEL, "torch", "gradients", "squeeze_maximum")
def mean_for_the_maximum(model: Any) -> None:
    model.squeeze_maximum.forward = lambda x: x.amax((2, 3)).detach() + x.mean((2, 3)) - x.mean((2, 3)).detach()


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
