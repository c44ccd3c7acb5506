"""Curriculum learning. See core/techniques/curriculum.py."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from ...core.technique import Arrays
from ...core.techniques.curriculum import Curriculum as Spec


@functools.total_ordering
class Count:
    """The number of batches as it is now. `fit` asks for it once, and would cut every epoch to the first one's."""

    def __init__(self, batches: Callable[[], int]) -> None:
        self.batches = batches

    def __index__(self) -> int:
        return self.batches()

    def __eq__(self, other: object) -> bool:
        return int(self) == other

    def __lt__(self, other: int) -> bool:
        return int(self) < other

    def __sub__(self, other: int) -> int:
        return int(self) - other

    def __rtruediv__(self, other: float) -> float:
        return other / int(self)


class Curriculum(keras.utils.PyDataset):
    """What `fit` takes."""

    def __init__(self, spec: Spec, arrays: Any, difficulties: Any, batch_size: int, **options: Any) -> None:
        super().__init__(**options)
        self.spec, self.arrays, self.batch_size = spec, tuple(map(np.asarray, arrays)), batch_size
        self.difficulties = spec.checked(difficulties)
        self.set_epoch(0)

    def __len__(self) -> int:
        return len(self.batches)

    @property
    def num_batches(self) -> Count:
        return Count(self.__len__)

    def __getitem__(self, index: int) -> Any:
        return tuple(array[self.batches[index]] for array in self.arrays)

    def set_epoch(self, epoch: int) -> None:
        self.epoch, self.begun = epoch, False
        self.batches = list(self.spec.batches(self.spec.rows(self.difficulties, epoch), self.batch_size))

    def on_epoch_begin(self) -> None:
        self.begun = True

    def on_epoch_end(self) -> None:
        # Keras calls this once before the first epoch, too.
        if self.begun:
            self.set_epoch(self.epoch + 1)


def build(spec: Spec, arrays: Any, difficulties: Any, batch_size: int = 32) -> Curriculum:
    return Curriculum(spec, arrays, difficulties, batch_size)


def trace(spec: Spec, case: Arrays) -> Arrays:
    dataset = build(spec, [np.arange(len(case["difficulties"]))], case["difficulties"], spec.BATCH)
    result: Arrays = {}
    for epoch in spec.EPOCHS:
        dataset.set_epoch(epoch)
        result[f"rows of epoch {epoch}"] = np.concatenate([dataset[index][0] for index in range(len(dataset))])
        result[f"batches of epoch {epoch}"] = np.array(len(dataset))
    return result
