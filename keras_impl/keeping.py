"""A training on disk: all that is needed to go on to the same bits, in one file that is complete or not there."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ..core.checkpoint import replacing
from ..core.errors import CheckpointError
from ..core.history import History
from ..core.resuming import folder_for, same

if TYPE_CHECKING:
    from .trainer import Training

FILE, NOTE = "keras.safetensors", "note"


class Keeping:
    """The checkpoint of a training in a folder, or none."""

    def __init__(self, training: Training, folder: str | os.PathLike[str] | None) -> None:
        self.training = training
        self.folder = folder_for(folder)
        self.last: dict[str, Any] = {}
        self.note: dict[str, Any] = {}

    def parts(self) -> dict[str, Any]:
        """What has a state beside the network and the optimizer, by name."""
        training = self.training
        return {name: part for name in ("plateau", "stopping") if (part := getattr(training, name)) is not None}

    def identity(self) -> dict[str, Any]:
        shapes = [list(weight.shape) for weight in self.training.weights]
        dtype = self.training.weights[0].dtype
        return {**self.training.plan.identity(), "weights": shapes, "dtype": dtype, "keras": keras.__version__}

    def resume(self) -> int:
        """Load the checkpoint, if there is one, and give the epoch to go on with.

        Raises CheckpointError for a file that cannot be read, and for one of another training.
        """
        if self.folder is None or not (self.folder / FILE).exists():
            return 0
        path, training = self.folder / FILE, self.training
        from safetensors import safe_open

        try:
            with safe_open(path, framework="np") as file:
                kept = {name: file.get_tensor(name) for name in file.keys()}
            note = json.loads(kept.pop(NOTE).tobytes())
            same(path, note["identity"], self.identity())
            history = History.from_json(note["history"])
        except CheckpointError:
            raise
        except Exception as error:
            raise CheckpointError(
                f"{path} is not a readable checkpoint ({type(error).__name__}: {error}); delete it to begin anew"
            ) from error
        if note["epoch"] > training.plan.count:
            raise CheckpointError(
                f"{path} is of {note['epoch']} epochs, more than {training.plan.count}; choose another folder"
            )
        ended = (note["stopped"] or note["epoch"] == training.plan.count) and "final.0" in kept
        for index, variable in enumerate(training.model.variables):
            variable.assign(kept[f"final.{index}" if ended else f"model.{index}"])
        for index, variable in enumerate(training.optimizer.variables):
            variable.assign(kept[f"optimizer.{index}"])
        for name, part in self.parts().items():
            state = dict(note["parts"][name])
            count = state.pop("arrays", None)
            more = {} if count is None else {"best_weights": [kept[f"{name}.{index}"] for index in range(count)]}
            part.set_state({**state, **more})
        training.history, training.epoch, training.steps = history, note["epoch"], note["steps"]
        training.stopped, training.finished = note["stopped"], ended
        self.last, self.note = kept, note
        return training.epoch

    def keep(self, final: bool = False) -> None:
        """Write the training as it is after an epoch; at its end, beside that, the weights that it ends with."""
        if self.folder is None:
            return
        training = self.training
        if final:
            self.last |= self._arrays("final", training.model.variables)
        else:
            self.last = self._arrays("model", training.model.variables)
            self.last |= self._arrays("optimizer", training.optimizer.variables)
            self.note = {
                "identity": self.identity(),
                "history": training.history.as_json(),
                "epoch": training.epoch,
                "steps": training.steps,
                "stopped": training.stopped,
                "parts": {},
            }
            for name, part in self.parts().items():
                state = dict(part.get_state())
                weights = state.pop("best_weights", None)
                if weights is not None:
                    self.last |= self._arrays(name, weights)
                    state["arrays"] = len(weights)
                self.note["parts"][name] = state
        from safetensors.numpy import save

        with replacing(self.folder / FILE) as file:
            # A file's own header may not be as long as a history grows.
            file.write(save({**self.last, NOTE: np.frombuffer(json.dumps(self.note).encode(), np.uint8)}))

    def _arrays(self, name: str, values: Any) -> dict[str, Any]:
        return {f"{name}.{index}": np.array(value, order="C") for index, value in enumerate(values)}
