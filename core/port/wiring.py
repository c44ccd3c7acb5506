"""How a model's weighted layers hang together, as one run of it showed: what feeds what, and how deep each lies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .fingerprint import fingerprint, is_constant
from .layer import BLOCK, CUSTOM, Step, Trace
from .units import PROJECTIONS, Unit

ACTIVATIONS = frozenset(
    {"relu", "relu6", "sigmoid", "tanh", "silu", "softplus", "softsign", "mish", "selu", "hard_sigmoid", "hard_swish",
     "log_sigmoid", "exponential", "gelu", "leaky_relu", "elu", "softmax"}
)  # fmt: skip
PRODUCT, ATTENTION = "matmul", "scaled_dot_product_attention"
PLACED = frozenset({"concatenate", "stack", "subtract", "divide", PRODUCT, ATTENTION})
ATTENDED = {
    **{frozenset({(ATTENTION, place)}): part for place, part in enumerate(PROJECTIONS)},
    frozenset({(PRODUCT, 0)}): "query",
    frozenset({(PRODUCT, 0), (PRODUCT, 1)}): "key",  # with the queries, the first factor of the second product
    frozenset({(PRODUCT, 1)}): "value",
}


def sources_of(trace: Trace | None) -> dict[int, int]:
    """What came from outside in a run, as hashes of the numbers by the array's identity; nothing constant."""
    if trace is None:
        return {}
    made = {id(array) for step in trace.steps for array in step.outputs}
    outside = {id(array): array for step in trace.steps for array in step.inputs if id(array) not in made}
    return {place: fingerprint(array) for place, array in outside.items() if not is_constant(array)}


class Wiring:
    """The graph of a model's units.

    `before` and `after` are each unit's nearest ones, and `roots` those of the inputs that reach it directly. `depth`
    counts the units on the longest way from an input, and `turn` is the place in the order of execution. `ports` are
    the places in functions and among the outputs at which a unit's result ends up, where the places are not alike, and
    `activations` the first one that each unit's result goes into.

    Without a trace all is in the order in which the model holds its layers, each behind the one before.
    """

    def __init__(self, units: Sequence[Unit], trace: Trace | None = None, shared: Iterable[int] = ()) -> None:
        self.units = list(units)
        self.before: dict[Unit, set[Unit]] = {unit: set() for unit in units}
        self.after: dict[Unit, set[Unit]] = {unit: set() for unit in units}
        self.roots: dict[Unit, frozenset[int]] = {unit: frozenset() for unit in units}
        self.ports: dict[Unit, set[tuple[str, int]]] = {unit: set() for unit in units}
        self.activations: dict[Unit, str] = {}
        self.fed: dict[Unit, int] = {}
        self.turn: dict[Unit, int] = {}
        self.depth: dict[Unit, int] = {}
        self.calls: dict[Unit, Step] = {}
        self._origins: dict[int, frozenset[Unit]] = {}
        self._roots: dict[int, frozenset[int]] = {}
        if trace is not None:
            self._follow(trace, set(shared))
        last: Unit | None = None
        for unit in self.units:
            if unit not in self.turn:  # it was not called, or there is no trace
                self.turn[unit] = self.turn[last] if last else 0
                self.depth[unit] = self.depth[last] + 1 if last else 0
                if last and trace is None:
                    self._join(last, unit)
            last = unit

    def parallel(self, units: Iterable[Unit]) -> bool:
        """Whether all of these take one and the same tensor, so that none comes before another."""
        fed = {self.fed.get(unit) for unit in units}
        return len(fed) == 1 and None not in fed

    def part(self, unit: Unit) -> str:
        """Which projection of an attention a unit is, by its layer or by the products that its result goes into."""
        if unit.label[1:2] and unit.label[1] in PROJECTIONS:
            return str(unit.label[1])
        found = {(role, place) for role, place in self.ports[unit] if role in (PRODUCT, ATTENTION)}
        return ATTENDED.get(frozenset(found), "")

    def order(self, unit: Unit) -> tuple[int, int, int]:
        """What sorts units: from the inputs to the outputs, then as they ran."""
        return self.depth[unit], self.turn[unit], unit.place

    def colours(self, rounds: int, fixed: Mapping[Unit, int], fine: bool = False) -> dict[Unit, int]:
        """What a unit is and what lies around it, as far as `rounds` units away; with `fine`, ports as well.

        `fixed` are units whose counterparts are known, each with a number that both have.
        """
        start = {unit: fixed.get(unit, hash((unit.key, self.roots[unit]))) for unit in self.units}
        if fine:
            start = {unit: hash((colour, frozenset(self.ports[unit]))) for unit, colour in start.items()}
        found = start
        for _ in range(rounds):
            found = {unit: start[unit] if unit in fixed else self._around(unit, found) for unit in self.units}
        return found

    def _around(self, unit: Unit, colours: Mapping[Unit, int]) -> int:
        before, after = [tuple(sorted(colours[other] for other in near[unit])) for near in (self.before, self.after)]
        return hash((colours[unit], before, after))

    def _join(self, first: Unit, second: Unit) -> None:
        if first is not second:
            self.before[second].add(first)
            self.after[first].add(second)

    def _follow(self, trace: Trace, shared: set[int]) -> None:
        self._roots = {place: frozenset({number}) for place, number in sources_of(trace).items() if number in shared}
        called = _called(self.units, trace)
        for turn, step in enumerate(trace.steps):
            if step.role in PLACED:
                for place, array in enumerate(step.inputs):
                    for unit in self._origins.get(id(array), ()):
                        self.ports[unit].add((step.role, place))
            elif step.role in ACTIVATIONS and len(mine := self._origins.get(id(step.inputs[0]), ())) == 1:
                unit = next(iter(mine))
                self.ports[unit].add(("activation", 0))
                self.activations.setdefault(unit, step.role)
            if turn in called:
                self._call(step, turn, called[turn])
            elif step.role not in (BLOCK, CUSTOM):
                self._pass(step)
        for place, array in enumerate(trace.outputs.values()):
            for unit in self._origins.get(id(array), ()):
                self.ports[unit].add(("output", place))

    def _pass(self, step: Step) -> None:
        """A step without weights hands on where its inputs came from."""
        origins = frozenset().union(*(self._origins.get(id(array), frozenset()) for array in step.inputs))
        roots = frozenset().union(*(self._roots.get(id(array), frozenset()) for array in step.inputs))
        for array in step.outputs:
            if all(array is not other for other in step.inputs):
                self._origins[id(array)], self._roots[id(array)] = origins, roots

    def _call(self, step: Step, turn: int, units: Sequence[Unit]) -> None:
        whole = frozenset().union(*(self._origins.get(id(array), frozenset()) for array in step.inputs))
        previous: list[Unit] = []
        for level in _levels(units):
            for unit in level:
                arrays = list(step.inputs)
                if unit.label[1:2] and unit.label[1] in PROJECTIONS and arrays:
                    arrays = [arrays[min(PROJECTIONS.index(str(unit.label[1])), len(arrays) - 1)]]
                feeding = [one for array in arrays for one in self._origins.get(id(array), ())]
                before = previous or feeding
                for other in before:
                    self._join(other, unit)
                if unit not in self.turn:
                    self.turn[unit], self.calls[unit] = turn, step
                    self.depth[unit] = 1 + max((self.depth[other] for other in before if other is not unit), default=0)
                    if arrays and not previous:
                        self.fed[unit] = id(arrays[0])
                if not previous:
                    reached = (self._roots.get(id(array), frozenset()) for array in arrays)
                    self.roots[unit] = self.roots[unit].union(*reached)
            previous = list(level)
        for array in step.outputs:
            inner = self._origins.get(id(array), frozenset())
            if step.role != CUSTOM or inner <= whole:  # else its own layers have been called within
                self._origins[id(array)], self._roots[id(array)] = frozenset(previous), frozenset()


def _levels(units: Sequence[Unit]) -> list[list[Unit]]:
    """The units of one step, those that work side by side together: projections, both directions, loose tensors."""
    found: list[list[Unit]] = []
    for unit in units:
        role, part, backwards = (*unit.label, "", "", False)[:3]
        aside = part in PROJECTIONS or str(part).startswith("slice") or backwards or role == CUSTOM
        if found and aside and (part != PROJECTIONS[0]):
            found[-1].append(unit)
        else:
            found.append([unit])
    return found


def _called(units: Sequence[Unit], trace: Trace) -> dict[int, list[Unit]]:
    """The units of every step that calls some: those of its layer, or of the layers that its own is made of."""
    by_layer: dict[str, list[Unit]] = {}
    for unit in units:
        by_layer.setdefault(unit.layer.name, []).append(unit)
    direct = {step.layer for step in trace.steps}
    loose = [name for name in by_layer if name not in direct]
    found = {}
    for turn, step in enumerate(trace.steps):
        path, own = step.name, step.layer in by_layer
        inner = [name for name in loose if path and name.startswith((f"{path}.", f"{path}/"))]
        if own or (inner and step.role not in (BLOCK, CUSTOM)):
            names = [*([step.layer] if own else []), *(inner if step.role not in (BLOCK, CUSTOM) else [])]
            found[turn] = [unit for name in names for unit in by_layer[name]]
    return found
