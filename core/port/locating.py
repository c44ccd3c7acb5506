"""Which layer is at fault: the first tensors that part, and then each layer by itself on the same input.

Steps come in PyTorch's order. The first whose result differs though all that it was given agrees is at fault, if it
still differs when both are given the same. Where a step is given something else though every result before agrees, the
fault lies between: an operation that one side lacks, or another tensor taken.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace

from .. import compare, verdict
from ..backend import SIDES
from ..compare import Comparison
from ..locate import describe
from ..verdict import Verdict
from . import attending, causes, looping, spanning, transposed
from .findings import Fault, Finding
from .layer import BLOCK, CUSTOM, Step
from .layouts import Array, masked, usual
from .mapping import Match
from .porting import pieces_of
from .reordering import reordered
from .replays import Replays
from .roles import CHANCE, MOVING
from .swapping import swapped

RECURRENT, PACKED = frozenset({"lstm", "gru", "rnn"}), "pack_padded_sequence"
SHOWN = 3  # steps of each side that a sentence lists
SIDE_OF = {"PyTorch": "torch", "Keras": "keras"}


class Search(Replays):
    """Where the fault of a run is."""

    @functools.cache  # noqa: B019
    def forward(self) -> Fault | None:
        """The first fault that shows in the forward pass: what float32 could show goes before what it could not."""
        outputs = [item for name, item in self.taps.items() if name.startswith("output ")]
        for self.least in dict.fromkeys((verdict.worst(item.verdict for item in outputs), Verdict.FLOAT32_EQUAL)):
            if self.least is not Verdict.EQUAL and (fault := self._forward()):
                return fault
        return None

    def _forward(self) -> Fault | None:
        for index in range(len(self.porting.pairs)):
            if not self.parted(index) or self.mended(index):
                continue
            if strange := self.strange(index):
                return self.reordered(index) or self.attended(index) or self.between(index, strange[0])
            return self.looped(index) or self.attended(index) or self.at(index)
        for output in self.porting.outputs:
            item = self.taps.get(f"output {output.name}")
            if item is not None and self.is_bad(item):
                return self.ending(output.name, item)
        return None

    def anywhere(self, training: bool) -> Fault | None:
        """The first step that differs by itself, forward, backward, or in training in what it keeps."""
        for index in range(len(self.porting.pairs)):
            if not self.agrees(index, training) and (self.parted(index) or not self.strange(index)):
                return self.at(index, training)  # one that makes the same of something else is no pair step by step
        return None

    def at(self, index: int, training: bool = False) -> Fault:
        """The fault of a step, with its cause."""
        pair = self.porting.pairs[index]
        local = compare.worst(self.replayed(index, training))
        if local is not None and local.verdict is not Verdict.EQUAL:
            text = describe(local)
        elif local is not None:
            text = (
                "its result differs in the models' own run, and agrees when only the tensors that flow in are the same"
            )
        else:
            known = "though all that it is given agrees" if all(pair.sources) else "and it cannot be run by itself"
            text = f"its result differs, {known}" + self._unreplayed(index)
        replaying = self.replaying(index)
        why = spanning.cause(self.porting, index)
        if why is None and replaying.possible:
            why = transposed.cause(replaying) or causes.cause(replaying)
        if why is None and not training and pair.torch.role in (BLOCK, CUSTOM) and self.parted(index):
            why = self._results(index)
        return Fault(pair.torch.name, pair.keras.name, pair.torch.role, _joined(why, text), index)

    def _results(self, index: int) -> causes.Cause | None:
        """Why what a pair of steps gives differs, by what came before."""
        torch, keras = self.porting.results(index)
        layout = self.porting.layouts.get(f"tap {index}") or usual(torch)
        return causes.between(self.agreeing(), layout.to_keras(torch), keras)

    def _unreplayed(self, index: int) -> str:
        return f" (by itself it could not be run: {self.failed[index]})" if index in self.failed else ""

    def between(self, index: int, place: int) -> Fault:
        """The fault before a step that is given something else, though every result before agrees."""
        pair = self.porting.pairs[index]
        ours, theirs = self.porting.arguments(index)
        layout = self.porting.layouts.get(f"input {index} {place}") or usual(ours[place])
        why = causes.between(self.agreeing(), masked(layout.to_keras(ours[place])), masked(theirs[place]))
        lone = self._lone(ours[place], theirs[place])
        why = transposed.between(self.porting, lone[1], layout.to_keras(ours[place])) or why
        name, other = (steps[0].name if steps else "" for steps in lone)
        text = (
            f"what reaches `{pair.torch.name}` (Keras's `{pair.keras.name}`) differs, though every layer before agrees"
        )
        names = (name, other) if name or other else (pair.torch.name, pair.keras.name)
        if pair.keras.role in RECURRENT and any(PACKED in step.name for step in lone[0]):
            shown = (
                f"PyTorch runs `{pair.torch.name}` on each sequence to its own length (`{name}`), and Keras's "
                f"`{pair.keras.name}` goes on through the padding: it is given no mask"
            )
            if not any(array.dtype.kind == "b" for array in pair.keras.inputs):
                return Fault(pair.torch.name, pair.keras.name, "between", f"{shown} ({text})")
        if why is None and {ours[place].dtype.kind, theirs[place].dtype.kind} & set("iu"):
            why = self._results(index)  # where the one takes a code, and the other what it stands for
        if why is None or not why.confirmed:
            steps = [self.porting.traces[side].steps for side in SIDES]
            if turned := swapped(index, self.porting.pairs, *steps):
                return Fault(pair.torch.name, pair.keras.name, "between", f"{turned} ({text})")
        return Fault(*names, "between", _joined(why, text) if why else _passed(*lone) + text)

    def reordered(self, index: int) -> Fault | None:
        """The fault of a step that is given the same tensors in another order."""
        pair = self.porting.pairs[index]
        ours, theirs = (self.porting.traces[side].steps for side in SIDES)
        text = reordered((pair.torch, ours), (pair.keras, theirs))
        return Fault(pair.torch.name, pair.keras.name, pair.torch.role, text, index) if text else None

    def attended(self, index: int) -> Fault | None:
        """The fault within an attention of several steps, by what each side makes of its queries and keys."""
        pair = self.porting.pairs[index]
        if pair.torch.role == pair.keras.role and pair.torch.role in attending.WHOLE:
            return None
        found = attending.cause(self.porting, *pair.places)
        return found and Fault(found[0], found[1], "between", found[2])

    def looped(self, index: int) -> Fault | None:
        """The fault of a cell in a loop that takes the moments in another order than the layer that it stands for."""
        found = looping.cause(self.porting, index)
        return found and Fault(found[0], found[1], "between", found[2])

    def ending(self, name: str, item: Comparison) -> Fault:
        """The fault behind the last step: outputs differ though every step agrees."""
        output = next(one for one in self.porting.outputs if one.name == name)
        held = [self.porting.traces[side].outputs for side in SIDES]
        lone = self._lone(held[0].get(output.torch or ""), held[1].get(output.keras or ""))
        ours, theirs = (steps[0].name if steps else "" for steps in lone)
        text = f"the output `{name}` differs, though every layer before agrees"
        why = None
        if output.torch is not None and output.keras is not None:
            torch = self.porting.traces["torch"].outputs[output.torch]
            layout = self.porting.layouts.get(f"output {name}") or usual(torch)
            other = self.porting.traces["keras"].outputs[output.keras]
            why = causes.between(self.agreeing(), layout.to_keras(torch), other)
        elif item.complaint:
            text = f"the output `{name}`: {item.complaint}"
        if not ours and not theirs and self.porting.pairs:
            last = self.porting.pairs[-1]
            ours, theirs = last.torch.name, last.keras.name
        return Fault(ours, theirs, "between", _joined(why, text) if why else _passed(*lone) + text)

    def _lone(self, torch: Array | None, keras: Array | None) -> tuple[list[Step], list[Step]]:
        """The steps without a partner on the way from what agrees to a tensor, on each side, in order."""
        found: list[list[Step]] = []
        for side, wanted in enumerate((torch, keras)):
            steps = self.porting.traces[list(SIDES)[side]].steps
            known = {pair.places[side] for index, pair in enumerate(self.porting.pairs) if not self.parted(index)}
            way, lone = {id(wanted)}, []
            for place in reversed(range(len(steps))):
                step = steps[place]
                if not any(id(array) in way for array in step.outputs):
                    continue
                if place in known:
                    way -= {id(array) for array in step.outputs}
                elif step.role not in (BLOCK, CUSTOM):
                    way |= {id(array) for array in step.inputs}
                    lone += [step] if _computes(step) else []
            found.append(lone[::-1])
        return found[0], found[1]

    def backward(self, wrong: list[Comparison]) -> Fault | None:
        """Where gradients part: behind the last layer whose gradient differs, if each layer agrees by itself."""
        if fault := self.anywhere(training=False) or self.untied(wrong):
            return fault
        names = {item.name.removeprefix("gradient of ") for item in wrong}
        held = [index for index, pair in enumerate(self.porting.pairs) if pair.weights & names]
        if not held:
            return None
        last = held[-1]
        pair = self.porting.pairs[last]
        after = self.porting.pairs[last + 1].label if last + 1 < len(self.porting.pairs) else "the output"
        lost = [item for item in wrong if item.complaint]
        how = f"; {lost[0].name}: {lost[0].complaint}" if lost else ""
        text = (
            f"gradients differ up to here and agree from `{after}` on, though each layer agrees by itself: one side "
            f"lets the gradient through between the two and the other stops or changes it (detach, stop_gradient){how}"
        )
        return Fault(pair.torch.name, pair.keras.name, pair.torch.role, text, last)

    def untied(self, wrong: list[Comparison]) -> Fault | None:
        """Weights that are one on one side and several on the other: each has only a part of the gradient there."""
        names = {item.name.removeprefix("gradient of ") for item in wrong}
        for one, other in itertools.combinations(self.porting.mapping.matches, 2):
            if not {one.name, other.name} & names:
                continue
            tied = [_tensors(one, side) == _tensors(other, side) for side in SIDES]
            if tied[0] != tied[1]:
                own, loose = ("PyTorch", "Keras") if tied[0] else ("Keras", "PyTorch")
                held = [" and ".join(_tensors(match, SIDE_OF[loose])) for match in (one, other)]
                text = (
                    f"{own}'s `{one.layers[tied[1]]}` and `{other.layers[tied[1]]}` share one tied weight, whose "
                    f"gradient is the sum of both uses, and {loose} holds two, `{held[0]}` and `{held[1]}`"
                )
                return Fault(one.layers[0], one.layers[1], "tied weight", text)
        return None

    def findings(self, fault: Fault | None, *, training: bool) -> tuple[Finding, ...]:
        """Every pair of steps with its accumulated and, where something is wrong, its local error; the fault marked."""
        found = []
        for index, pair in enumerate(self.porting.pairs):
            local = tuple(self.replayed(index, training)) if fault is not None else ()
            item = Finding(pair.torch.name, pair.keras.name, pair.torch.role, self.taps.get(f"tap {index}"), local)
            if fault is not None and fault.index == index:
                item = replace(item, located=True, cause=fault.cause)
            found.append(item)
        if fault is not None and fault.index is None:
            found.append(Finding(fault.torch, fault.keras, fault.role, located=True, cause=fault.cause))
        return tuple(found)


def _tensors(match: Match, side: str) -> tuple[str, ...]:
    return tuple(piece.tensor for piece in pieces_of(match, side))


def _computes(step: Step) -> bool:
    return step.role not in MOVING and step.role not in {BLOCK, CUSTOM, *CHANCE}


def _passed(torch: list[Step], keras: list[Step]) -> str:
    """What only one side does on the way, where the two do not do the same: "PyTorch has `roll#1` (roll) there, …"."""
    if [step.role for step in torch] == [step.role for step in keras]:
        return ""
    told = []
    for name, steps in (("PyTorch", torch), ("Keras", keras)):
        listed = ", ".join(f"`{step.name}` ({step.role.replace('_', ' ')})" for step in steps[:SHOWN])
        rest = f" and {len(steps) - SHOWN} more" if len(steps) > SHOWN else ""
        told.append(f"{name} has {listed + rest if steps else 'no step'}")
    return f"on the way {told[0]}, and {told[1]}: "


def _joined(why: causes.Cause | None, text: str) -> str:
    return f"{why.text} ({text})" if why is not None else text
