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
import tensorflow as tf
from keras import ops

from ..core.data import Data
from ..core.epochs import Batch, Epochs, taught
from ..core.errors import InputError, SpecError, TrainingError
from ..core.history import History
from ..core.noise import Noise
from ..core.progress import told
from ..core.recipe import Recipe
from ..core.technique import Technique
from .accuracy import Accuracy
from .backend import running, sibling, trainable
from .course import Course
from .feeding import Batches, Feed, HeldOut
from .keeping import Keeping
from .nonfinite import finite, source
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

    The model is compiled anew, and left with the recipe's optimizer and loss.

    The order of the samples and every augmentation are drawn by `seed`, the same on both sides; with `shared`, so are
    the dropout masks of a network of Diglot's. With a `folder`, a checkpoint is written after every epoch, and the same
    call goes on after an interruption, to the same bits. Every `watch` steps the gradient flow and the dead units are
    noted, if the recipe has them. All that is noted also goes to event files in the folder `tensorboard`, if there is
    one. The network ends with the averaged weights, or those of the best epoch, where the recipe asks for them.

    Raises SpecError and InputError for a request that cannot be met, before anything is changed; CheckpointError for a
    folder that holds another training; TrainingError where the loss or a gradient is not finite: the last checkpoint is
    then still there.
    """
    plan = Epochs(data, recipe, epochs, batch_size, seed, watch)
    noise = Noise(seed) if shared else None
    with running(model, noise):
        training = Training(model, plan, noise)
        keeping = Keeping(training, folder)
        first = keeping.resume()
        total = sum(len(plan.batches(epoch)) for epoch in range(first, epochs))
        with told("Keras", total, progress) as tell, training.prepared(), listening(training.history, tensorboard):
            for start, end in plan.spans(first):
                if training.stopped:
                    break
                batches = Batches(training.feed, start)
                model.fit(
                    batches,
                    epochs=end,
                    initial_epoch=start,
                    validation_data=None if data.held_out is None else HeldOut(training.feed),
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

    def __init__(self, model: keras.Model, plan: Epochs, noise: Noise | None) -> None:
        self.model, self.plan, self.noise = model, plan, noise
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
        self.feed = Feed(self.spec, plan, self.weights[0].dtype)
        self.plateau, self.stopping = self._built(recipe.plateau, self.optimizer), self._built(recipe.stopping)
        self.unfreezing = self._built(recipe.unfreezing, self.named)

    def _built(self, technique: Technique | None, *more: Any) -> Any:
        return sibling(technique).build(technique, *more) if technique else None

    def _named(self) -> dict[str, Any]:
        if self.spec is not None:
            self.plan.fitting(self.spec.outputs()[0].shape[-1])
            return {weight.name: variable for weight, variable in trainable(self.model, self.spec).items()}
        if not self.model.built:
            raise SpecError(f"{self.model.name} is not built yet; give it an Input, or call it on a batch first")
        variables = self.model.trainable_variables
        if not variables:
            raise SpecError(f"{self.model.name} has no weight that trains; let some be trainable")
        outputs = getattr(self.model, "outputs", None) or [None]  # a model of a class does not say
        if len(outputs) > 1:
            raise InputError(f"{self.model.name} gives {len(outputs)} outputs, and a loss takes one")
        self.plan.fitting(None if outputs[0] is None else outputs[0].shape[-1])
        return dict(zip(names([variable.path for variable in variables]), variables, strict=True))

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
            options: dict[str, Any] = {"metrics": [Accuracy(self.plan.ignored())] if self.plan.classifies() else []}
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
                for weight in self.weights:
                    weight.trainable = True
                self.model.compile(self.observed.inner, loss, **options)

    def expect(self, batch: Batch) -> None:
        """The next batch is this one."""
        self.scale, self.taken = self._scale(), int(self.observed.taken.numpy())
        if self.noise is not None:
            self.noise.step = batch.step
        if self.optimizer is not self.scaler:
            self.optimizer.expect(len(batch.rows), batch.due)
        if self.plan.recipe.flow:
            self.observed.watch.assign(self.plan.watched(self.steps))

    def step(self, epoch: int, batch: Batch, loss: float) -> None:
        """Note the optimizer's step that ended with this batch."""
        recipe, (norm, rate) = self.plan.recipe, map(float, self.observed.told.numpy())
        taken = int(self.observed.taken.numpy()) > self.taken
        if not taken and self.scaler is self.observed:
            self.refuse(f"the gradient of {self._wrong(batch)} is not finite", epoch, batch)
        noted = {"loss": loss, "learning_rate": rate}
        if recipe.precision:
            noted |= {"loss_scale": self.scale, "skipped": not taken}
        self.history.note_step(self.steps, **noted, gradient_norm=norm if taken else math.nan)
        if taken and recipe.flow and self.plan.watched(self.steps):
            self.history.note_flow(self.steps, tuple(self.named), self.observed.flows.numpy())
        if recipe.dead and self.plan.watched(self.steps):
            inputs, _ = self.feed.batch(batch)
            given = inputs if isinstance(inputs, tuple) else (inputs,)
            self.history.note_dead(self.steps, sibling(recipe.dead).watch(recipe.dead, self.model, given))
        self.steps += 1

    def _scale(self) -> float:
        return 1.0 if self.scaler is self.observed else float(self.scaler.dynamic_scale.numpy())

    def _wrong(self, batch: Batch) -> str:
        """The first weight whose gradient is not finite; `fit` does not give gradients to a callback."""
        inputs, targets = keras.tree.map_structure(ops.convert_to_tensor, self.feed.batch(batch))
        values = [weight.value for weight in self.weights]
        with tf.GradientTape() as tape:
            tape.watch(values)
            loss = self.model.compute_loss(inputs, targets, self.model(inputs, training=True), training=True)
        gradients = zip(self.named, tape.gradient(loss, values), strict=True)
        return next((name for name, gradient in gradients if gradient is not None and not finite(gradient)), "a weight")

    def refuse(self, what: str, epoch: int, batch: Batch) -> None:
        """Raises TrainingError, with the place and what first gave a number that is not finite."""
        place = f"at step {self.steps} (batch {batch.step} in all, of epoch {epoch + 1})"
        inputs, targets = self.feed.batch(batch)
        given = keras.tree.map_structure(ops.convert_to_tensor, inputs)
        why = source(self.model, (inputs, targets), lambda: self.model(given, training=True))
        raise TrainingError(f"{what} {place}: {why}")

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
        """Give the weights these values; none leave them as they are."""
        for weight, value in zip(self.weights, values, strict=False):
            weight.assign(value)

    def end(self, epoch: int, metrics: dict[str, float]) -> None:
        """What comes at the end of an epoch: the plateau, early stopping."""
        self.epoch = epoch + 1
        self.history.note_epoch(epoch, **metrics)
        if self.optimizer is not self.scaler:
            self.optimizer.drop()
        if self.plateau:
            self.plateau.on_epoch_end(epoch, metrics)
        if self.stopping:
            with self.averaged():
                self.stopping.on_epoch_end(epoch, metrics)
            self.stopped = self.model.stop_training

    def finish(self) -> None:
        """The weights that the training ends with."""
        if self.stopping is not None and self.stopping.spec.restore_best:
            self.stopping.on_train_end()
        else:
            self.put(self.observed.averages)


def names(paths: list[str]) -> list[str]:
    """Paths without the model's own name, which depends on what was built before; one that comes again is numbered."""
    parts = [path.split("/") for path in paths]
    common = all(len(part) > 2 and part[0] == parts[0][0] for part in parts)
    found = ["/".join(part[1:] if common else part) for part in parts]
    return [name if found.count(name) == 1 else f"{name}#{found[:at].count(name) + 1}" for at, name in enumerate(found)]
