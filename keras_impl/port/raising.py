"""A user's model with weights of its own: raised to float64, or half precision to float32, or in its own types.

The model's variables, types and constants are replaced while one of our runs lasts, and are back when it ends: the
very same objects, with the very same bits. So no model has to be copied, which many a class of the user's would not
survive, and none is changed.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...core import compare, floor
from ...core.port.subject import Inputs
from ...core.verdict import Verdict
from . import computable
from .exactly import exactly, narrowed
from .naming import BOOKKEEPING, Names
from .patching import patched
from .structure import as_array
from .untouched import untouched

Change = tuple[dict[str, Any], str, Any]
NARROW = (tf.float16, tf.bfloat16, tf.float32)
LONGEST = 500  # characters of what an error says
HALVES = ("bfloat16", "float16")
WIDTHS = {"bfloat16": "float32", "float16": "float16", "float32": "float32"}
UNITS = {"bfloat16": 2.0**16, "float16": 1.0, "float32": 1.0}
"""A unit of each type in units of one that NumPy has, by `WIDTHS`: bfloat16 has 16 bits less than float32."""


class Raised:
    """The weights of our runs, by name, and what else has to be another thing while one lasts."""

    def __init__(self, names: Names, precise: bool, lifted: bool = False) -> None:
        self.precise = precise
        self.kind = "float64" if precise else "float32" if lifted else ""
        self.narrow = NARROW if precise else NARROW[:2] if lifted else ()
        self.layers = list(names.layers.values())
        self.inner = [layer._functional for layer in self.layers if getattr(layer, "_functional", None) is not None]
        self.variables: dict[str, Any] = {}
        self.changes: list[Change] = []
        replaced: dict[int, Any] = {}
        for name, variable in names.variables.items():
            held = variable._value if isinstance(variable, keras.Variable) else variable
            dtype = tf.as_dtype(self.kind) if held.dtype in self.narrow else held.dtype
            with tf.device(held.device):
                made = tf.Variable(tf.cast(held, dtype), trainable=True, name=name.replace("/", "_"))
            self.variables[name] = made
            if isinstance(variable, keras.Variable):
                self.changes.append((vars(variable), "_value", made))
                if self.kind:
                    self.changes.append((vars(variable), "_dtype", dtype.name))
            else:
                replaced[id(variable)] = made
        for layer in self.layers:
            self._widen(layer, replaced)
        for layer in (*self.layers, *self.inner):
            for tensor in getattr(layer, "_inputs", None) or () if self.kind else ():
                if isinstance(tensor, keras.KerasTensor) and tf.as_dtype(tensor.dtype).is_floating:
                    self.changes.append((vars(tensor), "_dtype", self.kind))

    def _widen(self, layer: Any, replaced: dict[int, Any]) -> None:
        held = vars(layer)
        if self.kind and tf.as_dtype(layer.compute_dtype).is_floating:
            self.changes.append((held, "_dtype_policy", keras.DTypePolicy(self.kind)))
            for inner in (getattr(layer, "_functional", None),):
                if inner is not None:
                    self.changes.append((vars(inner), "_dtype_policy", keras.DTypePolicy(self.kind)))
        for attribute, value in held.items():
            if attribute in BOOKKEEPING or attribute.startswith("_self_"):
                continue
            wider = self._wider(value, replaced)
            if wider is not value:
                self.changes.append((held, attribute, wider))

    def _wider(self, value: Any, replaced: dict[int, Any], depth: int = 0) -> Any:
        """The same in a wider type, for tensors, arrays and plain variables, also in lists and dictionaries of them."""
        if id(value) in replaced:
            return replaced[id(value)]
        if isinstance(value, (np.ndarray, np.generic)) and value.dtype in [one.as_numpy_dtype for one in self.narrow]:
            return value.astype(self.kind)
        if self.kind and tf.is_tensor(value) and not isinstance(value, (tf.Variable, keras.Variable)):
            return tf.cast(value, self.kind) if hasattr(value, "numpy") and value.dtype in self.narrow else value
        if isinstance(value, (list, tuple)) and not hasattr(value, "_fields") and depth < 4:
            items = [self._wider(item, replaced, depth + 1) for item in value]
            items = items if isinstance(value, list) else tuple(items)
            return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
        if isinstance(value, dict) and depth < 4:
            entries = {key: self._wider(item, replaced, depth + 1) for key, item in value.items()}
            return entries if any(entries[key] is not value[key] for key in value) else value
        return value

    @contextlib.contextmanager
    def alive(self, training: bool = False) -> Iterator[None]:
        """The model computes with our weights; afterwards it and all that its layers hold is the user's again."""
        layers = (*self.layers, *self.inner)
        changed = [(held, key, held[key]) for held, key, _ in self.changes]
        eager = tf.config.functions_run_eagerly()
        with untouched(layers), patched("computable", computable.patches):
            try:
                tf.config.run_functions_eagerly(True)
                for held, key, new in self.changes:
                    held[key] = new
                for held in map(vars, layers) if training else ():
                    held.update({key: 0.0 for key in ("rate", "stddev") if _draws(held, key)})
                with exactly() if self.precise else contextlib.nullcontext():
                    yield
            finally:
                tf.config.run_functions_eagerly(eager)
                for held, key, old in changed:
                    held[key] = old

    def values(self, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
        """These weights as they stand, or all of them."""
        return {name: as_array(self.variables[name]) for name in (self.variables if names is None else names)}

    def put(self, values: Mapping[str, np.ndarray]) -> None:
        """Write weights of the right shape."""
        for name, value in values.items():
            self.variables[name].assign(tf.cast(value, self.variables[name].dtype))


def _draws(held: dict[str, Any], key: str) -> bool:
    return key in held and isinstance(held[key], (int, float)) and "seed_generator" in held


def doubt(raised: Any, own: Any, inputs: Inputs) -> str:
    """Why a model in float64 is not to be trusted; nothing if it gives its own outputs, to the noise of float32.

    `raised` and `own` are subjects of one model, in float64 and in the types that it has.
    """
    narrow: list[str] = []
    try:
        plain = own.run(inputs, watch=False).outputs
        with narrowed(narrow):
            wide = raised.run(inputs, watch=False).outputs
        ulp = narrowest(raised.raised.layers)
        before = raised.raised.values()
        raised.raised.put(_by_units(before, ulp))
        other = raised.run(_moved(inputs, ulp), watch=False).outputs
        raised.raised.put(before)
    except Exception as error:
        return f"it does not run in float64: {told(error)}"
    if narrow:
        return f"it computes {narrow[0]} in float32 even where everything else is float64"
    for name, array in wide.items():
        if array.dtype.kind != "f":
            continue
        if array.dtype != np.float64:
            return f"its output {name} is {array.dtype} even where everything else is float64"
        own = plain[name].astype(np.float64)
        alike = ~np.isfinite(own) & ((own == array) | (np.isnan(own) & np.isnan(array)))  # such as what is masked
        array, own, near = (np.where(alike, 0, each) for each in (array, own, other[name]))
        noise = floor.movement({name: array}, {name: near}).get(name, 0.0)
        least = UNITS[ulp] * floor.unit(array, WIDTHS[ulp]) if array.size else 0.0
        found = compare.pair(name, array, own, max(noise, least))
        if found.verdict is not Verdict.EQUAL:
            return f"in float64 its output {name} is not what it gives in {ulp}, even to the noise of {ulp}"
    return ""


def narrowest(layers: Iterable[Any]) -> str:
    """The type in which the least exact of the layers computes, by the width of its numbers."""
    used = {layer.compute_dtype for layer in layers}
    return next((name for name in HALVES if name in used), floor.WIDE)


def halved(names: Names) -> str:
    """The type of half precision in which a model holds weights or computes, or nothing."""
    used = {layer.compute_dtype for layer in names.layers.values()}
    used |= {tf.as_dtype(variable.dtype).name for variable in names.variables.values()}
    return next((name for name in HALVES if name in used), "")


def _by_units(arrays: Mapping[str, np.ndarray], ulp: str) -> dict[str, np.ndarray]:
    """The arrays moved by one unit in the last place of a type."""
    near = floor.moved(dict(arrays), 0, WIDTHS[ulp])
    return {name: array + UNITS[ulp] * (near[name] - array) if array.dtype.kind == "f" else array
            for name, array in arrays.items()}  # fmt: skip


def _moved(inputs: Inputs, ulp: str) -> Inputs:
    pairs = {str(key): array for key, array in (inputs.items() if isinstance(inputs, Mapping) else enumerate(inputs))}
    found = _by_units(pairs, ulp)
    return found if isinstance(inputs, Mapping) else list(found.values())


def told(error: BaseException) -> str:
    """The kind of an error and what it says, on one line, without the report that Keras adds."""
    text = re.sub(r"\x1b\[\d*m", "", str(error))
    text = re.sub(r"\{\{.*?\}\} ?| ?\[Op:.*", "", text)
    lines = [line.strip() for line in text.splitlines() if not line.strip().startswith("Exception encountered")]
    lines = list(itertools.takewhile(lambda line: not line.startswith("Arguments received"), lines))
    said = textwrap.shorten(" ".join(lines), LONGEST, placeholder=" …").rstrip(".")
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
