"""The same tensors under the same names in another file."""

from __future__ import annotations

from .planned import Planned
from .stored import Held


def planned(held: Held) -> tuple[Planned, ...]:
    """Every tensor as it is."""
    return tuple(
        Planned(name, tensor.code, tensor.shape, (name,), tensor.raw, layer=tensor.note)
        for name, tensor in held.tensors.items()
    )
