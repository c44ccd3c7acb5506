"""What a network in training is fed: batches as tensors, augmented and mixed by the shared draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from ..core.data import number, several
from ..core.epochs import Batch, Epochs
from ..core.noise import Noise
from ..core.spec import Spec
from .backend import sibling, to_tensor


class Feed:
    """The batches of a training, for one network. `like` has the precision and the device of its weights."""

    def __init__(self, model: nn.Module, spec: Spec | None, plan: Epochs, like: torch.Tensor) -> None:
        self.model, self.spec, self.plan, self.like = model, spec, plan, like
        recipe = plan.recipe
        self.augment = sibling(recipe.augmentation).build(recipe.augmentation) if recipe.augmentation else None
        self.mix = sibling(recipe.mixing).build(recipe.mixing) if recipe.mixing else None

    def batch(self, batch: Batch) -> tuple[list[torch.Tensor], torch.Tensor]:
        """The inputs and the targets of a batch."""
        data, recipe, noise = self.plan.data, self.plan.recipe, Noise(self.plan.noise.seed, batch.step)
        inputs, targets = self.tensors([array[batch.rows] for array in data.arrays()], data.targets[batch.rows])
        if self.augment:
            inputs[0] = self._augmented(inputs[0], noise)
        if self.mix:
            picture = inputs[0].shape[-2:] if inputs[0].ndim == 4 else ()
            inputs[0], targets = self.mix(inputs[0], targets, recipe.mixing.draw(noise, len(batch.rows), *picture))
        return inputs, targets

    def held_out(self) -> Iterator[tuple[list[torch.Tensor], torch.Tensor]]:
        """The held-out samples in order, as many at once as in a batch."""
        assert self.plan.data.held_out is not None
        arrays, targets = self.plan.data.held_out
        for start in range(0, len(targets), self.plan.batch_size):
            rows = slice(start, start + self.plan.batch_size)
            inputs, wanted = self.tensors([array[rows] for array in several(arrays)], targets[rows])
            if self.augment:
                inputs[0] = self._augmented(inputs[0], None)
            if self.mix:  # then the loss takes probabilities
                wanted = torch.from_numpy(self.plan.recipe.mixing.probabilities(targets[rows])).to(self.like)
            yield inputs, wanted

    def _augmented(self, images: torch.Tensor, noise: Noise | None) -> torch.Tensor:
        """The images as drawn; without draws as for evaluation."""
        spec, shape = self.plan.recipe.augmentation, (len(images), *(images.shape[-2:] if images.ndim == 4 else ()))
        result: torch.Tensor = self.augment(images, spec.draw(noise, *shape) if noise else spec.centre(*shape))
        return result

    def tensors(self, inputs: list[np.ndarray], targets: np.ndarray) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Arrays as tensors in PyTorch's layout, and in the network's precision and device."""
        if self.spec is not None:
            declared = zip((*self.spec.inputs(), self.spec.targets()), (*inputs, targets), strict=True)
            *given, wanted = (to_tensor(self.model, tensor, {tensor.name: number(array)}) for tensor, array in declared)
            return given, wanted
        *given, wanted = map(self._own, (*inputs, targets))
        return given, wanted

    def _own(self, array: Any) -> torch.Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(number(array))).to(self.like.device)
        return tensor.to(self.like.dtype) if tensor.is_floating_point() else tensor
