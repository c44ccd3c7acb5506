"""The canonical state: `{name: array}`, in a strict bijection with the spec that declares it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import StateError, nearest
from .noise import generator
from .spec import Init, Spec, Weight

State = dict[str, NDArray[Any]]
PRECISIONS = (np.dtype("float64"), np.dtype("float32"), np.dtype("float16"))


def deviation(init: Init, fans: tuple[int, int]) -> float:
    """The standard deviation of a normal initialisation, or the half width of a uniform one."""
    fan_in, fan_out = fans
    return {
        "normal": init.std,
        "xavier_uniform": math.sqrt(6 / (fan_in + fan_out)),
        "he_normal": math.sqrt(2 / fan_in),
        "he_normal_fan_out": math.sqrt(2 / fan_out),
    }[init.name]


def _initial(weight: Weight, rng: np.random.Generator) -> NDArray[Any]:
    if weight.init.name in ("zeros", "ones"):
        return np.full(weight.shape, float(weight.init.name == "ones"))
    width = deviation(weight.init, weight.fans() if len(weight.shape) > 1 else (1, 1))
    return (
        rng.uniform(-width, width, weight.shape)
        if "uniform" in weight.init.name
        else rng.normal(0, width, weight.shape)
    )


def initial_state(spec: Spec, seed: int = 0, dtype: str = "float32") -> State:
    """The values that training starts from, drawn by weight name: the same for a name whatever else is in the net."""
    return {weight.name: _initial(weight, generator(seed, weight.name)).astype(dtype) for weight in spec.weights()}


def random_state(spec: Spec, seed: int = 0) -> State:
    """A state for checks, in float64: nothing is zero or one, and signals keep their scale through the network.

    Zero biases, unit scales and zero running means would hide a missing bias or a swapped statistic.
    """
    state: State = {}
    for weight in spec.weights():
        rng = generator(seed, f"random {weight.name}")
        match weight.role:
            case "gamma" | "scale":
                value = rng.uniform(0.7, 1.3, weight.shape)
            case "variance":
                value = rng.uniform(0.5, 1.5, weight.shape)
            case "bias" | "beta" | "mean":
                value = rng.normal(0, 0.2, weight.shape)
            case "kernel":
                value = rng.normal(0, math.sqrt(1.5 / weight.fans()[0]), weight.shape)
            case _:
                value = rng.normal(0, 0.7, weight.shape)
        state[weight.name] = value
    return state


def fit(spec: Spec, state: Mapping[str, Any]) -> None:
    """Check that a state has exactly the spec's weights, with their shapes, in a precision that both sides know.

    Raises StateError that names every missing, extra and misshapen weight.
    """
    wanted = {weight.name: weight.shape for weight in spec.weights()}
    misfit(f"the state does not fit {spec.name}", wanted, state)
    for name, value in state.items():
        dtype = value.dtype if isinstance(getattr(value, "dtype", None), np.dtype) else np.asarray(value).dtype
        if dtype.newbyteorder("=") not in PRECISIONS:
            raise StateError(f"{name} of {spec.name} must hold float64, float32 or float16 numbers, not {dtype}")


def misfit(sentence: str, wanted: Mapping[str, tuple[int, ...]], given: Mapping[str, Any]) -> None:
    """Raise StateError, this sentence and every missing, extra and misshapen array, unless there is none."""
    shapes = {name: _shape(name, value) for name, value in given.items()}
    missing = [f"{name} {wanted[name]}" for name in wanted if name not in shapes]
    extra = [f"{name} {shapes[name]}{nearest(str(name), wanted)}" for name in shapes if name not in wanted]
    wrong = [
        f"{name} is {shapes[name]} and should be {wanted[name]}"
        for name in wanted
        if name in shapes and shapes[name] != wanted[name]
    ]
    complaints = [
        f"{word}: {', '.join(names)}"
        for word, names in (("missing", missing), ("extra", extra), ("wrong shape", wrong))
        if names
    ]
    if complaints:
        raise StateError(
            f"{sentence}; {'; '.join(complaints)}", tuple(name for name in wanted if shapes.get(name) != wanted[name])
        )


def cast(spec: Spec, state: Mapping[str, Any], dtype: str) -> State:
    """The state in another precision, each number rounded to the nearest.

    Raises StateError where it does not fit the spec, and where a number is too large for the precision.
    """
    fit(spec, state)
    result: State = {}
    for name, value in state.items():
        array = np.asarray(value)
        if array.dtype == dtype:  # nothing to round, to copy or to check: loading a large state is quicker by half
            result[name] = array
            continue
        with np.errstate(over="ignore"):
            result[name] = array.astype(dtype)
        if np.any(np.isinf(result[name]) & np.isfinite(array)):
            raise StateError(f"{name} of {spec.name} holds numbers that are too large for the model's {dtype}", (name,))
    return result


def _shape(name: str, value: Any) -> tuple[int, ...]:
    try:
        return tuple(np.shape(value))
    except ValueError as error:
        raise StateError(f"{name} is a list whose rows differ in length, and so not an array") from error
