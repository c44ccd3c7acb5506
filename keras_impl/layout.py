"""Where Keras keeps what the canonical state names. The canonical order of axes is Keras's own: channels last."""

from __future__ import annotations

from typing import Any

import keras

from ..core.layout import leaf
from ..core.spec import Weight


def layer(model: keras.Model, name: str) -> Any:
    """The layer at an attribute path: `layer2.0.conv1` is `model.layer2[0].conv1`."""
    found: Any = model
    for step in name.split(".") if name else ():
        found = found[int(step)] if step.isdigit() else getattr(found, step)
    return found


def variable(model: keras.Model, weight: Weight) -> Any:
    """The variable of a weight. Raises AttributeError, IndexError or KeyError where there is none."""
    found = getattr(layer(model, weight.owner), leaf(weight.role, "keras"))
    if found is None:
        raise AttributeError(weight.name)
    return found
