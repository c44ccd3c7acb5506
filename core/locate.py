"""Isolated replay: each part of one side is fed the other side's input to that part.

Accumulated error disappears, so the part whose own output, gradient or buffer differs is the one at fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from . import compare
from .backend import Call
from .compare import Comparison
from .noise import generator
from .pair import Pair
from .spec import Part
from .state import State
from .technique import Arrays
from .verdict import Verdict


@dataclass(frozen=True)
class Fault:
    """The part at fault, by its canonical name (that of the spec for the network itself), and a sentence on it."""

    part: str
    cause: str


def calls(pair: Pair) -> dict[str, Call]:
    """The call of every part of the PyTorch side, in training mode."""
    model = pair.loaded("torch", pair.state)
    return pair.side("torch").forward(model, pair.batches()[0], training=True, noise=pair.noise(), taps=True).calls


def replayed(pair: Pair, part: Part, call: Call) -> list[Comparison]:
    """One part alone on both sides, compared."""
    cotangent = generator(pair.seed, f"cotangent {part.name}").standard_normal(call.output.shape)

    def job(side: str, state: State, batches: list[Arrays]) -> Arrays:
        inputs = [batches[0].get(str(index)) for index in range(len(call.inputs))]
        return pair.side(side).replay(pair.loaded(side, state), part, inputs, cotangent, pair.noise())

    return pair.measure(job, [{str(index): value for index, value in enumerate(call.inputs) if value is not None}])


def root(pair: Pair) -> tuple[Part, Call]:
    """The network itself as a part, for what no other part explains."""
    spec, batch = pair.spec, pair.batches()[0]
    run = pair.side("torch").forward(pair.loaded("torch", pair.state), batch, training=True, noise=pair.noise())
    part = Part("", tuple(tensor.axes for tensor in spec.inputs()), spec.outputs()[0].axes)
    return part, Call(tuple(batch[tensor.name] for tensor in spec.inputs()), next(iter(run.outputs.values())))


def locate(pair: Pair) -> Fault | None:
    """The first part at fault. Parts come in the order in which they finish, so no inner part of it is at fault.

    None where every part agrees in isolation. A part that the network never calls is the fault of what contains it.
    """
    taps = calls(pair)
    called = [(part, taps[part.name]) for part in pair.spec.parts() if part.name in taps]
    for part, call in [*called, root(pair)]:
        worst = compare.worst(replayed(pair, part, call))
        if worst is not None and worst.verdict is not Verdict.EQUAL:
            return Fault(part.name or pair.spec.name, describe(worst))
    return None


def describe(worst: Comparison) -> str:
    """What differs when the part is given the same input on both sides."""
    if worst.complaint:
        return f"given the same input, its {worst.name}: {worst.complaint}"
    return f"given the same input, its {worst.name} differs by {worst.difference:.1e}, {worst.ratio:.1e} noise floors"


def of_weights(weights: Sequence[str]) -> str | None:
    """The part that holds the first of some weights."""
    return weights[0].rpartition(".")[0] if weights else None
