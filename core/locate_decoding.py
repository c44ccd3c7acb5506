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

LENGTHS = ("time", "queries", "keys")
Calls = dict[str, Call]


def locate(pair: Pair) -> Fault | None:
    """The first part whose call in a step is not what it is in the whole network; None if there is none.

    Where what such a part is given differs already, the fault is that of the part around it, and so on outwards.
    """
    script = Script.of(check_generation.prompt(pair), pair.spec.generates)
    elsewhere = floor.moved(pair.state, pair.seed)
    for side, label in zip(SIDES, compare.SIDES, strict=True):
        for end, fed in zip(script.ends, _fed(pair, side, script), strict=True):
            whole, moved = (_whole(pair, side, script, end, state) for state in (pair.state, elsewhere))
            called = {part.name: part for part in pair.spec.parts() if part.name in fed and part.name in whole}
            for name, part in called.items():
                found = _compared(name, part.output, *(calls[name].output for calls in (fed, whole, moved)))
                if found.verdict is not Verdict.EQUAL:
                    while name in called and _given_otherwise(called[name], fed, whole, moved):
                        name = _around(name, called)
                    return Fault(name or pair.spec.name, _sentence(label, script, end, found))
    return locate_between(pair)


def _fed(pair: Pair, side: str, script: Script) -> list[Calls]:
    decoder = pair.side(side).decoder(pair.loaded(side, pair.state), script.others, taps=True)
    return [dict(decoder.calls) for _ in script.feed(decoder)]


def _whole(pair: Pair, side: str, script: Script, end: int, state: State) -> Calls:
    inputs = script.whole(end, pair.spec.generates)
    return pair.side(side).forward(pair.loaded(side, state), inputs, taps=True).calls


def _given_otherwise(part: Part, *calls: Calls) -> bool:
    """Whether any argument differs between a step and the whole network."""
    arguments = zip(part.inputs, *(given[part.name].inputs for given in calls), strict=False)
    for axes, *arrays in arguments:
        given = [array for array in arrays if array is not None]
        if len(given) == len(calls) and _compared(part.name, axes, *given).verdict is not Verdict.EQUAL:
            return True
    return False


def _around(name: str, called: dict[str, Part]) -> str:
    """The part that holds another one and is called in a step as well; empty for the network itself."""
    name = name.rpartition(".")[0]
    return name if not name or name in called else _around(name, called)


def _compared(name: str, axes: str, fed: NDArray[Any], whole: NDArray[Any], moved: NDArray[Any]) -> Comparison:
    whole, moved = _newest(axes, whole, fed), _newest(axes, moved, fed)
    least = floor.movement({name: whole}, {name: moved}).get(name, 0.0)
    return compare.pair(name, fed, whole, least, sides=("a step", "the whole network"))


def _newest(axes: str, whole: NDArray[Any], fed: NDArray[Any]) -> NDArray[Any]:
    """The last positions of the whole network, as many as a step had."""
    for axis, group in enumerate(parse(axes)):
        if group[0] in LENGTHS and fed.ndim == whole.ndim:
            whole = np.take(whole, range(max(0, whole.shape[axis] - fed.shape[axis]), whole.shape[axis]), axis)
    return whole


def _sentence(label: str, script: Script, end: int, found: Comparison) -> str:
    when = "the prompt" if end == script.prompt else f"the step of token {end - 1}"
    if end > script.turn:
        when += ", after the rows were reordered"
    size = found.complaint or f"differs by {found.difference:.1e}, {found.ratio:.1e} noise floors"
    return f"in {label}, at {when}, {found.name} does not give what it gives in the whole network: {size}"
