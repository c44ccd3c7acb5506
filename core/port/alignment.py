"""Which step of one model's run is which of the other's: by the weights that both hold, then by role and order."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..technique import Arrays
from .apart import of_weights
from .following import certain, followed
from .layer import BLOCK, CUSTOM, Step, Trace
from .layouts import Array, inner
from .mapping import WeightMapping
from .roles import CHANCE, MOVING

ACTIVATIONS = frozenset(
    {"relu", "relu6", "sigmoid", "tanh", "silu", "softplus", "softsign", "mish", "selu", "hard_sigmoid", "hard_swish",
     "log_sigmoid", "exponential", "gelu", "leaky_relu", "elu", "softmax", "log_softmax", "hardtanh"}
)  # fmt: skip
FAMILIES = (
    ACTIVATIONS,
    frozenset({"max_pool", "average_pool"}),
    frozenset({"global_max_pool", "global_average_pool", "mean", "sum"}),
    frozenset({"add", "subtract", "multiply", "divide"}),
    frozenset({"zero_pad", "pad"}),
)
SEPARATORS = {"torch": ".", "keras": "/"}
QKV = ("query", "key", "value")
CELL = "_cell"
ALIKE = 16.0  # a pair that gives the same numbers goes before several that only do the same
DIGITS = 1e6  # numbers that agree to so many parts are taken for the same, to tell alike steps apart


Sources = tuple[tuple[int, int], ...]


@dataclass(eq=False)
class Paired:
    """A step of PyTorch and the step of Keras that it is held to be. `weights` are the names of their matches.

    `places` are their positions in the two traces, and `sources` where their arguments are: (position, argument). Where
    several steps of one side are one of the other, as the layers of a hand-written attention are Keras's own, the last
    stands for them, and their arguments are those of the first; they are not `whole`, and cannot be replayed. `chains`
    are the positions of steps that a side takes between an argument and the step itself, such as padding by a layer of
    its own: by side and argument. `tails` are those of what a side does with the result, such as cropping it.
    """

    torch: Step
    keras: Step
    places: tuple[int, int]
    weights: frozenset[str] = frozenset()
    sources: tuple[Sources, Sources] = ((), ())
    whole: bool = True
    chains: dict[tuple[str, int], tuple[int, ...]] = field(default_factory=dict)
    tails: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Both names, once where they are the same."""
        return self.torch.name if self.torch.name == self.keras.name else f"{self.torch.name} | {self.keras.name}"


def aligned(torch: Trace, keras: Trace, mapping: WeightMapping, states: Mapping[str, Arrays]) -> list[Paired]:
    """The pairs of steps, in PyTorch's order. What moves numbers about or works on weights alone has no part in it."""
    runs = torch.steps, keras.steps
    held = [_weights(torch.steps, mapping, 0), _weights(keras.steps, mapping, 1)]
    fixed = _by_weights(torch.steps, keras.steps, *held)
    closed = [pair for pair in fixed if not all(_open(steps, i) for steps, i in zip(runs, pair, strict=True))]
    inside = [_inside(steps, [pair[side] for pair in closed], side) for side, steps in enumerate(runs)]
    for side, (steps, name) in enumerate(zip(runs, SEPARATORS, strict=True)):
        inside[side] |= of_weights(steps, states[name].values())
    free = [
        [i for i, step in enumerate(steps) if i not in inside[side] and not held[side][i] and _counts(step)]
        for side, steps in enumerate(runs)
    ]
    found = [*fixed, *certain(torch.steps, keras.steps, fixed, free, alike)]
    taken = [{pair[side] for pair in found} for side in (0, 1)]
    free = [[i for i in places if i not in taken[side]] for side, places in enumerate(free)]
    for ours, theirs in _segments(_increasing(found), free[0], free[1]):
        found += _by_order(torch.steps, keras.steps, ours, theirs)
    found += followed(torch.steps, keras.steps, found, free, score)
    looped = _looped(torch.steps, keras.steps, fixed, held)
    pairs = [
        Paired(one, other, (i, j), held[0][i], (_arguments(i, one), _arguments(j, other)))
        for i, j in sorted(set(found) - set(looped))
        for one, other in [(torch.steps[i], keras.steps[j])]
    ]
    pairs += [pair for pair in looped.values() if pair is not None]
    covered = {name for i, _ in fixed for name in held[0][i]}
    return sorted([*pairs, *_spans(torch.steps, keras.steps, held, covered)], key=lambda pair: pair.places)


def _looped(
    torch: Sequence[Step], keras: Sequence[Step], fixed: Iterable[tuple[int, int]], held: list[list[frozenset[str]]]
) -> dict[tuple[int, int], Paired | None]:
    """The pairs of a recurrent cell that one side calls at every moment and a layer that the other calls once.

    The cell's last call stands for all of them where its result lies as the layer's does, and cannot be replayed.
    """
    result: dict[tuple[int, int], Paired | None] = {}
    for i, j in fixed:
        cells = [steps[place].role.endswith(CELL) for steps, place in ((torch, i), (keras, j))]
        if cells[0] == cells[1]:
            continue
        steps, place, weights = (torch, i, held[0]) if cells[0] else (keras, j, held[1])
        last = max(k for k, step in enumerate(steps) if step.name == steps[place].name and weights[k] == weights[place])
        one, other = (last, j) if cells[0] else (i, last)
        fits = inner(torch[one].outputs[0], keras[other].outputs[0]) is not None
        result[i, j] = Paired(torch[one], keras[other], (one, other), held[0][i], whole=False) if fits else None
    return result


def _arguments(place: int, step: Step) -> Sources:
    return tuple((place, argument) for argument in distinct(step))


def distinct(step: Step) -> list[int]:
    """The places of a step's arguments, each tensor once: self-attention is given one as query, key and value."""
    return [place for place, array in enumerate(step.inputs) if first(step, array) == place]


def first(step: Step, array: Array) -> int:
    """The first place at which a step is given this very tensor."""
    return next(place for place, other in enumerate(step.inputs) if other is array)


def _spans(
    torch: Sequence[Step], keras: Sequence[Step], held: list[list[frozenset[str]]], covered: set[str]
) -> list[Paired]:
    """One step of a side whose weights several steps of the other hold between them."""
    found = []
    for side, (one, many) in enumerate(((torch, keras), (keras, torch))):
        for i, step in enumerate(one):
            weights = held[side][i]
            if step.role in (BLOCK, CUSTOM) or not weights or weights & covered:
                continue
            inner = [
                j for j, names in enumerate(held[1 - side])
                if names and names <= weights and many[j].role not in (BLOCK, CUSTOM)
            ]  # fmt: skip
            if len(inner) > 1 and frozenset().union(*(held[1 - side][j] for j in inner)) == weights:
                covered |= weights
                calls = [j for j in range(len(one)) if held[side][j] == weights and one[j].name == step.name]
                found += _spanning((one, many), i, inner, side, weights) if len(calls) == 1 else []
    return found


def _spanning(
    steps: tuple[Sequence[Step], Sequence[Step]], place: int, inner: list[int], side: int, weights: frozenset[str]
) -> list[Paired]:
    """The pair of a step of one side and the last of several of the other's, each of them called once."""
    step, many = steps[0][place], steps[1]
    if len({many[j].name for j in inner}) < len(inner):
        return []
    given = tuple((place, argument) for argument in distinct(step) if step.role != "attention" or argument < len(QKV))
    sources = {id(many[j].inputs[0]): (j, 0) for j in reversed(inner[:-1]) if many[j].inputs}
    left = [source for source in dict.fromkeys((j, 0) for j in inner[:-1]) if source in sources.values()]
    ordered = []
    for own, argument in given:
        wanted = steps[0][own].inputs[argument]
        same = [source for source in left if alike(many[source[0]].inputs[0], wanted)]
        ordered += [source for source in same[:1] if source not in ordered]
    taken = tuple(ordered) if len(ordered) == len(given) else tuple(left)
    block = around([many[j].name for j in inner], list(SEPARATORS.values())[1 - side])
    last = replace(many[inner[-1]], name=block or many[inner[-1]].name, role=step.role, settings={})
    if side == 0:
        return [Paired(step, last, (place, inner[-1]), weights, (given, taken), whole=False)]
    return [Paired(last, step, (inner[-1], place), weights, (taken, given), whole=False)]


def around(names: Sequence[str], separator: str) -> str:
    """The block that several layers are in, by their names; nothing where they have none in common."""
    common = []
    for words in zip(*(name.split(separator)[:-1] for name in names), strict=False):
        if len(set(words)) > 1:
            break
        common.append(words[0])
    return separator.join(common)


def _counts(step: Step) -> bool:
    return step.role not in MOVING and step.role not in {BLOCK, CUSTOM, *CHANCE} and bool(step.outputs)


def holds(step: Step, layer: str, side: str) -> bool:
    """Whether a layer is the step's own, or one within it."""
    owner = step.layer or (step.name if step.role in (BLOCK, CUSTOM) else "")
    if step.role == BLOCK and not step.name:
        return True
    return bool(owner) and (layer == owner or layer.startswith(owner + SEPARATORS[side]))


def _weights(steps: Sequence[Step], mapping: WeightMapping, side: int) -> list[frozenset[str]]:
    by_layer: dict[str, set[str]] = {}
    for match in mapping.matches:
        by_layer.setdefault(match.layers[side], set()).add(match.name)
    word = list(SEPARATORS)[side]
    return [
        frozenset(name for layer, names in by_layer.items() if holds(step, layer, word) for name in names)
        for step in steps
    ]


def _by_weights(
    torch: Sequence[Step], keras: Sequence[Step], ours: list[frozenset[str]], theirs: list[frozenset[str]]
) -> list[tuple[int, int]]:
    """Pairs that hold the same weights: of one role first, and then what lies around what has found no partner."""
    found: list[tuple[int, int]] = []
    covered: set[str] = set()
    sets = sorted({weights for weights in ours if weights} & set(theirs), key=lambda names: (len(names), min(names)))
    for weights in sets:
        if weights <= covered:
            continue
        one = [i for i, names in enumerate(ours) if names == weights and torch[i].name]
        other = [i for i, names in enumerate(theirs) if names == weights and keras[i].name]
        if not one or not other:
            continue
        leaves = [[i for i in one if torch[i].role != BLOCK], [i for i in other if keras[i].role != BLOCK]]
        if leaves[0] and leaves[1]:
            one, other = _alike_in_depth((torch, leaves[0]), (keras, leaves[1]))
        else:
            one, other = _outermost(torch, one), _outermost(keras, other)
        pairs = list(zip(one, other, strict=False))
        found += pairs
        if pairs:
            covered |= weights
    return found


def _alike_in_depth(*sides: tuple[Sequence[Step], list[int]]) -> tuple[list[int], list[int]]:
    """The innermost calls on both sides, or both sides' own classes where one side has nothing else."""
    classes = [[i for i in places if steps[i].role == CUSTOM] for steps, places in sides]
    if all(classes) and any(len(own) == len(places) for own, (_, places) in zip(classes, sides, strict=True)):
        sides = tuple((steps, own) for (steps, _), own in zip(sides, classes, strict=True))
    one, other = (_innermost(steps, places) for steps, places in sides)
    return one, other


def _innermost(steps: Sequence[Step], places: list[int]) -> list[int]:
    """The calls of one step among several that hold the same weights: of a known role rather than a custom one."""
    known = [i for i in places if steps[i].role != CUSTOM] or places
    name = steps[known[0]].name.partition(":")[0]
    return [i for i in known if steps[i].name.partition(":")[0] == name]


def _outermost(steps: Sequence[Step], places: list[int]) -> list[int]:
    name = min((steps[i].name for i in places), key=len)
    return [i for i in places if steps[i].name == name]


def _open(steps: Sequence[Step], place: int) -> bool:
    """Whether a step is a block or a class of the user's own, in whose own code steps were seen that compute."""
    name = steps[place].name
    return steps[place].role in (BLOCK, CUSTOM) and any(
        _counts(step) and step.name.startswith(f"{name}:") for step in steps
    )


def _inside(steps: Sequence[Step], chosen: Iterable[int], side: int) -> set[int]:
    """The steps within the blocks that have found a partner as a whole."""
    word = list(SEPARATORS.values())[side]
    owners = {steps[i].name for i in chosen if steps[i].role in (BLOCK, CUSTOM)}
    return {
        i
        for i, step in enumerate(steps)
        for owner in owners
        if step.name != owner and (not owner or step.name.startswith((owner + word, owner + ":")))
    }


def _increasing(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of pairs that is in order on both sides."""
    ordered = sorted(set(pairs))
    tails: list[int] = []
    chain: list[list[tuple[int, int]]] = []
    for pair in ordered:
        place = bisect.bisect_left(tails, pair[1])
        before = chain[place - 1] if place else []
        if place == len(tails):
            tails.append(pair[1])
            chain.append([*before, pair])
        else:
            tails[place], chain[place] = pair[1], [*before, pair]
    return chain[-1] if chain else []


def _segments(
    anchors: list[tuple[int, int]], ours: list[int], theirs: list[int]
) -> Iterable[tuple[list[int], list[int]]]:
    last = (-1, -1)
    for anchor in [*anchors, (1 << 60, 1 << 60)]:
        yield (
            [i for i in ours if last[0] < i < anchor[0]],
            [i for i in theirs if last[1] < i < anchor[1]],
        )
        last = anchor


def _by_order(
    torch: Sequence[Step], keras: Sequence[Step], ours: list[int], theirs: list[int]
) -> list[tuple[int, int]]:
    """The alignment of two short runs of steps with the highest score, by dynamic programming."""
    best = np.zeros((len(ours) + 1, len(theirs) + 1))
    scores = np.zeros((len(ours), len(theirs)))
    for i, one in enumerate(ours):
        for j, other in enumerate(theirs):
            scores[i, j] = score(torch[one], keras[other])
            best[i + 1, j + 1] = max(best[i, j + 1], best[i + 1, j], best[i, j] + scores[i, j])
    found, i, j = [], len(ours), len(theirs)
    while i and j:
        if scores[i - 1, j - 1] > 0 and best[i, j] == best[i - 1, j - 1] + scores[i - 1, j - 1]:
            found.append((ours[i - 1], theirs[j - 1]))
            i, j = i - 1, j - 1
        elif best[i, j] == best[i - 1, j]:
            i -= 1
        else:
            j -= 1
    return found


def score(one: Step, other: Step) -> float:
    """How much speaks for two steps without weights being the same; 0 for what cannot be."""
    if one.outputs[0].size != other.outputs[0].size:
        return 1.0 if one.role == other.role and len(one.outputs[0].shape) == len(other.outputs[0].shape) else 0.0
    same = one.role == other.role
    if not same and not any({one.role, other.role} <= family for family in FAMILIES):
        return ALIKE if alike(one.outputs[0], other.outputs[0]) else 0.0
    return (3.0 if same else 1.0) + (ALIKE if alike(one.outputs[0], other.outputs[0]) else 0.0)


def alike(one: Array, other: Array) -> bool:
    """Whether two arrays may hold the same numbers, in any order."""
    first, second = (np.asarray(array, dtype=np.float64) for array in (one, other))
    if not first.size or first.size != second.size:
        return False
    for measure in (np.sum, lambda array: np.sum(array * array), np.max, np.min):
        values = float(measure(first)), float(measure(second))
        scale = max(float(np.sum(np.abs(first))) if measure is np.sum else 0.0, abs(values[0]), abs(values[1]))
        if not abs(values[0] - values[1]) * DIGITS <= scale:
            return False
    return True
