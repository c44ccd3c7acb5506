"""Mistakes in transfer learning."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from diglot.core import registry
from keras import ops

from . import ModelBug

FROZEN = registry.make("transfer_small", image_size=8)
LAST = registry.make("transfer_small_last", image_size=8)
PREFIX = registry.make("transfer_small_prefix", image_size=8)


@partial(ModelBug, "statistics of the frozen part still move", FROZEN, "torch", "forward_training", "backbone.bn1")
def statistics_move(model: Any) -> None:
    model.train = lambda mode=True: torch.nn.Module.train(model, mode)


@partial(ModelBug, "frozen norm that only keeps its weights", PREFIX, "keras", "forward_training", "backbone.bn1")
def frozen_norm_trains(model: Any) -> None:
    model.backbone.bn1.trainable = True
    model.backbone.bn1.gamma.trainable = model.backbone.bn1.beta.trainable = False


@partial(ModelBug, "frozen weights still train", PREFIX, "torch", "structure", "backbone.conv1")
def frozen_weights_train(model: Any) -> None:
    for parameter in model.parameters():
        parameter.requires_grad_()


@partial(ModelBug, "whole backbone frozen instead of a part", LAST, "keras", "training", "backbone.layer4.0.bn1")
def everything_frozen(model: Any) -> None:
    model.backbone.trainable = False


@partial(ModelBug, "last norm kept in evaluation mode", LAST, "torch", "forward_training", "backbone.layer4.0.bn2")
def last_norm_kept(model: Any) -> None:
    norm = model.backbone.layer4[0].bn2
    norm.eval()
    norm.train = lambda mode=True: norm


@partial(ModelBug, "gradient stopped before the head", LAST, "torch", "gradients", "transfer")
def gradient_stopped(model: Any) -> None:
    model.forward = lambda image: model.head(model.backbone(image).detach())


@partial(ModelBug, "activation of the head forgotten", FROZEN, "keras", "forward", "head")
def activation_forgotten(model: Any) -> None:
    head = model.head
    head.call = lambda x, training=False: head.classes(head.dropout(head.hidden(x), training=training))


@partial(ModelBug, "dropout before the activation, on its input", FROZEN, "torch", "forward_training", "head.dropout")
def dropout_of_another_rate(model: Any) -> None:
    model.head.dropout.p = 0.25


@partial(ModelBug, "features flattened instead of averaged", FROZEN, "keras", "forward", "backbone.avgpool")
def first_position_for_the_mean(model: Any) -> None:
    model.backbone.avgpool.call = lambda x: ops.reshape(x, (-1, ops.size(x[0])))[:, : x.shape[-1]] * 0.5


@partial(ModelBug, "features normalised before the head", FROZEN, "torch", "forward", "transfer")
def features_normalised(model: Any) -> None:
    model.forward = lambda image: model.head(F.normalize(model.backbone(image)))


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
