"""LSTM, GRU and plain recurrent layers by their own weights: the order of the gates, biases, direction, activations."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from ..port.roles import GATES
from .activations import sigmoid
from .found import Array, Found, digits

Function = Callable[[Array], Array]
State = tuple[Array, ...]
STEPS = 12
SQUASHING: dict[str, Function] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "linear": lambda x: x,
    "sigmoid": sigmoid,
}
GATING: dict[str, Function] = {
    "sigmoid": sigmoid,
    "hard sigmoid clip(x / 6 + 0.5)": lambda x: np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "hard sigmoid clip(0.2 x + 0.5)": lambda x: np.clip(0.2 * x + 0.5, 0.0, 1.0),
}


def lstm(
    x: Array,
    own: Mapping[str, Array],
    gates: Sequence[str],
    act: Function,
    gate: Function,
    extra: float,
    start: State = (),
) -> Array:
    """The hidden states `(batch, time, units)`; `gates` says whose weights play input, forget, cell and output."""
    kernels, recurrents, biases = _weights(own, gates)
    zeros = np.zeros((len(x), recurrents[0].shape[0]))
    hidden, cell = (start[0], start[-1]) if start else (zeros, zeros)
    states = []
    for step in range(x.shape[1]):
        i, f, c, o = (x[:, step] @ k + hidden @ r + b for k, r, b in zip(kernels, recurrents, biases, strict=True))
        cell = gate(f + extra) * cell + gate(i) * act(c)
        hidden = gate(o) * act(cell)
        states.append(hidden)
    return np.stack(states, 1)


def gru(
    x: Array,
    own: Mapping[str, Array],
    gates: Sequence[str],
    act: Function,
    gate: Function,
    after: bool,
    start: State = (),
) -> Array:
    """The hidden states; `gates` says whose weights play reset, update and new, `after` where the reset is applied."""
    kernels, recurrents, biases = _weights(own, gates)
    extras = [np.asarray(own.get(f"recurrent_bias.{name}", 0.0), np.float64) for name in gates]
    hidden = start[0] if start else np.zeros((len(x), recurrents[0].shape[0]))
    states = []
    for step in range(x.shape[1]):
        given = [x[:, step] @ kernel + bias for kernel, bias in zip(kernels, biases, strict=True)]
        r, z = (gate(given[k] + hidden @ recurrents[k] + extras[k]) for k in (0, 1))
        if after:
            new = act(given[2] + r * (hidden @ recurrents[2] + extras[2]))
        else:
            new = act(given[2] + (r * hidden) @ recurrents[2] + extras[2])
        hidden = (1.0 - z) * new + z * hidden
        states.append(hidden)
    return np.stack(states, 1)


def plain(x: Array, own: Mapping[str, Array], act: Function, start: State = ()) -> Array:
    """The hidden states of act(kernel x + recurrent_kernel h + bias)."""
    (kernel,), (recurrent,), (bias,) = _weights(own, GATES["rnn"])
    hidden = start[0] if start else np.zeros((len(x), recurrent.shape[0]))
    states = []
    for step in range(x.shape[1]):
        hidden = act(x[:, step] @ kernel + hidden @ recurrent + bias)
        states.append(hidden)
    return np.stack(states, 1)


def recurrent(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """Which recurrent layer of `(batch, time, in)` gives the output: all hidden states, or the last.

    The first sample is tried, in few steps of time where the output holds all states.
    """
    x, y = np.asarray(inputs[0], np.float64), np.asarray(output, np.float64)
    role = next((role for role, gates in GATES.items() if f"recurrent_kernel.{gates[-1]}" in tensors), "")
    if not role or x.ndim != 3 or y.ndim not in (2, 3) or len(x) != len(y):
        return
    units = tensors[f"recurrent_kernel.{GATES[role][-1]}"].shape[0]
    held = [
        np.asarray(array, np.float64).reshape(-1, units)[:1] for array in inputs[1:] if _is_state(array, len(x), units)
    ]
    starts: list[tuple[str, State]] = [("", ())]
    if held and any(np.any(state) for state in held):
        starts = [(" from zeros", ()), (" from the initial state that it is given", tuple(held))]
        if len(held) == 2:
            starts.append((" from its initial states in the other order", (held[1], held[0])))
    x, y = x[:1], y[:1]
    if y.ndim == 3 and x.shape[1] != y.shape[1]:
        return
    seen = STEPS if y.ndim == 3 else x.shape[1]
    for (origin, start), backwards in itertools.product(starts, (False, True)):
        given = (x[:, ::-1] if backwards else x)[:, :seen]
        direction = ", reversed, from the last step to the first" if backwards else ""
        for name, states in _variants(role, given, tensors, start):
            for words, made, wanted in _shown(states, y, backwards):
                yield Found("recurrent", f"{name}{origin}{direction}{words}", digits(made, wanted))


def _is_state(array: Array, batch: int, units: int) -> bool:
    return array.dtype.kind == "f" and array.shape in ((batch, units), (1, batch, units))


def _shown(states: Array, y: Array, backwards: bool) -> Iterator[tuple[str, Array, Array]]:
    """What may be returned of the hidden states, with the part of the result to hold it against."""
    seen = states.shape[1]
    if y.ndim == 2:
        yield ", its last state", states[:, -1], y
        yield ", its state after the first step", states[:, 0], y
    elif backwards:
        yield "", states[:, ::-1], y[:, -seen:]
        yield ", its states left in that order", states, y[:, :seen]
    else:
        yield "", states, y[:, :seen]


def _variants(role: str, x: Array, own: Mapping[str, Array], start: State) -> Iterator[tuple[str, Array]]:
    gates = GATES[role]
    without = {name: np.zeros_like(value) if "bias" in name else value for name, value in own.items()}
    bare = {name: np.zeros_like(value) if "recurrent_bias" in name else value for name, value in own.items()}
    twice = {name: 2 * value if name.startswith("bias") else value for name, value in own.items()}
    weights = {"": own, ", without its biases": without, ", its biases added twice": twice}
    if any("recurrent_bias" in name for name in own):
        weights[", without its recurrent biases"] = bare
    for order in itertools.permutations(gates):
        told = "" if order == gates else f", its gates {', '.join(gates)} used as {', '.join(_used(gates, order))}"
        if role == "lstm":
            yield f"lstm{told}", lstm(x, own, order, np.tanh, sigmoid, 0.0, start)
        if role == "gru":
            for after in (True, False):
                words = f"gru with the reset {'after' if after else 'before'} the recurrent product"
                yield f"{words}{told}", gru(x, own, order, np.tanh, sigmoid, after, start)
    for (words, used), (act, function), (gate, gating) in itertools.product(
        weights.items(), SQUASHING.items(), GATING.items()
    ):
        told = f" of {act} and {gate}{words}" if (act, gate) != ("tanh", "sigmoid") else words
        if role == "lstm":
            yield f"lstm{told}", lstm(x, used, gates, function, gating, 0.0, start)
            yield f"lstm{told}, 1 added to the forget gate", lstm(x, used, gates, function, gating, 1.0, start)
        elif role == "gru":
            for after in (True, False):
                place = "after" if after else "before"
                name = f"gru{told} with the reset {place} the recurrent product"
                yield name, gru(x, used, gates, function, gating, after, start)
        elif gate == "sigmoid":
            yield f"rnn of {act}{words}", plain(x, used, function, start)


def _used(gates: Sequence[str], order: Sequence[str]) -> list[str]:
    """Which gate each gate's weights play: `order` says whose weights play each."""
    return [gates[order.index(name)] for name in gates]


def _weights(own: Mapping[str, Array], gates: Sequence[str]) -> tuple[list[Array], list[Array], list[Array]]:
    def all_of(part: str) -> list[Array]:
        return [np.asarray(own.get(f"{part}.{name}", 0.0), np.float64) for name in gates]

    return all_of("kernel"), all_of("recurrent_kernel"), all_of("bias")
