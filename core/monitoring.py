"""What is wrong with a training, from its gradients layer by layer: the same findings on both sides."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .field import fraction, positive, validate
from .history import STATISTICS, History

KINDS = ("not finite", "exploding", "vanishing", "no gradient", "dead units")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """From where on a number is a finding. The norm of a layer is that of all its weights' gradients together.

    Fields:
        vanishing: a layer's norm, as a fraction of the median of all layers, below which it vanishes. In a first step
            from usual initial weights, Diglot's own architectures have layers from 0.015 to 100 times their median: so
            much is a matter of width and place. The limit lies three times further out.
        exploding: a layer's norm, as a multiple of the median, above which it explodes; ten times further out than
            the largest of those.
        largest: a norm above which a layer explodes whatever the others do. Losses are means of about 1, and gradients
            are clipped at 1 to 10 in practice: of a hundred times that, clipping leaves the direction alone.
        dead: the share of a layer's units that are dead. A unit that is on for half of all inputs is off for all of a
            batch of 64 once in 10^19. Deep and narrow networks lose some from the start, as their samples grow alike;
            of a layer that has lost half, half of the weights no longer learn.

    Raises SpecError for a value against its rule.
    """

    vanishing: float = fraction(5e-3)
    exploding: float = positive(1e3)
    largest: float = positive(1e3)
    dead: float = fraction(0.5)

    def __post_init__(self) -> None:
        validate(self, "limits")


@dataclass(frozen=True)
class Finding:
    """One anomaly of one layer. `steps` are those of the first and the last time that it was seen."""

    kind: str
    layer: str
    value: float
    message: str
    steps: tuple[int, int] | None = None

    def __str__(self) -> str:
        return self.message if self.steps is None else f"{self.message} (step{_range(*self.steps)})"


def layer_of(weight: str) -> str:
    """The layer of a weight: what stands before its last name, `hidden.0` of `hidden.0.kernel` and `d` of `d/bias`."""
    for mark in ("/", "."):
        if mark in weight:
            return weight.rpartition(mark)[0]
    return weight


def layer_norms(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, float]:
    """The norm of each layer's gradient, in the order of the weights."""
    found: dict[str, float] = {}
    for name, norm in zip(names, values[:, STATISTICS.index("norm")], strict=True):
        found[layer_of(name)] = math.hypot(found.get(layer_of(name), 0.0), norm)
    return found


def anomalies(
    names: Sequence[str], values: Any, dead: Mapping[str, float] | None = None, limits: Limits | None = None
) -> list[Finding]:
    """The anomalies of one step, from its flow, (weights, statistics) in order of depth, and its shares of dead units.

    A layer vanishes where its norm is below the limit and every layer behind it, up to one that vanishes too, has a
    larger one: the gradient has shrunk on its way to the input. It explodes where its norm is above the first limit and
    that of the layer behind it is smaller, or above the second in any case. Layers without any gradient, each element
    of which is exactly 0, are a finding of their own and count in no median.

    Raises InputError for values that are not one row of statistics for each name.
    """
    limits, array = limits or Limits(), np.asarray(values, np.float64)
    if array.shape != (len(names), len(STATISTICS)):
        raise InputError(
            f"the flow has the shape {array.shape}; give ({len(names)}, {len(STATISTICS)}), one row for each weight"
        )
    norms = layer_norms(names, array)
    found = [*_norms(norms, limits)]
    for layer, share in (dead or {}).items():
        if share > limits.dead:
            found.append(
                Finding("dead units", layer, share, f"{layer}: {share:.0%} of the units are dead, 0 for every sample")
            )
    depth = [*norms, *(dead or {})]
    return sorted(found, key=lambda finding: (KINDS.index(finding.kind), depth.index(finding.layer)))


def _norms(norms: dict[str, float], limits: Limits) -> Iterator[Finding]:
    finite = {layer: norm for layer, norm in norms.items() if np.isfinite(norm)}
    for layer in [layer for layer in norms if layer not in finite]:
        yield Finding("not finite", layer, norms[layer], f"{layer}: the gradient is not finite")
    for layer in [layer for layer, norm in finite.items() if norm == 0]:
        yield Finding("no gradient", layer, 0.0, f"{layer}: no gradient reaches it, every element is 0")
    flowing = {layer: norm for layer, norm in finite.items() if norm > 0}
    if not flowing:
        return
    median, behind, vanishes = statistics.median(flowing.values()), float("inf"), False
    nearest = 0.0
    for layer, norm in reversed(flowing.items()):  # from the output to the input
        times = f"{norm / median:.1e} times the median of the layers, {median:.1e}"
        vanishes = norm < limits.vanishing * median and (vanishes or norm < behind)
        if vanishes:
            yield Finding("vanishing", layer, norm, f"{layer}: the gradient vanishes, its norm {norm:.1e} is {times}")
        elif norm > limits.largest:
            word = f"the gradient explodes, its norm {norm:.1e} is above {limits.largest:.1e}"
            yield Finding("exploding", layer, norm, f"{layer}: {word}")
        elif norm > limits.exploding * median and norm > nearest > 0:
            yield Finding("exploding", layer, norm, f"{layer}: the gradient explodes, its norm {norm:.1e} is {times}")
        behind, nearest = min(behind, norm), norm


def find(history: History, limits: Limits | None = None) -> list[Finding]:
    """The anomalies of every step of a history, each as it was last seen, with the first and the last such step."""
    found: dict[tuple[str, str], Finding] = {}
    steps = sorted({flow.step for flow in history.flows} | {step for kept in history.dead.values() for step in kept})
    flows = {flow.step: flow for flow in history.flows}
    for step in steps:
        flow = flows.get(step)
        names, values = (flow.names, flow.values) if flow else ((), np.empty((0, len(STATISTICS))))
        dead = {layer: kept[step] for layer, kept in history.dead.items() if step in kept}
        for finding in anomalies(names, values, dead, limits):
            key = finding.kind, finding.layer
            first = found[key].steps if key in found else None
            found[key] = replace(finding, steps=(first[0] if first else step, step))
    return sorted(found.values(), key=lambda finding: KINDS.index(finding.kind))


def _range(first: int, last: int) -> str:
    return f" {first}" if first == last else f"s {first} to {last}"
