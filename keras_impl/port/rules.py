"""What each optimizer of Keras does, in the terms of core/port/rule.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from ...core.errors import StateError
from ...core.port.rule import FAMILIES
from ..techniques import adafactor, adam, adamw, rmsprop, sgd


def name_of(optimizer: Any) -> str:
    """The class of an optimizer as users write it."""
    own = type(optimizer).__module__.startswith("keras.")
    return ("keras.optimizers." if own else "Diglot's ") + type(optimizer).__name__


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


def family_of(optimizer: Any) -> tuple[str, Reader]:
    """The family of an optimizer, and what reads its settings. Raises StateError for a class that is not known."""
    if type(optimizer) not in KNOWN:
        raise StateError(
            f"{type(optimizer).__module__}.{type(optimizer).__name__} cannot be handed over from or to Keras: what it "
            f"does is known only of keras.optimizers' own {', '.join(FAMILIES)}, and of those that Diglot builds"
        )
    return KNOWN[type(optimizer)]
