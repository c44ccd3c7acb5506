"""What is at fault in a decoder: each part's call in a step, against the same positions of the whole network.

Where both agree on each side and the sides do not, the ordinary localisation is asked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import check_generation, compare, floor
from .axes import parse
from .backend import SIDES, Call
from .check_generation import Script
from .compare import Comparison
from .locate import Fault
from .locate import locate as locate_between
from .pair import Pair
from .spec import Part
from .state import State
from .verdict import Verdict

NEWEST = ("time", "queries")
Calls = dict[str, Call]


def locate(pair: Pair) -> Fault | None:
    """The first part whose call in a step is not what it is in the whole network; None if there is none."""
    script = Script.of(check_generation.prompt(pair), pair.spec.generates)
    for side, label in zip(SIDES, compare.SIDES, strict=True):
        steps = zip(script.ends, _fed(pair, side, script), *_whole(pair, side, script), strict=True)
        for end, fed, whole, moved in steps:
            for part in pair.spec.parts():
                if part.name in fed and part.name in whole:
                    found = _compared(part, *(calls[part.name].output for calls in (fed, whole, moved)))
                    if found.verdict is not Verdict.EQUAL:
                        return Fault(part.name, _sentence(label, script, end, found))
    return locate_between(pair)


def _fed(pair: Pair, side: str, script: Script) -> list[Calls]:
    decoder = pair.side(side).decoder(pair.loaded(side, pair.state), script.others, taps=True)
    return [dict(decoder.calls) for _ in script.feed(decoder)]


def _whole(pair: Pair, side: str, script: Script) -> list[list[Calls]]:
    """After each piece, as it is and after every weight has moved by a unit."""

    def calls(state: State) -> list[Calls]:
        model = pair.loaded(side, state)
        inputs = [script.whole(end, pair.spec.generates) for end in script.ends]
        return [pair.side(side).forward(model, arrays, taps=True).calls for arrays in inputs]

    return [calls(pair.state), calls(floor.moved(pair.state, pair.seed))]


def _compared(part: Part, fed: NDArray[Any], whole: NDArray[Any], moved: NDArray[Any]) -> Comparison:
    whole, moved = _newest(part, whole, fed), _newest(part, moved, fed)
    least = floor.movement({part.name: whole}, {part.name: moved}).get(part.name, 0.0)
    return compare.pair(part.name, fed, whole, least, sides=("a step", "the whole network"))


def _newest(part: Part, whole: NDArray[Any], fed: NDArray[Any]) -> NDArray[Any]:
    """The last positions of the whole network, as many as a step had."""
    for axis, group in enumerate(parse(part.output)):
        if group[0] in NEWEST and fed.ndim == whole.ndim:
            whole = np.take(whole, range(max(0, whole.shape[axis] - fed.shape[axis]), whole.shape[axis]), axis)
    return whole


def _sentence(label: str, script: Script, end: int, found: Comparison) -> str:
    when = "the prompt" if end == script.prompt else f"the step of token {end - 1}"
    if end > script.turn:
        when += ", after the rows were reordered"
    size = found.complaint or f"differs by {found.difference:.1e}, {found.ratio:.1e} noise floors"
    return f"in {label}, at {when}, its output is not that of the whole network: {size}"
