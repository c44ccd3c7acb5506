"""Which formula gives an output from what went in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import verdict
from ..formulas.activations import activation, scaling
from ..formulas.attention import attention
from ..formulas.combining import combining
from ..formulas.convolutions import convolution, transposed
from ..formulas.found import Family, Found
from ..formulas.linear import dense
from ..formulas.lookup import lookup
from ..formulas.masking import masking
from ..formulas.movements import movement
from ..formulas.normalisations import normalisation
from ..formulas.pooling import pooling
from ..formulas.recurrent import recurrent
from ..formulas.reductions import reduction, selection
from ..formulas.resizing import resizing
from ..formulas.softmaxes import softmaxes

Array = NDArray[Any]

SLOW: tuple[Family, ...] = (pooling, resizing, convolution, transposed)
EXACT = 14.0
"""Where a formula agrees in so many digits, no other of its family is tried."""

UNARY: tuple[Family, ...] = (
    scaling,
    activation,
    movement,
    masking,
    softmaxes,
    reduction,
    selection,
    normalisation,
    pooling,
    resizing,
)
WEIGHTED: tuple[Family, ...] = (lookup, recurrent, attention, dense, convolution, transposed)


@np.errstate(all="ignore")
def identified(
    inputs: Sequence[Array],
    output: Array,
    tensors: Mapping[str, Array],
    needed: float = verdict.IDENTIFIED["float64"],
    families: Sequence[Family] | None = None,
) -> list[Found]:
    """The formulas that give the output from the inputs and weights, the best one of each family; simple ones go first.

    Floats are in Keras's layout, weights in their canonical axes. `needed` is the number of digits that must agree.
    """
    if not inputs or not output.size:
        return []
    chosen = families or (*WEIGHTED, *UNARY, combining)
    best: dict[str, Found] = {}
    for family in chosen:
        if best and family in SLOW:
            continue
        for found in family(inputs, output, tensors):
            held = best.get(found.family)
            if found.digits >= needed and (held is None or found.digits > held.digits):
                best[found.family] = found
            if found.digits >= EXACT:
                break
    return list(best.values())
