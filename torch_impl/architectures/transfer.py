"""Transfer learning. See core/architectures/transfer.py."""

from __future__ import annotations

from typing import Self

import torch
from torch import nn

from ...core.architectures.transfer import Transfer as Spec
from ...core.techniques.dropout import Dropout
from ..backend import sibling
from ..layout import path
from ..techniques import dropout


class Transfer(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.backbone = sibling(spec.backbone_spec()).build(spec.backbone_spec())
        self.head = Head(spec)
        self.frozen_parts = spec.frozen_parts()
        self.freeze()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(image))

    def freeze(self) -> None:
        frozen = {path(weight) for weight in self.spec.weights() if not weight.trainable}
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name not in frozen)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for name in self.frozen_parts:
            module = self.get_submodule(name)
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()  # requires_grad alone would leave its statistics moving
        return self


class Head(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.hidden = nn.Linear(spec.num_features, spec.hidden)
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))
        self.classes = nn.Linear(spec.hidden, spec.num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classes(self.dropout(torch.relu(self.hidden(x))))


def build(spec: Spec) -> Transfer:
    return Transfer(spec)
