"""The arguments of functions and modules by the names of their parameters."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from .functional import FUNCTIONS

SYNONYMS = {"axis": "dim", "axes": "dim", "correction": "unbiased", "keepdims": "keepdim", "other": "other"}


def bare(func: Any) -> str:
    """The name of a function, be it a method, an operator or in place: `add` for `Tensor.__iadd__`."""
    name = str(getattr(func, "__name__", type(func).__name__))
    if name == "__get__":
        return str(getattr(getattr(func, "__self__", None), "__name__", ""))
    return name.strip("_")


def bound(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """A function's arguments by the names of its parameters, with the defaults of those that are values.

    Several numbers in a row, as of `x.mean(2, 3)`, are the last parameter's.
    """
    _, parameters, defaults = FUNCTIONS[name]
    found = dict(defaults) | dict(zip(parameters, args, strict=False))
    for word, value in kwargs.items():
        found[SYNONYMS.get(word, word)] = value
    if "correction" in kwargs:
        found["unbiased"] = kwargs["correction"] == 1
    return found


def rebound(
    name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], **changes: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A function's arguments with other values of some of its parameters, each where it was given."""
    _, parameters, _ = FUNCTIONS[name]
    given, named = list(args), dict(kwargs)
    for word, value in changes.items():
        place = parameters.index(word)
        if place < len(given):
            given[place] = value
        else:
            named[word] = value
    return tuple(given), named


def ordered(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], known: bool
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A module's arguments in the order of its own parameters.

    Those of a known class are positions, wherever they were keywords; a user's own may be wrapped, so that it takes by
    keyword what was given by keyword.
    """
    found = _signed(module, args, kwargs)
    if found is None:
        return args, kwargs
    if known:
        return found.args, found.kwargs
    return args, {name: kwargs[name] for name in (*found.arguments, *kwargs) if name in kwargs}


def by_name(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """A module's arguments by the names of its parameters, with the defaults."""
    found = _signed(module, args, kwargs)
    if found is None:
        return dict(kwargs)
    found.apply_defaults()
    return dict(found.arguments)


def _signed(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments | None:
    try:
        return inspect.signature(module.forward).bind(*args, **kwargs)
    except (TypeError, ValueError):  # a forward whose signature is not told, or not its own
        return None
