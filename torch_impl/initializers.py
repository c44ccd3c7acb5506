"""The initial values that a spec asks for, drawn by PyTorch's own initialisers."""

from __future__ import annotations

import torch
from torch import nn

from ..core.spec import Init, Spec
from .layout import path


@torch.no_grad()
def initialise(model: nn.Module, spec: Spec) -> None:
    tensors = model.state_dict(keep_vars=True)
    for weight in spec.weights():
        _draw(tensors[path(weight)], weight.init)


def _draw(tensor: torch.Tensor, init: Init) -> None:
    match init.name:
        case "zeros":
            nn.init.zeros_(tensor)
        case "ones":
            nn.init.ones_(tensor)
        case "normal":
            nn.init.normal_(tensor, std=init.std)
        case "xavier_uniform":
            nn.init.xavier_uniform_(tensor)
        case "he_normal":
            nn.init.kaiming_normal_(tensor, mode="fan_in", nonlinearity="relu")
        case "he_normal_fan_out":
            nn.init.kaiming_normal_(tensor, mode="fan_out", nonlinearity="relu")
