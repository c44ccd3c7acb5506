"""Whether a comparison could have failed: outputs must move when the inputs do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..compare import Comparison
from ..errors import InputError
from ..technique import Arrays
from .layouts import Array
from .porting import Porting


def moved(porting: Porting, outputs: Sequence[Comparison]) -> float | None:
    """How far any output moves, in noise floors, when every input's numbers change places; PyTorch's model is asked.

    None where the model takes none of the changed inputs. A discrete output that changes has moved infinitely far.
    """
    base = porting.seen("torch", porting.traces["torch"])
    tried = 0
    found = 0.0
    for turned in (_within, _among):
        batch = {name: turned(array) for name, array in porting.given.batch().items()}
        try:
            given = porting.subjects["torch"].run(porting.given.of("torch", batch), watch=False).outputs
        except InputError:  # lengths and masks may not be changed at will
            continue
        tried += 1
        found = max([found, *(_movement(porting, item, base, given) for item in outputs)])
    return found if tried else None


def _movement(porting: Porting, item: Comparison, base: Arrays, given: Arrays) -> float:
    output = next(one for one in porting.outputs if f"output {one.name}" == item.name)
    if output.torch is None:
        return 0.0
    before, now = base[item.name], porting.laid("torch", item.name, given[output.torch])
    if now.shape != before.shape or now.dtype.kind != "f":
        return 0.0 if np.array_equal(now, before) else np.inf
    return float(np.max(np.abs(now - before), initial=0.0)) / item.floor if item.floor else 0.0


def _within(array: Array) -> Array:
    """The numbers of each sample one place further."""
    flat = array.reshape(array.shape[0], -1) if array.ndim > 1 else array.reshape(1, -1)
    return np.roll(flat, 1, axis=1).reshape(array.shape)


def _among(array: Array) -> Array:
    """Each sample in the place of the next."""
    return np.roll(array, 1, axis=0) if array.ndim else array
