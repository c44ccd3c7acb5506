"""What the pickle in a PyTorch file says of its tensors. Nothing in it is executed.

The names in it stand for stubs of this file; a name that is not among them ends the reading. Python's own unpickler in
Python is used, because that in C takes as much memory as a damaged file asks for.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from typing import Any

STORAGES = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8", "ByteStorage": "U8",
    "BoolStorage": "BOOL",
}  # fmt: skip
DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL", "uint16": "U16", "uint32": "U32", "uint64": "U64",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "double": "F64", "float": "F32", "half": "F16",
}  # fmt: skip
UNTYPED = "untyped"
UNHELD = {
    "sparse": "sparse", "_rebuild_qtensor": "quantized", "QInt": "quantized", "QUInt": "quantized",
    "Complex": "complex", "complex": "complex", "nested": "nested", "meta_tensor": "empty (meta)",
}  # fmt: skip


class Executable(Exception):
    """A pickle that holds more than tensors: the name that it would have called."""


class Unheld(Exception):
    """A pickle that holds tensors of a kind that no other form of a file has: the word for it."""


@dataclass(frozen=True)
class Kind:
    """A storage's class or a dtype, by its code."""

    code: str


@dataclass(frozen=True)
class Storage:
    """A storage: its number kind, the name of its file in the archive, and how many numbers or bytes it has."""

    code: str
    key: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A tensor: where in a storage it lies, in numbers."""

    code: str
    key: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    count: int


class Names(dict[Any, Any]):
    """An ordered dictionary. Its own attributes are left away."""

    def __setstate__(self, state: Any) -> None:
        pass


class Anything:
    """Something beside the tensors of which nothing is needed."""

    def __init__(self, *parts: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> Tensor:
    if not isinstance(storage, Storage) or storage.code == UNTYPED:
        raise ValueError("a tensor without a storage of its own")
    return Tensor(storage.code, storage.key, offset, shape, strides, storage.count)


def _typed_tensor(storage: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, kind: Any,
                  *rest: Any) -> Tensor:  # fmt: skip
    if not isinstance(storage, Storage) or not isinstance(kind, Kind):
        raise ValueError("a tensor without a storage of its own")
    return Tensor(kind.code, storage.key, offset, shape, strides, storage.count)


def _parameter(data: Any, *rest: Any) -> Any:
    return data


def _size(shape: Any = ()) -> tuple[Any, ...]:
    return tuple(shape)


def _text(value: Any, *coding: Any) -> bytes:
    return str(value).encode("latin1", "replace")


FOUND: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): Names,
    ("collections", "defaultdict"): Anything,
    ("collections", "Counter"): Anything,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _typed_tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch", "Size"): _size,
    ("torch", "device"): Anything,
    ("torch.serialization", "_get_layout"): Anything,
    ("torch.storage", "UntypedStorage"): Kind(UNTYPED),
    ("_codecs", "encode"): _text,
    **{(module, "set"): Anything for module in ("builtins", "__builtin__")},
    **{("torch", name): Kind(code) for name, code in (STORAGES | DTYPES).items()},
}


class _Reader(pickle._Unpickler):  # type: ignore[misc,name-defined,unused-ignore]
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in FOUND:
            kind = next((word for part, word in UNHELD.items() if part in name), "")
            raise Unheld(kind) if kind and module in ("torch", "torch._utils") else Executable(f"{module}.{name}")
        return FOUND[module, name]

    def persistent_load(self, said: Any) -> Storage:
        if not isinstance(said, tuple) or len(said) < 5 or said[0] != "storage" or not isinstance(said[1], Kind):
            raise ValueError("a storage that PyTorch does not write")
        return Storage(said[1].code, str(said[2]), said[4])


def read(text: bytes) -> Any:
    """What is in a pickle. Raises Executable, Unheld, and any other exception for damage."""
    return _Reader(io.BytesIO(text)).load()


def write(tensors: list[tuple[str, str, tuple[int, ...]]]) -> bytes:
    """The pickle of an ordered dictionary of contiguous tensors, (name, code, shape); the k-th is in storage k."""
    names = {code: name for name, code in STORAGES.items()}
    ordered = b"ccollections\nOrderedDict\n)R"
    parts = [b"\x80\x02", ordered, b"("]
    for number, (name, code, shape) in enumerate(tensors):
        count, strides = 1, list[int]()
        for size in reversed(shape):
            strides.insert(0, count)
            count *= max(size, 1)
        held = count if all(shape) else 0
        parts += [_string(name), b"ctorch._utils\n_rebuild_tensor_v2\n((", _string("storage")]
        parts += [f"ctorch\n{names[code]}\n".encode(), _string(str(number)), _string("cpu"), _number(held), b"tQ"]
        parts += [_number(0), b"(", *map(_number, shape), b"t(", *map(_number, strides), b"t\x89", ordered, b"tR"]
    return b"".join([*parts, b"u."])


def _string(text: str) -> bytes:
    coded = text.encode("utf-8", "surrogatepass")
    return b"X" + len(coded).to_bytes(4, "little") + coded


def _number(value: int) -> bytes:
    if value < 2**31:
        return b"J" + value.to_bytes(4, "little")
    coded = value.to_bytes(9, "little")
    return b"\x8a" + bytes([len(coded)]) + coded
