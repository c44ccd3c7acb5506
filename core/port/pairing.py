"""Which unit of one side is which of the other's: by their numbers, their places in the model, and their names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from .units import Unit
from .wiring import Wiring
from .words import told

FAR = 64
"""So many units away, a neighbour tells nothing that a nearer one has not told."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two units that are one layer, and how that was found."""

    torch: Unit
    keras: Unit
    how: str


@dataclass
class Pairing:
    """What has been paired so far.

    `traced` says whether places come from a run; `open` are groups of which nothing tells which is which.
    """

    torch: Wiring
    keras: Wiring
    prints: dict[Unit, frozenset[int]]
    traced: bool
    pairs: list[Pair] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    open: list[tuple[list[Unit], list[Unit]]] = field(default_factory=list)

    def left(self) -> tuple[list[Unit], list[Unit]]:
        """The units of both sides without a counterpart, in the order of execution; none of a group left open."""
        gone = {unit for pair in self.pairs for unit in (pair.torch, pair.keras)}
        gone |= {unit for group in self.open for units in group for unit in units}
        return (
            sorted((unit for unit in self.torch.units if unit not in gone), key=self.torch.order),
            sorted((unit for unit in self.keras.units if unit not in gone), key=self.keras.order),
        )

    def run(self) -> None:
        """Pair by numbers first, then by places and names; only units that agree in their keys."""
        self._by_content()
        self._by_place()

    def _by_content(self) -> None:
        torch, keras = self.left()
        same = [
            both
            for both in _classes(torch, keras, lambda unit: (unit.key, self.prints[unit]))
            if self.prints[both[0][0]] and len(both[0]) == len(both[1])
        ]
        self.pairs.extend(Pair(ours[0], theirs[0], "content") for ours, theirs in same if len(ours) == 1)
        self._place([both for both in same if len(both[0]) > 1], "content")
        for ours, theirs in _classes(*self.left(), lambda unit: unit.key):
            self._by_share(ours, theirs)

    def _by_share(self, torch: list[Unit], keras: list[Unit]) -> None:
        """Units of which only some weights hold the same numbers, where no other unit has these."""
        shares = {one: [other for other in keras if self.prints[one] & self.prints[other]] for one in torch}
        back = {other: [one for one in torch if other in shares[one]] for other in keras}
        for one, found in shares.items():
            if len(found) == 1 and back[found[0]] == [one]:
                self.pairs.append(Pair(one, found[0], "content"))

    def _by_place(self) -> None:
        classes = []
        for ours, theirs in _classes(*self.left(), lambda unit: unit.key):
            both = ours, theirs
            if len(ours) != len(theirs):
                both = _once(ours, self.torch), _once(theirs, self.keras)
            classes.append(both)
        self._place([both for both in classes if len(both[0]) == len(both[1])], "order")

    def _place(self, classes: Sequence[tuple[list[Unit], list[Unit]]], how: str) -> None:
        """Pair the units of each class, as many of one side as of the other, by their places in both models."""
        if not self.traced:
            for ours, theirs in classes:
                self._settle(sorted(ours, key=self.torch.order), sorted(theirs, key=self.keras.order), how)
            return
        fixed = {
            unit: hash(("pair", number)) for number, pair in enumerate(self.pairs) for unit in (pair.torch, pair.keras)
        }
        colours = [
            {**self.torch.colours(rounds, fixed), **self.keras.colours(rounds, fixed)} for rounds in (FAR, 4, 2, 1, 0)
        ] if classes else []  # fmt: skip
        for ours, theirs in classes:
            groups = next(
                (groups for colour in colours if (groups := _balanced(ours, theirs, colour.__getitem__))),
                [(ours, theirs)],
            )
            for one, other in groups:
                self._in_depth(one, other, how)

    def _in_depth(self, torch: list[Unit], keras: list[Unit], how: str) -> None:
        """Units of one kind from the inputs to the outputs; those that lie equally deep are told apart as they can."""
        levels = [_levels(torch, self.torch), _levels(keras, self.keras)]
        if [len(level) for level in levels[0]] != [len(level) for level in levels[1]]:
            levels = [[torch], [keras]]
        for one, other in zip(*levels, strict=True):
            self._settle(one, other, how)

    def _settle(self, torch: list[Unit], keras: list[Unit], how: str) -> None:
        """Pair as many units of one side as of the other, of which nothing said so far tells which is which."""
        if len(torch) == 1:
            self.pairs.append(Pair(torch[0], keras[0], how))
            return
        if groups := _balanced(torch, keras, lambda unit: unit.label):
            if len(groups) > 1:
                for one, other in groups:
                    self._settle(one, other, how)
                return
        order = told([unit.name for unit in torch], [unit.name for unit in keras])
        if order is not None:
            self._pair(torch, [keras[index] for index in order], "name" if how == "order" else how, "their names")
            return
        if parts := self._by_parts(torch, keras):
            self._pair(*parts, how, "their parts in the attention")
            return
        groups = self._by_ports(torch, keras)
        if len(groups) == len(torch):
            self._pair([one[0] for one, _ in groups], [other[0] for _, other in groups], how, "where their results go")
            return
        if len(groups) > 1:
            for one, other in groups:
                self._settle(one, other, how)
            return
        if self.torch.parallel(torch) and self.keras.parallel(keras) and how != "content":
            if groups := self._by_activation(torch, keras):
                self._pair([one[0] for one, _ in groups], [other[0] for _, other in groups], how, "their activations")
                return
            self.open.append((torch, keras))
            return
        if not self.traced and how != "content" and not self._same_sequence():
            self.open.append((torch, keras))
            return
        first, second = sorted(torch, key=self.torch.order), sorted(keras, key=self.keras.order)
        self._pair(first, second, how, "the order in which they run")

    def _same_sequence(self) -> bool:
        """Whether both models hold the same kinds of layers in the same order, so that it tells which is which."""
        ours, theirs = [
            [unit.key for unit in sorted(wiring.units, key=lambda unit: unit.place) if not unit.tied]
            for wiring in (self.torch, self.keras)
        ]
        return ours == theirs

    def _by_parts(self, torch: list[Unit], keras: list[Unit]) -> tuple[list[Unit], list[Unit]] | None:
        """The projections of one attention: queries, keys and values, by what is done with them."""
        ours = {self.torch.part(unit): unit for unit in torch}
        theirs = {self.keras.part(unit): unit for unit in keras}
        if len(ours) != len(torch) or set(ours) != set(theirs) or "" in ours:
            return None
        return list(ours.values()), [theirs[part] for part in ours]

    def _by_ports(self, torch: list[Unit], keras: list[Unit]) -> list[tuple[list[Unit], list[Unit]]]:
        """The units in groups whose results go to the same places, where these tell at all."""
        if not self.traced:
            return []
        fine = {**self.torch.colours(FAR, {}, fine=True), **self.keras.colours(FAR, {}, fine=True)}
        return _balanced(torch, keras, fine.__getitem__) or []

    def _by_activation(self, torch: list[Unit], keras: list[Unit]) -> list[tuple[list[Unit], list[Unit]]]:
        """Units one by one, each of which alone is followed by an activation of its kind on both sides."""
        found = [wiring.activations.get(unit, "") for wiring, units in ((self.torch, torch), (self.keras, keras))
                 for unit in units]  # fmt: skip
        kinds = dict(zip((*torch, *keras), found, strict=True))
        groups = _balanced(torch, keras, kinds.__getitem__) or []
        return groups if len(groups) == len(torch) else []

    def _pair(self, torch: Sequence[Unit], keras: Sequence[Unit], how: str, reason: str) -> None:
        self.pairs.extend(Pair(one, other, how) for one, other in zip(torch, keras, strict=True))
        if len(torch) > 1:
            said = ", ".join(f"{one.name} is {other.name}" for one, other in zip(torch, keras, strict=True))
            self.settled.append(f"{reason} tell among layers of one shape: {said}")


def _levels(units: list[Unit], wiring: Wiring) -> list[list[Unit]]:
    found: dict[int, list[Unit]] = defaultdict(list)
    for unit in sorted(units, key=wiring.order):
        found[wiring.depth[unit]].append(unit)
    return [found[depth] for depth in sorted(found)]


def _classes(
    torch: Sequence[Unit], keras: Sequence[Unit], key: Callable[[Unit], Hashable]
) -> list[tuple[list[Unit], list[Unit]]]:
    """The units of both sides of each key that both sides have, in PyTorch's order."""
    found: dict[Hashable, tuple[list[Unit], list[Unit]]] = {}
    for side, units in enumerate((torch, keras)):
        for unit in units:
            found.setdefault(key(unit), ([], []))[side].append(unit)
    return [both for both in found.values() if both[0] and both[1]]


def _once(units: Sequence[Unit], wiring: Wiring) -> list[Unit]:
    """The units without those that hold another's tensors: of several, the one that a run calls."""
    found: dict[Hashable, Unit] = {}
    for unit in sorted(units, key=lambda unit: unit not in wiring.calls):
        found.setdefault(tuple((piece.tensor, piece.pick, piece.span) for piece in unit.main().pieces), unit)
    return [unit for unit in units if unit in found.values()]


def _balanced(
    torch: Sequence[Unit], keras: Sequence[Unit], key: Callable[[Unit], Hashable]
) -> list[tuple[list[Unit], list[Unit]]] | None:
    """The same groups, where each has as many units of one side as of the other; else None."""
    found = _classes(torch, keras, key)
    whole = sum(len(one) for one, _ in found) == len(torch) and sum(len(other) for _, other in found) == len(keras)
    return found if whole and all(len(one) == len(other) for one, other in found) else None
