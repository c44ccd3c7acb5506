"""Weights of other libraries into the canonical state and back: from live models, files, addresses and hub names."""

from __future__ import annotations

import contextlib
import enum
import importlib
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import backend, foreign, settings, shards, variants
from .errors import CheckpointError, SpecError, StateError, nearest
from .files.hdf5 import UNREADABLE
from .files.stored import reason
from .source import Source
from .spec import Spec
from .state import State, fit

FRAMEWORKS = {"torch": "PyTorch", "keras": "Keras"}
HDF5 = b"\x89HDF\r\n\x1a\n"


class Found(NamedTuple):
    """What an origin holds: its arrays by name, what to call them, and the library's own configuration, or nothing."""

    arrays: Mapping[str, Any]
    label: str
    config: Mapping[str, Any]


def load(spec: Spec, origin: Any, source: str) -> State:
    """The canonical state out of a library's live model, its file, or what an address or a hub name stands for.

    A member of one of torchvision's enumerations of weights is as good as its name.
    Raises SpecError for an unknown source, CheckpointError for a bad file, and StateError where the weights do not fit.
    """
    table = source_of(spec, source)
    with arrays_of(spec, given(origin), table, source) as (arrays, label, config):
        names_in(spec, table, source, arrays, label, config)
        state = foreign.to_canonical(spec, table, arrays, label)
    fit(spec, state)
    return state


def names_in(
    spec: Spec, table: Source, source: str, arrays: Mapping[str, Any], label: str, config: Mapping[str, Any]
) -> dict[str, str]:
    """The names that a library's arrays have, by the names of the table. The arrays may not have been read yet.

    Raises StateError where they do not fit, with the variant that they are of, and SpecError where the configuration
    beside them says another network.
    """
    shapes = shapes_in(arrays)
    try:
        names = foreign.match(spec, table, shapes, label)
    except StateError as error:
        text = variants.explained(spec, source, shapes, label, str(error))
        if config and text.startswith(str(error)):
            text += "; diglot.pretrained_spec gives the spec that their configuration says"
        raise StateError(text, error.weights) from error
    settings.check(spec, table, config, label)
    return names


def shapes_in(arrays: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shapes of arrays that may not have been read yet."""
    return {name: tuple(array.shape) for name, array in arrays.items()}


def export(spec: Spec, state: Mapping[str, Any], target: Any, source: str) -> None:
    """Write a canonical state into a library's live model, or as its file, complete or not at all.

    Raises StateError where state, spec and model do not fit; the model is then as before.
    """
    table = source_of(spec, source)
    fit(spec, state)
    side = side_of(table)
    arrays = foreign.from_canonical(spec, table, state)
    if isinstance(target, str | os.PathLike):
        side.write(Path(target), spec, table, arrays)
        return
    held, label = _live(target, table, source), f"the weights of the {source} model"
    names = foreign.match(spec, table, shapes_in(held), label)
    settings.check(spec, table, _configuration(target), label)
    copies = foreign.copies(spec, table, held)
    names |= {copy: actual for copy, (actual, _) in copies.items()}
    arrays |= {copy: arrays[original] for copy, (_, original) in copies.items()}
    for name, array in arrays.items():
        with np.errstate(over="ignore"):
            if np.any(np.isinf(array.astype(held[names[name]].dtype)) & np.isfinite(array)):
                raise StateError(f"{name} holds numbers that are too large for the model's {held[names[name]].dtype}")
    side.write_into(target, {names[name]: array for name, array in arrays.items()})


def given(origin: Any) -> Any:
    """What a user gives, where a member of an enumeration is as good as its name."""
    if isinstance(origin, enum.Enum) and not isinstance(origin, str):
        return f"{type(origin).__name__}.{origin.name}"
    if isinstance(origin, str) and not origin.strip():
        raise CheckpointError("an empty name is no file, no address and no name on a hub; nothing was loaded")
    return origin


def source_of(spec: Spec, name: str) -> Source:
    """The table of a source.

    Raises SpecError that says which ones the spec has, or what their networks have that no name would tell.
    """
    if hasattr(spec, "with_backbone"):
        raise SpecError(
            f"{spec.name} has no weights in any library, only its backbone has: load for spec.backbone_spec(), then "
            "give the state to spec.with_backbone(state)"
        )
    if not isinstance(name, str) or name not in spec.SOURCES:
        known = f"the sources {', '.join(spec.SOURCES)}, and no" if spec.SOURCES else "no sources, and so no"
        raise SpecError(f"{spec.name} has {known} {name!r}{nearest(str(name), spec.SOURCES)}")
    table = foreign.table(spec, name)
    if other := foreign.unmet(spec, table):
        raise SpecError(_of_another(spec, name, table, other))
    return table


def _of_another(spec: Spec, name: str, table: Source, other: Mapping[str, Any]) -> str:
    """The sentence for a spec whose constants are another library's, which its weights would not betray."""
    try:
        presets = variants.alike(spec.replace(**other), table)
    except SpecError:
        presets = []
    theirs = " and ".join(f"{field} {value}" for field, value in other.items())
    ours = " and ".join(str(spec.fields().get(field)) for field in other)
    asked = f"ask for {' or '.join(presets)}" if presets else f"give {variants.values(other.items())}"
    library = f"{name}'" if name.endswith("s") else f"{name}'s"
    kind = table.family or type(spec).__name__
    return f"{library} {kind}s have {theirs}, and this {spec.name} {ours}; {asked}"


def side_of(source: Source, file: str = "foreign") -> Any:
    """The reader and writer of a source's framework. Raises MissingFrameworkError that names the extra to install."""
    backend.load(source.side)
    return importlib.import_module(f"{__name__.removesuffix('.core.pretrained')}.{source.side}_impl.{file}")


@contextlib.contextmanager
def arrays_of(spec: Spec | None, origin: Any, source: Source, name: str) -> Iterator[Found]:
    """The arrays of a live model, of a file, or of the shards in a folder."""
    found = origin
    if isinstance(origin, str) and not os.path.exists(origin):
        found = side_of(source, "hub").fetch(origin, spec, source) or origin
    if not isinstance(found, str | os.PathLike):
        yield Found(_live(found, source, name), f"the weights of the {name} model", _configuration(found))
        return
    path = Path(found)
    if source.side == "torch" and os.path.isdir(path):
        path = shards.in_folder(path)
    if not os.path.isfile(path):  # which, unlike Path's, is False for a name that is too long
        raise CheckpointError(f"{path} is not a file, and no address or name that {name} knows; nothing was loaded")
    shards.whole(path)
    if (kind := framework_of(path)) and kind != source.side:
        raise CheckpointError(
            f"{path} is a file of {FRAMEWORKS[kind]}, and the source {name} is read from {FRAMEWORKS[source.side]}'s"
        )
    with side_of(source).opened(path, spec, source) as arrays:
        yield Found(arrays, f"the weights in {path}", shards.configuration(path) if source.settings else {})


def framework_of(path: Path) -> str | None:
    """Whose file this is by its first bytes, or None where they do not tell."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
        if start == HDF5:
            return "keras"
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return "keras" if "model.weights.h5" in archive.namelist() else "torch"
    except UNREADABLE as error:
        raise CheckpointError(f"{path} cannot be read ({reason(error)}); nothing was loaded") from error
    return "torch" if path.suffix == ".safetensors" else None


def _configuration(model: Any) -> Mapping[str, Any]:
    """What a live model of a library with configurations says of itself."""
    to_dict = getattr(getattr(model, "config", None), "to_dict", None)
    held = to_dict() if callable(to_dict) else {}
    return held if isinstance(held, Mapping) else {}


def _live(item: Any, source: Source, name: str) -> Any:
    side = side_of(source)
    if not side.is_live(item):
        kind = FRAMEWORKS[source.side]
        raise CheckpointError(
            f"{type(item).__name__} is not what the source {name} reads: a {kind} model, its weights, or a file of them"
        )
    return side.arrays_of(item)
