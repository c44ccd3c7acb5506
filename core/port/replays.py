"""The comparisons of a run of both models, and the replays of its steps, each by itself."""

from __future__ import annotations

import functools

from ..compare import Comparison
from ..errors import DiglotError
from ..verdict import SEVERITY, Verdict
from .layouts import Array
from .porting import Porting
from .replaying import Replaying, count_of


class Replays:
    """The comparisons of a run of both models, and the replays of their steps, each done once."""

    def __init__(self, porting: Porting, taps: list[Comparison]) -> None:
        self.porting = porting
        self.taps = {item.name: item for item in taps}
        self._replays: dict[tuple[int, bool], list[Comparison]] = {}
        self.failed: dict[int, str] = {}
        self.least = Verdict.FLOAT32_EQUAL

    def replayed(self, index: int, training: bool = False) -> list[Comparison]:
        """What a pair of steps makes of the same input; nothing where it could not be replayed."""
        if (index, training) not in self._replays:
            self._replays[index, training] = self._replay(index, training)
        return self._replays[index, training]

    def _replay(self, index: int, training: bool) -> list[Comparison]:
        replaying = self.replaying(index)
        if not replaying.possible:
            return []
        try:
            found = replaying.compared(training=training)
            return found if replaying.output is not None or self.parted(index) else []
        except DiglotError as error:
            self.failed[index] = str(error)
            return []

    @functools.cache  # noqa: B019 - the search lives as long as one comparison
    def replaying(self, index: int) -> Replaying:
        """A pair of steps by themselves."""
        return Replaying(self.porting, index)

    def parted(self, index: int) -> bool:
        """Whether the result of a step differs in the run of the whole models, as badly as is looked for."""
        return self.is_bad(self.taps.get(f"tap {index}"))

    def is_bad(self, item: Comparison | None) -> bool:
        """Whether a comparison is as bad as is looked for."""
        return item is not None and SEVERITY.index(item.verdict) >= SEVERITY.index(self.least)

    def mended(self, index: int) -> bool:
        """Whether what comes of a differing result agrees: then the two steps are no pair, or one in other words."""
        return any(not self.parted(other) for other in self.porting.leads_to(index))

    def strange(self, index: int) -> list[int]:
        """Which arguments of a step differ."""
        found = []
        for place in range(count_of(self.porting, index)):
            source = self.porting.known(index, place)
            if self.parted(source) if source is not None else self._strange(index, place):
                found.append(place)
        return found

    def _strange(self, index: int, place: int) -> bool:
        return self.is_bad(self.taps.get(f"input {index} {place}"))

    def agrees(self, index: int, training: bool) -> bool:
        """Whether nothing differs when the step is given the same on both sides."""
        return all(item.verdict is Verdict.EQUAL for item in self.replayed(index, training))

    def agreeing(self) -> dict[str, Array]:
        """The results on which both sides agree, by the names of their steps, in Keras's layout."""
        return {
            pair.label: pair.keras.outputs[0]
            for index, pair in enumerate(self.porting.pairs)
            if not self.parted(index) and pair.keras.outputs[0].dtype.kind in "fiu"
        } | {f"input {name}": array for name, array in self.porting.given.keras.items() if array.dtype.kind in "fiu"}
