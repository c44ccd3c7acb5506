"""Transfer learning. See core/architectures/transfer.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from ...core.architectures.transfer import Transfer as Spec
from ...core.techniques.dropout import Dropout
from ..backend import sibling
from ..layout import layer, variable
from ..model import SpecModel
from ..techniques import dropout


@keras.saving.register_keras_serializable("diglot")
class Transfer(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.backbone = sibling(spec.backbone_spec()).build(spec.backbone_spec())
        self.head = Head(spec)

    def call(self, image: Any, training: bool = False) -> Any:
        return self.head(self.backbone(image, training=training), training=training)

    def freeze(self) -> None:
        for weight in self.spec.weights():
            variable(self, weight).trainable = weight.trainable
        for name in self.spec.frozen_parts():
            layer(self, name).trainable = False  # of batch normalisation it means that its statistics stay

    def make_variables(self) -> None:
        super().make_variables()
        self.freeze()


class Head(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.hidden = layers.Dense(spec.hidden)
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))
        self.classes = layers.Dense(spec.num_classes)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.classes(self.dropout(ops.relu(self.hidden(x)), training=training))


def build(spec: Spec) -> Transfer:
    return Transfer(spec)
