"""A file that `torch.save` wrote: an archive of a pickle and one member for each storage. Nothing in it is executed."""

from __future__ import annotations

import functools
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from . import pickled
from .hdf5 import UNREADABLE, data_offset
from .pickled import Tensor
from .stored import CODES, Held, Mapped, Stored, reason, sound

FORM = "pt"
WRAPPERS = ("state_dict", "model", "model_state_dict")
PICKLE = 1 << 28  # bytes; that of a model with a hundred thousand tensors has a tenth of it
SMALL = 1 << 26


def is_archive(path: Path) -> bool:
    """Whether this is an archive with a pickle, as PyTorch has written since 1.6."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/data.pkl") for name in archive.namelist())
    except UNREADABLE:
        return False


def read(path: Path) -> Held:
    """The tensors of the state_dict in a file by name, without the prefix of `DataParallel`.

    Raises CheckpointError for a damaged file, and for one that holds anything but tensors.
    """
    mapped = Mapped(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = {member.filename: member for member in archive.infolist()}
            top = [name for name in members if name.endswith("/data.pkl")]
            if len(top) != 1 or len(members) != len(archive.infolist()):
                raise CheckpointError(
                    f"{path} is not a readable PyTorch file: it has not one data.pkl; nothing was read"
                )
            folder = top[0].removesuffix("data.pkl")
            order = f"{folder}byteorder"
            if order in members and members[order].file_size < 9 and archive.read(order).strip() != b"little":
                raise CheckpointError(f"{path} has its numbers in another byte order; save it on another machine")
            if members[top[0]].file_size > min(PICKLE, 100 * mapped.size):
                raise CheckpointError(f"{path} has a list of tensors that is too long to be one; nothing was read")
            text = archive.read(top[0])
        held, notes, doubts = _tensors(pickled.read(text), str(path))
        found = {name: _stored(name, tensor, members, folder, mapped) for name, tensor in held.items()}
    except pickled.Executable as error:
        raise CheckpointError(
            f"{path} holds more than tensors ({error}); nothing in it was executed. "
            "Save the model's state_dict instead of the model"
        ) from error
    except pickled.Unheld as error:
        raise CheckpointError(
            f"{path} holds a {error} tensor, which no other form of a file has; save it as dense numbers, or leave it "
            "out; nothing was read"
        ) from error
    except CheckpointError:
        raise
    except Exception as error:  # a damaged pickle makes the unpickler raise whatever its parts do
        raise CheckpointError(f"{path} is not a readable PyTorch file ({reason(error)}); nothing was read") from error
    return Held(f"the weights in {path}", FORM, found, {}, [mapped], notes, doubts)


def _tensors(held: Any, label: str) -> tuple[dict[str, Tensor], list[str], list[str]]:
    """The tensors of a state_dict, or of the one in a checkpoint; what else that holds; and what else are weights."""
    notes, doubts = [], []
    if not isinstance(held, Mapping):
        raise CheckpointError(f"{label} holds no state_dict but a {type(held).__name__}; save a model's state_dict()")
    if not _is_state(held):
        chosen = next((key for key in WRAPPERS if _is_state(held.get(key))), None)
        if chosen is None:
            kinds = f"a mapping with {', '.join(map(str, list(held)[:3]))}" if held else "nothing"
            raise CheckpointError(f"{label} holds no state_dict but {kinds}; save a model's state_dict() by itself")
        others = [str(key) for key in held if key != chosen]
        alike = [str(key) for key, each in held.items() if key != chosen and _is_state(each)]
        held = held[chosen]
        if others:
            notes.append(f"{chosen} of {label} was taken, and {', '.join(others[:5])} left out")
        if alike:
            doubts.append(
                f"{', '.join(alike[:3])} of {label} could be meant as well as {chosen}; to convert it, save it alone"
            )
    prefix = "module." if all(str(name).startswith("module.") for name in held) else ""
    found = {str(name).removeprefix(prefix): tensor for name, tensor in held.items()}
    if len(found) != len(held):
        raise CheckpointError(f"{label} holds one name twice")
    return found, notes, doubts


def _is_state(held: Any) -> bool:
    return isinstance(held, Mapping) and bool(held) and all(isinstance(value, Tensor) for value in held.values())


def _stored(name: str, tensor: Tensor, members: dict[str, zipfile.ZipInfo], folder: str, mapped: Mapped) -> Stored:
    path, member = mapped.path, members.get(f"{folder}data/{tensor.key}")
    if member is None:
        raise CheckpointError(f"{path} has no storage {tensor.key}, in which {name} should lie; nothing was read")
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
        raise CheckpointError(f"{path} keeps {name} compressed, as PyTorch does not; nothing was read")
    size = CODES[tensor.code].itemsize
    begin, shape, strides = data_offset(mapped, member), sound(tensor.shape), sound(tensor.strides)
    first, last = tensor.offset, tensor.offset
    if shape is not None and strides is not None and len(shape) == len(strides):
        last += sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
        numbers = math.prod(shape)
        inside = type(first) is int and first >= 0 and (last + 1) * size <= member.file_size
        if begin + member.file_size <= mapped.size and (inside or not numbers):
            if numbers * size > max(SMALL, member.file_size):
                raise CheckpointError(f"{path}: {name} repeats its numbers {numbers * size // member.file_size} times")
            steps = tuple(stride * size for stride in strides)
            raw = functools.partial(mapped.array, tensor.code, shape, begin + first * size, steps)
            return Stored(name, tensor.code, shape, raw)
    raise CheckpointError(f"{path} is damaged or cut off: {name} would lie outside of it; nothing was read")
