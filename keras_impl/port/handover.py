"""What a native optimizer of Keras, or one of ours, does and keeps of a user's model. See core/port/handover.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ...core.errors import StateError
from ...core.port.held import Held, Trained
from ...core.port.rule import FAMILIES, Rule, spec_of
from ...core.technique import Arrays
from ..backend import as_array, sibling
from ..groups import grouped
from ..techniques import adafactor, adam, adamw, rmsprop, sgd
from ..wrapping import Wrapper
from .naming import named

SCHEDULES = keras.optimizers.schedules
PATHS = {
    "sgd": {"velocity": "momentums"},
    "adam": {"m": "_momentums", "v": "_velocities", "v_max": "_velocity_hats"},
    "rmsprop": {"v": "_velocities", "mean": "_average_gradients", "velocity": "_momentums"},
    "adafactor": {"row": "_r", "column": "_c", "v": "_v"},
}


def read(model: keras.Model, optimizer: Any, schedule: Any = None) -> Held:
    """What an optimizer does and keeps. See core/port/held.py."""
    optimizer = _innermost(optimizer)
    names = named(model).names
    weights = _weights(model, optimizer)
    strange = [weight for weight in weights if id(weight) not in names]
    if strange:
        raise StateError(
            f"{_name(optimizer)} holds {len(strange)} weights that are not the Keras model's, the first of shape "
            f"{tuple(strange[0].shape)}; give the model whose trainable_variables it was built on"
        )
    trained, rates = {}, {}
    for weight in weights:
        own = _inner(optimizer, weight)
        family, rules = _family(own)
        if weight.trainable:
            settings = {"learning_rate": _rate(own, int(optimizer.iterations)), **rules(own, weight)}
            trained[names[id(weight)]] = _trained(Rule(family, settings), own, weight)
            rates[names[id(weight)]] = own
    inner = list({id(own): own for own in rates.values()}.values())
    kinds = dict.fromkeys(type(own._learning_rate).__name__ for own in inner if _scheduled(own))
    if schedule is not None and all(own._learning_rate is not schedule for own in (optimizer, *inner)):
        raise StateError("a schedule of Keras is given to its optimizer as learning_rate; this one has another")
    return Held(
        "keras",
        _name(optimizer),
        trained,
        ", ".join(kinds),
        int(optimizer.iterations),
        lambda steps: _rates(rates, steps),
        tuple(mark for own in inner if _scheduled(own) for mark in _marks(own._learning_rate)),
        max((end for own in inner if (end := _end(own._learning_rate)) is not None), default=None),
        _differences(optimizer),
        tuple(_notes(optimizer, inner)),
    )


def build(model: keras.Model, rules: Mapping[str, Rule], tables: Sequence[str]) -> Any:
    """A new optimizer by these rules. See core/port/held.py."""
    variables = named(model).variables
    weights = [variables[name] for name in rules]
    spec, shares = spec_of(rules)
    told = [variables[name] for name in tables]
    if set(shares) > {(1.0, True)}:
        return grouped(spec, weights, shares, told)
    return sibling(spec).build(spec, weights, **({"tables": told} if spec.TABLES else {}))


def scheduled(optimizer: Any, schedule: Any) -> Any:
    """The schedule of a new optimizer, which is given it. See core/port/held.py."""
    if schedule is not None and not isinstance(schedule, SCHEDULES.LearningRateSchedule):
        raise StateError(
            "target_schedule of Keras is one of keras.optimizers.schedules, or another LearningRateSchedule, not a "
            f"{type(schedule).__name__}"
        )
    if schedule is not None:
        optimizer.learning_rate = schedule
    return schedule


def write(
    model: keras.Model, optimizer: Any, slots: Mapping[str, Arrays], step: int | None, schedule: Any = None
) -> None:
    """Put slots and the count of steps into an optimizer and its schedule. See core/port/held.py."""
    optimizer = _innermost(optimizer)
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    names = named(model).names
    for weight in _weights(model, optimizer):
        own = _inner(optimizer, weight)
        for slot, array in slots.get(names[id(weight)], {}).items():
            variable = _kept(own, _family(own)[0], slot)[own._get_variable_index(weight)]
            variable.assign(array.astype(variable.dtype))
        if own.use_ema:
            own._model_variables_moving_average[own._get_variable_index(weight)].assign(weight)
    for own in (optimizer, *getattr(optimizer, "_inner_optimizers", ())):
        if step is not None:
            own._iterations.assign(step * (own.gradient_accumulation_steps or 1))


def _name(optimizer: Any) -> str:
    own = type(optimizer).__module__.startswith("keras.")
    return ("keras.optimizers." if own else "Diglot's ") + type(optimizer).__name__


def _innermost(optimizer: Any) -> Any:
    while isinstance(optimizer, Wrapper | keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner if isinstance(optimizer, Wrapper) else optimizer.inner_optimizer
    return optimizer


def _inner(optimizer: Any, weight: keras.Variable) -> Any:
    """The optimizer of a weight."""
    if not isinstance(optimizer, keras.optimizers.MultiOptimizer):
        return optimizer
    return optimizer._inner_optimizers[optimizer._var_to_optimizer_idx[optimizer._var_key(weight)]]


def _weights(model: keras.Model, optimizer: Any) -> list[keras.Variable]:
    if optimizer.built:
        return list(optimizer._trainable_variables)
    if isinstance(optimizer, keras.optimizers.MultiOptimizer):
        raise StateError("a MultiOptimizer says which weights are whose once it is built; call its build first")
    return list(model.trainable_variables)


def _common(optimizer: Any, weight: keras.Variable) -> dict[str, Any]:
    decays = bool(optimizer.weight_decay) and optimizer._use_weight_decay(weight)
    strength, l2 = float(optimizer.weight_decay) if decays else 0.0, float(getattr(optimizer, "l2", 0.0))
    return {
        "weight_decay": strength or l2,
        "decay": "l2" if l2 else "decoupled",
        "maximize": False,
        "use_ema": bool(optimizer.use_ema),
    }


def _sgd(optimizer: Any, weight: keras.Variable) -> dict[str, Any]:
    return {
        **_common(optimizer, weight),
        "momentum": float(optimizer.momentum),
        "dampening": 0.0,
        "nesterov": optimizer.nesterov,
        "velocity": optimizer.velocity if isinstance(optimizer, sgd.SGD) else "update",
    }


def _adam(optimizer: Any, weight: keras.Variable) -> dict[str, Any]:
    own = isinstance(optimizer, adam.Adam)
    return {
        **_common(optimizer, weight),
        "beta_1": float(optimizer.beta_1),
        "beta_2": float(optimizer.beta_2),
        "epsilon": float(optimizer.epsilon),
        "epsilon_convention": optimizer.epsilon_convention if own else "uncorrected",
        "amsgrad": optimizer.amsgrad,
        "embedding": "added" if own else "apart",
    }


def _rmsprop(optimizer: Any, weight: keras.Variable) -> dict[str, Any]:
    own = isinstance(optimizer, rmsprop.RMSprop)
    return {
        **_common(optimizer, weight),
        "rho": float(optimizer.rho),
        "epsilon": float(optimizer.epsilon),
        "epsilon_convention": optimizer.epsilon_convention if own else "inside",
        "momentum": float(optimizer.momentum),
        "velocity": optimizer.velocity if own else "update",
        "centered": optimizer.centered,
        "embedding": "added" if own else "apart",
    }


def _adafactor(optimizer: Any, weight: keras.Variable) -> dict[str, Any]:
    common = {name: value for name, value in _common(optimizer, weight).items() if name != "decay"}
    if isinstance(optimizer, adafactor.Adafactor):
        own = optimizer.spec.fields()
        named = ("decay_exponent", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step", "beta_1")
        conventions = ("parameter_scaling", "epsilon_convention", "factored_axes", "weight_decay")
        return common | {name: own[name] for name in (*named, *conventions)} | {"embedding": "added"}
    return common | {
        "decay_exponent": -float(optimizer.beta_2_decay),
        "epsilon_1": float(optimizer.epsilon_1),
        "epsilon_2": float(optimizer.epsilon_2),
        "clip_threshold": float(optimizer.clip_threshold),
        "relative_step": True,  # Keras takes min(rate, t^-1/2) whatever its own argument says
        "parameter_scaling": "decayed",
        "epsilon_convention": "squared",
        "factored_axes": "features",
        "beta_1": 0.0,
        "embedding": "apart",
    }


Reader = Callable[[Any, keras.Variable], dict[str, Any]]
KNOWN: dict[type, tuple[str, Reader]] = {
    keras.optimizers.SGD: ("sgd", _sgd),
    sgd.SGD: ("sgd", _sgd),
    keras.optimizers.Adam: ("adam", _adam),
    adam.Adam: ("adam", _adam),
    keras.optimizers.AdamW: ("adam", _adam),
    adamw.AdamW: ("adam", _adam),
    keras.optimizers.RMSprop: ("rmsprop", _rmsprop),
    rmsprop.RMSprop: ("rmsprop", _rmsprop),
    keras.optimizers.Adafactor: ("adafactor", _adafactor),
    adafactor.Adafactor: ("adafactor", _adafactor),
}


def _family(optimizer: Any) -> tuple[str, Reader]:
    if type(optimizer) not in KNOWN:
        raise StateError(
            f"{type(optimizer).__module__}.{type(optimizer).__name__} cannot be handed over from or to Keras: what it "
            f"does is known only of keras.optimizers' own {', '.join(FAMILIES)}, and of those that Diglot builds"
        )
    return KNOWN[type(optimizer)]


def _kept(optimizer: Any, family: str, slot: str) -> list[keras.Variable]:
    if isinstance(optimizer, adafactor.Adafactor):
        return list(optimizer.kept[slot])
    return list(getattr(optimizer, PATHS[family][slot]))


def _trained(rule: Rule, optimizer: Any, weight: keras.Variable) -> Trained:
    shape, lost = tuple(weight.shape), {}
    if rule.family == "adafactor" and len(shape) > 1:
        row, column = len(shape) - 2, len(shape) - 1
        if isinstance(optimizer, adafactor.Adafactor):
            row, column = optimizer.spec.factored(len(shape))
        lost = {"row": column, "column": row}
    arrays = {}
    for slot in rule.slots(len(shape)):
        own = tuple(size for place, size in enumerate(shape) if place != lost.get(slot))
        kept = _kept(optimizer, rule.family, slot)[optimizer._get_variable_index(weight)] if optimizer.built else None
        arrays[slot] = np.zeros(own, weight.dtype) if kept is None else as_array(kept).copy()
    steps = int(optimizer.iterations)
    return Trained(rule, arrays, lost, steps, started=steps > 0)


def _scheduled(optimizer: Any) -> bool:
    return callable(optimizer._learning_rate) and not isinstance(optimizer._learning_rate, keras.Variable)


def _rate(optimizer: Any, step: int) -> float:
    rate = optimizer._learning_rate
    if isinstance(rate, SCHEDULES.LearningRateSchedule):
        rate = rate(ops.convert_to_tensor(step, dtype="int64"))
    elif _scheduled(optimizer):
        rate = rate()
    return float(as_array(rate))


def _rates(optimizers: Mapping[str, Any], steps: Sequence[int]) -> Arrays:
    """The rate of every tensor at these steps."""
    courses: dict[int, np.ndarray] = {}
    for own in optimizers.values():
        if id(own) not in courses:
            courses[id(own)] = np.array([_rate(own, step) for step in steps])
    return {name: courses[id(own)] for name, own in optimizers.items()}


def _marks(schedule: Any) -> tuple[int, ...]:
    """The whole numbers of a schedule, and their sum: some are steps at which it turns, or that it takes."""
    try:
        config = schedule.get_config()
    except NotImplementedError:
        return ()
    found = _whole(config)
    return (*found, sum(found))


def _end(schedule: Any) -> int | None:
    """The step at which a cosine has come down."""
    if not isinstance(schedule, SCHEDULES.CosineDecay):
        return None
    return int(schedule.decay_steps) + int(schedule.warmup_steps or 0)


def _whole(tree: Any) -> tuple[int, ...]:
    if isinstance(tree, int | float) and not isinstance(tree, bool):
        return (int(tree),) if tree == int(tree) and tree > 0 else ()
    items = tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, list | tuple) else ()
    return tuple(mark for item in items for mark in _whole(item))


def _differences(optimizer: Any) -> dict[str, str]:
    inner = (optimizer, *getattr(optimizer, "_inner_optimizers", ()))
    if any(_scheduled(own) and not isinstance(own._learning_rate, SCHEDULES.LearningRateSchedule) for own in inner):
        return {"schedule": f"the rate of {_name(optimizer)} is a function of no step, whose course cannot be foreseen"}
    return {}


def _notes(optimizer: Any, inner: Sequence[Any]) -> list[str]:
    found = []
    for setting, how in (
        ("clipnorm", "each gradient's own norm"),
        ("global_clipnorm", "the norm of all, as torch.nn.utils.clip_grad_norm_ does"),
        ("clipvalue", "each number, as torch.nn.utils.clip_grad_value_ does"),
    ):
        if value := getattr(optimizer, setting, None):
            found.append(
                f"Keras's optimizer clips gradients ({setting}={value}): in PyTorch the training has to clip {how}"
            )
    for own in inner:
        if count := own.gradient_accumulation_steps:
            if int(own._iterations) % count:
                raise StateError(
                    f"{_name(own)} is amid {count} batches whose gradients it adds up; hand over between two steps"
                )
            found.append(
                f"Keras's optimizer takes the mean of {count} batches' gradients: in PyTorch the training has to"
            )
    return list(dict.fromkeys(found))
