"""A checkpoint of a spec: from a library's names, the canonical ones or a sibling's into those that are asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import checkpoint, described, foreign, pretrained
from .errors import CheckpointError, SpecError
from .files import forms, hdf5, origins, safetensors, specified, target, torch_file
from .files.conversion import Conversion
from .files.origins import Origin
from .source import Source
from .spec import Spec

OWN_FORMS = (".safetensors", ".weights.h5", ".weights.json", ".keras", ".pt", ".pth", ".bin", ".bin.index.json")
THROUGH_KERAS = (".keras",)


def plan(
    origin: Any,
    path: Path,
    spec: Spec | None,
    source: str | None,
    canonical: bool,
    max_shard_size: int | str | None,
) -> Conversion:
    """What the conversion of a spec's weights would write. `canonical` says that the origin is a canonical file."""
    origin = pretrained.given(origin)
    if source is not None and canonical:
        return _to_library(path, *_canonical(Path(origin), spec), source, max_shard_size)
    suffix = _own_form(path)
    if source is None:
        found = _own(origin, spec, canonical)
    else:
        chosen = spec or described.spec_of(origin, source)
        found = chosen, origins.of_library(chosen, origin, source)
    return _to_own(path, suffix, *found, max_shard_size)


def _to_library(path: Path, spec: Spec, found: Origin, source: str, max_shard_size: int | str | None) -> Conversion:
    table = pretrained.source_of(spec, source)
    form = next((form for suffix, form in forms.SUFFIXES.items() if path.name.endswith(suffix)), None)
    if table.side != "torch" or form not in (torch_file.FORM, safetensors.FORM):
        _whole_only(path, max_shard_size)
        return Conversion(path, spec, whole=lambda: pretrained.export(spec, found.state(), path, source))
    tensors = specified.planned(found.places, found.held, foreign.places(spec, table), foreign.numbered)
    said = {"format": "pt"} if form == safetensors.FORM else {}
    return Conversion(path, spec, target.files(path, tensors, max_shard_size, said), found.files)


def _to_own(path: Path, suffix: str, spec: Spec, found: Origin, max_shard_size: int | str | None) -> Conversion:
    if suffix in THROUGH_KERAS:
        _whole_only(path, max_shard_size)
        return Conversion(path, spec, whole=lambda: _sibling("keras").write_sibling(path, spec, found.state()))
    metadata: dict[str, str] = {}
    layers: dict[str, str] = {}
    named: Callable[[str], str] = str
    if forms.SUFFIXES[suffix] == hdf5.FORM:
        places, layers = origins.keras_places(spec)
    elif forms.SUFFIXES[suffix] == torch_file.FORM:
        places, named = foreign.places(spec, origins.OWN), foreign.numbered
    else:
        if max_shard_size is not None:
            raise CheckpointError(
                f"{path}: diglot.load reads a canonical checkpoint from one file; write it without shards"
            )
        places, metadata = origins.canonical_places(spec), checkpoint.metadata(spec)
    tensors = specified.planned(found.places, found.held, places, named, layers)
    if metadata and (wide := [each for each in tensors if each.code not in checkpoint.DTYPES]):
        raise CheckpointError(
            f"{path}: {wide[0].name} is stored as {wide[0].code}; convert it to F64, F32 or F16 first"
        )
    return Conversion(path, spec, target.files(path, tensors, max_shard_size, metadata), found.files)


def _own_form(path: Path) -> str:
    suffix = next((suffix for suffix in forms.SUFFIXES if path.name.endswith(suffix)), "")
    if suffix not in OWN_FORMS:
        raise CheckpointError(
            f"{path} must end in {', '.join(OWN_FORMS[:-1])}, which say which of Diglot's own forms it has"
        )
    return suffix


def _whole_only(path: Path, max_shard_size: int | str | None) -> None:
    if max_shard_size is not None:
        raise CheckpointError(f"{path}: this form has no shards; write .weights.h5, .safetensors or .bin")


def _sibling(side: str) -> Any:
    return pretrained.side_of(Source(side))


def _canonical(path: Path, spec: Spec | None) -> tuple[Spec, Origin]:
    found, origin = origins.canonical(path)
    if spec is not None and spec != found:
        raise SpecError(f"{path} holds its own spec of {found.name}, which is not the given one; give none")
    return found, origin


def _own(origin: Any, spec: Spec | None, canonical: bool) -> tuple[Spec, Origin]:
    if not isinstance(origin, str | os.PathLike):
        raise CheckpointError(
            f"{type(origin).__name__} is no file of Diglot's; of another library's model, give a source"
        )
    path = Path(origin)
    if os.path.isdir(path):
        raise CheckpointError(f"{path} is a folder and no file of Diglot's; of another library's folder, give a source")
    if not os.path.isfile(path):
        raise CheckpointError(f"{path} is not a file; nothing was converted")
    if canonical:
        return _canonical(path, spec)
    return origins.own(path, spec)
