"""Groups of weights, each with its own learning rate and decay."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar

import numpy as np

from .. import practice
from ..errors import InputError
from ..field import factors, words
from ..technique import Arrays, Optimizer, Technique
from .adamw import AdamW


@dataclass(frozen=True, kw_only=True)
class ParameterGroups(Technique):
    """Weights that do not decay, and weights that learn at a multiple of the rate, chosen by their names.

    Source: He, T. et al., "Bag of tricks for image classification with convolutional neural networks", CVPR 2019,
    section 3.1, "no bias decay"; Howard and Ruder, "Universal language model fine-tuning for text classification", ACL
    2018, section 3.2, "discriminative fine-tuning".

    A pattern is matched against a weight's whole name, as a shell matches file names (`*`, `?`, `[...]`, case and all).
    `build` takes the spec of any optimizer here and the weights by name, and gives that optimizer. Every schedule
    here sets the rate of a group to its own rate times the group's factor. On Keras, give the weights in the order of
    `model.trainable_variables`, by which a file that the model is saved to finds them again.

    Fields:
        no_decay: patterns of the weights that do not decay, whatever kind of decay the optimizer has.
        multipliers: pairs of a pattern and a factor of the learning rate; the first one that matches counts, and a
            weight that none matches has the factor 1. Decoupled decay is a multiple of the rate, so it is multiplied
            too.

    Raises SpecError for a value against its rule. Raises InputError for a pattern that matches no weight.

    Frameworks differ: PyTorch's optimizers take groups, with any further keys. Keras has one optimizer for each group
    within a `MultiOptimizer`, which has no learning rate and takes no schedule; the sibling's has, and passes it on.
    `exclude_from_weight_decay` of a Keras optimizer searches a pattern anywhere in the last part of a weight's name and
    knows decoupled decay only. Biases decay by default in both.
    """

    no_decay: tuple[str, ...] = words(("*bias",))
    multipliers: tuple[tuple[str, float], ...] = factors(())

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "parameter_groups_multipliers": {
            "no_decay": ("*.bias", "dense.*"),
            "multipliers": (("conv.*", 0.25), ("*.bias", 2.0)),
        },
    }
    CHECKED = ("parameter_groups", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"keras": "keras.optimizers.MultiOptimizer"}
    TRIED: ClassVar[Optimizer] = AdamW(
        learning_rate=0.01, weight_decay=0.125, epsilon=1e-3, epsilon_convention="uncorrected"
    ).rounded()

    def shares(self, names: Iterable[str]) -> dict[str, tuple[float, bool]]:
        """The factor of the rate of each weight, and whether it decays. Raises InputError for an idle pattern."""
        names = list(names)
        patterns = {"no_decay": self.no_decay, "multipliers": tuple(pattern for pattern, _ in self.multipliers)}
        for field, given in patterns.items():
            for pattern in given:
                if not any(fnmatchcase(name, pattern) for name in names):
                    known = f"the first of the {len(names)} names is {names[0]!r}" if names else "there are none"
                    raise InputError(f"{self.name}: {pattern!r} of {field} matches no weight; {known}")
        return {
            name: (
                next((factor for pattern, factor in self.multipliers if fnmatchcase(name, pattern)), 1.0),
                not any(fnmatchcase(name, pattern) for pattern in self.no_decay),
            )
            for name in names
        }

    def case(self, rng: np.random.Generator) -> Arrays:
        """A small network, and the learning rates of its training."""
        return practice.draw(rng, self.TRIED.rates(practice.STEPS))

    def rule(self, case: Arrays) -> Arrays:
        """What the optimizer makes of the network."""
        return self.TRIED.practised(case, self.shares(weight.name for weight in practice.WEIGHTS))
