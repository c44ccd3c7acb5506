"""The safetensors format: 8 bytes of header length, a JSON header, then the tensors without a gap."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from .stored import CODES, Held, Mapped, Stored, sound

FORM = "safetensors"
METADATA = "__metadata__"
HEADER = 100_000_000  # bytes; the format's own limit


def read(path: Path) -> Held:
    """The tensors of a file by name, in the order of the file.

    Raises CheckpointError for a file that is damaged or cut off: the header must say where each byte belongs.
    """
    file = Mapped(path)
    header, start = _header(path, file)
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _damaged(path, f"its {METADATA} are no texts by name")
    found: dict[str, tuple[int, Stored]] = {}
    for name, entry in header.items():
        code, shape, begin, end = _entry(path, name, entry)
        if math.prod(shape) * CODES[code].itemsize != end - begin:
            raise _damaged(path, f"{name} has shape {list(shape)} of {code} and {end - begin} bytes")
        raw = functools.partial(file.array, code, shape, start + begin)
        found[name] = begin, Stored(name, code, shape, raw)
    tensors = dict(sorted(found.items(), key=lambda item: (item[1][0], item[1][1].nbytes)))
    at = 0
    for name, (begin, tensor) in tensors.items():
        if begin != at:
            raise _damaged(path, f"{name} begins at byte {begin} of the data, where {at} was the next")
        at += tensor.nbytes
    if start + at != file.size:
        raise _damaged(path, f"it has {file.size} bytes, and its header says {start + at}")
    return Held(f"the weights in {path}", FORM, {name: found[name][1] for name in tensors}, metadata, [file])


def header(tensors: Sequence[tuple[str, str, tuple[int, ...]]], metadata: Mapping[str, str]) -> bytes:
    """The first bytes of a file of these (name, code, shape), one behind the other."""
    held: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    offset = 0
    for name, code, shape in tensors:
        end = offset + math.prod(shape) * CODES[code].itemsize
        held[name] = {"dtype": code, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(held).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > HEADER:
        raise CheckpointError(f"a header of {len(text):,} bytes is more than a safetensors file takes; write shards")
    return len(text).to_bytes(8, "little") + text


def metadata_of(path: Path) -> dict[str, str]:
    """The metadata alone; empty for a file of another kind."""
    try:
        found = _header(path, Mapped(path))[0].get(METADATA, {})
    except CheckpointError:
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a JSON file. Raises ValueError where a key is there twice, of which `json` would keep the last."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it holds {next(name for name in names if names.count(name) > 1)!r} twice")
    return found


def _header(path: Path, file: Mapped) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(file.bytes(0, 8), "little")
    if file.size < 8 or length > min(file.size - 8, HEADER):
        raise _damaged(path, f"it has {file.size} bytes, and its header should have {length}" if file.size else "empty")
    try:
        found = json.loads(file.bytes(8, length), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"its header is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise _damaged(path, f"its header is a {type(found).__name__}")
    return found, 8 + length


def _entry(path: Path, name: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _damaged(path, f"{name} has no dtype, shape and data_offsets")
    code, shape, offsets = entry["dtype"], sound(entry["shape"]), sound(entry["data_offsets"])
    if not isinstance(code, str) or code not in CODES:
        raise CheckpointError(f"{path}: {name} is stored as {code}; convert it to F32, F16 or BF16 first")
    if shape is None or offsets is None or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise _damaged(path, f"{name} has a shape or offsets that no tensor has")
    return code, shape, offsets[0], offsets[1]


def _damaged(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{path} is not a readable safetensors file ({reason}); nothing was read")
