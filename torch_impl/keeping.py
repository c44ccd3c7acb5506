"""A training on disk: all that is needed to go on to the same bits, in one file that is complete or not there."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import torch

from ..core.checkpoint import replacing
from ..core.errors import CheckpointError
from ..core.history import History
from ..core.resuming import folder_for, same

if TYPE_CHECKING:
    from .trainer import Training

FILE = "torch.pt"


class Keeping:
    """The checkpoint of a training in a folder, or none."""

    def __init__(self, training: Training, folder: str | os.PathLike[str] | None) -> None:
        self.training = training
        self.folder = folder_for(folder)
        self.last: dict[str, Any] = {}

    def parts(self) -> dict[str, Any]:
        """What has a state beside the network, by name."""
        training = self.training
        names = ("optimizer", "scaler", "schedule", "plateau", "stopping")
        return {name: part for name in names if (part := getattr(training, name)) is not None}

    def identity(self) -> dict[str, Any]:
        shapes = {name: list(weight.shape) for name, weight in self.training.named.items()}
        dtype = str(self.training.weights[0].dtype)
        return {**self.training.plan.identity(), "weights": shapes, "dtype": dtype, "torch": torch.__version__}

    def resume(self) -> int:
        """Load the checkpoint, if there is one, and give the epoch to go on with.

        Raises CheckpointError for a file that cannot be read, and for one of another training.
        """
        if self.folder is None or not (self.folder / FILE).exists():
            return 0
        path, training = self.folder / FILE, self.training
        try:
            kept = torch.load(path, weights_only=True, map_location="cpu")
            note = json.loads(kept["note"])
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
        ended = note["stopped"] or note["epoch"] == training.plan.count
        training.model.load_state_dict(kept["final"] if ended and "final" in kept else kept["model"])
        for name, part in self.parts().items():
            part.load_state_dict(kept[name])
        for average, value in zip(training.averages, kept["averages"], strict=True):
            average.copy_(value)
        torch.set_rng_state(kept["random"])
        if torch.cuda.is_available():
            torch.cuda.set_rng_state_all(kept["random of the GPUs"][: torch.cuda.device_count()])
        training.history, training.epoch = history, note["epoch"]
        training.steps, training.taken = note["steps"], note["taken"]
        training.stopped, training.finished = note["stopped"], ended and "final" in kept
        self.last = kept
        return training.epoch

    def keep(self, final: bool = False) -> None:
        """Write the training as it is after an epoch; at its end, beside that, the weights that it ends with."""
        if self.folder is None:
            return
        training = self.training
        if final:
            self.last = {**self.last, "final": training.model.state_dict()}
        else:
            note = {
                "identity": self.identity(),
                "history": training.history.as_json(),
                "epoch": training.epoch,
                "steps": training.steps,
                "taken": training.taken,
                "stopped": training.stopped,
            }
            self.last = {
                "note": json.dumps(note),
                "model": {name: tensor.clone() for name, tensor in training.model.state_dict().items()},
                "averages": training.averages,
                "random": torch.get_rng_state(),
                "random of the GPUs": torch.cuda.get_rng_state_all(),
                **{name: part.state_dict() for name, part in self.parts().items()},
            }
        with replacing(self.folder / FILE) as file:
            torch.save(self.last, file)
