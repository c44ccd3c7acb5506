"""Batches by a budget of tokens. See core/techniques/dynamic_batching.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Sampler

from ...core.batching import inputs_and_target
from ...core.technique import Arrays
from ...core.techniques.dynamic_batching import DynamicBatching as Spec
from . import cross_entropy


class Batches(Sampler[list[int]]):
    """The `batch_sampler` of a `DataLoader`. The lengths are (samples) or (samples, sequences)."""

    def __init__(self, spec: Spec, lengths: Any) -> None:
        super().__init__()
        self.spec, self.lengths = spec, lengths
        self.set_epoch(0)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.batches:
            yield batch.tolist()

    def set_epoch(self, epoch: int) -> None:
        self.epoch, self.batches = epoch, self.spec.plan(self.lengths, epoch)


def collate(spec: Spec, samples: Sequence[Any]) -> Any:
    padded = []
    for column in spec.columns(samples):
        rows = [torch.from_numpy(sequence) for sequence in column]
        x = pad_sequence(rows, batch_first=True, padding_value=spec.pad_token_id)  # (batch, time)
        padded.append(F.pad(x, (0, spec.padded(x.shape[1]) - x.shape[1]), value=spec.pad_token_id))
    return inputs_and_target(padded)


def build(spec: Spec, samples: Any, lengths: Any = None) -> DataLoader[Any]:
    sampler = Batches(spec, spec.lengths(samples, lengths))
    return DataLoader(samples, batch_sampler=sampler, collate_fn=partial(collate, spec))


def table_loss(spec: Spec, tables: Sequence[torch.Tensor], batch: Any) -> torch.Tensor:
    """The loss of the case's network: two tables, and the mean over the source's real tokens."""
    (source, given), wanted = batch
    real = (source != spec.pad_token_id).unsqueeze(-1).to(tables[0].dtype)  # (batch, time, 1)
    context = (F.embedding(source, tables[0]) * real).sum(1) / real.sum(1)  # (batch, channels)
    logits = F.embedding(given, tables[1]) + context.unsqueeze(1)  # (batch, time, channels)
    return cross_entropy.build(spec.loss())(logits, wanted)


def trace(spec: Spec, case: Arrays) -> Arrays:
    loader, result = build(spec, spec.samples(case)), {}
    tables = {name: torch.tensor(case[name], requires_grad=True) for name in ("source table", "given table")}
    for epoch in range(2):
        loader.batch_sampler.set_epoch(epoch)
        batches = list(loader)
        losses = torch.stack([table_loss(spec, list(tables.values()), batch) for batch in batches])
        gradients = torch.autograd.grad(losses.sum(), list(tables.values()))
        arrays = {
            "samples": torch.tensor([index for batch in loader.batch_sampler for index in batch]).numpy(),
            **spec.described([[x.numpy() for x in (*inputs, target)] for inputs, target in batches]),
            "losses": losses.detach().numpy(),
            **{f"gradient of {name}": found.numpy() for name, found in zip(tables, gradients, strict=True)},
        }
        result |= {f"{name} of epoch {epoch}": array for name, array in arrays.items()}
    return result
