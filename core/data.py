"""What a network is trained on: samples with their targets, and some that are held out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

DIGESTED = 1000
Inputs = NDArray[Any] | tuple[NDArray[Any], ...]


@dataclass(frozen=True)
class Data:
    """Samples, (samples, ...), with targets, (samples, ...); several inputs are a tuple, in the network's order.

    Images and the like are channels last for a network that Diglot built, and as the framework has them for any other.

    `held_out` are inputs and targets to evaluate on. `difficulties` in 0..1, (samples), are what a curriculum goes by.

    Raises InputError for arrays of unequal lengths, and for none.
    """

    inputs: Inputs
    targets: NDArray[Any]
    held_out: tuple[Inputs, NDArray[Any]] | None = None
    difficulties: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        _same_lengths("the data", (*self.arrays(), self.targets))
        if self.difficulties is not None:
            _same_lengths("the difficulties and the data", (np.asarray(self.difficulties), self.targets))
        if self.held_out is not None:
            if not isinstance(self.held_out, tuple) or len(self.held_out) != 2:
                raise InputError("held_out must be a pair of inputs and targets")
            _same_lengths("the held-out data", (*several(self.held_out[0]), self.held_out[1]))

    def arrays(self) -> tuple[NDArray[Any], ...]:
        """The inputs, one or several."""
        return several(self.inputs)

    def __len__(self) -> int:
        return len(self.targets)

    def digest(self) -> str:
        """What tells these data from others of the same shapes: a hash of all targets, and of a thousand inputs."""
        rows = np.unique(np.linspace(0, len(self) - 1, DIGESTED).astype(int))
        hashed = hashlib.sha256(np.ascontiguousarray(self.targets).tobytes())
        chosen = (*self.arrays(), *(() if self.difficulties is None else (np.asarray(self.difficulties),)))
        for array in chosen:
            hashed.update(np.ascontiguousarray(array[rows]).tobytes())
        return hashed.hexdigest()


def number(array: NDArray[Any]) -> NDArray[Any]:
    """Pixels of unsigned bytes as floats, and whole numbers and truths as int64, which both frameworks take."""
    if array.dtype == np.uint8:
        return array.astype(np.float32)
    return array.astype(np.int64, copy=False) if array.dtype.kind in "iub" else array


def several(inputs: Inputs) -> tuple[NDArray[Any], ...]:
    """Inputs as a tuple, where there may be one."""
    return tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)


def _same_lengths(what: str, arrays: tuple[NDArray[Any], ...]) -> None:
    for array in arrays:
        if not isinstance(array, np.ndarray) or array.ndim == 0 or array.dtype.kind not in "fiub":
            given = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise InputError(f"{what} must be NumPy arrays of numbers, (samples, ...), not {given}")
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) != 1:
        raise InputError(f"{what} must have one number of samples, not {', '.join(map(str, lengths))}")
    if not lengths[0]:
        raise InputError(f"{what} must have at least one sample")
