"""Training with all the techniques of a recipe at once: one readable loop. The order of a step is core/recipe.py's."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from ..core.data import Data
from ..core.epochs import ACCURACY, Batch, Epochs, taught
from ..core.errors import InputError, SpecError, TrainingError
from ..core.history import History
from ..core.means import Means, Measured
from ..core.noise import Noise
from ..core.progress import Tell, told
from ..core.recipe import Recipe
from ..core.technique import Technique
from .backend import loss_of, running, sibling, trainable
from .feeding import Feed
from .keeping import Keeping
from .nonfinite import finite, norm_of, source
from .tensorboard import listening


def fit(
    model: nn.Module,
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
    plan = Epochs(data, recipe, epochs, batch_size, seed, watch)
    training = Training(model, plan, shared)
    keeping = Keeping(training, folder)
    first = keeping.resume()
    total = sum(len(plan.batches(epoch)) for epoch in range(first, epochs))
    with told("PyTorch", total, progress) as tell, training.prepared(), listening(training.history, tensorboard):
        for epoch in range(first, epochs):
            if training.stopped:
                break
            training.learn(epoch, tell)
            training.end(epoch)
            keeping.keep()
    if not training.finished:
        training.finish()
        keeping.keep(final=True)
    return training.history


class Training:
    """A network in training, with all that moves beside it."""

    def __init__(self, model: nn.Module, plan: Epochs, shared: bool) -> None:
        self.model, self.plan = model, plan
        self.spec = taught(model)
        self.noise = Noise(plan.noise.seed) if shared else None
        self.history, self.epoch, self.done, self.steps, self.taken = History(), 0, 0, 0, 0
        self.stopped = self.finished = False
        recipe = plan.recipe
        self.named = self._named()
        self.weights = list(self.named.values())
        plan.fitting(self.spec.outputs()[0].shape[-1] if self.spec else None)
        self.optimizer = self._optimizer(recipe)
        self.loss = sibling(recipe.loss).build(recipe.loss)
        self.accumulation = sibling(plan.accumulation).build(plan.accumulation, self.optimizer)
        self.scaler = self._built(recipe.precision, self.optimizer)
        self.schedule = self._built(recipe.schedule, self.optimizer)
        self.plateau = self._built(recipe.plateau, self.optimizer)
        self.stopping = self._built(recipe.stopping)
        self.unfreezing = self._built(recipe.unfreezing, self.named)
        self.flow, self.update_average = self._built(recipe.flow), self._built(recipe.average)
        self.feed = Feed(model, self.spec, plan, self.weights[0])
        self.averages = [weight.detach().clone() for weight in self.weights] if recipe.average else []

    def _built(self, technique: Technique | None, *more: Any) -> Any:
        return sibling(technique).build(technique, *more) if technique else None

    def _named(self) -> dict[str, torch.Tensor]:
        if self.spec is not None:
            return {weight.name: tensor for weight, tensor in trainable(self.model, self.spec).items()}
        found = {name: tensor for name, tensor in self.model.named_parameters() if tensor.requires_grad}
        if not found:
            raise SpecError(f"{type(self.model).__name__} has no weight that trains; let some require a gradient")
        return found

    def _optimizer(self, recipe: Recipe) -> torch.optim.Optimizer:
        layout, told = recipe.layout(), self._told(recipe)
        if layout:
            found: torch.optim.Optimizer = sibling(layout).build(layout, recipe.optimizer, self.named, **told)
        else:
            found = sibling(recipe.optimizer).build(recipe.optimizer, self.weights, **told)
        return found

    def _told(self, recipe: Recipe) -> dict[str, Any]:
        """What the optimizer has to know of the weights."""
        if self.spec is not None:
            known: dict[str, Any] = recipe.optimizer.told(trainable(self.model, self.spec))
            return known
        tables = [module.weight for module in self.model.modules() if isinstance(module, nn.Embedding)]
        return {"tables": tables} if recipe.optimizer.TABLES else {}

    @contextlib.contextmanager
    def prepared(self) -> Iterator[None]:
        """In training mode, with shared draws if there are some; as before afterwards, and nothing is frozen."""
        with running(self.model, True, self.noise):
            try:
                yield
            finally:
                for weight in self.weights:
                    weight.requires_grad_(True)

    def lowered(self) -> Any:
        precision = self.plan.recipe.precision
        return sibling(precision).lowered(precision, self.model) if precision else contextlib.nullcontext()

    def learn(self, epoch: int, tell: Tell) -> None:
        """One epoch, counted from 0."""
        means, group = Means(), Means()
        if self.unfreezing:
            self.unfreezing.set_epoch(epoch)
        self.optimizer.zero_grad()
        for batch in self.plan.batches(epoch):
            if self.noise is not None:
                self.noise.step = batch.step
            inputs, targets = self.feed.batch(batch)
            with self.lowered():
                output, loss = self.computed(inputs, targets)
            measured = self.measured(output, loss, targets)
            if not math.isfinite(measured["loss"][1]):
                self._refuse(f"the loss is {measured['loss'][1]}", epoch, batch)
            scaled = self.accumulation.weigh(loss, len(targets))
            (self.scaler.scale(scaled) if self.scaler else scaled).backward()
            means.add(measured)
            group.add(measured)
            self.done += 1
            tell(self.done, f"epoch {epoch + 1}, loss {measured['loss'][1]:.4g}")
            if batch.due:
                self.step(epoch, batch, group.of("loss"), inputs)
                group = Means()
        self.accumulation.drop()
        self.history.note_epoch(epoch, **means.all())

    def step(self, epoch: int, batch: Batch, loss: float, inputs: Sequence[torch.Tensor]) -> None:
        """The optimizer's step, with all that comes before and after it."""
        recipe, noted = self.plan.recipe, {"loss": loss, "learning_rate": self.rate()}
        if self.scaler:
            noted["loss_scale"] = self.scaler.get_scale()
            self.scaler.unscale_(self.optimizer)
        self.accumulation.average()
        given = [weight for weight in self.weights if weight.grad is not None]
        norm = norm_of([weight.grad for weight in given])
        scaling = self.scaler is not None and self.scaler.is_enabled()
        if not math.isfinite(norm) and not scaling:
            wrong = next(name for name, weight in self.named.items() if not finite(weight.grad))
            self._refuse(f"the gradient of {wrong} is not finite", epoch, batch)
        watched = self.plan.watched(self.steps)
        before = self._before() if watched and self.flow else None
        if recipe.clip:
            clipped = sibling(recipe.clip).clip(recipe.clip, [weight.grad for weight in given], given)
            for weight, gradient in zip(given, clipped, strict=True):
                weight.grad = gradient
        if self.scaler:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        taken = not scaling or self.scaler.stepped
        if recipe.precision:
            noted["skipped"] = not taken
        self.history.note_step(self.steps, **noted, gradient_norm=norm if taken else math.nan)
        if taken and before:
            self.history.note_flow(self.steps, tuple(self.named), self.flow(*before, self.weights).cpu())
        if watched and recipe.dead:
            self.history.note_dead(self.steps, sibling(recipe.dead).watch(recipe.dead, self.model, inputs))
        if taken and self.schedule:
            self.schedule.step()
        if taken and self.update_average:
            self.update_average(self.averages, self.weights, self.taken)
        self.steps, self.taken = self.steps + 1, self.taken + taken
        self.optimizer.zero_grad()

    def _before(self) -> tuple[list[torch.Tensor | None], list[torch.Tensor]]:
        """The gradients and the weights of now, which a step changes."""
        gradients = [None if weight.grad is None else weight.grad.clone() for weight in self.weights]
        return gradients, [weight.detach().clone() for weight in self.weights]

    def rate(self) -> float:
        """The learning rate of a weight whose share is 1."""
        group = self.optimizer.param_groups[0]
        return float(group["lr"]) / float(group.get("multiplier", 1.0))

    def computed(self, inputs: list[torch.Tensor], targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The first output, and the loss."""
        if self.spec is None:
            output = self.model(*inputs)
            if not isinstance(output, torch.Tensor):
                raise InputError(
                    f"{type(self.model).__name__} gives a {type(output).__name__}, and a loss takes one tensor"
                )
            if not self.done:
                self.plan.fitting(output.shape[-1])
            return output, self.loss(output, targets)
        kept: list[Any] = []
        handle = self.model.register_forward_hook(lambda module, args, output: kept.append(output))
        try:
            loss = loss_of(self.model, [*inputs, targets], self.loss)
        finally:
            handle.remove()
        return kept[0][0] if isinstance(kept[0], tuple) else kept[0], loss

    def measured(self, output: torch.Tensor, loss: torch.Tensor, targets: torch.Tensor) -> Measured:
        """What a batch gives, by name. Mixed targets count as the class that weighs most."""
        found = {"loss": (len(output), loss.item())}
        if self.plan.classifies():
            classes = targets.argmax(-1) if targets.is_floating_point() else targets
            valid = (
                classes != self.plan.ignored() if self.plan.ignored() is not None else torch.ones_like(classes).bool()
            )
            count = int(valid.sum())
            right = int(((output.argmax(-1) == classes) & valid).sum())
            found[ACCURACY] = (count, right / max(1, count))
        return found

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Loss and metrics of the held-out samples, in evaluation mode, with the averaged weights if there are some."""
        means = Means()
        with running(self.model, False, None), self.averaged(), self.lowered():
            for inputs, targets in self.feed.held_out():
                means.add(self.measured(*self.computed(inputs, targets), targets))
        return means.all()

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """With the averaged weights; as before afterwards."""
        kept = [weight.detach().clone() for weight in self.weights] if self.averages else []
        try:
            self._put(self.averages)
            yield
        finally:
            self._put(kept)

    def _put(self, values: list[torch.Tensor]) -> None:
        with torch.no_grad():
            for weight, value in zip(self.weights, values, strict=False):
                weight.copy_(value)

    def end(self, epoch: int) -> None:
        """What comes at the end of an epoch: evaluation, the plateau, early stopping."""
        if self.plan.data.held_out is not None:
            self.history.note_epoch(epoch, **{f"val_{name}": value for name, value in self.evaluate().items()})
        self.epoch = epoch + 1
        recipe, metrics = self.plan.recipe, {name: values[epoch] for name, values in self.history.epochs.items()}
        if recipe.plateau:
            self.plateau.step(metrics)
        if recipe.stopping:
            with self.averaged():
                self.stopped = self.stopping.step(metrics, self.model)

    def finish(self) -> None:
        """The weights that the training ends with."""
        if self.stopping is not None and self.stopping.spec.restore_best:
            self.stopping.restore(self.model)
        else:
            self._put(self.averages)

    def _refuse(self, what: str, epoch: int, batch: Batch) -> None:
        place = f"at step {self.steps} (batch {batch.step} in all, of epoch {epoch + 1})"
        inputs, targets = self.feed.batch(batch)
        with self.lowered():
            why = source(self.model, (inputs, targets), lambda: self.computed(inputs, targets))
        raise TrainingError(f"{what} {place}: {why}")
