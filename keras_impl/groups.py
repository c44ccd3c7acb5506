"""One optimizer for groups of weights, each with a share of the learning rate, and with or without decay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from ..core.technique import Optimizer
from .backend import sibling
from .exact import constant


def grouped(
    spec: Optimizer,
    weights: Sequence[keras.Variable],
    shares: Sequence[tuple[float, bool]],
    tables: Sequence[keras.Variable] = (),
) -> keras.optimizers.MultiOptimizer:
    """The optimizer of a spec, once for each share: the factor of the rate, and whether the weights decay.

    Its learning rate is that of the factor 1. A rate or a schedule that is set is multiplied by the factor of each.
    """
    kinds = list(dict.fromkeys(shares))
    owners = [kinds.index(share) for share in shares]
    optimizers, told = [], {"tables": tables} if spec.TABLES else {}
    for kind, (_, decays) in enumerate(kinds):
        own = [weight for weight, owner in zip(weights, owners, strict=True) if owner == kind]
        optimizers.append(sibling(spec).build(spec if decays else spec.replace(weight_decay=0.0), own, **told))
    optimizer = Grouped(optimizers, [factor for factor, _ in kinds], owners)
    optimizer.learning_rate = float(spec.fields()["learning_rate"])
    optimizer.build(list(weights))
    return optimizer


def slots_of(
    spec: Optimizer, optimizer: keras.optimizers.Optimizer, weights: Sequence[keras.Variable]
) -> dict[str, list[keras.Variable | None]]:
    """Every slot of these weights, in their order, of a spec's optimizer or of one for its groups."""
    found: dict[str, list[keras.Variable | None]] = {}
    for weight in weights:
        inner = optimizer.inner(weight) if isinstance(optimizer, Grouped) else optimizer
        index = inner._get_variable_index(weight)
        for slot, variables in sibling(spec).slots(inner, inner._trainable_variables).items():
            found.setdefault(slot, []).append(variables[index])
    return found


@keras.saving.register_keras_serializable("diglot")
class Grouped(keras.optimizers.MultiOptimizer):
    """`keras.optimizers.MultiOptimizer` with a common learning rate, of which each inner optimizer takes its share.

    `owners` holds the number of the inner optimizer of each weight, in the order in which it is built with them.
    """

    def __init__(
        self, optimizers: Sequence[keras.optimizers.Optimizer], factors: Sequence[float], owners: Sequence[int],
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(None, **options)
        self.factors, self.owners = list(factors), list(owners)
        self._inner_optimizers = list(optimizers)

    def build(self, variables: Sequence[Any]) -> None:
        if self.built:
            return
        own = {self._var_key(variable): owner for variable, owner in zip(variables, self.owners, strict=True)}
        self._optimizer_map = lambda variable: self._inner_optimizers[own[self._var_key(variable)]]
        super().build(variables)

    def inner(self, variable: Any) -> keras.optimizers.Optimizer:
        """The optimizer of a weight."""
        return self._inner_optimizers[self._var_to_optimizer_idx[self._var_key(variable)]]

    @property
    def learning_rate(self) -> Any:
        return self._get_current_learning_rate()

    @learning_rate.setter
    def learning_rate(self, rate: Any) -> None:
        keras.optimizers.Optimizer.learning_rate.fset(self, rate)
        for optimizer, factor in zip(self._inner_optimizers, self.factors, strict=True):
            optimizer.learning_rate = share(rate, factor)

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        given = self._trainable_variables if trainable_variables is None else trainable_variables
        if not self.built:
            self.build(given)
        pairs = [(gradient, weight) for gradient, weight in zip(grads, given, strict=True) if gradient is not None]
        for optimizer in self._inner_optimizers:
            own = [pair for pair in pairs if self.inner(pair[1]) is optimizer]
            if own:
                optimizer.apply([gradient for gradient, _ in own], [weight for _, weight in own])
            else:
                optimizer._iterations.assign_add(1)  # its schedule goes on while all its weights are frozen
        self._iterations.assign_add(1)

    def get_config(self) -> dict[str, Any]:
        rate = self._learning_rate
        schedule = isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
        return {
            "optimizers": [keras.saving.serialize_keras_object(optimizer) for optimizer in self._inner_optimizers],
            "factors": list(self.factors),
            "owners": list(self.owners),
            "learning_rate": keras.saving.serialize_keras_object(rate) if schedule else float(rate),
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        rate = config["learning_rate"]
        if isinstance(rate, dict):
            rate = keras.saving.deserialize_keras_object(rate, custom_objects=custom_objects)
        read = [keras.saving.deserialize_keras_object(each, custom_objects) for each in config["optimizers"]]
        kept = {name: value for name, value in config.items() if name not in ("optimizers", "learning_rate")}
        optimizer = cls(read, **kept)
        optimizer.learning_rate = rate
        return optimizer


@keras.saving.register_keras_serializable("diglot")
class Share(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule times a factor."""

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, factor: float) -> None:
        self.schedule, self.factor = schedule, factor

    def __call__(self, step: Any) -> Any:
        rate = self.schedule(step)
        return rate * constant(self.factor, rate)

    def get_config(self) -> dict[str, Any]:
        return {"schedule": keras.saving.serialize_keras_object(self.schedule), "factor": self.factor}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        read = keras.saving.deserialize_keras_object(config["schedule"], custom_objects=custom_objects)
        return cls(read, config["factor"])


def share(rate: Any, factor: float) -> Any:
    """A rate, or a schedule of it, times a factor."""
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        return Share(rate, factor)
    return rate * (factor if isinstance(rate, float) else constant(factor, rate))
