"""A checkpoint from one form into another: another library's, the canonical one, those of the two siblings, and users'.

What lies in a file that this project reads itself goes tensor by tensor into the file that is asked for. What has to go
through a framework (a live model, a model's configuration, a file of PyTorch before 1.6) is in memory as a whole.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import checkpoint, described, foreign, pretrained
from .errors import CheckpointError, SpecError
from .files import forms, hdf5, mapped, origins, repacking, safetensors, specified, target, torch_file, writing
from .files.origins import Origin
from .files.planned import Planned
from .files.stored import Held
from .port.mapping import WeightMapping
from .source import Source
from .spec import Spec

OWN_FORMS = (".safetensors", ".weights.h5", ".weights.json", ".keras", ".pt", ".pth", ".bin", ".bin.index.json")
THROUGH_KERAS = (".keras",)
Tell = writing.Tell


@dataclass
class Conversion:
    """What is going to be written. `whole` writes it in one piece where a framework has to; `left_out` is not taken."""

    path: Path
    spec: Spec | None = None
    files: writing.Files | None = None
    held: Sequence[Held] = ()
    left_out: Sequence[str] = ()
    whole: Callable[[], None] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def tensors(self) -> tuple[Planned, ...]:
        """Every tensor that is written; none where a framework writes them."""
        return tuple(each for file in self.files.files for each in file.tensors) if self.files else ()

    def check(self, force: bool) -> None:
        """Raises CheckpointError where a file is in the way, or where there is no room."""
        writing.check(self.files or writing.Files((writing.File(self.path, "", ()),)), force)

    def write(self, tell: Tell | None = None) -> list[str]:
        """Write, complete or not at all, and return the names of the tensors that hold NaN."""
        if self.whole is not None:
            self.whole()
            return []
        assert self.files is not None
        return writing.write(self.files, self.held, tell)


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
    origin, path = pretrained.given(origin), Path(destination)
    if mapping is not None:
        if spec is not None or source is not None:
            raise SpecError("a map is of a user's own two models; give either it, or a spec and a source")
        return _by_map(origin, path, mapping, max_shard_size)
    if source is None and spec is None and (held := _plain(origin, path)) is not None:
        return Conversion(
            path, None, target.files(path, repacking.planned(held), max_shard_size, held.metadata), [held]
        )
    if source is not None and is_canonical(origin):
        return _to_library(path, *_canonical(Path(origin), spec), source, max_shard_size)
    suffix = _own_form(path)
    if source is None:
        found = _own(origin, spec)
    else:
        chosen = spec or described.spec_of(origin, source)
        found = chosen, origins.of_library(chosen, origin, source)
    return _to_own(path, suffix, *found, max_shard_size)


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
    held = origins.read(Path(origin))
    if form in (hdf5.ARCHIVE, hdf5.LEGACY) or held.form == hdf5.LEGACY:
        return None
    return held if forms.SIDES[held.form] == forms.SIDES[form] else None


def _by_map(origin: Any, path: Path, mapping: WeightMapping, max_shard_size: int | str | None) -> Conversion:
    form = forms.SUFFIXES[forms.suffix_of(path)]
    if form == hdf5.ARCHIVE:
        raise CheckpointError(
            f"{path}: a .keras file holds a model's configuration, which no map has; write .weights.h5"
        )
    if not isinstance(origin, str | os.PathLike):
        raise CheckpointError(f"a map is of files, and {type(origin).__name__} is none; diglot.transfer is of models")
    held = origins.read(Path(origin))
    side = forms.SIDES[held.form]
    if side == forms.SIDES[form]:
        raise CheckpointError(
            f"{origin} and {path} are both of {pretrained.FRAMEWORKS[side]}, and a map leads to the other"
        )
    tensors = mapped.planned(mapping, held, side, form)
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


def _own(origin: Any, spec: Spec | None) -> tuple[Spec, Origin]:
    if not isinstance(origin, str | os.PathLike):
        raise CheckpointError(
            f"{type(origin).__name__} is no file of Diglot's; of another library's model, give a source"
        )
    path = Path(origin)
    if os.path.isdir(path):
        raise CheckpointError(f"{path} is a folder and no file of Diglot's; of another library's folder, give a source")
    if not os.path.isfile(path):
        raise CheckpointError(f"{path} is not a file; nothing was converted")
    if is_canonical(path):
        return _canonical(path, spec)
    return origins.own(path, spec)
