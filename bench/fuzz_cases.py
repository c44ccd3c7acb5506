"""Good files of every form, how each is damaged, and what is then done with it."""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from diglot.core.files import safetensors

import diglot

from . import mutations
from .mutations import Mutation

SPEC = diglot.spec("mlp_small")
LIBRARIES = {
    "torchvision": diglot.spec("resnet_small"),
    "keras.applications": diglot.spec(
        "resnet_small", block="bottleneck", stride_on="conv1", conv_bias=True, norm_epsilon=1.001e-05
    ),
}
Attempt = Callable[[Path, Path], object]
MAP = """\
[ignored]
torch = [ "other" ]

[[weight]]
name = "dense.kernel"
axes = "in out"
torch = "dense.weight"
torch_axes = "out in"
keras = "dense/kernel"
keras_stored = "layers/dense/vars/0"
"""


@dataclass(frozen=True)
class Case:
    """One file of those in a folder is damaged; `attempts` are given the path that is read, and one to write to."""

    name: str
    files: dict[str, bytes]
    damaged: str
    read: str
    special: Mutation | None
    attempts: tuple[Attempt, ...]


def repacked(suffix: str, path: Path, out: Path) -> object:
    return diglot.convert(path, out.with_name(out.name + suffix))


def by_spec(path: Path, out: Path) -> object:
    return diglot.convert(path, out.with_name(f"{out.name}.safetensors"), SPEC)


def loaded_from(source: str, path: Path, out: Path) -> object:
    return diglot.load_pretrained(LIBRARIES[source], path, source=source)


def converted_from(source: str, path: Path, out: Path) -> object:
    return diglot.convert(path, out.with_name(f"{out.name}.safetensors"), LIBRARIES[source], source)


def by_map(path: Path, out: Path) -> object:
    weights = path.with_name("two.safetensors")
    return diglot.convert(weights, out.with_name(f"{out.name}.weights.h5"), map=path)


def load(path: Path, out: Path) -> object:
    return diglot.load(path)


def cases() -> list[Case]:
    """Every form of file that is read."""
    folder = Path(tempfile.mkdtemp())
    try:
        return _cases(folder)
    finally:
        shutil.rmtree(folder)


def _cases(folder: Path) -> list[Case]:
    canonical, state = folder / "net.safetensors", diglot.initial_state(SPEC, 0)
    diglot.save(canonical, SPEC, state)
    for source, file in (("torchvision", "library.pth"), ("keras.applications", "library.h5")):
        library = folder / f"{file}.safetensors"
        diglot.save(library, LIBRARIES[source], diglot.initial_state(LIBRARIES[source], 0))
        diglot.convert(library, folder / file, source=source)
    for name in ("net.pt", "net.weights.h5"):
        diglot.convert(canonical, folder / name)
    diglot.convert(folder / "net.pt", folder / "plain.safetensors")
    diglot.convert(folder / "net.pt", folder / "model.safetensors", max_shard_size="1KB")
    diglot.convert(folder / "net.pt", folder / "pytorch_model.bin", max_shard_size="1KB")
    diglot.convert(folder / "net.weights.h5", folder / "parts.weights.h5", max_shard_size="1KB")
    kernel = safetensors.header([("dense.weight", "F32", (3, 2)), ("other", "F32", ())], {})
    two = kernel + bytes(28)
    packed = _packed(folder / "packed.weights.h5", state)
    h5 = (folder / "net.weights.h5").read_bytes()
    config = {"config": {"spec": SPEC.name, "fields": SPEC.fields()}}
    archives = {kind: _archive(folder / "net.keras", h5, config, kind) for kind in (0, 8)}

    def bytes_of(*patterns: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for pattern in patterns for path in sorted(folder.glob(pattern))}

    def one(name: str, file: str, special: Mutation | None, *attempts: Attempt) -> Case:
        return Case(name, {file: (folder / file).read_bytes()}, file, file, special, attempts)

    def of_library(source: str) -> list[Attempt]:
        return [functools.partial(each, source) for each in (loaded_from, converted_from)]

    to_pt, to_safetensors, to_h5 = (functools.partial(repacked, end) for end in (".pt", ".safetensors", ".weights.h5"))
    header, archive = mutations.in_header, mutations.in_archive
    found = [
        one("canonical", "net.safetensors", header, load, to_pt),
        one("safetensors", "plain.safetensors", header, to_pt, by_spec),
        one("pt", "net.pt", archive, to_safetensors, by_spec),
        one("pth of a library", "library.pth", archive, *of_library("torchvision")),
        one("weights.h5", "net.weights.h5", None, to_h5, by_spec),
        one("h5 of a library", "library.h5", None, *of_library("keras.applications")),
        Case("h5 in chunks", {"net.weights.h5": packed}, "net.weights.h5", "net.weights.h5", None,
             (to_h5,)),
        Case("map", {"map.toml": MAP.encode(), "two.safetensors": two}, "map.toml", "map.toml", mutations.in_words,
             (by_map,)),
    ]  # fmt: skip
    found += [
        Case(f"keras {kind}", {"net.keras": text}, "net.keras", "net.keras", archive, (to_h5, to_safetensors))
        for kind, text in archives.items()
    ]
    for index, suffix, pattern in (
        ("model.safetensors.index.json", ".pt", "model*"),
        ("pytorch_model.bin.index.json", ".pt", "pytorch_model*"),
        ("parts.weights.json", ".weights.h5", "parts*"),
    ):
        files = bytes_of(pattern)
        shard = next(name for name in files if name != index)
        special = header if shard.endswith("rs") else archive if shard.endswith("bin") else None
        found.append(Case(index, files, index, index, mutations.in_json, (functools.partial(repacked, suffix),)))
        found.append(Case(f"a shard of {index}", files, shard, index, special, (functools.partial(repacked, suffix),)))
    return found


def _packed(path: Path, state: dict[str, np.ndarray]) -> bytes:
    """HDF5 as others write it: in chunks, compressed, in the library's newest form."""
    with h5py.File(path, "w", libver="latest") as file:
        for name, array in state.items():
            flat = np.asarray(array).reshape(-1)
            options = {"chunks": (max(1, min(16, flat.size)),), "compression": "gzip", "shuffle": True}
            file.create_dataset(f"layers/{name}/vars/0", data=flat, **(options if flat.size else {}))
    return path.read_bytes()


def _archive(path: Path, weights: bytes, config: object, kind: int) -> bytes:
    with zipfile.ZipFile(path, "w", kind) as file:
        file.writestr("metadata.json", "{}")
        file.writestr("config.json", json.dumps(config))
        file.writestr("model.weights.h5", weights)
    return path.read_bytes()
