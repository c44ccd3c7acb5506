"""Curriculum learning. See core/techniques/curriculum.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler, TensorDataset

from ...core.technique import Arrays
from ...core.techniques.curriculum import Curriculum as Spec


class Curriculum(Sampler[int]):
    """The `sampler` of a `DataLoader`."""

    def __init__(self, spec: Spec, difficulties: Any) -> None:
        super().__init__()
        self.spec, self.difficulties = spec, spec.checked(difficulties)
        self.set_epoch(0)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[int]:
        yield from self.rows.tolist()

    def set_epoch(self, epoch: int) -> None:
        self.epoch, self.rows = epoch, self.spec.rows(self.difficulties, epoch)


def build(spec: Spec, arrays: Any, difficulties: Any, batch_size: int = 32) -> DataLoader[Any]:
    samples = TensorDataset(*map(torch.as_tensor, arrays))
    return DataLoader(samples, batch_size=batch_size, sampler=Curriculum(spec, difficulties))


def trace(spec: Spec, case: Arrays) -> Arrays:
    loader = build(spec, [np.arange(len(case["difficulties"]))], case["difficulties"], spec.BATCH)
    result: Arrays = {}
    for epoch in spec.EPOCHS:
        loader.sampler.set_epoch(epoch)
        batches = [rows.numpy() for (rows,) in loader]
        result[f"rows of epoch {epoch}"] = np.concatenate(batches)
        result[f"batches of epoch {epoch}"] = np.array(len(loader))
    return result
