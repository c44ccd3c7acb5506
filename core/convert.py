"""A checkpoint from one form into another: another library's, the canonical one, and those of the two siblings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from . import checkpoint, described, foreign, pretrained, variants
from .errors import CheckpointError, DiglotError, SpecError, StateError
from .source import Source
from .spec import Spec
from .state import State, fit

SIBLINGS = {".weights.h5": "keras", ".keras": "keras", ".pt": "torch", ".pth": "torch"}
CANONICAL = ".safetensors"


def convert(origin: Any, target: str | os.PathLike[str], spec: Spec | None, source: str | None) -> Spec:
    """Write what a checkpoint holds in the form that the target's suffix says, and return its spec.

    With a source, the origin is that library's; where it is Diglot's own canonical file, the target becomes the
    library's. Raises SpecError where a spec is needed and not given, and CheckpointError for an unreadable origin or a
    suffix that stands for no form.
    """
    origin = pretrained.given(origin)
    if source is not None and is_canonical(origin):
        found, state = _canonical(Path(origin), spec)
        pretrained.export(found, state, Path(target), source)
        return found
    form = _form(Path(target))
    if source is None:
        found, state = _own(origin, spec)
    else:
        found = spec or described.spec_of(origin, source)
        state = pretrained.load(found, origin, source)
    if form == CANONICAL:
        checkpoint.save(target, found, state)
    else:
        _sibling(SIBLINGS[form]).write_sibling(Path(target), found, state)
    return found


def is_canonical(origin: Any) -> bool:
    """Whether this is a file that `diglot.save` wrote."""
    from safetensors import SafetensorError, safe_open

    if not isinstance(origin, str | os.PathLike) or not os.path.isfile(origin):
        return False
    try:
        with safe_open(origin, framework="np") as file:
            return "diglot" in (file.metadata() or {})
    except (SafetensorError, OSError, ValueError):
        return False


def _form(path: Path) -> str:
    for suffix in (CANONICAL, *SIBLINGS):
        if path.name.endswith(suffix):
            return suffix
    raise CheckpointError(
        f"{path} must end in {', '.join((CANONICAL, *SIBLINGS))}, which say which of Diglot's own forms it has"
    )


def _sibling(side: str) -> Any:
    return pretrained.side_of(Source(side))


def _canonical(path: Path, spec: Spec | None) -> tuple[Spec, State]:
    found, state = checkpoint.load(path)
    if spec is not None and spec != found:
        raise SpecError(f"{path} holds its own spec of {found.name}, which is not the given one; give none")
    return found, state


def _own(origin: Any, spec: Spec | None) -> tuple[Spec, State]:
    if not isinstance(origin, str | os.PathLike):
        raise CheckpointError(
            f"{type(origin).__name__} is no file of Diglot's; of another library's model, give a source"
        )
    path = Path(origin)
    if os.path.isdir(path):
        raise CheckpointError(f"{path} is a folder and no file of Diglot's; of another library's folder, give a source")
    if not os.path.isfile(path):
        raise CheckpointError(f"{path} is not a file; nothing was converted")
    try:
        form = _form(path)
        if form == CANONICAL:
            return _canonical(path, spec)
        found, state = _sibling(SIBLINGS[form]).read_sibling(path, spec)
        fit(found, state)
        return found, state
    except (CheckpointError, StateError) as error:
        if spec is not None and (sentence := _of_a_library(path, spec)):
            raise type(error)(sentence) from error
        raise


def _of_a_library(path: Path, spec: Spec) -> str:
    """The sentence for a file that is not Diglot's own but that of a library, or nothing."""
    side = pretrained.framework_of(path) or "torch"
    for name in spec.SOURCES:
        table = foreign.table(spec, name)
        if table.side != side:
            continue
        try:
            with pretrained.arrays_of(spec, path, table, name) as (arrays, label, _):
                shapes = pretrained.shapes_in(arrays)
        except DiglotError:
            return ""
        try:
            foreign.match(spec, table, shapes, label)
        except StateError:
            if sentence := variants.recognised(spec, side, shapes, label):
                return sentence
        else:
            return f"{label} are not in Diglot's own form but in that of {name}; give source={name!r}"
    return ""
