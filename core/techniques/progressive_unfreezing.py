"""Fine-tuning from the head down: more weights train as time goes on, the lower ones at smaller rates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar

import numpy as np

from ..errors import InputError
from ..field import positive, sizes, words
from ..technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class ProgressiveUnfreezing(Technique):
    """Stage by stage, the weights of a network start to train, each stage at a fraction of the rate of the one above.

    Source: Howard and Ruder, "Universal language model fine-tuning for text classification" (ULMFiT), ACL 2018, section
    3.2, "discriminative fine-tuning", rate of layer l - 1 = rate of layer l / 2.6; and 3.3, "gradual unfreezing", one
    more layer each epoch.

    A weight belongs to the first pattern that its name matches, as a shell matches file names (`*`, `?`, `[...]`, case
    and all). The first pattern, the head, trains from the start; each further one from its epoch on, counted from 0.
    The rate of stage s, counted from 0, is that of the head divided by decay^s. A weight that does not train has no
    gradient, so that neither momentum nor weight decay moves it.

    Fields:
        patterns: of the weights' names, from the head down.
        epochs: the first epoch of every pattern but the first, none earlier than the one before.
        decay: by which the rate is divided from one stage to the next.

    `set_epoch(epoch)` is called before each epoch; on Keras it is a callback, which does so. `groups(learning_rate)`
    gives the weights of each stage with their rate and their `multiplier`, which every schedule here heeds: on PyTorch
    they are the groups that an optimizer is built with, all of them at the start. `multipliers` are the pairs of
    pattern and factor that the technique of groups takes.

    Departs from the document: it unfreezes the last 30 of the network's arrays, wherever a layer begins, and gives all
    weights one rate (a decay of 1). Its optimizer was built with the head's weights alone, so what it unfreezes never
    moves.

    Raises SpecError for a value against its rule, where there is not one epoch for every pattern but the first, and
    where they are out of order. Raises InputError for a weight that no pattern matches, and for a pattern that matches
    no weight.

    Frameworks differ: PyTorch freezes a weight, by `requires_grad`, and Keras a variable or a layer, by `trainable`. A
    Keras layer that is frozen as a whole also runs in inference mode if it is a batch normalisation, so the sibling
    freezes variables; then running statistics move on both sides, as those of a PyTorch module do unless it is put
    into evaluation mode. A Keras training step that was compiled goes on with the weights of its first call; and an
    optimizer knows the weights only that it was built with, so the callback builds it with all and compiles again at
    each stage. Adam's corrections count a weight's own steps in PyTorch, and all steps in Keras: there the moments of a
    weight that starts late are taken for complete ones, and after some thousand steps its first step is
    (1 - beta_1) / sqrt(1 - beta_2) = 3.2 times the rate, where PyTorch's is the rate itself.
    """

    patterns: tuple[str, ...] = words(("head*", "*"))
    epochs: tuple[int, ...] = sizes((1,))
    decay: float = positive(2.6)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "progressive_unfreezing_three": {"patterns": ("head.*", "middle.*", "*"), "epochs": (1, 2)},
        "progressive_unfreezing_document": {"patterns": ("head.*", "middle.*", "*"), "epochs": (5, 10), "decay": 1.0},
        "progressive_unfreezing_at_once": {"patterns": ("*.bias", "middle.*", "*"), "epochs": (2, 2), "decay": 0.5},
    }
    CHECKED = ("progressive_unfreezing", *PRESETS)
    RATE: ClassVar[float] = 0.125

    def constraints(self) -> Iterator[str]:
        if len(self.epochs) != len(self.patterns) - 1:
            wanted = f"{len(self.patterns)} patterns need {max(0, len(self.patterns) - 1)} epochs"
            yield f"{wanted}, one for each but the first, and there are {len(self.epochs)}"
        elif list(self.epochs) != sorted(self.epochs):
            yield f"none of the epochs {self.epochs} may be earlier than the one before"

    def stage(self, name: str) -> int:
        """The number of the first pattern that a weight's name matches. Raises InputError where none does."""
        for stage, pattern in enumerate(self.patterns):
            if fnmatchcase(name, pattern):
                return stage
        advice = "so it would never train; end the patterns with '*'"
        raise InputError(f"{self.name}: no pattern matches the weight {name!r}, {advice}")

    def stages(self, names: Iterable[str]) -> list[list[str]]:
        """The names of each stage. Raises InputError where a pattern matches none."""
        found: list[list[str]] = [[] for _ in self.patterns]
        known = list(names)
        for name in known:
            found[self.stage(name)].append(name)
        for pattern, own in zip(self.patterns, found, strict=True):
            if not own:
                has = f"their names are {', '.join(map(repr, known[:4]))}{' and so on' if len(known) > 4 else ''}"
                raise InputError(f"{self.name}: the pattern {pattern!r} is the first to match no weight at all; {has}")
        return found

    def begins(self, stage: int) -> int:
        """The epoch from which a stage trains."""
        return self.epochs[stage - 1] if stage else 0

    def trainable(self, names: Iterable[str], epoch: int) -> list[str]:
        """The names, among these, of the weights that train in an epoch."""
        return [name for name in names if epoch >= self.begins(self.stage(name))]

    def multiplier(self, name: str) -> float:
        """The factor on the learning rate of a weight."""
        return float(self.decay ** -self.stage(name))

    def multipliers(self) -> tuple[tuple[str, float], ...]:
        """Every pattern with its factor on the learning rate; the first that matches counts."""
        return tuple((pattern, float(self.decay**-stage)) for stage, pattern in enumerate(self.patterns))

    def case(self, rng: np.random.Generator) -> Arrays:
        """Weights `w.NAME`, and gradients `g.NAME` of an epoch each."""
        shapes = {"stem.kernel": (3, 2), "middle.kernel": (2, 4), "head.kernel": (4, 2), "head.bias": (2,)}
        epochs = max(self.epochs) + 3
        case: Arrays = {f"w.{name}": rng.standard_normal(shape) for name, shape in shapes.items()}
        return case | {f"g.{name}": rng.standard_normal((epochs, *shape)) for name, shape in shapes.items()}

    def rule(self, case: Arrays) -> Arrays:
        """Every weight after the step of each epoch, and its factor on the rate."""
        result: Arrays = {}
        for name in (key[2:] for key in case if key.startswith("w.")):
            weight, history = case[f"w.{name}"], []
            for epoch, gradient in enumerate(case[f"g.{name}"]):
                if self.trainable([name], epoch):
                    weight = weight - self.RATE * self.multiplier(name) * gradient
                history.append(weight)
            result |= {name: np.stack(history), f"factor of {name}": np.array(self.multiplier(name))}
        return result
