"""The layers and variables of any Keras model by name, and where Keras's own file keeps each variable.

A child of a Functional or Sequential model goes by its layer name, any other by the attribute that holds it; a variable
by its own name, or by its attribute where Keras made that name up. The model's own name is never part of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf
from keras.src.saving import saving_lib

from .untouched import untouched

# Keras's own bookkeeping, which holds the same layers again, or what is no part of the network.
BOOKKEEPING = frozenset({
    "_layers", "_metrics", "_tracker", "_functional", "_inbound_nodes", "_outbound_nodes", "_operations", "_nodes",
    "_operations_by_depth", "_nodes_by_depth", "_optimizer", "optimizer", "_compile_loss", "_compile_metrics",
    "_loss_tracker", "_seed_generators", "_trainable_variables", "_non_trainable_variables", "_parent_path",
})  # fmt: skip
MADE_UP = re.compile(r"(keras_|resource_|kernel_)?variable(_\d+)?(:\d+)?$", re.IGNORECASE)


@dataclass
class Names:
    """`layers` by path, the model itself under ""; `variables` by name; `aliases` are second names: {second: first}."""

    layers: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    stored: dict[str, str] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    paths: dict[int, str] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)

    def of(self, layer: Any) -> list[str]:
        """The names of a layer's own variables, in the order in which it made them."""
        return [self.names[id(variable)] for _, variable in own(layer)]


def named(model: Any) -> Names:
    """Every layer, variable and alias of a built model."""
    found = Names()
    _visit(model, "", found)
    places = _places(model, found)
    found.stored = {name: places.get(id(variable), "") for name, variable in found.variables.items()}
    return found


def _visit(layer: Any, path: str, found: Names) -> None:
    found.layers[path], found.paths[id(layer)] = layer, path
    for name, child in children(layer):
        inner = f"{path}/{name}" if path else name
        if id(child) in found.paths:
            _again(child, found.paths[id(child)], inner, found)
        else:
            _visit(child, inner, found)
    for name, variable in own(layer):
        full = f"{path}/{name}" if path else name
        if id(variable) in found.names:
            if found.names[id(variable)] != full:
                found.aliases[full] = found.names[id(variable)]
            continue
        found.variables[full], found.names[id(variable)], found.owners[full] = variable, full, path


def _again(layer: Any, first: str, path: str, found: Names) -> None:
    """A layer that is held twice has second names for everything within it."""
    for name in list(found.variables):
        if name.startswith(f"{first}/") or not first:
            found.aliases.setdefault(path + name[len(first) :], name)


def children(layer: Any) -> Iterator[tuple[str, Any]]:
    """The layers directly within a layer, by name; one of them may come twice."""
    found: dict[str, Any] = {}
    graph = layer._obj_type() in ("Functional", "Sequential")
    if graph:
        found |= {child.name: child for child in layer.layers}
    ours = type(layer).__module__.partition(".")[0] == "keras"
    held = {id(child) for child in found.values()}
    for attribute, value in list(vars(layer).items()):
        if attribute in BOOKKEEPING or attribute.startswith("_self_"):
            continue
        for path, child in _inside(attribute, value):
            if graph and id(child) in held:
                continue
            name = child.name if ours and attribute.startswith("_") and path == attribute else path.lstrip("_") or path
            found[name if name not in found else path] = child
    held = {id(child) for child in found.values()}
    found |= {child.name: child for child in getattr(layer, "_layers", ()) if id(child) not in held}
    yield from found.items()


def _inside(path: str, value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if isinstance(value, keras.layers.Layer):
        yield path, value
    elif isinstance(value, (list, tuple, dict)) and depth < 8:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _inside(f"{path}/{key}", item, depth + 1)


def own(layer: Any) -> list[tuple[str, Any]]:
    """A layer's own variables with the names that tell them apart within it; those of its children are not among them.

    A plain `tf.Variable` that it holds is one of them, and so is the state that a layer keeps between calls.
    """
    variables = list(layer._trainable_variables) + list(layer._non_trainable_variables)
    attributes: dict[int, str] = {}
    elsewhere = [variable for child in layer._layers for variable in child.variables]
    for attribute, value in vars(layer).items():
        if attribute not in BOOKKEEPING and not attribute.startswith("_self_"):
            for path, variable in _variables(attribute, value):
                attributes.setdefault(id(variable), path.lstrip("_") or path)
                if not any(variable is other for other in (*variables, *elsewhere)):
                    variables.append(variable)
    found: dict[str, Any] = {}
    for variable in variables:
        name = variable.name.partition(":")[0].rpartition("/")[2]
        if name in found or MADE_UP.match(name):
            name = attributes.get(id(variable), name)
        unique, number = name, 0
        while unique in found:
            number += 1
            unique = f"{name}_{number}"
        found[unique] = variable
    return list(found.items())


def _variables(path: str, value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (keras.Variable, tf.Variable)):
        yield path, value
    elif isinstance(value, (list, tuple, dict)) and depth < 8:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _variables(f"{path}/{key}", item, depth + 1)


class _Places(saving_lib.H5IOStore):
    """Looks on while Keras saves a model, and notes under which name each variable goes; nothing is written."""

    def __init__(self) -> None:
        self.found: dict[int, str] = {}
        self.path = ""

    def __bool__(self) -> bool:
        return True

    def make(self, path: str, metadata: Any = None) -> Any:
        self.path = path
        return self

    def __setitem__(self, key: str, value: Any) -> None:
        self.found.setdefault(id(value), f"{self.path}/vars/{key}" if self.path else f"vars/{key}")


def _places(model: Any, found: Names) -> dict[int, str]:
    store = _Places()
    with untouched(found.layers.values()):  # Keras reads every attribute, and some of them are made by that
        saving_lib._save_state(model, store, None, "", set())
    return store.found
