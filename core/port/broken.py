"""What holds no number: whatever it reaches holds none either, and nothing of that can be compared."""

from __future__ import annotations

import numpy as np

from .carrying import canonical
from .findings import Fault
from .layouts import Array
from .porting import Porting


def broken(porting: Porting) -> tuple[str, Fault] | None:
    """The first weight of both with NaN in it, or else the first step that overflows in both; with the layer, or None.

    Infinities below all numbers are none of this: they mask.
    """
    for match in porting.mapping.matches:
        array = canonical(match, porting.states["torch"], "torch")
        if array.dtype.kind == "f" and (count := int(np.sum(np.isnan(array)))):
            names = " + ".join(piece.tensor for piece in match.torch)
            text = f"{count} of {array.size} values of PyTorch's `{names}` are NaN, and so is what they reach"
            return match.name, Fault(*match.layers, "weight", f"{text}: load or train the model anew, and compare then")
    if not all(any(map(_overflows, trace.outputs.values())) for trace in porting.traces.values()):
        return None
    for index, pair in enumerate(porting.pairs):
        ours, theirs = (_overflows(array) for array in porting.results(index))
        if ours and theirs:
            text = (
                f"{ours} values that PyTorch's `{pair.torch.name}` gives and {theirs} that Keras's `{pair.keras.name}` "
                "gives are not finite, and nothing behind them can be compared; give inputs that do not overflow"
            )
            return pair.torch.name, Fault(pair.torch.name, pair.keras.name, pair.torch.role, text, index)
    return None


def _overflows(array: Array) -> int:
    return int(np.sum(~np.isfinite(array) & ~np.isneginf(array))) if array.dtype.kind == "f" else 0
