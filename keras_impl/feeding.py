"""What a network in training is fed: batches as `fit` takes them, augmented and mixed by the shared draws."""

from __future__ import annotations

from typing import Any

import keras

from ..core.data import number, several
from ..core.epochs import Batch, Epochs
from ..core.noise import Noise
from ..core.spec import Spec
from .backend import sibling


class Feed:
    """The batches of a training, for one network, whose weights have this precision."""

    def __init__(self, spec: Spec | None, plan: Epochs, dtype: str) -> None:
        self.plan, self.dtype = plan, dtype
        self.outputs = len(spec.outputs()) if spec else 1
        recipe = plan.recipe
        self.augment = sibling(recipe.augmentation).build(recipe.augmentation) if recipe.augmentation else None
        self.mix = sibling(recipe.mixing).build(recipe.mixing) if recipe.mixing else None

    def batch(self, batch: Batch) -> tuple[Any, Any]:
        """The inputs and the targets of a batch."""
        data, recipe, noise = self.plan.data, self.plan.recipe, Noise(self.plan.noise.seed, batch.step)
        inputs = [self._cast(array[batch.rows]) for array in data.arrays()]
        targets = self._cast(data.targets[batch.rows])
        if self.augment:
            inputs[0] = self._augmented(inputs[0], noise)
        if self.mix:
            picture = inputs[0].shape[1:3] if inputs[0].ndim == 4 else ()
            inputs[0], targets = self.mix(inputs[0], targets, recipe.mixing.draw(noise, len(batch.rows), *picture))
        return self._fed(inputs, targets)

    def held_out(self, index: int) -> tuple[Any, Any]:
        """The held-out samples of this number, as many at once as in a batch."""
        assert self.plan.data.held_out is not None
        arrays, targets = self.plan.data.held_out
        rows = slice(index * self.plan.batch_size, (index + 1) * self.plan.batch_size)
        inputs, wanted = [self._cast(array[rows]) for array in several(arrays)], self._cast(targets[rows])
        if self.augment:
            inputs[0] = self._augmented(inputs[0], None)
        if self.mix:  # then the loss takes probabilities
            wanted = self._cast(self.plan.recipe.mixing.probabilities(targets[rows]))
        return self._fed(inputs, wanted)

    def _augmented(self, images: Any, noise: Noise | None) -> Any:
        """The images as drawn; without draws as for evaluation."""
        spec, shape = self.plan.recipe.augmentation, images.shape[: 3 if images.ndim == 4 else 1]
        return self.augment(images, spec.draw(noise, *shape) if noise else spec.centre(*shape))

    def _cast(self, array: Any) -> Any:
        array = number(array)
        return array.astype(self.dtype, copy=False) if array.dtype.kind == "f" else array

    def _fed(self, inputs: list[Any], targets: Any) -> tuple[Any, Any]:
        """A network of several outputs has its targets for each of them."""
        return tuple(inputs) if len(inputs) > 1 else inputs[0], (
            targets if self.outputs == 1 else (targets,) * self.outputs
        )


class Batches(keras.utils.PyDataset):
    """The batches of an epoch."""

    def __init__(self, feed: Feed, epoch: int) -> None:
        super().__init__()
        self.feed, self.epoch = feed, epoch

    def __len__(self) -> int:
        return len(self.feed.plan.batches(self.epoch))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.feed.batch(self.feed.plan.batches(self.epoch)[index])


class HeldOut(keras.utils.PyDataset):
    """The held-out samples, in order."""

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self.feed = feed

    def __len__(self) -> int:
        samples = len(self.feed.plan.data.held_out[1])  # type: ignore[index]
        return -(-samples // self.feed.plan.batch_size)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.feed.held_out(index)
