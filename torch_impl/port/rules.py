"""What each optimizer of PyTorch does, in the terms of core/port/rule.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from ...core.errors import StateError
from ...core.port.rule import FAMILIES
from ..techniques import adafactor, adam, adamw, rmsprop, sgd

Group = Mapping[str, Any]


def name_of(optimizer: Any) -> str:
    """The class of an optimizer as users write it."""
    own = type(optimizer).__module__.startswith("torch.")
    return ("torch.optim." if own else "Diglot's ") + type(optimizer).__name__


def _sgd(optimizer: Any, group: Group, weight: torch.Tensor) -> dict[str, Any]:
    own = isinstance(optimizer, sgd.SGD)
    return {
        "momentum": float(group["momentum"]),
        "dampening": float(group["dampening"]),
        "nesterov": group["nesterov"],
        "weight_decay": float(group["weight_decay"]),
        "decay": optimizer.decay if own else "l2",
        "velocity": optimizer.velocity if own else "gradient",
        "maximize": group["maximize"],
        "use_ema": False,
    }


def _adam(optimizer: Any, group: Group, weight: torch.Tensor) -> dict[str, Any]:
    decoupled = isinstance(optimizer, torch.optim.AdamW) or group.get("decoupled_weight_decay", False)
    return {
        "beta_1": float(group["betas"][0]),
        "beta_2": float(group["betas"][1]),
        "epsilon": float(group["eps"]),
        "epsilon_convention": "uncorrected" if isinstance(optimizer, adam.Adam | adamw.AdamW) else "corrected",
        "amsgrad": group["amsgrad"],
        "weight_decay": float(group["weight_decay"]),
        "decay": "decoupled" if decoupled else "l2",
        "embedding": "added",
        "maximize": group["maximize"],
        "use_ema": False,
    }


def _rmsprop(optimizer: Any, group: Group, weight: torch.Tensor) -> dict[str, Any]:
    conventions = {"decay": "l2", "epsilon_convention": "outside", "velocity": "gradient"}
    return {
        "rho": float(group["alpha"]),
        "epsilon": float(group["eps"]),
        "momentum": float(group["momentum"]),
        "centered": group["centered"],
        "weight_decay": float(group["weight_decay"]),
        **(optimizer.conventions if isinstance(optimizer, rmsprop.RMSprop) else conventions),
        "embedding": "added",
        "maximize": group["maximize"],
        "use_ema": False,
    }


def _adafactor(optimizer: Any, group: Group, weight: torch.Tensor) -> dict[str, Any]:
    common = {"embedding": "added", "use_ema": False, "weight_decay": float(group["weight_decay"])}
    if isinstance(optimizer, adafactor.Adafactor):
        own = optimizer.spec.fields()
        named = ("decay_exponent", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step", "beta_1")
        conventions = ("parameter_scaling", "epsilon_convention", "factored_axes")
        return common | {name: own[name] for name in (*named, *conventions)} | {"maximize": False}
    least = group["eps"][0]
    return common | {
        "decay_exponent": -float(group["beta2_decay"]),
        "epsilon_1": torch.finfo(weight.dtype).eps if least is None else float(least),
        "epsilon_2": float(group["eps"][1]),
        "clip_threshold": float(group["d"]),
        "relative_step": True,
        "parameter_scaling": "undecayed",
        "epsilon_convention": "floor",
        "factored_axes": "last_two",
        "beta_1": 0.0,
        "maximize": group["maximize"],
    }


Reader = Callable[[Any, Group, torch.Tensor], dict[str, Any]]
KNOWN: dict[type, tuple[str, Reader]] = {
    torch.optim.SGD: ("sgd", _sgd),
    sgd.SGD: ("sgd", _sgd),
    torch.optim.Adam: ("adam", _adam),
    adam.Adam: ("adam", _adam),
    torch.optim.AdamW: ("adam", _adam),
    adamw.AdamW: ("adam", _adam),
    torch.optim.RMSprop: ("rmsprop", _rmsprop),
    rmsprop.RMSprop: ("rmsprop", _rmsprop),
    torch.optim.Adafactor: ("adafactor", _adafactor),
    adafactor.Adafactor: ("adafactor", _adafactor),
}


def family_of(optimizer: Any) -> tuple[str, Reader]:
    """The family of an optimizer, and what reads its settings. Raises StateError for a class that is not known."""
    if type(optimizer) not in KNOWN:
        raise StateError(
            f"{type(optimizer).__module__}.{type(optimizer).__name__} cannot be handed over from or to PyTorch: what "
            f"it does is known only of torch.optim's own {', '.join(FAMILIES)}, and of those that Diglot builds"
        )
    return KNOWN[type(optimizer)]
