"""Easy samples first, and harder ones as training goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..field import flag, non_negative, share, whole
from ..noise import Noise
from ..technique import Arrays, Technique

Whole = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Curriculum(Technique):
    """An epoch takes every sample that is no harder than its threshold, once, in a random order.

    Source: Bengio, Louradour, Collobert and Weston, "Curriculum learning", ICML 2009, section 3: a sequence of
    distributions of the samples, whose entropy grows, and which ends in that of all samples.

    The threshold of epoch e, counted from 0, is min(1, start + step e). A difficulty is a number from 0 to 1, and a
    sample takes part from the first epoch on whose threshold is at least its difficulty. The order of an epoch is drawn
    by `core/noise.py` from the seed and the epoch, so both sides see the same samples in the same order, and a resumed
    run goes on with them.

    Fields:
        start: the first threshold.
        step: by how much it rises each epoch.
        replacement: draw as many samples as take part, each anew, so that some come twice and others not at all.
        seed: of the order.

    Departs from paper: its weights of the samples may be any that do not fall; here they are 0 or 1.

    Departs from the document: its class draws each batch with replacement, so that within an epoch a third of the
    samples are left out and others come more than once; it computes every difficulty again for each batch; and it never
    advances its epoch, so that its threshold stays at 0.2.

    On PyTorch it is the sampler of a `DataLoader`, whose `set_epoch` must be called before each epoch; on Keras a
    `PyDataset`, which `fit` tells of each epoch, and which `set_epoch` starts elsewhere. `fit` needs `shuffle=False`,
    or it exchanges the batches once more.

    Raises SpecError for a value against its rule, and InputError for difficulties that are not numbers from 0 to 1 and
    for an epoch in which no sample takes part.

    Frameworks differ: in the generators, so the order is drawn here; and in who says that an epoch begins. Keras's
    `fit` asks for the number of batches once and cuts every later epoch to that of the first without a word, so the
    sibling's number is one that is asked again.
    """

    start: float = share(0.2)
    step: float = non_negative(0.1)
    replacement: bool = flag(False)
    seed: int = whole(0, least=0)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "curriculum_slow": {"start": 0.4, "step": 0.03125, "seed": 3},
        "curriculum_replacement": {"replacement": True, "step": 0.25},
    }
    CHECKED = ("curriculum", *PRESETS)
    EPOCHS: ClassVar[tuple[int, ...]] = (0, 1, 2, 6, 8, 9, 30)
    BATCH: ClassVar[int] = 4

    def threshold(self, epoch: int) -> float:
        """The difficulty up to which samples take part in an epoch."""
        return min(1.0, self.start + self.step * epoch)

    def checked(self, difficulties: Any) -> NDArray[np.float64]:
        """Difficulties, (samples), as an array."""
        array = np.asarray(difficulties)
        if array.ndim != 1 or not array.size or array.dtype.kind not in "fiu":
            given = f"{array.dtype} {array.shape}"
            raise InputError(f"{self.name}: difficulties are numbers, (samples), one for each sample, not {given}")
        for index in np.flatnonzero(~((array >= 0) & (array <= 1))):
            advice = "a difficulty is from 0 to 1; divide them by the largest"
            raise InputError(f"{self.name}: sample {index} has the difficulty {array[index]}, and {advice}")
        return array.astype(np.float64)

    def rows(self, difficulties: Any, epoch: int = 0) -> Whole:
        """The samples of an epoch in their order, by their indices; epochs are counted from 0."""
        array = self.checked(difficulties)
        if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 0:
            raise InputError(f"{self.name}: an epoch is a whole number, at least 0, not {epoch!r}")
        eligible = np.flatnonzero(array <= self.threshold(epoch))
        if not eligible.size:
            least = f"the threshold of epoch {epoch} is {self.threshold(epoch):g}, and the easiest sample's difficulty"
            raise InputError(f"{self.name}: {least} {array.min():g}; raise `start`, or measure difficulty from 0")
        noise = Noise(self.seed, epoch)
        if self.replacement:
            return eligible[noise.integers(self.name, eligible.size, (eligible.size,))]
        return eligible[noise.permutation(self.name, eligible.size)]

    def batches(self, rows: Whole, size: int) -> Iterator[Whole]:
        """Rows in batches, of which the last may be smaller."""
        for first in range(0, len(rows), size):
            yield rows[first : first + size]

    def case(self, rng: np.random.Generator) -> Arrays:
        """A difficulty for each of some samples, of which a few take part from the first epoch on."""
        return {"difficulties": np.concatenate([rng.uniform(0.05, 0.15, 4), rng.uniform(0.05, 0.95, 27)])}

    def rule(self, case: Arrays) -> Arrays:
        """The batches of some epochs end to end, and how many there are."""
        result: Arrays = {}
        for epoch in self.EPOCHS:
            easy = [
                i for i, value in enumerate(case["difficulties"]) if value <= min(1, self.start + self.step * epoch)
            ]
            noise, count = Noise(self.seed, epoch), len(easy)
            drawn = noise.integers(self.name, count, (count,)) if self.replacement else None
            order = noise.permutation(self.name, count) if drawn is None else drawn
            result[f"rows of epoch {epoch}"] = np.array([easy[place] for place in order])
            result[f"batches of epoch {epoch}"] = np.array(-(-count // self.BATCH))
        return result
