"""Files that are no weights, or that mean harm, each made of good ones in a folder."""

from __future__ import annotations

import json
import marshal
import os
import pickle
import zipfile
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from diglot.core.files import pickled, safetensors

import diglot

PRESET = "mlp_small"
SPEC = diglot.spec(PRESET)
LARGE = 10**15


class Harm:
    """What would leave a file behind, if it were unpickled."""

    def __init__(self, left: Path) -> None:
        self.left = left

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"echo harm > '{self.left}'",)


def good(folder: Path) -> dict[str, Path]:
    """The same small network's weights in every form of file, by suffix."""
    canonical = folder / "net.safetensors"
    diglot.save(canonical, SPEC, diglot.initial_state(SPEC, 0))
    found = {"safetensors": canonical}
    for suffix in ("pt", "bin", "weights.h5"):
        found[suffix] = folder / f"net.{suffix}"
        diglot.convert(canonical, found[suffix])
    found["keras"] = archive(folder / "net.keras", found["weights.h5"].read_bytes())
    return found


def archive(path: Path, weights: bytes, config: object = None, packed: int = zipfile.ZIP_STORED) -> Path:
    """A `.keras` file of these weights."""
    config = config or {"config": {"spec": SPEC.name, "fields": SPEC.fields()}}
    with zipfile.ZipFile(path, "w", packed) as file:
        file.writestr("model.weights.h5", weights)
        file.writestr("metadata.json", "{}")
        file.writestr("config.json", json.dumps(config))
    return path


def torch_archive(path: Path, pickle_of: bytes, storage: bytes = b"", packed: int = zipfile.ZIP_STORED) -> Path:
    """A `.pt` file of this pickle and one storage."""
    with zipfile.ZipFile(path, "w", packed) as file:
        file.writestr("archive/data.pkl", pickle_of)
        file.writestr("archive/data/0", storage)
    return path


def unpickled_harm(path: Path, left: Path) -> Path:
    """A `.pt` whose pickle would run a command."""
    return torch_archive(path, pickle.dumps({"weight": Harm(left)}, 2))


def lambda_archive(path: Path, weights: bytes, left: Path) -> Path:
    """A `.keras` file with a Lambda layer whose code would leave a file behind."""
    code = compile(f"open({str(left)!r}, 'w')", "harm", "eval")
    function = {
        "class_name": "__lambda__",
        "config": {"code": b64encode(marshal.dumps(code)).decode(), "defaults": None},
    }
    layer = {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "harm", "function": function}}
    model = {"module": "keras", "class_name": "Sequential", "config": {"name": "net", "layers": [layer]}}
    return archive(path, weights, model)


def header(path: Path, text: str, data: bytes = b"") -> Path:
    """A safetensors file with this header."""
    coded = text.encode()
    path.write_bytes(len(coded).to_bytes(8, "little") + coded + data)
    return path


def entry(name: str, shape: list[int], begin: int, end: int) -> str:
    """A tensor in the header of a safetensors file."""
    return f'"{name}": {{"dtype": "F32", "shape": {shape}, "data_offsets": [{begin}, {end}]}}'


def absurd(folder: Path) -> dict[str, Path]:
    """Files that say they hold far more numbers than they do."""
    found = {
        "offsets": header(folder / "offsets.safetensors", f"{{{entry('weight', [LARGE], 0, 4 * LARGE)}}}", bytes(64)),
        "shape": header(folder / "shape.safetensors", f"{{{entry('weight', [LARGE], 0, 64)}}}", bytes(64)),
        "overflow": header(folder / "overflow.safetensors", f"{{{entry('weight', [2**32, 2**32], 0, 0)}}}"),
        "negative": header(folder / "negative.safetensors", f"{{{entry('weight', [-4, -4], 0, 64)}}}", bytes(64)),
        "length": folder / "length.safetensors",
        "storage": torch_archive(folder / "storage.pt", pickled.write([("weight", "F32", (LARGE,))]), bytes(64)),
        "unwritten": folder / "unwritten.weights.h5",
        "packed": folder / "packed.weights.h5",
    }
    found["length"].write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with h5py.File(found["unwritten"], "w") as file:
        file.create_dataset("dense/vars/0", (10**12,), "f4", chunks=(2**20,))
    with h5py.File(found["packed"], "w") as file:
        zeros = file.create_dataset("dense/vars/0", (2**26,), "f4", chunks=(2**24,), compression="gzip")
        zeros[:] = np.zeros(2**26, "f4")
    return found


def twice(folder: Path) -> dict[str, Path]:
    """Files that hold one name, or one thing, twice."""
    pair = f"{{{entry('weight', [4], 0, 16)}, {entry('weight', [4], 16, 32)}}}"
    over = f"{{{entry('one', [4], 0, 16)}, {entry('other', [4], 8, 24)}}}"
    found = {
        "keys": header(folder / "keys.safetensors", pair, bytes(32)),
        "overlap": header(folder / "overlap.safetensors", over, bytes(24)),
        "groups": folder / "groups.weights.h5",
        "members": folder / "members.pt",
        "index": folder / "model.safetensors.index.json",
    }
    with h5py.File(found["groups"], "w") as file:
        file.create_dataset("dense/vars/0", data=np.zeros(4, "f4"))
        file["other"] = file["dense"]
    torch_archive(found["members"], pickled.write([("weight", "F32", (4,))]), bytes(16))
    with zipfile.ZipFile(found["members"], "a") as file:
        file.fp and file.filelist.append(file.filelist[0])
        file._didModify = True
    one = safetensors.header([("weight", "F32", (4,))], {}) + bytes(16)
    (folder / "a.safetensors").write_bytes(one)
    found["index"].write_text('{"weight_map": {"weight": "a.safetensors", "weight": "a.safetensors"}}')
    return found
