"""GoogLeNet. See core/architectures/inception.py."""

from __future__ import annotations

import torch
from torch import nn

from ...core.architectures.inception import AUX, AUX_GRID, STEM, TRANSFORM_SCALE, TRANSFORM_SHIFT
from ...core.architectures.inception import Inception as Spec
from ...core.techniques.dropout import Dropout
from ..techniques import dropout
from .inception_module import ConvNorm, InceptionModule


class Inception(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        norm = spec.normalisation
        stem = [spec.scaled(channels) for channels in STEM]
        self.transform = Transform() if spec.transform_input else nn.Identity()
        self.conv1 = ConvNorm(norm, spec.in_channels, stem[0], 7, stride=2, margin=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=spec.ceil_mode)
        self.conv2 = ConvNorm(norm, stem[0], stem[1], 1)
        self.conv3 = ConvNorm(norm, stem[1], stem[2], 3, margin=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=spec.ceil_mode)
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=spec.ceil_mode)
        self.maxpool4 = nn.MaxPool2d(spec.last_pool_size, stride=2, ceil_mode=spec.ceil_mode)
        for name, module in spec.modules():
            setattr(self, name, InceptionModule(module))
            if name in spec.aux_names():
                setattr(self, spec.aux_names()[name], AuxHead(spec, module.out_channels))
        self.avgpool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate)) if spec.num_classes else nn.Identity()
        self.fc = nn.Linear(spec.num_features, spec.num_classes) if spec.num_classes else nn.Identity()

    def forward(self, image: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        x = self.maxpool1(self.conv1(self.transform(image)))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        aux = []
        for name, _ in self.spec.modules():
            if name == "inception4a":
                x = self.maxpool3(x)
            if name == "inception5a":
                x = self.maxpool4(x)
            x = getattr(self, name)(x)
            if name in self.spec.aux_names():
                aux.append(getattr(self, self.spec.aux_names()[name])(x))
        x = self.avgpool(x)  # (batch, channels, height, width) -> (batch, channels)
        x = self.fc(self.dropout(x))
        return (x, *aux) if aux else x


class AuxHead(nn.Module):
    def __init__(self, spec: Spec, inputs: int) -> None:
        super().__init__()
        channels, units = (spec.scaled(number) for number in AUX)
        self.pool = nn.AdaptiveAvgPool2d(AUX_GRID)
        self.conv = ConvNorm(spec.normalisation, inputs, channels, 1)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(AUX_GRID**2 * channels, units)
        self.dropout = dropout.build(Dropout(rate=spec.aux_dropout_rate))
        self.fc2 = nn.Linear(units, spec.num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(self.pool(x))
        x = self.flatten(x)  # (batch, channels, height, width) -> (batch, channels)
        return self.fc2(self.dropout(torch.relu(self.fc1(x))))


class Transform(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for name, values in (("scale", TRANSFORM_SCALE), ("shift", TRANSFORM_SHIFT)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float64).view(-1, 1, 1), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale + self.shift


def build(spec: Spec) -> Inception:
    return Inception(spec)
