"""A canonical state and its spec on disk: one safetensors file, written and read one tensor at a time.

The format is open: 8 bytes of header length, a JSON header, then the tensors; see
https://huggingface.co/docs/safetensors. Under the metadata key `diglot` lies the spec's name and fields.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from . import registry
from .errors import CheckpointError, DiglotError, StateError
from .files import safetensors
from .files.stored import Held
from .spec import Spec
from .state import State, fit

VERSION = 1
EXCESS = 1000  # a damaged number of layers must not be counted out
DTYPES = {"F64": np.dtype("<f8"), "F32": np.dtype("<f4"), "F16": np.dtype("<f2")}


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` when all is written, and leaves nothing behind when it is not.

    Raises CheckpointError where the folder cannot be written, or where `path` is there and is no ordinary file.
    """
    try:
        target = Path(os.path.realpath(path))  # a link stays, and what it points to is replaced
        if target.exists() and not target.is_file():  # a folder; or a device, which would be lost
            raise CheckpointError(f"{path} is not an ordinary file, so nothing was written; choose another name")
        handle, beside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.")
    except (OSError, ValueError) as error:
        if isinstance(error, DiglotError):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise CheckpointError(f"{path} cannot be written: {reason}; choose another folder") from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(beside, 0o666 & ~umask)
        os.replace(beside, target)
    except OSError as error:
        raise CheckpointError(
            f"{path} was not written: {error.strerror}; what was there before is untouched"
        ) from error
    finally:
        Path(beside).unlink(missing_ok=True)


def metadata(spec: Spec) -> dict[str, str]:
    """What the header says of a spec."""
    return {"diglot": json.dumps({"format": VERSION, "spec": spec.name, "fields": spec.fields()})}


def _header(spec: Spec, state: State) -> bytes:
    header: dict[str, Any] = {"__metadata__": metadata(spec)}
    codes, offset = {dtype: code for code, dtype in DTYPES.items()}, 0
    for name, array in state.items():
        header[name] = {
            "dtype": codes[array.dtype],
            "shape": array.shape,
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def save(path: str | os.PathLike[str], spec: Spec, state: State) -> None:
    """Write a state that fits its spec. The file is complete or, on any failure, not there.

    Raises StateError where the state does not fit and CheckpointError where the file cannot be written.
    """
    fit(spec, state)
    arrays = {}
    for weight in spec.weights():
        array = np.asarray(state[weight.name])
        arrays[weight.name] = array.astype(array.dtype.newbyteorder("<"), copy=False)
    header = _header(spec, arrays)
    with replacing(path) as file:
        file.write(header)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _read(path: Path) -> tuple[dict[str, str], State]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            names, metadata = list(file.keys()), file.metadata() or {}
            unreadable = {name: file.get_slice(name).get_dtype() for name in names}
        for name, code in unreadable.items():
            if code not in DTYPES:
                raise CheckpointError(f"{path}: {name} is stored as {code}; convert it to F64, F32 or F16 first")
        state: State = {}
        for name in names:  # opened anew for each tensor, so that no more than one is mapped beside the state
            with safe_open(path, framework="np") as file:
                state[name] = file.get_tensor(name)
    except (SafetensorError, OSError, ValueError) as error:
        if isinstance(error, DiglotError):
            raise
        raise CheckpointError(f"{path} is not a readable safetensors file ({error}); nothing was loaded") from error
    return metadata, state


def load(path: str | os.PathLike[str]) -> tuple[Spec, State]:
    """Read a checkpoint: the spec it was saved with, and its state.

    Raises CheckpointError for a missing, truncated or foreign file, and StateError where state and spec disagree.
    """
    source = Path(path)
    if not os.path.isfile(source):  # which, unlike Path's, is False where a folder may not be searched
        raise CheckpointError(f"{source} is not a file; nothing was loaded")
    said, state = _read(source)
    return _spec_of(source, said, state), state


def opened(path: Path) -> tuple[Spec, Held]:
    """The spec and the tensors of a checkpoint, none of which is read. Raises as `load` does."""
    held = safetensors.read(path)
    for tensor in held.tensors.values():
        if tensor.code not in DTYPES:
            raise CheckpointError(
                f"{path}: {tensor.name} is stored as {tensor.code}; convert it to F64, F32 or F16 first"
            )
    return _spec_of(path, held.metadata, held.tensors), held


def _spec_of(source: Path, metadata: Mapping[str, str], state: Mapping[str, Any]) -> Spec:
    """The spec that a header says, which the tensors fit."""
    try:
        note = json.loads(metadata["diglot"])
        name, fields, version = note["spec"], note["fields"], note["format"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{source} holds no Diglot spec: it was not written by diglot.save") from error
    if version != VERSION:
        raise CheckpointError(
            f"{source} has checkpoint format {version!r}, and this Diglot reads {VERSION}; update Diglot"
        )
    if not isinstance(fields, dict):
        raise CheckpointError(f"{source} holds no Diglot spec: its fields are a {type(fields).__name__}")
    if name not in registry.architectures():
        raise CheckpointError(f"{source} was saved for the architecture {name!r}, which is not installed here")
    try:
        spec: Spec = registry.make(name, **fields)
        declared = (weight for part in spec.parts() for weight in part.weights)
        if len(list(itertools.islice(declared, len(state) + EXCESS))) == len(state) + EXCESS:
            raise CheckpointError(f"it declares over {EXCESS} weights more than the file holds")
        fit(spec, state)
    except StateError as error:
        raise StateError(f"{source}: {error}", error.weights) from error
    except (ValueError, OverflowError) as error:
        raise CheckpointError(f"{source} holds a spec that is not valid: {error}") from error
    return spec
