"""What happens before and behind every batch and epoch of `fit`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras

from ..core.epochs import ACCURACY, Batch
from ..core.means import Means, Measured
from ..core.progress import Tell

if TYPE_CHECKING:
    from .feeding import Batches
    from .keeping import Keeping
    from .trainer import Training


class Course(keras.callbacks.Callback):
    """Tells the optimizers what the next batch is, notes what it gave, and keeps a checkpoint of every epoch."""

    def __init__(self, training: Training, keeping: Keeping, batches: Batches, tell: Tell) -> None:
        super().__init__()
        self.training, self.keeping, self.data, self.tell = training, keeping, batches, tell

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.data.epoch, self.batches = epoch, self.training.plan.batches(epoch)
        self.means, self.group = Means(), Means()
        if self.training.unfreezing:
            self.training.unfreezing.on_epoch_begin(epoch)

    def on_train_batch_begin(self, index: int, logs: Any = None) -> None:
        self.model.reset_metrics()  # Keras would log means since they were last reset
        self.training.expect(self.batches[index])

    def on_train_batch_end(self, index: int, logs: Any = None) -> None:
        training, batch, epoch = self.training, self.batches[index], self.data.epoch
        found = named(logs)
        if not math.isfinite(found["loss"]):
            training.refuse(f"the loss is {found['loss']}", epoch, batch)
        measured = self.measured(batch, found)
        self.means.add(measured)
        self.group.add(measured)
        training.done += 1
        self.tell(training.done, f"epoch {epoch + 1}, loss {found['loss']:.4g}")
        if batch.due:
            training.step(epoch, batch, self.group.of("loss"))
            self.group = Means()

    def measured(self, batch: Batch, found: dict[str, float]) -> Measured:
        """What a batch gave, each over what it counts."""
        counts = {"loss": len(batch.rows), ACCURACY: self.training.plan.counted(batch.rows)}
        return {name: (counts[name], value) for name, value in found.items()}

    def on_test_begin(self, logs: Any = None) -> None:
        self.kept = self.training.swap_in()

    def on_test_end(self, logs: Any = None) -> None:
        self.training.put(self.kept)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        held_out = {name: value for name, value in named(logs).items() if name.startswith("val_")}
        self.training.end(epoch, {**self.means.all(), **held_out})
        self.keeping.keep()


def named(logs: Any) -> dict[str, float]:
    """The loss and the accuracy, of the held-out samples as well. Keras names that of one of several outputs by it."""
    found = {}
    for name, value in (logs or {}).items():
        held_out = "val_" if name.startswith("val_") else ""
        if name == f"{held_out}loss" or name.endswith(ACCURACY):
            found[f"{held_out}{ACCURACY}" if name.endswith(ACCURACY) else name] = float(value)
    return found
