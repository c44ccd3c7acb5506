"""Which weight of a PyTorch model is which of a Keras model: by numbers, by places in both, and by names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Protocol

from ..errors import StateError, nearest
from ..technique import Arrays
from .contents import Found, contents
from .fingerprint import fingerprint, is_constant
from .heads import evened
from .layer import CUSTOM, Layer, Slot, Trace
from .laying import Laying
from .mapping import Match, WeightMapping
from .packing import unpacked
from .pairing import Pair, Pairing
from .piece import Piece
from .stated import stated
from .units import Key, Unit, coarse
from .unmatched import NAMES, Undecided, ambiguous, unmatched
from .wiring import Wiring, sources_of

__all__ = ["Found", "contents", "match"]

KINDS = {
    "kernel": ("weight", "w", "kernel", "gamma", "scale", "g", "a", "embeddings", "table", "alpha"),
    "bias": ("bias", "b", "beta", "shift", "offset"),
    "mean": ("running_mean", "moving_mean", "mean"),
    "variance": ("running_var", "moving_variance", "variance", "var"),
}


class Holding(Protocol):
    """What there is to be matched: a Subject of core/port/subject.py, or a live model that is not run."""

    layers: tuple[Layer, ...]
    aliases: Mapping[str, str]

    def state(self) -> Arrays:
        """Every weight and buffer by its own name."""


def match(
    torch: Holding,
    keras: Holding,
    given: WeightMapping | None = None,
    ignore: Sequence[str] = (),
    traces: tuple[Trace, Trace] | None = None,
) -> WeightMapping:
    """Which weight of one model is which of the other.

    What `given` says is taken as it is. Then weights that hold the same numbers in any order are the same; then those
    of one kind and shape, in the order in which data flows through both models, as `traces` (PyTorch's, then Keras's)
    show; without them, in the order in which the models hold them. Names decide where layers work side by side.
    `ignore` are names of tensors that may be left over, or patterns of names such as `aux.*`.

    Raises StateError for weights without a counterpart, for layers of which nothing tells which is which, for what the
    other framework cannot hold, and for an entry of `given` or `ignore` that does not fit the models.
    """
    matcher = _Matcher(torch, keras, given, tuple(ignore), traces)
    try:
        return matcher.found()
    except Undecided as error:
        error.mapping = WeightMapping(tuple(matcher.matches))
        raise


class _Matcher:
    def __init__(
        self,
        torch: Holding,
        keras: Holding,
        given: WeightMapping | None,
        ignore: tuple[str, ...],
        traces: tuple[Trace, Trace] | None,
    ) -> None:
        self.subjects = {"torch": torch, "keras": keras}
        self.states: dict[str, Arrays] = {side: subject.state() for side, subject in self.subjects.items()}
        self.traces: dict[str, Trace | None] = {
            "torch": traces[0] if traces else None,
            "keras": traces[1] if traces else None,
        }
        self.laying = Laying(self.states, self.traces)
        known = [set(sources_of(trace).values()) for trace in self.traces.values()]
        self.shared = known[0] & known[1]
        self.prints: dict[tuple[str, Slot], int] = {}
        self.matches: list[Match] = []
        self.settled: list[str] = []
        self.ignored = self._ignored(ignore, given.ignored if given else {})
        self.layers = evened(torch.layers, keras.layers)
        self._drop(lambda side, slot: all(piece.tensor in self.ignored[side] for piece in slot.pieces))
        if given:
            self.settled.extend(given.settled)
            self.matches = stated(given, self.layers, self.states)
            taken = {
                side: {(piece.tensor, piece.pick) for one in self.matches for piece in getattr(one, side)}
                for side in NAMES
            }
            self._drop(lambda side, slot: all((one.tensor, one.pick) in taken[side] for one in slot.pieces))

    def found(self) -> WeightMapping:
        aliases = {side: dict(subject.aliases) for side, subject in self.subjects.items()}
        units = unpacked(self.layers, aliases, self._prints, self.traces, self.settled)
        for key in (_exact, _coarse):
            units = self._pair(units, key)
        units = {side: [loose for unit in found for loose in _loose(unit)] for side, found in units.items()}
        for key in (_kind, _sizes):
            units = self._pair(units, key, lambda pair: CUSTOM in (pair.torch.layer.role, pair.keras.layer.role))
        self._complain(units)
        order = {name: place for place, name in enumerate(self.states["torch"])}
        self.matches.sort(key=lambda one: order.get(one.torch[0].tensor, len(order)))
        ignored = {side: tuple(sorted(names)) for side, names in self.ignored.items() if names}
        return WeightMapping(tuple(self.matches), ignored, tuple(dict.fromkeys([*self.settled, *self.laying.settled])))

    def _pair(
        self,
        units: dict[str, list[Unit]],
        key: Callable[[Unit], Key],
        allowed: Callable[[Pair], bool] = lambda pair: True,
    ) -> dict[str, list[Unit]]:
        """Pair the units that agree in a key, note their matches, and give those that are left."""
        keyed = {side: [replace(unit, key=key(unit)) for unit in found] for side, found in units.items()}
        wirings = {side: Wiring(found, self.traces[side], self.shared) for side, found in keyed.items()}
        prints = {unit: self._prints(unit) for found in keyed.values() for unit in found}
        pairing = Pairing(wirings["torch"], wirings["keras"], prints, None not in self.traces.values())
        pairing.run()
        if pairing.open:
            raise ambiguous(*pairing.open[0], traced=pairing.traced, shapes=self._shapes())
        self.settled.extend(pairing.settled)
        left = {side: list(found) for side, found in zip(NAMES, pairing.left(), strict=True)}
        for pair in pairing.pairs:
            if not allowed(pair):
                left["torch"].append(pair.torch)
                left["keras"].append(pair.keras)
                continue
            rest = self._note(pair, wirings)
            for side, slots in rest.items():
                if slots:
                    unit = pair.torch if side == "torch" else pair.keras
                    left[side].append(replace(unit, slots=slots))
        return left

    def _note(self, pair: Pair, wirings: Mapping[str, Wiring]) -> dict[str, dict[str, Slot]]:
        """The matches of two units' weights; what one of them has alone is given back."""
        for layer, other in ((pair.torch.layer, "Keras"), (pair.keras.layer, "PyTorch")):
            if layer.refused:
                raise StateError(f"{layer.name} has no counterpart in {other}: {layer.refused}")
        ours, theirs = dict(pair.torch.slots), dict(pair.keras.slots)
        names = {name: name for name in ours if name in theirs}
        if len(ours) == len(theirs) == 1:
            names = dict(zip(ours, theirs, strict=True))
        for name, other in names.items():
            fitting = self.laying.laid(pair, name, ours[name], theirs[other], wirings)
            if not fitting:
                continue
            title = pair.torch.name.replace(" ", ".") + (f".{name}" if pair.torch.layer.role != CUSTOM else "")
            layers = (pair.torch.layer.name, pair.keras.layer.name)
            for number, fit in enumerate(fitting):
                said = f"{title}.{number}" if len(fitting) > 1 else title
                one = Match(said, fit.axes, fit.torch, fit.keras, pair.how, layers, ours[name].trainable)
                if _places(one) not in map(_places, self.matches):  # one tensor of two tied layers on both sides
                    self.matches.append(one)
            del ours[name], theirs[other]
        return {"torch": ours, "keras": theirs}

    def _prints(self, unit: Unit) -> frozenset[int]:
        found = {self._print(unit.side, slot) for slot in unit.slots.values()}
        return frozenset(found - {0})

    def _print(self, side: str, slot: Slot) -> int:
        if (side, slot) not in self.prints:
            parts = [piece.read(self.states[side][piece.tensor], slot.axes) for piece in slot.pieces]
            whole = sum(parts[1:], start=parts[0])
            self.prints[side, slot] = 0 if is_constant(whole) else fingerprint(whole)
        return self.prints[side, slot]

    def _shapes(self) -> dict[str, dict[str, tuple[int, ...]]]:
        return {side: {name: array.shape for name, array in state.items()} for side, state in self.states.items()}

    def _ignored(self, patterns: tuple[str, ...], stated: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {
            side: {name for name in state if any(fnmatchcase(name, pattern) for pattern in patterns)}
            for side, state in self.states.items()
        }
        names = [name for state in self.states.values() for name in state]
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise StateError(f"ignore={pattern!r} names no tensor of either model{nearest(pattern, names)}")
        for side, left in stated.items():
            for name in left:
                if name not in self.states[side]:
                    raise StateError(
                        f"map leaves {name} out, which the {NAMES[side]} model does not have"
                        f"{nearest(name, self.states[side])}"
                    )
            found[side] |= set(left)
        return found

    def _drop(self, gone: Callable[[str, Slot], bool]) -> None:
        self.layers = {
            side: tuple(
                replace(layer, slots=tuple(slot for slot in layer.slots if not gone(side, slot))) for layer in layers
            )
            for side, layers in self.layers.items()
        }

    def _complain(self, left: dict[str, list[Unit]]) -> None:
        """Refuse what is left over, but for tensors that another layer holds too and for constants of a class's own."""
        matched = {side: {_place(one) for found in self.matches for one in getattr(found, side)} for side in NAMES}
        tensors = {side: {place[0] for place in places} for side, places in matched.items()}
        lost: dict[str, list[tuple[Unit, Slot]]] = {side: [] for side in NAMES}
        for side, found in left.items():
            for unit in found:
                for slot in unit.slots.values():
                    held = {piece.tensor for piece in slot.pieces}
                    if unit.layer.role == CUSTOM and not slot.trainable:
                        self.settled.append(
                            f"{', '.join(sorted(held))} is a constant that {NAMES[side]} holds alone; it stays"
                        )
                        self.ignored[side] |= held
                    elif (
                        not (unit.tied and held <= tensors[side]) and not set(map(_place, slot.pieces)) <= matched[side]
                    ):
                        lost[side].append((unit, slot))
        if any(lost.values()):
            raise unmatched(lost, self.layers, self._shapes())


def _places(match: Match) -> list[tuple[object, ...]]:
    return [_place(piece) for piece in (*match.torch, *match.keras)]


def _place(piece: Piece) -> tuple[str, object, object]:
    return piece.tensor, piece.pick, piece.span


def _exact(unit: Unit) -> Key:
    return unit.key


def _coarse(unit: Unit) -> Key:
    return coarse(unit.key)


def _kind(unit: Unit) -> Key:
    """One tensor of a class that Diglot does not know: its sizes in any order, and what its name says that it is."""
    (name,) = unit.slots
    last = name.split(".")[-1].lower()
    return *_sizes(unit), next((kind for kind, names in KINDS.items() if last in names), "")


def _sizes(unit: Unit) -> Key:
    (slot,) = unit.slots.values()
    return "loose", *sorted(size for size in slot.shape if size != 1)


def _loose(unit: Unit) -> list[Unit]:
    """The tensors of a unit one by one."""
    if unit.layer.role == CUSTOM:
        return [unit]
    return [
        replace(unit, name=f"{unit.name}.{name}", slots={name: slot}, label=(CUSTOM, "", False))
        for name, slot in unit.slots.items()
    ]
