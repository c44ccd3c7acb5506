"""The verbs of a training: run one, and take an optimizer's state out and in."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .arguments import mapping, side_of

if TYPE_CHECKING:
    from .core.data import Data
    from .core.history import History
    from .core.recipe import Recipe
    from .core.technique import Optimizer


def fit(
    model: Any,
    data: Data,
    recipe: Recipe,
    *,
    epochs: int,
    batch_size: int,
    seed: int = 0,
    folder: str | os.PathLike[str] | None = None,
    shared: bool = False,
    watch: int = 0,
    tensorboard: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> History:
    """Train any model of either framework, with all techniques of a recipe at once, and give the numbers of it.

    The samples' order and every augmentation are drawn by `seed`, the same in both frameworks; with `shared`, so are
    the dropout masks of a model that `build` made. With a `folder`, a checkpoint is written after every epoch, and the
    same call goes on after an interruption, to the same bits. Every `watch` steps the gradient flow and the dead units
    are noted, if the recipe has them. All that is noted also goes to event files in the folder `tensorboard`, if there
    is one. The model ends with the averaged weights, or those of the best epoch, where the recipe says so.

    Raises SpecError and InputError for a request that cannot be met, before anything is changed; CheckpointError for a
    folder that holds another training; TrainingError where the loss or a gradient is not finite: the last checkpoint is
    then still there.
    """
    package = side_of(model).__name__.rpartition(".")[0]
    trainer = importlib.import_module(f"{package}.trainer")
    options = {"epochs": epochs, "batch_size": batch_size, "seed": seed, "folder": folder, "shared": shared}
    told = {"watch": watch, "tensorboard": tensorboard, "progress": progress}
    found: History = trainer.fit(model, data, recipe, **options, **told)
    return found


def optimizer_state(model: Any, optimizer: Any, spec: Optimizer, schedule: Any = None) -> dict[str, Any]:
    """The canonical state of an optimizer of a model that `build` made: `SLOT of WEIGHT`, and `step`, the steps taken.

    `spec` is that of the optimizer. In PyTorch give the `schedule` too, if there is one; Keras's are in the optimizer.
    Raises StateError for an optimizer of other weights, or one without a state.
    """
    return _moving(model, "optimizer_state", optimizer, spec, schedule=schedule)


def set_optimizer_state(
    model: Any, optimizer: Any, spec: Optimizer, state: Mapping[str, Any], schedule: Any = None
) -> None:
    """Copy a canonical state into an optimizer of either framework, so that the training goes on as it would have.

    `spec` is that of the optimizer. In PyTorch a new `schedule` is taken to the same step.
    Raises StateError that names every missing, extra and misshapen slot; all is then as before.
    """
    _moving(model, "set_optimizer_state", optimizer, spec, mapping(state), schedule=schedule)


def _moving(model: Any, verb: str, optimizer: Any, spec: Any, *state: Any, schedule: Any) -> Any:
    from .core.errors import SpecError
    from .core.technique import Optimizer

    if not isinstance(spec, Optimizer):
        raise SpecError(f"{verb} takes the spec of an optimizer, such as diglot.spec('adam'), not {spec!r}")
    side = side_of(model)
    module = importlib.import_module(f"{side.__name__.rpartition('.')[0]}.moving")
    return getattr(module, verb)(spec, optimizer, side.trainable(model, side.spec_of(model)), *state, schedule=schedule)
