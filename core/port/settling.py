"""Which features are which where only the numbers tell: what reaches a dense layer is the same, in another order.

PyTorch may flatten tokens channel by channel and Keras place by place, and no layer says so. Both models are run on one
state; where the same numbers reach both layers in another order of two axes, the kernel's rows lie in that order too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from ..technique import Arrays
from .carrying import carried
from .given import Given
from .holding import holds
from .layer import Trace
from .layouts import Array, Layout
from .mapping import Match, WeightMapping
from .piece import Piece
from .subject import Subject

ROUNDS = 4
PARTS = {"float64": 1e6, "float32": 1e3}  # numbers that agree to so many parts are the same


def settled(
    subjects: Mapping[str, Subject], mapping: WeightMapping, states: Mapping[str, Arrays], told: Given
) -> WeightMapping:
    """The mapping with the order of features as both models' runs show it. The Keras subject's weights are changed."""
    if not any(_plain(match) for match in mapping.matches):
        return mapping
    batch = told.batch()
    ours = subjects["torch"].run(told.of("torch", batch))
    for _ in range(ROUNDS):  # behind one layer that is settled, the next may be seen
        subjects["keras"].write(carried(mapping, states["torch"], states["keras"], "keras"))
        theirs = subjects["keras"].run(told.of("keras", batch))
        found = {match.name: order for match in mapping.matches if (order := _order(match, ours, theirs, subjects))}
        if not found:
            break
        matches = [_laid(match, found[match.name]) if match.name in found else match for match in mapping.matches]
        said = [
            f"{name}: what reaches it is the same in another order, ({' '.join(map(str, order.sizes))}) in PyTorch"
            for name, order in found.items()
        ]
        mapping = WeightMapping(tuple(matches), mapping.ignored, (*mapping.settled, *said))
    return mapping


def _plain(match: Match) -> bool:
    return (
        match.axes.startswith("in out")
        and len(match.torch) == len(match.keras) == 1
        and not any(piece.pick or piece.span for piece in (*match.torch, *match.keras))
        and {"in", "out"} == set(match.torch[0].axes.split()) == set(match.keras[0].axes.split())
    )


def _order(match: Match, ours: Trace, theirs: Trace, subjects: Mapping[str, Subject]) -> Layout | None:
    """The order of the features in which the same numbers reach both layers, where it is not the same order."""
    if not _plain(match):
        return None
    one, other = _given(ours, match.layers[0], "torch"), _given(theirs, match.layers[1], "keras")
    if one is None or other is None or one.shape != other.shape or one.ndim < 2:
        return None
    parts = min(PARTS[subject.precision] for subject in subjects.values())
    if _same(one, other, parts):
        return None
    for sizes in _factors(one.shape[-1], (ours, theirs)):
        layout = Layout("flat", sizes)
        if _same(layout.to_keras(one), other, parts):
            return layout
    return None


def _given(trace: Trace, layer: str, side: str) -> Array | None:
    """What a layer that is called once is given."""
    calls = [step for step in trace.steps if step.layer == layer and step.role == "dense" and holds(step, layer, side)]
    return calls[0].inputs[0] if len(calls) == 1 and calls[0].inputs else None


def _factors(size: int, traces: Iterable[Trace]) -> list[tuple[int, int]]:
    """The pairs of sizes that make up the features, of arrays that were there before."""
    found: dict[tuple[int, int], None] = {}
    for trace in traces:
        for step in trace.steps:
            for array in (*step.inputs, *step.outputs):
                for cut in range(2, array.ndim):
                    one, two = int(np.prod(array.shape[1:cut])), int(np.prod(array.shape[cut:]))
                    if one * two == size and one > 1 and two > 1:
                        found |= {(one, two): None, (two, one): None}
    return list(found)


def _same(one: Array, other: Array, parts: float) -> bool:
    if not np.all(np.isfinite(one)) or not np.all(np.isfinite(other)):
        return False
    return bool(np.max(np.abs(one - other)) * parts <= np.max(np.abs(other)))


def _laid(match: Match, order: Layout) -> Match:
    channels, places = order.sizes
    sizes = (("channels", channels), ("places", places))
    axes = match.axes.replace("in", "(places channels)", 1)
    torch, keras = (
        (_folded(match.torch[0], "(channels places)", sizes),),
        (_folded(match.keras[0], "(places channels)", sizes),),
    )
    return replace(match, axes=axes, torch=torch, keras=keras)


def _folded(piece: Piece, axes: str, sizes: tuple[tuple[str, int], ...]) -> Piece:
    words = [axes if word == "in" else word for word in piece.axes.split()]
    return replace(piece, axes=" ".join(words), factors=(*piece.factors, *sizes))
