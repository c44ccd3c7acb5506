"""A checkpoint from one form into another: another library's, the canonical one, those of the two siblings, and users'.

What lies in a file that this project reads itself goes tensor by tensor into the file that is asked for. What has to go
through a framework (a live model, a model's configuration, a file of PyTorch before 1.6) is in memory as a whole.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import CheckpointError, SpecError
from .files import forms, hdf5, mapped, repacking, safetensors, target
from .files.conversion import Conversion
from .files.stored import Held
from .port.mapping import WeightMapping
from .spec import Spec


def convert(
    origin: Any,
    destination: str | os.PathLike[str],
    spec: Spec | None,
    source: str | None,
    mapping: WeightMapping | None = None,
    max_shard_size: int | str | None = None,
    dry_run: bool = False,
    force: bool = True,
) -> Spec | None:
    """Write what a checkpoint holds in the form that the target's suffix says, and return its spec, if it is of one.

    With a source, the origin is that library's; where it is Diglot's own canonical file, the target becomes the
    library's. With a mapping, the two files are those of its two models. Tensors with NaN are told in a warning.
    Raises SpecError where a spec is needed and not given, and CheckpointError for an unreadable origin or a
    suffix that stands for no form.
    """
    found = plan(origin, destination, spec, source, mapping, max_shard_size)
    found.check(force)
    if not dry_run and (spoiled := found.write()):
        warnings.warn(told_of(spoiled), stacklevel=3)
    for doubt in [each for held in found.held for each in held.doubts]:
        warnings.warn(doubt, stacklevel=3)
    return found.spec


def mapping_of(given: Any) -> WeightMapping | None:
    """A mapping, or that in a file. Raises CheckpointError and StateError for a file that is none."""
    if given is None or isinstance(given, WeightMapping):
        return given
    if not isinstance(given, str | os.PathLike):
        raise SpecError(f"a map between files is a file or a WeightMapping, and not a {type(given).__name__}")
    from .port import mapfile

    found: WeightMapping = mapfile.read_map(Path(given))
    return found


def told_of(spoiled: Sequence[str]) -> str:
    """The sentence on tensors that hold NaN."""
    more = f" and {len(spoiled) - 3} more" if len(spoiled) > 3 else ""
    return f"NaN is among the numbers of {', '.join(spoiled[:3])}{more}; they were passed on as they are"


def plan(
    origin: Any,
    destination: str | os.PathLike[str],
    spec: Spec | None = None,
    source: str | None = None,
    mapping: WeightMapping | None = None,
    max_shard_size: int | str | None = None,
) -> Conversion:
    """What a conversion would write; nothing is touched. Raises as `convert` does."""
    found = _planned(origin, Path(destination), spec, source, mapping, max_shard_size)
    found.notes[:0] = [each for held in found.held for each in (*held.notes, *held.doubts)]
    return found


def _planned(
    origin: Any,
    path: Path,
    spec: Spec | None,
    source: str | None,
    mapping: WeightMapping | None,
    max_shard_size: int | str | None,
) -> Conversion:
    if mapping is not None:
        if spec is not None or source is not None:
            raise SpecError("a map is of a user's own two models; give either it, or a spec and a source")
        return _by_map(origin, path, mapping, max_shard_size)
    if source is None and spec is None and (held := _plain(origin, path)) is not None:
        return Conversion(
            path, None, target.files(path, repacking.planned(held), max_shard_size, held.metadata), [held]
        )
    from . import convert_spec  # which takes as long to import as small files to convert

    return convert_spec.plan(origin, path, spec, source, is_canonical(origin), max_shard_size)


def is_canonical(origin: Any) -> bool:
    """Whether this is a file that `diglot.save` wrote."""
    if not isinstance(origin, str | os.PathLike) or not os.path.isfile(origin):
        return False
    return "diglot" in safetensors.metadata_of(Path(origin))


def _plain(origin: Any, path: Path) -> Held | None:
    """What a file holds that goes into another one of the same framework under the same names."""
    if not isinstance(origin, str | os.PathLike) or not os.path.exists(origin) or is_canonical(origin):
        return None
    form = forms.SUFFIXES[forms.suffix_of(path)]
    held = _read(Path(origin))
    if form in (hdf5.ARCHIVE, hdf5.LEGACY) or held.form == hdf5.LEGACY:
        return None
    return held if forms.SIDES[held.form] == forms.SIDES[form] else None


def _read(path: Path) -> Held:
    held = forms.read(path)
    if held is None:
        from .files import origins

        held = origins.read(path)
    return held


def _by_map(origin: Any, path: Path, mapping: WeightMapping, max_shard_size: int | str | None) -> Conversion:
    form = forms.SUFFIXES[forms.suffix_of(path)]
    if form == hdf5.ARCHIVE:
        raise CheckpointError(
            f"{path}: a .keras file holds a model's configuration, which no map has; write .weights.h5"
        )
    if not isinstance(origin, str | os.PathLike):
        raise CheckpointError(f"a map is of files, and {type(origin).__name__} is none; diglot.transfer is of models")
    held = _read(Path(origin))
    side = forms.SIDES[held.form]
    if side == forms.SIDES[form]:
        raise CheckpointError(f"{origin} and {path} are both of {forms.FRAMEWORKS[side]}, and a map leads to the other")
    tensors = mapped.planned(mapping, held, side, form)
    mapped.check(mapping, held, side, tensors, form)
    inner = [each.name for each in tensors if each.name.count("/") > 1 and "vars" not in each.name.split("/")]
    if form == hdf5.LEGACY and inner:
        raise CheckpointError(
            f"{path}: a legacy .h5 is read by the order of a layer's weights, which no map says of {inner[0]}; "
            "write .weights.h5"
        )
    if unused := mapped.unused(mapping, held, side):
        known = ", ".join(unused[:3]) + (f" and {len(unused) - 3} more" if len(unused) > 3 else "")
        raise CheckpointError(f"the map neither takes nor ignores {known} of {origin}; add them to it, or ignore them")
    other = "keras" if side == "torch" else "torch"
    notes = []
    if ignored := mapping.ignored.get(other, ()):
        notes.append(f"the map leaves out {', '.join(ignored)} of the target, which a strict load of it will miss")
    said = {"format": "pt"} if form == safetensors.FORM else {}
    left = mapping.ignored.get(side, ())
    return Conversion(path, None, target.files(path, tensors, max_shard_size, said), [held], left, notes=notes)
