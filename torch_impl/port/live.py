"""A user's own PyTorch model: what it holds, without running it, and the one place that writes into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ...core.errors import InputError, StateError
from ...core.technique import Arrays
from .known import kind_of
from .layers import layers
from .tensors import Tensors


class Live:
    """The layers and the tensors of a live model, by the names that its Subject gives them."""

    side = "torch"

    def __init__(self, model: nn.Module) -> None:
        self.tensors = Tensors(model)
        self.aliases: Mapping[str, str] = self.tensors.aliases
        kinds = {module: kind for module in model.modules() if (kind := kind_of(module)) is not None}
        self.layers = layers(model, self.tensors, kinds)[0]

    def state(self) -> Arrays:
        """A copy of every weight and persistent buffer."""
        return self.tensors.arrays()

    def dtypes(self) -> dict[str, str]:
        """The type that the model itself holds each of them in, such as `bfloat16`."""
        return {name: str(place.get().dtype).removeprefix("torch.") for name, place in self.tensors.items()}


def live(model: Any) -> Live:
    """What a live model holds. Raises InputError for weights that are not there yet."""
    if any(isinstance(tensor, nn.parameter.UninitializedTensorMixin) for tensor in model.parameters()):
        raise InputError("the PyTorch model has layers whose sizes its first batch decides; run it on one before")
    return Live(model)


def write_live(model: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Copy arrays into tensors of a live model, by its Subject's names; all of them or none.

    Raises StateError for an unknown name, another shape, and numbers too large for a tensor's type.
    """
    tensors = Tensors(model)
    for name, array in arrays.items():
        if name in tensors and tensors[name].get().is_floating_point():
            dtype = tensors[name].get().dtype
            narrowed = torch.tensor(array).to(dtype).isfinite().cpu().numpy()
            if not np.array_equal(narrowed, np.isfinite(array)):
                raise StateError(f"{name} is {dtype} in the PyTorch model, and numbers are too large for it", (name,))
    before = {key: value.clone() for key, value in model.state_dict().items() if isinstance(value, torch.Tensor)}
    try:
        tensors.write(arrays)
    except BaseException:
        with torch.no_grad():
            for key, value in model.state_dict().items():
                if key in before:
                    value.copy_(before[key])
        raise
