"""What meta-learners have in common: a network that adapts to a task by gradient steps, and the tasks it learns from.

Beside it a copy named `joint` is trained on the same points of the same tasks, by ordinary gradients: what the network
comes to without meta-learning. Of digits it learns nothing, since each task has its classes in another order, so there
it is compared between the sides and not scored.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from . import registry
from .errors import SpecError
from .field import choice, flag, fraction, positive, sizes, whole
from .learning import Course, Learner, LearningSpec, Picture, Verb, scalar
from .noise import Noise
from .parts import VECTOR, nested
from .spec import Part, Spec, Tensor
from .technique import Arrays, Technique
from .techniques.adam import Adam

AMPLITUDES, PHASES, REACH = (0.1, 5.0), (0.0, np.pi), 5.0
CLASSES, HELD_OUT, PIXELS = 10, 3, 64
SCORED, SHOWN, GRID = 200, 3, 100
COUNTED = (0, 1, 5, 10)
POINTS = "tasks samples features"
Samples = tuple[Tensor, Tensor]
Sets = list[tuple[NDArray[Any], NDArray[Any]]]


@dataclass(frozen=True, kw_only=True)
class MetaSpec(LearningSpec):
    """A network that is to adapt to a new task by a few gradient steps on a few samples, its support set.

    Fields:
        family: of the tasks. `sinusoids`: regress y = A sin(x - phi) on x in [-5, 5], with A in [0.1, 5] and phi in
            [0, pi] of the task (Finn, Abbeel and Levine 2017, section 5.1). `digits`: tell a few classes of 8x8 digits
            apart, in another order of labels for each task; classes 0 to 6 are learnt from, and 7 to 9 held out.
        ways: classes of a task of digits.
        shots, queries: samples of a support set, and of the query set that judges the adapted weights; of digits, of
            each class.
        task_batch: tasks of a training step.
        hidden_dims, activation: of the network, see core/architectures/mlp.py.
        inner_rate, inner_steps: of the adaptation in training, see core/techniques/inner_loop.py.
        evaluation_steps: of the adaptation when the network is asked, on one support set.
        parallel: adapt to all tasks of a batch at once (`torch.func.vmap`, `tf.vectorized_map`); otherwise to one
            after another, with the same result.
        learning_rate, beta_1, beta_2, epsilon: of Adam, see core/techniques/adam.py.
    """

    family: str = choice("sinusoids", "digits")
    ways: int = whole(3, least=2)
    shots: int = whole(10)
    queries: int = whole(10)
    task_batch: int = whole(25)
    hidden_dims: tuple[int, ...] = sizes((40, 40))
    activation: str = choice("relu", "tanh")
    inner_rate: float = positive(0.01)
    inner_steps: int = whole(1)
    evaluation_steps: int = whole(10)
    parallel: bool = flag(True)
    learning_rate: float = positive(1e-3)
    beta_1: float = fraction(0.9)
    beta_2: float = fraction(0.999)
    epsilon: float = positive(1e-8)

    STEPS: ClassVar[int] = 20
    COPIES: ClassVar[tuple[str, ...]] = ("joint",)

    def constraints(self) -> Iterator[str]:
        if self.family == "digits" and self.ways > HELD_OUT:
            yield (
                f"ways {self.ways} is above {HELD_OUT}, the classes of digits that are held out to judge by; choose at "
                f"most {HELD_OUT}"
            )

    @property
    def in_features(self) -> int:
        """Numbers of a sample."""
        return 1 if self.family == "sinusoids" else PIXELS

    @property
    def out_features(self) -> int:
        """Numbers of a prediction: one, or a logit for each class of a task."""
        return 1 if self.family == "sinusoids" else self.ways

    def network(self) -> Spec:
        """What adapts."""
        spec: Spec = registry.make(
            "mlp",
            input_shape=(self.in_features,),
            hidden_dims=self.hidden_dims,
            output_dim=self.out_features,
            activation=self.activation,
            weight_init="he" if self.activation == "relu" else "xavier",
        )
        return spec

    def loss(self) -> str:
        return "mean_squared_error" if self.family == "sinusoids" else "cross_entropy"

    def inputs(self) -> tuple[Tensor, ...]:
        return (Tensor("features", VECTOR, (None, self.in_features)),)

    def outputs(self) -> tuple[Tensor, ...]:
        return (Tensor("predictions", VECTOR, (None, self.out_features)),)

    def parts(self) -> Iterator[Part]:
        yield from nested("network", self.network())

    def inner_loop(self) -> Technique:
        """How it adapts."""
        found: Technique = registry.make("inner_loop", rate=self.inner_rate)
        return found

    def adam(self) -> Technique:
        """What moves the joint network, and the other one where nothing else does."""
        return self.part_of(Adam)

    def samples(self, name: str, axes: str = POINTS, shape: tuple[int | None, ...] = (None, None)) -> Samples:
        """Inputs and targets of these axes and sizes, the last left out; the sizes count samples of each class."""
        if self.family == "digits" and shape[-1] is not None:
            shape = (*shape[:-1], shape[-1] * self.ways)
        inputs = Tensor(f"{name}inputs", axes, (*shape, self.in_features))
        if self.family == "digits":
            return inputs, Tensor(f"{name}targets", axes.rpartition(" ")[0], shape, "int", self.ways)
        return inputs, Tensor(f"{name}targets", axes, (*shape, self.out_features))

    def verbs(self) -> dict[str, Verb]:
        predictions = Tensor("predictions", "tasks steps samples features", (None, None, None, self.out_features))
        asked = Verb((*self.samples("support_"), self.samples("query_")[0]), (predictions,))
        joint = Verb(self.samples("", VECTOR, (None,)), (scalar("joint_loss"),))
        return {"step_joint": joint, "adapt": asked, "adapt_joint": asked}


class Tasks(Course):
    """Tasks drawn anew for each step. A subclass says in `taken` what a step makes of them."""

    def __init__(self, spec: Any, data: Arrays, noise: Noise) -> None:
        super().__init__(spec, data, noise)
        if spec.family == "digits":
            found = data or digits()
            self.images = np.asarray(found["images"]).reshape(len(found["images"]), -1)
            classes = [np.flatnonzero(found["labels"] == label) for label in range(CLASSES)]
            self.members = {False: classes[:-HELD_OUT], True: classes[-HELD_OUT:]}
            self._enough(classes)

    def _enough(self, classes: list[NDArray[np.int64]]) -> None:
        needed = max(sum(self.sizes()), self.spec.shots + self.spec.queries)
        label = int(np.argmin([len(rows) for rows in classes]))
        if needed > len(classes[label]):
            raise SpecError(
                f"{self.spec.name}: a task takes {needed} samples of each class, and class {label} has "
                f"{len(classes[label])}; choose fewer shots or queries"
            )

    def sizes(self) -> tuple[int, ...]:
        """Samples, of each class, of the sets that a training task is made of."""
        raise TypeError(f"{self.spec.name} does not say the sets of a task")

    def drawn(self, name: str, step: int, count: int, sizes: tuple[int, ...], held_out: bool = False) -> Sets:
        """Inputs and targets of each set of so many new tasks."""
        noise = Noise(self.noise.seed, step)
        if self.spec.family == "digits":
            return self._digits(noise, name, count, sizes, self.members[held_out])
        return self._sinusoids(noise, name, count, sizes)

    def _sinusoids(self, noise: Noise, name: str, count: int, sizes: tuple[int, ...]) -> Sets:
        x = REACH * (2 * noise.uniform(f"{name} inputs", (count, sum(sizes), 1)) - 1)
        y = self.waves(noise, name, count)(x)
        cuts = np.cumsum(sizes)[:-1]
        return list(zip(np.split(x, cuts, 1), np.split(y, cuts, 1), strict=True))

    def waves(self, noise: Noise, name: str, count: int) -> Any:
        """The functions of so many tasks, of x (tasks, samples, 1)."""
        amplitudes, phases = (
            low + (high - low) * noise.uniform(f"{name} {what}", (count, 1, 1))
            for what, (low, high) in (("amplitude", AMPLITUDES), ("phase", PHASES))
        )
        return lambda x: amplitudes * np.sin(x - phases)

    def _digits(self, noise: Noise, name: str, count: int, sizes: tuple[int, ...], members: Any) -> Sets:
        ways = self.spec.ways
        chosen = noise.uniform(f"{name} classes", (count, len(members))).argsort(axis=1)[:, :ways]
        shares = noise.uniform(f"{name} samples", (count, ways, max(map(len, members))))
        rows = np.array(
            [
                [members[label][share[: len(members[label])].argsort()[: sum(sizes)]] for label, share in pairs]
                for pairs in (zip(*task, strict=True) for task in zip(chosen, shares, strict=True))
            ]
        )  # (tasks, ways, samples of all sets)
        sets = np.split(rows, np.cumsum(sizes)[:-1], axis=2)
        labels = [np.broadcast_to(np.arange(ways)[:, None], found.shape[1:]) for found in sets]
        return [
            (self.images[found].reshape(count, -1, PIXELS), np.tile(label.reshape(1, -1), (count, 1)))
            for found, label in zip(sets, labels, strict=True)
        ]

    def take(self, learner: Learner, step: int) -> Arrays:
        sets = self.drawn("tasks", step, self.spec.task_batch, self.sizes())
        inputs, targets = (np.concatenate([found[index] for found in sets], axis=1) for index in (0, 1))
        points = {"inputs": inputs.reshape(-1, inputs.shape[-1]), "targets": targets.reshape(-1, *targets.shape[2:])}
        return {**self.taken(learner, step, sets), **learner.do("step_joint", points, step)}

    def taken(self, learner: Learner, step: int, sets: Sets) -> Arrays:
        """A step of the meta-learner on the sets of new tasks."""
        raise TypeError(f"{self.spec.name} does not say how a step of its training is taken")

    def asked(self, learner: Learner, verb: str, support: Any, queries: NDArray[Any]) -> NDArray[Any]:
        """Predictions for the queries, (tasks, steps, samples, features), before adaptation and after each step."""
        named = {"support_inputs": support[0], "support_targets": support[1], "query_inputs": queries}
        return learner.do(verb, named)["predictions"]

    def finish(self, learner: Learner) -> Arrays:
        sets = self.drawn("asked", 0, self.spec.task_batch, (self.spec.shots, self.spec.queries), held_out=True)
        return {
            f"{name} predictions": self.asked(learner, verb, sets[0], sets[1][0])
            for name, verb in (("adapted", "adapt"), ("joint", "adapt_joint"))
        }

    def errors(self, learner: Learner, verb: str) -> NDArray[Any]:
        """Over held-out tasks, after each number of gradient steps: squared error, or the share of wrong classes."""
        support, (x, y) = self._held_out()
        found = self.asked(learner, verb, support, x)
        if self.spec.family == "digits":
            return np.asarray((found.argmax(axis=-1) != y[:, None]).mean(axis=(0, 2)))
        return np.asarray(((found - y[:, None]) ** 2).mean(axis=(0, 2, 3)))

    def _held_out(self) -> Any:
        if self.spec.family == "digits":
            return self.drawn("held out", 0, SCORED, (self.spec.shots, self.spec.queries), held_out=True)
        (support,) = self.drawn("held out", 0, SCORED, (self.spec.shots,))
        x = np.tile(np.linspace(-REACH, REACH, GRID)[None, :, None], (SCORED, 1, 1))
        return support, (x, self.waves(Noise(self.noise.seed), "held out", SCORED)(x))

    def scores(self, learner: Learner) -> Mapping[str, float]:
        word = "error" if self.spec.family == "sinusoids" else "share of wrong classes"
        curves = self._curves(learner)
        found: dict[str, float] = {}
        for steps in (number for number in COUNTED if number <= self.spec.evaluation_steps):
            after = f"after {steps} gradient step{'s' * (steps != 1)}"
            adapted = found[f"{word} {after}"] = float(curves["adapted"][steps])
            if "joint" in curves:
                joint = found[f"{word} of joint training {after}"] = float(curves["joint"][steps])
                found[f"joint training's {word} / its own, {after}"] = joint / adapted
        return found

    def _curves(self, learner: Learner) -> dict[str, NDArray[Any]]:
        """What is to be compared of `errors`, by name."""
        verbs = {"adapted": "adapt", **({"joint": "adapt_joint"} if self.spec.family == "sinusoids" else {})}
        return {name: self.errors(learner, verb) for name, verb in verbs.items()}

    def pictures(self, learner: Learner) -> Mapping[str, Picture]:
        curves = self._curves(learner)
        steps = np.arange(len(curves["adapted"]))
        values = np.stack([steps, *curves.values()], 1)
        result = {"error by gradient steps": Picture("lines", values, tuple(curves))}
        if self.spec.family == "sinusoids":
            support, (x, y) = (tuple(array[:SHOWN] for array in found) for found in self._held_out())
            found = [self.asked(learner, verb, support, x)[..., 0] for verb in ("adapt", "adapt_joint")]
            last = found[0].shape[1] - 1
            labels = ("true", "before", "after 1 step", f"after {last} steps", "joint, after 1 step")
            for task in range(SHOWN):
                lines = (y[task, :, 0], *(found[0][task, at] for at in (0, 1, last)), found[1][task, 1])
                result[f"sinusoid {task + 1}"] = Picture("lines", np.stack([x[task, :, 0], *lines], 1), labels)
        return result


def digits() -> Arrays:
    """Scikit-learn's 8x8 digits, pixels in 0..1. Raises SpecError where it is not installed."""
    try:
        found = importlib.import_module("sklearn.datasets").load_digits()
    except ImportError:
        raise SpecError("tasks of digits need scikit-learn: pip install scikit-learn") from None
    return {"images": found.images / 16, "labels": found.target}


def random_digits(rng: np.random.Generator, count: int) -> Arrays:
    """As many random images of each class."""
    return {"images": rng.random((CLASSES * count, 8, 8)), "labels": np.repeat(np.arange(CLASSES), count)}
