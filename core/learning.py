"""How a network learns that one loss alone cannot teach: several optimizers, copies, an environment in the loop.

A learning spec says what its training computes, and its course what the training is fed. The course is the same on
both sides and draws by shared randomness, so a whole run is the same run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from .errors import SpecError
from .noise import Noise
from .spec import Spec, Tensor
from .technique import Arrays, Technique

STEP = "step"
Chosen = TypeVar("Chosen", bound=Technique)


@dataclass(frozen=True)
class Verb:
    """What a learner can be asked for: the tensors it takes and those it gives, in the order they are computed in.

    A verb whose name starts with `step` trains; every other only answers, in evaluation mode.
    """

    takes: tuple[Tensor, ...]
    gives: tuple[Tensor, ...]


class Learner(Protocol):
    """A network of one side in training, with its optimizers, its copies and what else training keeps."""

    def do(self, verb: str, arrays: Arrays, step: int = 0) -> Arrays:
        """What a verb of the spec gives for these arrays, canonical. `step` is that of the draws."""

    def state(self) -> Arrays:
        """Every weight, those of the copies, and every slot of the optimizers, by canonical names and layouts."""

    def kept(self) -> Arrays:
        """All that `restore` needs to go on bitwise, as this framework keeps it."""

    def restore(self, kept: Arrays) -> None:
        """Go on where `kept` was taken."""


class Training(Protocol):
    """What is to be said of a training: a LearningSpec says it of itself."""

    @property
    def COPIES(self) -> tuple[str, ...]:
        """The networks kept beside the one that is trained."""

    def optimizers(self) -> dict[str, tuple[Technique, str]]:
        """Each optimizer by name, and the attribute path whose weights it moves; empty is the whole network."""

    def verbs(self) -> dict[str, Verb]:
        """What a learner can be asked for."""

    def course(self, data: Arrays, noise: Noise) -> Course:
        """What a learner is fed."""


@dataclass(frozen=True)
class Picture:
    """Something to look at: `grid`, images (rows, columns, height, width, channels) in 0..1; or `points`,
    (samples, 2) with a label each; or `lines`, (samples, 1 + lines): x and the y of each, named by `labels`."""

    form: str
    values: NDArray[Any]
    labels: Any = ()


class Course:
    """What a training is fed, one step after another. A subclass gives `take`, and keeps what it needs to go on.

    `data` are the arrays learnt from, by name, (samples, ...); a course with an environment has none.

    Raises SpecError for images of another shape than the spec's, and for labels that it has no class for.
    """

    def __init__(self, spec: Any, data: Arrays, noise: Noise) -> None:
        self.spec, self.data, self.noise = spec, data, noise
        if isinstance(spec, Spec) and "images" in data:
            _fitting(spec, data)

    def take(self, learner: Learner, step: int) -> Arrays:
        """One step, counted from 0: every quantity by name, in the order they are computed in."""
        raise TypeError(f"{self.spec.name} does not say how a step of its training is taken")

    def finish(self, learner: Learner) -> Arrays:
        """What is compared beside the weights when a training ends: samples and the like."""
        return {}

    def state(self) -> Arrays:
        """What the course keeps between steps, by names that no weight has; compared, and stored to go on with."""
        return {}

    def restore(self, state: Arrays) -> None:
        """Go on where `state` was taken."""

    def scores(self, learner: Learner) -> Mapping[str, float]:
        """What the training came to, by name, on data that it was not fed."""
        return {}

    def pictures(self, learner: Learner) -> Mapping[str, Picture]:
        """What a person would look at, by name."""
        return {}

    def rows(self, name: str, step: int, count: int) -> NDArray[np.int64]:
        """The samples of a step: each epoch takes all of them in another order, and leaves out what fills no batch."""
        samples = len(next(iter(self.data.values())))
        count = min(count, samples)
        epoch, place = divmod(step, samples // count)
        order = Noise(self.noise.seed, epoch).permutation(f"{name} order", samples)
        return order[place * count : (place + 1) * count]


def _fitting(spec: Spec, data: Arrays) -> None:
    declared = {tensor.name: tensor for tensor in spec.inputs()}
    found = data["images"].shape[1:]
    if "images" in declared and found != declared["images"].shape[1:]:
        fields = "" if len(found) != 3 else f", or set image_size={found[0]} and in_channels={found[2]}"
        raise SpecError(
            f"{spec.name}: its images have the shape {declared['images'].shape[1:]}, and those of the data have "
            f"{found}; resize them{fields}"
        )
    classes, labels = spec.fields().get("num_classes"), data.get("labels")
    if classes and labels is not None and int(labels.max()) >= classes:
        raise SpecError(
            f"{spec.name}: num_classes is {classes}, and the data has a label {int(labels.max())}; set "
            f"num_classes={int(labels.max()) + 1}, or 0 for none"
        )


@dataclass(frozen=True, kw_only=True)
class LearningSpec(Spec):
    """An architecture with a training of its own. `STEPS` are those of a check, `COPIES` the networks kept beside it.

    `DATA` names what `diglot run` trains it on, `RUN` the fields it is then given and `RUN_STEPS` how long.
    """

    STEPS: ClassVar[int] = 50
    COPIES: ClassVar[tuple[str, ...]] = ()
    DATA: ClassVar[str] = ""
    RUN: ClassVar[Mapping[str, Any]] = {}
    RUN_STEPS: ClassVar[int] = 1000

    def optimizers(self) -> dict[str, tuple[Technique, str]]:
        """Each optimizer by name, and the attribute path whose weights it moves; empty is the whole network."""
        raise TypeError(f"{self.name} does not say its optimizers")

    def verbs(self) -> dict[str, Verb]:
        """What its learner can be asked for, by name; one of them steps."""
        raise TypeError(f"{self.name} does not say its verbs")

    def course(self, data: Arrays, noise: Noise) -> Course:
        """What its training is fed."""
        raise TypeError(f"{self.name} does not say its course")

    def lesson(self, rng: np.random.Generator) -> Arrays:
        """Random data on which its training is checked; none where it learns from an environment."""
        return {}

    def part_of(self, technique: type[Chosen], **others: Any) -> Chosen:
        """A technique with the values of the fields that this network has as well, and others as they are given.

        Raises SpecError for values against its rules, as for this network's own.
        """
        shared = {name: value for name, value in self.fields().items() if name in technique.__dataclass_fields__}
        try:
            return technique(**{**shared, **others})
        except SpecError as error:
            raise SpecError(str(error).replace(technique.spec_name(), self.name, 1)) from None


def scalar(name: str) -> Tensor:
    """A single number, as losses are."""
    return Tensor(name, "", ())


def study(learner: Learner, course: Course, steps: int) -> Arrays:
    """Take so many steps: every quantity of every step, the learner's state, the course's, and what it ends with."""
    taken = [course.take(learner, step) for step in range(steps)]
    names = dict.fromkeys(name for quantities in taken for name in quantities)
    result = {name: np.stack([quantities[name] for quantities in taken if name in quantities]) for name in names}
    return {**result, **learner.state(), **course.state(), **course.finish(learner)}


def under(kept: Arrays, prefix: str) -> Arrays:
    """The arrays whose names start with a prefix and a dot, without these."""
    return {name.removeprefix(f"{prefix}."): array for name, array in kept.items() if name.startswith(f"{prefix}.")}
