"""What a weight has to do with the one that should hold the same: a summand, a factor, a part, rounding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import verdict
from ..formulas.activations import activation, scaling
from ..formulas.found import digits, sample
from ..formulas.precisions import ROUNDINGS
from .identifying import identified

Array = NDArray[Any]
SCREEN = 10_000
NEEDED = verdict.IDENTIFIED["float32"]


@np.errstate(all="ignore")
def related(torch: Array, keras: Array, parts: Mapping[str, Array] | Sequence[Array] = ()) -> str:
    """How Keras's numbers come from PyTorch's, as a part of a sentence, or "" where no way is found.

    Both are of one shape and in canonical axes. `parts` are the arrays of which PyTorch's is the sum, by their names.
    """
    if torch.shape != keras.shape or not torch.size or torch.dtype.kind != "f" or keras.dtype.kind != "f":
        return ""
    few = np.unravel_index(sample(torch.size), torch.shape)  # a way that holds here is then tried on all of it
    if torch.size > SCREEN and not related(torch[few], keras[few], {name: part[few] for name, part in _named(parts)}):
        return ""
    one, other = torch.astype(np.float64), keras.astype(np.float64)
    named = dict(_named(parts))
    if len(named) > 1:
        for name, part in named.items():
            if digits(part, other) >= NEEDED:
                return f"Keras holds `{name}` alone, without {_rest(name, named)}"
    if not np.any(other):
        return "Keras holds nothing but zeros"
    for kind in ROUNDINGS:
        if np.array_equal(ROUNDINGS[kind](one), other):
            return f"Keras's numbers are PyTorch's, rounded to {kind}"
        if np.array_equal(one, ROUNDINGS[kind](other)):
            return f"PyTorch's numbers are Keras's, rounded to {kind}"
    found = identified((one,), other, {}, NEEDED, (scaling, activation))
    if found and found[0].phrase != "{0} itself":
        return f"Keras holds {found[0].of(OWNER)}"
    back = identified((other,), one, {}, NEEDED, (activation,))
    return f"PyTorch holds {back[0].of(OTHER)}" if back else ""


OWNER, OTHER = "PyTorch's numbers", "Keras's numbers"


def _named(parts: Mapping[str, Array] | Sequence[Array]) -> Iterable[tuple[str, Array]]:
    return (
        parts.items() if isinstance(parts, Mapping) else ((f"part {place}", part) for place, part in enumerate(parts))
    )


def _rest(name: str, parts: Mapping[str, Array]) -> str:
    return " and ".join(f"`{other}`" for other in parts if other != name)
