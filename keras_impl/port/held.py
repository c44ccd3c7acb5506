"""A layer, what its class is known for, and where its variables are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...core.port.layer import Slot
from ...core.port.piece import Piece
from .naming import Names


def known(layer: Any, classes: Mapping[type, Any], method: str = "call") -> Any:
    """What is said of a layer's class, or None for a class whose `call`, or other method, is the user's own."""
    owner = next(kind for kind in type(layer).__mro__ if method in vars(kind))
    if owner.__module__.partition(".")[0] != "keras":
        return None
    return next((classes[kind] for kind in type(layer).__mro__ if kind in classes), None)


def holds(layer: Any, classes: Mapping[type, Any]) -> Any:
    """The same for the weights that a layer holds, whatever it computes with them."""
    return known(layer, classes, "build")


class Held:
    """A layer, and the names of its variables."""

    def __init__(self, layer: Any, path: str, names: Names) -> None:
        self.layer, self.path, self.names = layer, path, names

    def at(self, child: Any) -> Held:
        """The same for a layer within it."""
        return Held(child, self.names.paths[id(child)], self.names)

    def slot(
        self, name: str, axes: str, attribute: str, order: str = "", *, buffer: bool = False,
        factors: Mapping[str, int] | None = None, pick: Mapping[str, int] | None = None,
    ) -> list[Slot]:  # fmt: skip
        """The slot that lies in one variable of the layer; nothing where it has none."""
        variable = getattr(self.layer, attribute, None)
        if variable is None or id(variable) not in self.names.names:
            return []
        tensor = self.names.names[id(variable)]
        sizes, picked = tuple((factors or {}).items()), tuple((pick or {}).items())
        piece = Piece(tensor, order or axes, sizes, picked, self.names.stored.get(tensor, ""))
        shape = piece.read(np.broadcast_to(np.False_, tuple(variable.shape)), axes).shape
        return [Slot(name, axes, tuple(shape), (piece,), trainable=not buffer)]


def plain(name: str, variable: Any, names: Names) -> Slot:
    """A slot that is all of one variable, whose axes have no meaning."""
    tensor, shape = names.names[id(variable)], tuple(variable.shape)
    axes = numbered(len(shape))
    return Slot(
        name, axes, shape, (Piece(tensor, axes, stored=names.stored.get(tensor, "")),), bool(variable.trainable)
    )


def numbered(rank: int) -> str:
    """Axes without a meaning."""
    return " ".join(f"axis{index}" for index in range(rank)) or ""
