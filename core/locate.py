"""Which part is at fault: taps are compared in order, and then the parts are replayed in isolation.

In a replay, a part of one side is fed the other side's input to that part. Accumulated error disappears, so the part
whose own output, gradient or buffer differs is the one at fault. The taps only say which replay to begin with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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

NETWORK = ""


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


def suspects(pair: Pair) -> list[str]:
    """The parts that both sides give the same in a training pass, and that give something else; in order."""

    def job(side: str, state: State, batches: list[Arrays]) -> Arrays:
        model = pair.loaded(side, state)
        run = pair.side(side).forward(model, batches[0], training=True, noise=pair.noise(), taps=True)
        result = {_output(name): call.output for name, call in run.calls.items()}
        for name, call in run.calls.items():
            given = {_input(name, index): value for index, value in enumerate(call.inputs) if value is not None}
            result |= given
        return {**result, **{f"{_output(NETWORK)} {name}": output for name, output in run.outputs.items()}}

    found = pair.measure(job, pair.batches(), wide=False)
    wrong = {item.name for item in found if item.verdict is not Verdict.EQUAL}
    names = [
        part.name
        for part in pair.spec.parts()
        if _output(part.name) in wrong and not any(_input(part.name, i) in wrong for i in range(len(part.inputs)))
    ]
    return [*names, NETWORK] if any(name.startswith(f"{_output(NETWORK)} ") for name in wrong) else names


def _input(name: str, index: int) -> str:
    return f"input {index} of {name}"


def _output(name: str) -> str:
    return f"output of {name}"


def root(pair: Pair) -> tuple[Part, Call]:
    """The network itself as a part, for what no other part explains."""
    spec, batch = pair.spec, pair.batches()[0]
    run = pair.side("torch").forward(pair.loaded("torch", pair.state), batch, training=True, noise=pair.noise())
    part = Part(NETWORK, tuple(tensor.axes for tensor in spec.inputs()), spec.outputs()[0].axes)
    return part, Call(tuple(batch[tensor.name] for tensor in spec.inputs()), next(iter(run.outputs.values())))


class Search:
    """Replays from the outside in, each done once."""

    def __init__(self, pair: Pair) -> None:
        taps = calls(pair)
        self.pair = pair
        self.called = {part.name: (part, taps[part.name]) for part in pair.spec.parts() if part.name in taps}
        self.called[NETWORK] = root(pair)
        self.worst: dict[str, Comparison | None] = {}

    def within(self, name: str) -> Iterator[str]:
        """The parts of a part, without the parts of these."""
        return (other for other in self.called if other and self._holder(other) == name)

    def _holder(self, name: str) -> str:
        steps = name.split(".")
        around = (".".join(steps[:count]) for count in range(len(steps) - 1, 0, -1))
        return next((other for other in around if other in self.called), NETWORK)

    def fault(self, name: str) -> Fault | None:
        """The first part at fault within a part, or that part itself; None where it agrees in isolation."""
        if name not in self.worst:
            self.worst[name] = compare.worst(replayed(self.pair, *self.called[name]))
        worst = self.worst[name]
        if worst is None or worst.verdict is Verdict.EQUAL:
            return None
        inner = next(filter(None, map(self.fault, self.within(name))), None)
        return inner or Fault(name or self.pair.spec.name, describe(worst))


def locate(pair: Pair) -> Fault | None:
    """The first part at fault. Parts come in the order in which they finish, so no inner part of it is at fault.

    None where every part agrees in isolation. A part that the network never calls is the fault of what contains it.
    Most faults show in the taps, where one replay is enough. What only evaluation, gradients or buffers show is looked
    for from the outside in, since a part that agrees hardly has a fault within; and at last in every part there is.
    """
    search = Search(pair)
    names = [*suspects(pair), *search.within(NETWORK), NETWORK, *search.called]
    return next(filter(None, (search.fault(name) for name in names if name in search.called)), None)


def describe(worst: Comparison) -> str:
    """What differs when the part is given the same input on both sides."""
    if worst.complaint:
        return f"given the same input, its {worst.name}: {worst.complaint}"
    return f"given the same input, its {worst.name} differs by {worst.difference:.1e}, {worst.ratio:.1e} noise floors"


def of_weights(weights: Sequence[str]) -> str | None:
    """The part that holds the first of some weights."""
    return weights[0].rpartition(".")[0] if weights else None
