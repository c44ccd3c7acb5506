"""Training and predicting as PyTorch's users do: a loop over batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ..core.errors import SpecError
from ..core.recipe import Recipe
from ..core.spec import Tensor
from ..core.technique import Arrays
from .backend import sibling, spec_of, to_tensor, trainable
from .layout import to_canonical


class Batches(Dataset):
    """Whole batches, in order: the inputs of a network, and what the loss compares its output with."""

    def __init__(self, model: nn.Module, batches: Sequence[Arrays]) -> None:
        super().__init__()
        self.model, self.batches = model, batches
        self.sources, self.target = spec_of(model).inputs(), spec_of(model).targets()

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[list[torch.Tensor], torch.Tensor]:
        batch = self.batches[index]
        return _given(self.model, self.sources, batch), to_tensor(self.model, self.target, batch)


def fit(model: nn.Module, batches: Sequence[Arrays], recipe: Recipe) -> NDArray[np.float64]:
    """Train for one step per batch, and give the loss of every step, float64, (steps,).

    A batch holds arrays by the names of the spec's inputs and target, in the canonical layout, (batch, ...).
    Raises SpecError for a recipe that clips.
    """
    if recipe.clip:
        raise SpecError(f"fit does not clip gradients, and the recipe asks for {recipe.clip.name}")
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    told = recipe.optimizer.told(trainable(model, spec_of(model)))
    optimizer = sibling(recipe.optimizer).build(recipe.optimizer, trained, **told)
    loss_function = sibling(recipe.loss).build(recipe.loss)
    scheduler = sibling(recipe.schedule).build(recipe.schedule, optimizer) if recipe.schedule else None
    names, weights = [output.name for output in spec_of(model).outputs()], spec_of(model).loss_weights()
    losses = []
    model.train()
    for inputs, targets in DataLoader(Batches(model, batches), batch_size=None, shuffle=False):
        optimizer.zero_grad()
        outputs = dict(zip(names, several(model(*inputs)), strict=True))
        loss = sum(weight * loss_function(outputs[name], targets) for name, weight in weights.items())
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        losses.append(loss.item())
    return np.array(losses)


def predict(model: nn.Module, inputs: Arrays, batch_size: int) -> NDArray[np.floating]:
    """The first output in evaluation mode, (batch, ...) in the canonical layout, for the inputs by name."""
    output, *_ = spec_of(model).outputs()
    model.eval()
    with torch.no_grad():
        batches = zip(
            *(given.split(batch_size) for given in _given(model, spec_of(model).inputs(), inputs)), strict=True
        )
        outputs = torch.cat([several(model(*batch))[0] for batch in batches])
    return to_canonical(outputs.numpy(), output.axes)


def _given(model: nn.Module, declared: Sequence[Tensor], arrays: Arrays) -> list[torch.Tensor]:
    """The arrays of declared inputs as tensors."""
    return [to_tensor(model, tensor, arrays) for tensor in declared]


def several(result: Any) -> tuple[Any, ...]:
    """A network's outputs, where it may have one."""
    return result if isinstance(result, tuple) else (result,)
