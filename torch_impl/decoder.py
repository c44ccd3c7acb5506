"""A network that writes, fed token by token. See `Decoder` in core/backend.py."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import nn

from ..core.backend import Call
from .cache import Cache


class CachedDecoder:
    """Each step computes the new positions alone; `watched` runs them in evaluation mode and records calls."""

    def __init__(self, model: nn.Module, inputs: list[torch.Tensor], watched: Callable[[dict[str, Call]], Any]) -> None:
        self.model, self.inputs, self.watched = model, inputs, watched
        self.cache: Cache | None = None
        self.calls: dict[str, Call] = {}

    def step(self, tokens: np.ndarray) -> np.ndarray:
        """The logits after the last of these tokens, (batch, time) -> (batch, channels)."""
        self.calls.clear()
        with torch.no_grad(), self._watching():
            if self.cache is None:
                self.cache = self.model.start(len(tokens), *self.inputs)
            logits = self.model.decode(torch.from_numpy(tokens).to(self.cache.tokens.device), self.cache)
        return logits[:, -1].cpu().numpy()

    def reorder(self, rows: np.ndarray) -> None:
        """Go on with these rows, in this order; one may be there several times."""
        chosen = torch.from_numpy(rows).to(self.cache.tokens.device)
        self.cache.load([tensor[chosen] for tensor in self.cache.tensors()])

    def _watching(self) -> AbstractContextManager[None]:
        return self.watched(self.calls)
