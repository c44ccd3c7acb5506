"""Training with all the techniques of a recipe at once: `compile` and `fit`. The order of a step is core/recipe.py's.

What is not Keras's own is a dataset that draws by the seed, a callback, and optimizers around the optimizer.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from ..core.data import Data, several
from ..core.epochs import ACCURACY, Batch, Epochs, taught
from ..core.errors import TrainingError
from ..core.history import History
from ..core.means import Means
from ..core.noise import Noise
from ..core.progress import Tell, told
from ..core.recipe import Recipe
from ..core.technique import Technique
from .backend import running, sibling, trainable
from .keeping import Keeping
from .nonfinite import source
from .observed import Observed
from .tensorboard import listening


def fit(
    model: keras.Model,
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
    """Train a network, Diglot's or any other, and give the numbers of every step and epoch.

    The order of the samples and every augmentation are drawn by `seed`, the same on both sides; with `shared`, so are
    the dropout masks of a network of Diglot's. With a `folder`, a checkpoint is written after every epoch, and the same
    call goes on after an interruption, to the same bits. Every `watch` steps the gradient flow and the dead units are
    noted, if the recipe has them. All that is noted also goes to event files in the folder `tensorboard`, if there is
    one. The network ends with the averaged weights, or those of the best epoch, where the recipe asks for them.

    Raises SpecError and InputError for a request that cannot be met, before anything is changed; CheckpointError for a
    folder that holds another training; TrainingError where the loss or a gradient is not finite: the last checkpoint is
    then still there.
    """
    plan = Epochs(data, recipe, epochs, batch_size, seed)
    noise = Noise(seed) if shared else None
    with running(model, noise):
        training = Training(model, plan, noise, watch)
        keeping = Keeping(training, folder)
        first = keeping.resume()
        total = sum(len(plan.batches(epoch)) for epoch in range(first, epochs))
        with told("Keras", total, progress) as tell, training.prepared(), listening(training.history, tensorboard):
            for start, end in plan.spans(first):
                if training.stopped:
                    break
                batches = Batches(training, start)
                model.fit(
                    batches,
                    epochs=end,
                    initial_epoch=start,
                    validation_data=None if data.held_out is None else HeldOut(training),
                    callbacks=[Course(training, keeping, batches, tell)],
                    shuffle=False,
                    verbose=0,
                )
        if not training.finished:
            training.finish()
            keeping.keep(final=True)
    return training.history


class Training:
    """A network in training, with all that moves beside it."""

    def __init__(self, model: keras.Model, plan: Epochs, noise: Noise | None, watch: int) -> None:
        self.model, self.plan, self.noise, self.watch = model, plan, noise, watch
        self.spec = taught(model)
        self.history, self.epoch, self.done, self.steps = History(), 0, 0, 0
        self.stopped = self.finished = False
        recipe = plan.recipe
        self.named = self._named()
        self.weights = list(self.named.values())
        self.observed = Observed(self._optimizer(recipe), recipe.clip, recipe.average, recipe.flow)
        self.scaler = self._built(recipe.precision, self.observed) or self.observed
        self.optimizer = sibling(plan.accumulation).build(plan.accumulation, self.scaler)
        self.optimizer.build(self.weights)
        self.loss = sibling(recipe.loss).build(recipe.loss)
        if recipe.schedule:
            sibling(recipe.schedule).build(recipe.schedule, self.optimizer)
        self.augment, self.mix = self._built(recipe.augmentation), self._built(recipe.mixing)
        self.plateau, self.stopping = self._built(recipe.plateau, self.optimizer), self._built(recipe.stopping)
        self.unfreezing = self._built(recipe.unfreezing, self.named)

    def _built(self, technique: Technique | None, *more: Any) -> Any:
        return sibling(technique).build(technique, *more) if technique else None

    def _named(self) -> dict[str, Any]:
        if self.spec is not None:
            return {weight.name: variable for weight, variable in trainable(self.model, self.spec).items()}
        return {variable.path: variable for variable in self.model.trainable_variables}

    def _optimizer(self, recipe: Recipe) -> keras.optimizers.Optimizer:
        layout, told = recipe.layout(), self._told(recipe)
        if layout:
            found: keras.optimizers.Optimizer = sibling(layout).build(layout, recipe.optimizer, self.named, **told)
        else:
            found = sibling(recipe.optimizer).build(recipe.optimizer, self.weights, **told)
        return found

    def _told(self, recipe: Recipe) -> dict[str, Any]:
        """What the optimizer has to know of the weights."""
        if self.spec is not None:
            known: dict[str, Any] = recipe.optimizer.told(trainable(self.model, self.spec))
            return known
        layers = [layer for layer in self.model._flatten_layers() if isinstance(layer, keras.layers.Embedding)]
        return {"tables": [layer.embeddings for layer in layers]} if recipe.optimizer.TABLES else {}

    @contextlib.contextmanager
    def prepared(self) -> Iterator[None]:
        """Compiled, with the layers lowered where the recipe says so; they are as before afterwards."""
        precision = self.plan.recipe.precision
        with sibling(precision).lowered(precision, self.model) if precision else contextlib.nullcontext():
            outputs = self.spec.outputs() if self.spec else ()
            options: dict[str, Any] = {"metrics": [Accuracy(self.ignored())] if self.plan.classifies() else []}
            loss: Any = self.loss
            if self.spec and len(outputs) > 1:
                shares = [self.spec.loss_weights().get(output.name) for output in outputs]
                loss = [None if share is None else self.loss for share in shares]
                options["loss_weights"] = [share or 0.0 for share in shares]
                options["metrics"] = [options["metrics"], *([] for _ in outputs[1:])]
            self.model.compile(self.optimizer, loss, auto_scale_loss=False, **options)
            for callback in filter(None, (self.plateau, self.stopping, self.unfreezing)):
                callback.set_model(self.model)
                callback.on_train_begin()
            try:
                yield
            finally:
                self.model.train_function = self.model.test_function = self.model.predict_function = None

    def ignored(self) -> int | None:
        """The class that the loss does not count."""
        return getattr(self.plan.recipe.loss, "ignore_index", None)

    def tensors(self, batch: Batch) -> tuple[tuple[Any, ...], Any]:
        """A batch in the network's precision, augmented and mixed."""
        data, recipe, noise = self.plan.data, self.plan.recipe, Noise(self.plan.noise.seed, batch.step)
        inputs = [self.cast(array[batch.rows]) for array in data.arrays()]
        targets = self.cast(data.targets[batch.rows])
        if recipe.augmentation:
            inputs[0] = self.augmented(inputs[0], noise)
        if recipe.mixing:
            height, width = inputs[0].shape[1:3]
            inputs[0], targets = self.mix(inputs[0], targets, recipe.mixing.draw(noise, len(batch.rows), height, width))
        return tuple(inputs), targets

    def augmented(self, images: Any, noise: Noise | None) -> Any:
        """The images as drawn; without draws as for evaluation."""
        spec, shape = self.plan.recipe.augmentation, images.shape[:3]
        return self.augment(images, spec.draw(noise, *shape) if noise else spec.centre(*shape))

    def cast(self, array: Any) -> Any:
        """An array in the network's precision, if it is of floats."""
        return array.astype(self.weights[0].dtype, copy=False) if array.dtype.kind == "f" else array

    def fed(self, inputs: tuple[Any, ...], targets: Any) -> tuple[Any, Any]:
        """A batch as `fit` takes it: a network of several outputs has its targets for each of them."""
        outputs = len(self.spec.outputs()) if self.spec else 1
        return inputs if len(inputs) > 1 else inputs[0], targets if outputs == 1 else (targets,) * outputs

    def expect(self, batch: Batch) -> None:
        """The next batch is this one."""
        if self.noise is not None:
            self.noise.step = batch.step
        if self.optimizer is not self.scaler:
            self.optimizer.expect(len(batch.rows), batch.due)
        if self.plan.recipe.flow:
            self.observed.watch.assign(self.watched())

    def step(self, epoch: int, batch: Batch, loss: float, scale: float, taken: int) -> None:
        """Note the optimizer's step that ended with this batch, behind that scale and so many steps taken."""
        norm, rate = (float(value) for value in self.observed.told.numpy())
        stepped = int(self.observed.taken.numpy()) > taken
        if not stepped and self.scaler is self.observed:
            self.refuse("a gradient is not finite", epoch, batch)
        noted = {"loss": loss, "learning_rate": rate}
        if self.plan.recipe.precision:
            noted["loss_scale"] = scale
        self.history.note_step(self.steps, **noted, gradient_norm=norm if stepped else math.nan, skipped=not stepped)
        if stepped and self.plan.recipe.flow and self.observed.watch.numpy():
            self.history.note_flow(self.steps, tuple(self.named), self.observed.flows.numpy())
        dead = self.plan.recipe.dead
        if dead and self.watched():
            inputs, _ = self.tensors(batch)
            self.history.note_dead(self.steps, sibling(dead).watch(dead, self.model, inputs))
        self.steps += 1

    def watched(self) -> bool:
        """Whether this is a step whose gradient flow and dead units are noted."""
        return self.watch > 0 and self.steps % self.watch == 0

    def scale(self) -> float:
        """The loss scale by now."""
        return 1.0 if self.scaler is self.observed else float(self.scaler.dynamic_scale.numpy())

    def refuse(self, what: str, epoch: int, batch: Batch) -> None:
        place = f"at step {self.steps} (batch {batch.step} in all, of epoch {epoch + 1})"
        inputs, targets = self.tensors(batch)
        given = [ops.convert_to_tensor(array) for array in inputs]
        fed = given if len(given) > 1 else given[0]
        why = source(self.model, (inputs, targets), lambda: self.model(fed, training=True))
        raise TrainingError(
            f"{what} {place}: {why}; lower the learning rate or clip the gradients, and look at this batch"
        )

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """With the averaged weights; as before afterwards."""
        kept = self.swap_in()
        try:
            yield
        finally:
            self.put(kept)

    def swap_in(self) -> list[Any]:
        """Put the averaged weights in the place of those that are given back."""
        kept = [weight.numpy() for weight in self.weights] if self.observed.averages else []
        self.put(self.observed.averages)
        return kept

    def put(self, values: Any) -> None:
        for weight, value in zip(self.weights, values, strict=False):
            weight.assign(value)

    def end(self, epoch: int, logs: dict[str, float]) -> None:
        """What comes at the end of an epoch: the plateau, early stopping."""
        self.epoch = epoch + 1
        if self.plateau:
            self.plateau.on_epoch_end(epoch, logs)
        if self.stopping:
            with self.averaged():
                self.stopping.on_epoch_end(epoch, logs)
            self.stopped = self.model.stop_training

    def finish(self) -> None:
        """The weights that the training ends with."""
        if self.stopping is not None and self.stopping.spec.restore_best:
            self.stopping.on_train_end()
        else:
            self.put(self.observed.averages)


class Batches(keras.utils.PyDataset):
    """The batches of an epoch."""

    def __init__(self, training: Training, epoch: int) -> None:
        super().__init__()
        self.training, self.epoch = training, epoch

    def __len__(self) -> int:
        return len(self.training.plan.batches(self.epoch))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.training.fed(*self.training.tensors(self.training.plan.batches(self.epoch)[index]))


class HeldOut(keras.utils.PyDataset):
    """The held-out samples, in order."""

    def __init__(self, training: Training) -> None:
        super().__init__()
        self.training = training

    def __len__(self) -> int:
        return -(-len(self.training.plan.data.held_out[1]) // self.training.plan.batch_size)  # type: ignore[index]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        size, (inputs, targets) = self.training.plan.batch_size, self.training.plan.data.held_out  # type: ignore[misc]
        rows, cast = slice(index * size, (index + 1) * size), self.training.cast
        given = [cast(array[rows]) for array in several(inputs)]
        if self.training.plan.recipe.augmentation:
            given[0] = self.training.augmented(given[0], None)
        wanted = targets[rows]
        if self.training.plan.recipe.mixing:
            wanted = np.eye(self.training.plan.recipe.mixing.fields()["num_classes"])[wanted]
        return self.training.fed(tuple(given), cast(wanted))


class Course(keras.callbacks.Callback):
    """What happens before and behind every batch and epoch of `fit`."""

    def __init__(self, training: Training, keeping: Keeping, batches: Batches, tell: Tell) -> None:
        super().__init__()
        self.training, self.keeping, self.data, self.tell = training, keeping, batches, tell

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        training = self.training
        self.data.epoch, self.batches = epoch, training.plan.batches(epoch)
        self.means, self.group = Means(), Means()
        if training.unfreezing:
            training.unfreezing.on_epoch_begin(epoch)

    def on_train_batch_begin(self, index: int, logs: Any = None) -> None:
        self.model.reset_metrics()  # Keras would log means since they were last reset
        self.training.expect(self.batches[index])
        self.before = self.training.scale(), int(self.training.observed.taken.numpy())

    def on_train_batch_end(self, index: int, logs: Any = None) -> None:
        training, batch, epoch = self.training, self.batches[index], self.data.epoch
        found = _named(logs)
        if not math.isfinite(found["loss"]):
            training.refuse(f"the loss is {found['loss']}", epoch, batch)
        for mean in (self.means, self.group):
            mean.add(len(batch.rows), **found)
        training.done += 1
        self.tell(training.done, f"epoch {epoch + 1}, loss {found['loss']:.4g}")
        if batch.due:
            training.step(epoch, batch, self.group.of("loss"), *self.before)
            self.group = Means()

    def on_test_begin(self, logs: Any = None) -> None:
        self.kept = self.training.swap_in()

    def on_test_end(self, logs: Any = None) -> None:
        self.training.put(self.kept)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        training = self.training
        if training.optimizer is not training.scaler:
            training.optimizer.drop()
        held_out = {name: value for name, value in _named(logs).items() if name.startswith("val_")}
        found = {**self.means.all(), **held_out}
        training.history.note_epoch(epoch, **found)
        training.end(epoch, found)
        self.keeping.keep()


class Accuracy(keras.metrics.Metric):
    """The share of samples whose class is the largest output. Mixed targets count as the class that weighs most."""

    def __init__(self, ignored: int | None = None, name: str = ACCURACY, **options: Any) -> None:
        super().__init__(name=name, **options)
        self.ignored = ignored
        self.right = self.add_variable((), "zeros", name="right")
        self.counted = self.add_variable((), "zeros", name="counted")

    def update_state(self, targets: Any, outputs: Any, sample_weight: Any = None) -> None:
        classes = ops.argmax(targets, -1) if len(targets.shape) == len(outputs.shape) else targets
        guess = ops.cast(ops.argmax(outputs, -1), "int64")
        classes = ops.cast(classes, "int64")
        valid = ops.ones_like(classes) if self.ignored is None else ops.cast(classes != self.ignored, "int64")
        self.right.assign_add(ops.cast(ops.sum(ops.cast(guess == classes, "int64") * valid), self.right.dtype))
        self.counted.assign_add(ops.cast(ops.sum(valid), self.counted.dtype))

    def result(self) -> Any:
        return self.right / ops.maximum(self.counted, 1)


def _named(logs: Any) -> dict[str, float]:
    """The loss and the accuracy, of the held-out samples as well. Keras names that of one of several outputs by it."""
    found = {}
    for name, value in (logs or {}).items():
        held_out = "val_" if name.startswith("val_") else ""
        if name == f"{held_out}loss" or name.endswith(ACCURACY):
            found[f"{held_out}{ACCURACY}" if name.endswith(ACCURACY) else name] = float(value)
    return found
