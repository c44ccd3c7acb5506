"""What the learners of this side share: the model, its optimizers and copies, and the way in and out of tensors."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import numpy as np
import torch
from torch import nn

from ..core import registry
from ..core.learning import STEP, Training, under
from ..core.noise import Noise
from ..core.technique import Arrays
from .backend import as_array, get_state, loss_of, running, set_state, sibling, spec_of, to_tensor, trainable
from .layout import to_canonical


class Learner:
    """A model in training. A subclass has a method for each verb, on tensors in PyTorch's layout.

    `weights` are those that an optimizer moves, by the optimizer's name; `copies` are networks beside the model, which
    no optimizer moves, by name.
    """

    def __init__(self, model: nn.Module, noise: Noise | None = None, training: Training | None = None) -> None:
        self.model, self.spec, self.noise = model, spec_of(model), noise
        self.training: Any = training or self.spec
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.weights: dict[str, list[nn.Parameter]] = {}
        self.copies: dict[str, nn.Module] = {}
        self.restart()

    def restart(self) -> None:
        """Begin anew with the weights that the model has by now."""
        for name, (rule, prefix) in self.training.optimizers().items():
            self.weights[name] = list(self._named(prefix).values())
            self.optimizers[name] = sibling(rule).build(rule, self.weights[name], **rule.told(self._named(prefix)))
        for name in self.training.COPIES:
            self.copies[name] = copy.deepcopy(self.model).requires_grad_(False).eval()

    def _named(self, prefix: str) -> dict[Any, nn.Parameter]:
        inside = f"{prefix}." if prefix else ""
        found = trainable(self.model, self.spec)
        return {weight: tensor for weight, tensor in found.items() if weight.name.startswith(inside)}

    def do(self, verb: str, arrays: Arrays, step: int = 0) -> Arrays:
        declared, trains = self.training.verbs()[verb], verb.startswith(STEP)
        if self.noise is not None:
            self.noise.step = step
        tensors = [to_tensor(self.model, tensor, arrays) for tensor in declared.takes]
        with running(self.model, trains, self.noise), contextlib.nullcontext() if trains else torch.no_grad():
            given = getattr(self, verb)(*tensors)
        given = given if isinstance(given, tuple) else (given,)
        pairs = zip(declared.gives, given, strict=True)
        return {tensor.name: to_canonical(as_array(result).copy(), tensor.axes) for tensor, result in pairs}

    def state(self) -> Arrays:
        result: Arrays = dict(get_state(self.model))
        for name, other in self.copies.items():
            result |= {f"{name} {key}": array for key, array in get_state(other).items()}
        for name, (rule, prefix) in self.training.optimizers().items():
            for slot, tensors in self._slots(name, rule).items():
                for weight, tensor in zip(self._named(prefix), tensors, strict=True):
                    array = to_canonical(as_array(tensor).copy(), weight.axes, weight.factors)
                    result[f"{slot} of {weight.name}"] = array
        return result

    def _slots(self, name: str, rule: Any) -> dict[str, list[torch.Tensor]]:
        """An optimizer's slots: before its first step it has none here, where Keras's are zeros."""
        optimizer, weights = self.optimizers[name], self.weights[name]
        if optimizer.state:
            return sibling(rule).slots(optimizer, weights)  # type: ignore[no-any-return]
        return {slot: [torch.zeros_like(weight) for weight in weights] for slot in rule.slots()}

    def kept(self) -> Arrays:
        result: Arrays = {f"model.{key}": array for key, array in get_state(self.model).items()}
        for name, other in self.copies.items():
            result |= {f"copies.{name}.{key}": array for key, array in get_state(other).items()}
        for name, optimizer in self.optimizers.items():
            for index, slots in optimizer.state_dict()["state"].items():
                for key, value in slots.items():
                    if value is not None:  # as some optimizers keep where they keep nothing
                        result[f"optimizers.{name}.{index}.{key}"] = as_array(value).copy()
        return result

    def restore(self, kept: Arrays) -> None:
        set_state(self.model, under(kept, "model"))
        for name, other in self.copies.items():
            set_state(other, under(kept, f"copies.{name}"))
        for name, optimizer in self.optimizers.items():
            state: dict[int, dict[str, Any]] = {}
            for path, array in under(kept, f"optimizers.{name}").items():
                index, _, key = path.partition(".")
                state.setdefault(int(index), {})[key] = torch.from_numpy(np.array(array))
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


class SupervisedLearner(Learner):
    """A model that learns by its spec's loss. A batch is the inputs, with the targets behind them."""

    def __init__(self, model: nn.Module, noise: Noise | None = None, training: Training | None = None) -> None:
        super().__init__(model, noise, training)
        rule = registry.make(self.spec.loss(), **self.spec.loss_fields())
        self.loss = sibling(rule).build(rule)

    def step(self, *batch: torch.Tensor) -> torch.Tensor:
        loss = loss_of(self.model, batch, self.loss)
        self.optimizers["network"].zero_grad()
        loss.backward()
        self.optimizers["network"].step()
        return loss

    def evaluate(self, *batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        given = self.model(*batch[:-1])
        return loss_of(self.model, batch, self.loss), given[0] if isinstance(given, tuple) else given
