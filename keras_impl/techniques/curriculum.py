"""Curriculum learning. See core/techniques/curriculum.py."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from ...core.technique import Arrays
from ...core.techniques.curriculum import Curriculum as Spec


class Curriculum(keras.utils.PyDataset):
    """What `fit` takes."""

    def __init__(self, spec: Spec, arrays: Any, difficulties: Any, batch_size: int, **options: Any) -> None:
        super().__init__(**options)
        self.spec, self.arrays, self.batch_size = spec, tuple(map(np.asarray, arrays)), batch_size
        self.difficulties = spec.checked(difficulties)
        self.set_epoch(0)

    def __len__(self) -> int:
        return len(self.batches)

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
