"""Where the weights of a spec come from: each place, and the tensors there, none of which has been read yet."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import checkpoint, foreign, pretrained, shards, variants
from ..errors import CheckpointError, DiglotError, SpecError, StateError
from ..foreign import Place
from ..source import Source
from ..spec import Spec
from ..state import State
from . import forms, hdf5, layouts
from .mapped import NO_WEIGHTS
from .stored import PLAIN, Held, Stored

OWN = Source("torch")  # no rule: our names


@dataclass(frozen=True)
class Origin:
    """The place of every weight, the tensors by the names of the places, and the files that they lie in."""

    places: tuple[Place, ...]
    held: Mapping[str, Stored]
    files: Sequence[Held]

    def state(self) -> State:
        """The canonical state, read as a whole."""
        return {place.weight.name: np.asarray(place.read(np.asarray(self.held[place.name]))) for place in self.places}


def read(path: Path) -> Held:
    """What a file holds; one of PyTorch before 1.6 is read by PyTorch, as a whole."""
    held = forms.read(path)
    if held is None:
        with pretrained.side_of(Source("torch"), "reading").opened(path) as arrays:
            tensors = {name: in_memory(name, np.asarray(array)) for name, array in arrays.items()}
            return Held(f"the weights in {path}", "pt", tensors)
    return held


def in_memory(name: str, array: Any) -> Stored:
    """A tensor that has been read."""
    held = np.asarray(array)
    held = held.astype(held.dtype.newbyteorder("<"), copy=False)
    code = "BOOL" if held.dtype.kind == "b" else PLAIN.get(held.dtype)
    if code is None:
        raise StateError(f"{name} must hold numbers, not {held.dtype}")
    return Stored(name, code, held.shape, lambda: held.view("u1") if code == "BOOL" else held)


def canonical(path: Path) -> tuple[Spec, Origin]:
    """The spec and the weights of a file that `diglot.save` wrote."""
    spec, held = checkpoint.opened(path)
    return spec, Origin(canonical_places(spec), held.tensors, [held])


def canonical_places(spec: Spec) -> tuple[Place, ...]:
    """Every weight under its own name and in its own layout."""
    return tuple(Place(weight, weight.name, weight.axes) for weight in spec.weights())


def keras_places(spec: Spec) -> tuple[tuple[Place, ...], dict[str, str]]:
    """Where our Keras sibling's own file has each weight, by the paths of datasets, and the layer of each path."""
    paths = layouts.of_keras(spec)
    places = tuple(Place(weight, paths[weight.name][0], weight.axes) for weight in spec.weights())
    return places, {path: layer for path, layer in paths.values()}


def own(path: Path, spec: Spec | None) -> tuple[Spec, Origin]:
    """The spec and the weights of a file of one of our siblings."""
    held = read(path)
    label = held.label
    try:
        if forms.SIDES[held.form] == "torch":
            if spec is None:
                raise SpecError(f"{path} does not say which network it is of; {layouts.UNSAID}")
            names = foreign.match(spec, OWN, pretrained.shapes_in(held.tensors), label)
            return spec, _origin(foreign.places(spec, OWN), held, names)
        if spec is None:
            spec = layouts.configured(path)
            _plausible(spec, held)
        places, _ = keras_places(spec)
        tensors = {name: tensor for name, tensor in held.tensors.items() if not NO_WEIGHTS & set(name.split("/"))}
        wanted = {place.name: place.weight.shape for place in places}
        found = {name: tensor.shape for name, tensor in tensors.items()}
        if wanted != found:
            raise CheckpointError(f"{path} holds no weights of {spec.name}: {_difference(wanted, found)}")
        return spec, Origin(places, tensors, [held])
    except (CheckpointError, StateError) as error:
        if spec is not None and (sentence := _of_a_library(held, spec)):
            raise type(error)(sentence) from error
        raise


def _plausible(spec: Spec, held: Held) -> None:
    """Raises CheckpointError where a file says that it is of a network far larger than it is, which is not built."""
    most = 1000 + len(held.tensors)
    declared = list(itertools.islice((weight for part in spec.parts() for weight in part.weights), most))
    numbers, here = (sum(math.prod(each.shape) for each in every) for every in (declared, held.tensors.values()))
    if len(declared) == most or numbers > 1000 + 2 * here:
        raise CheckpointError(
            f"{held.label} should be of {spec.name} with more than {numbers - 1:,} numbers, and there are {here:,}"
        )


def of_library(spec: Spec, origin: Any, source: str) -> Origin:
    """The weights of a library's file, folder or model.

    Raises as `pretrained.load` does.
    """
    table = pretrained.source_of(spec, source)
    held = _file(origin, table, source)
    if held is None:
        state = pretrained.load(spec, origin, source)
        return Origin(canonical_places(spec), {name: in_memory(name, array) for name, array in state.items()}, [])
    path = shards.in_folder(Path(origin)) if os.path.isdir(origin) else Path(origin)
    config = shards.configuration(path) if table.settings else {}
    names = pretrained.names_in(spec, table, source, held.tensors, held.label, config)
    foreign.same_copies(spec, table, held.tensors, names, held.label)
    return _origin(foreign.places(spec, table), held, names)


def _file(origin: Any, table: Source, source: str) -> Held | None:
    """What a library's file holds, by its own names; None where a framework has to read it."""
    if not isinstance(origin, str | os.PathLike) or not os.path.exists(origin):
        return None
    path = Path(origin)
    if os.path.isdir(path) and table.side != "torch":
        return None
    held = forms.read(path)
    if held is None:
        return None
    if (side := forms.SIDES[held.form]) != table.side:
        raise CheckpointError(
            f"{path} is a file of {pretrained.FRAMEWORKS[side]}, and the source {source} is read from "
            f"{pretrained.FRAMEWORKS[table.side]}'s"
        )
    return by_layer(held) if table.side == "keras" else held


def by_layer(held: Held) -> Held | None:
    """A file of Keras with its tensors named by layer and variable, which Keras 3 numbers.

    None where it keeps no names of layers.
    """
    if held.form == hdf5.LEGACY:
        return held
    found: dict[str, Stored] = {}
    for path, tensor in held.tensors.items():
        if NO_WEIGHTS & set(path.split("/")):
            continue
        if not tensor.note:
            return None
        name = f"{tensor.note}/{path.rpartition('/')[2]}"
        if name in found:
            raise CheckpointError(f"{held.label} hold {name} twice")
        found[name] = replace(tensor, name=name)
    return Held(held.label, held.form, found, held.metadata, held.files)


def _origin(places: tuple[Place, ...], held: Held, names: Mapping[str, str]) -> Origin:
    return Origin(places, {name: held.tensors[actual] for name, actual in names.items()}, [held])


def _difference(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    for words, names in (("it lacks", set(wanted) - set(found)), ("it has", set(found) - set(wanted))):
        if names:
            return f"{words} {min(names)}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
    name = min(name for name in wanted if wanted[name] != found[name])
    return f"{name} is {found[name]} and should be {wanted[name]}"


def _of_a_library(held: Held, spec: Spec) -> str:
    """The sentence for a file that is not Diglot's own but that of a library, or nothing."""
    side = forms.SIDES[held.form]
    for name in spec.SOURCES:
        table = foreign.table(spec, name)
        if table.side != side:
            continue
        try:
            named = by_layer(held) if held.form in (hdf5.FORM, hdf5.ARCHIVE) else held
        except DiglotError:
            return ""
        if named is None:
            return ""
        shapes = pretrained.shapes_in(named.tensors)
        try:
            foreign.match(spec, table, shapes, held.label)
        except StateError:
            if sentence := variants.recognised(spec, side, shapes, held.label):
                return sentence
        else:
            return f"{held.label} are not in Diglot's own form but in that of {name}; give source={name!r}"
    return ""
