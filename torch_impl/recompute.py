"""Memory against time: results that are computed again in the backward pass instead of being kept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def recomputed(
    module: nn.Module, function: Callable[..., torch.Tensor], tensors: Sequence[torch.Tensor]
) -> torch.Tensor:
    """`function(*tensors)`, of which only the tensors are kept. `module` holds the statistics that the function moves.

    Running statistics move once: the second time, copies of them do.
    """
    contexts = lambda: (contextlib.nullcontext(), second_time(module))  # noqa: E731
    return checkpoint(function, *tensors, use_reentrant=False, context_fn=contexts)


@contextlib.contextmanager
def second_time(module: nn.Module) -> Iterator[None]:
    """What happens to the module's buffers is thrown away."""
    holders = [holder for holder in module.modules() if holder._buffers]
    kept = [dict(holder._buffers) for holder in holders]
    try:
        for holder, buffers in zip(holders, kept, strict=True):
            holder._buffers.update({name: None if it is None else it.clone() for name, it in buffers.items()})
        yield
    finally:
        for holder, buffers in zip(holders, kept, strict=True):
            holder._buffers.update(buffers)
