"""What a user gives to both models: inputs in Keras's layout, and outputs in any structure, made to correspond."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import DiglotError, InputError
from ..technique import Arrays
from .layouts import CHANNELS, SAME, TIME, Layout, layouts
from .subject import Inputs

LAYOUTS = {"same": SAME, "channels": CHANNELS, "time": TIME}
Hint = Sequence[str | int] | Mapping[str | int, str] | None


@dataclass
class Given:
    """The inputs of both models by name; positional ones are `0`, `1` … `layouts` are how PyTorch has Keras's arrays.

    Where PyTorch's are given by themselves, they are `own`. `options` are all the layouts in which its model runs.
    """

    keras: Arrays
    positional: bool = True
    own: Arrays | None = None
    own_positional: bool = True
    layouts: dict[str, Layout] = field(default_factory=dict)
    options: list[dict[str, Layout]] = field(default_factory=list)

    def of(self, side: str, batch: Arrays) -> Inputs:
        """A batch as a side takes it. A batch holds Keras's arrays by name, and PyTorch's own as `torch NAME`."""
        if side == "keras":
            arrays, positional = {name: batch[name] for name in self.keras}, self.positional
        elif self.own is not None:
            arrays, positional = {name: batch[f"torch {name}"] for name in self.own}, self.own_positional
        else:
            arrays = {name: self.layouts.get(name, SAME).to_torch(batch[name]) for name in self.keras}
            positional = self.positional
        return [np.ascontiguousarray(array) for array in arrays.values()] if positional else arrays

    def batch(self) -> Arrays:
        """Everything that is given, in one set of named arrays."""
        return {**self.keras, **{f"torch {name}": array for name, array in (self.own or {}).items()}}


def given(inputs: Any, torch_inputs: Any = None) -> Given:
    """The inputs of both models. Raises InputError for what is no array, and for arrays that say nothing."""
    keras, positional = _named(inputs, "inputs")
    own, own_positional = (None, True) if torch_inputs is None else _named(torch_inputs, "torch_inputs")
    return Given(keras, positional, own, own_positional)


def _named(inputs: Any, label: str) -> tuple[Arrays, bool]:
    if isinstance(inputs, Mapping):
        found = {str(name): _array(value, f"{label}[{name!r}]") for name, value in inputs.items()}
    elif isinstance(inputs, list | tuple) and not inputs:
        found = {}
    elif isinstance(inputs, list | tuple) and not all(isinstance(item, int | float | bool) for item in inputs):
        found = {str(index): _array(value, f"{label}[{index}]") for index, value in enumerate(inputs)}
    else:
        found = {"0": _array(inputs, label)}
    if not found:
        raise InputError(f"{label} hold no array; give one array, a list of arrays, or arrays by name")
    return found, not isinstance(inputs, Mapping)


def _array(value: Any, label: str) -> np.ndarray[Any, Any]:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    if "bfloat16" in str(getattr(value, "dtype", "")):  # which NumPy lacks
        value = value.float() if hasattr(value, "float") else np.asarray(value).astype(np.float32)
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:  # such as rows of several lengths
        raise InputError(f"{label} is no array of numbers: {error}") from error
    if array.dtype.kind not in "fiub":
        raise InputError(f"{label} must be an array of numbers, not {type(value).__name__} of {array.dtype}")
    if not array.size:
        raise InputError(f"{label} is empty, of shape {array.shape}: nothing could be compared")
    if array.dtype.kind == "f":
        if not np.all(np.isfinite(array)):
            raise InputError(f"{label} holds {int(np.sum(~np.isfinite(array)))} values that are not finite")
        if np.max(np.abs(array)) > np.finfo(np.float32).max:
            raise InputError(f"{label} holds numbers beyond the largest of float32; give smaller ones")
        return array.astype(np.float64)
    return array.astype(np.int64) if array.dtype.kind in "iu" else array


def options(arrays: Arrays) -> Iterator[dict[str, Layout]]:
    """The layouts in which PyTorch may want Keras's arrays, the rule's first: channels behind the batch in pictures.

    What has three axes may be a sequence as well, in either order of batch and time.
    """
    ranks = {name: min(array.ndim, 4) for name, array in arrays.items()}
    likely = {4: (CHANNELS, SAME), 3: (SAME, CHANNELS, TIME)}
    present = sorted({rank for rank in ranks.values() if rank in likely})
    for words in itertools.product(*(likely[rank] for rank in present)):
        chosen = dict(zip(present, words, strict=True))
        yield {name: chosen.get(rank, SAME) for name, rank in ranks.items()}
    if any(rank in (2, 3) for rank in ranks.values()) and any(array.ndim == 2 for array in arrays.values()):
        yield {name: TIME if rank in (2, 3) else SAME for name, rank in ranks.items()}


def refused(told: Given, failures: Sequence[DiglotError]) -> InputError:
    """The error of a PyTorch model that takes Keras's inputs in none of the layouts."""
    tried = []
    for chosen in options(told.keras):
        shapes = {name: chosen.get(name, SAME).to_torch(array).shape for name, array in told.keras.items()}
        tried.append(", ".join(f"{name}: {shape}" for name, shape in shapes.items()))
    if len({_reason(failure) for failure in failures}) == 1:  # one that no layout changes
        return InputError(str(failures[0]))
    return InputError(
        f"{failures[0]}; its inputs were tried as {' and as '.join(dict.fromkeys(tried))}: "
        "if it takes them in another layout, give its own as torch_inputs="
    )


def _reason(failure: DiglotError) -> tuple[str, str]:
    """What a model itself raised; an assertion without a sentence may be of the shape, so that each is another."""
    cause = failure.__cause__ or failure
    return type(cause).__name__, str(cause) or str(failure)


def may_agree(torch: Arrays, keras: Arrays) -> bool:
    """Whether outputs of these shapes may be the same in some layout."""
    pairs = zip(torch.values(), keras.values(), strict=False)
    return all(any(layouts(one.shape, other.shape)) for one, other in pairs)


@dataclass(frozen=True)
class Output:
    """One output of both models: its name on each side, and the layout that was asked for, if any."""

    name: str
    torch: str | None
    keras: str | None
    layout: Layout | None = None


def outputs(torch: Arrays, keras: Arrays, torch_outputs: Hint, keras_outputs: Hint) -> list[Output]:
    """Which output of PyTorch is which of Keras: as the hints say, or by name, or by order.

    Raises InputError for a hint that names no output. What one side lacks stays without a partner.
    """
    ours, words = _asked(torch, torch_outputs, "torch_outputs")
    theirs, _ = _asked(keras, keras_outputs, "keras_outputs")
    if torch_outputs is None and keras_outputs is None and set(ours) == set(theirs):
        theirs = list(ours)
    count = max(len(ours), len(theirs))
    filled = [[*names, *[None] * (count - len(names))] for names in (ours, theirs)]
    return [
        Output(str(one if one is not None else other), one, other, words.get(one or ""))
        for one, other in zip(*filled, strict=True)
    ]


def _asked(held: Arrays, hint: Hint, label: str) -> tuple[list[str], dict[str, Layout]]:
    names = list(held)
    if hint is None:
        return names, {}
    if not isinstance(hint, str | int | Sequence | Mapping):
        raise InputError(f"{label} takes outputs by name or place, or {{output: layout}}, and not {hint!r}")
    asked = [hint] if isinstance(hint, str | int) else list(hint)
    chosen = []
    for item in asked:
        if isinstance(item, int) and -len(names) <= item < len(names):
            chosen.append(names[item])
        elif str(item) in held:
            chosen.append(str(item))
        else:
            raise InputError(f"{label} names {item!r}, and the model's outputs are {', '.join(names)}")
    words = list(hint.values()) if isinstance(hint, Mapping) else []
    if wrong := [word for word in words if str(word) not in LAYOUTS]:
        raise InputError(f"{label} gives the layout {wrong[0]!r}; it is one of {', '.join(LAYOUTS)}")
    return chosen, dict(zip(chosen, map(LAYOUTS.__getitem__, words), strict=False))
