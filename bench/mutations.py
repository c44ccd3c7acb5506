"""Ways to damage a file: at random anywhere, and on purpose where it says what lies where."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

Rng = np.random.Generator
NUMBERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**62, 2**63 - 1, 2**64 - 1)
VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 33, 2**31, 2**63, 10**15, 10**30, 0.5, -0.0, 1e300, "", "F32", "BF16", "U8",
    "a/b", "../../etc/passwd", "\0", "\ud800", "x" * 5000, "a\nb\x1b[31m", [], [0], [[]], [1, -1], {}, {"": {}},
)  # fmt: skip
MARKS = (b"TREE", b"SNOD", b"HEAP", b"OHDR", b"FRHP", b"BTHD", b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"\x89HDF")


def place(data: bytes, rng: Rng) -> int:
    """Somewhere in a file: at its beginning, at its end, behind what marks a structure, or anywhere."""
    kind = rng.integers(5)
    if kind == 0:
        return int(rng.integers(min(len(data), 128)))
    if kind == 1:
        return len(data) - 1 - int(rng.integers(min(len(data), 256)))
    if kind == 2 and (found := [at for mark in MARKS for at in _all(data, mark)]):
        return min(found[rng.integers(len(found))] + int(rng.integers(64)), len(data) - 1)
    if kind == 3:
        return int(rng.integers(min(len(data), 4096)))
    return int(rng.integers(len(data)))


def _all(data: bytes, mark: bytes) -> list[int]:
    found, at = [], data.find(mark)
    while at >= 0 and len(found) < 64:
        found.append(at)
        at = data.find(mark, at + 1)
    return found


def bits(data: bytes, rng: Rng) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.integers(1, 9)):
        changed[place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def some(data: bytes, rng: Rng) -> bytes:
    at = place(data, rng)
    return data[:at] + rng.bytes(int(rng.integers(1, 33))) + data[at + int(rng.integers(33)) :]


def number(data: bytes, rng: Rng) -> bytes:
    """A length or an offset that is another."""
    at, size = place(data, rng), int(rng.choice([1, 2, 4, 8]))
    at -= at % size if rng.integers(2) else 0
    value = NUMBERS[rng.integers(len(NUMBERS))] % 256**size
    if rng.integers(2):
        value = (int.from_bytes(data[at : at + size], "little") + int(rng.integers(-9, 10))) % 256**size
    return data[:at] + value.to_bytes(size, "little") + data[at + size :]


def cut(data: bytes, rng: Rng) -> bytes:
    return data[: int(rng.integers(len(data)))]


def longer(data: bytes, rng: Rng) -> bytes:
    return data + rng.bytes(int(rng.integers(1, 2000)))


def splice(data: bytes, rng: Rng) -> bytes:
    """A piece of the file over another, in front of it, or gone."""
    begin, size, to = place(data, rng), int(rng.integers(1, 513)), place(data, rng)
    kind = rng.integers(3)
    piece = b"" if kind == 2 else data[begin : begin + size]
    return data[:to] + piece + data[to + (0 if kind == 1 else size) :]


def zeros(data: bytes, rng: Rng) -> bytes:
    at, size = place(data, rng), int(rng.integers(1, 257))
    return data[:at] + bytes([int(rng.choice([0, 255]))]) * size + data[at + size :]


ANYWHERE = (bits, some, number, number, cut, longer, splice, zeros)


def anywhere(data: bytes, rng: Rng) -> bytes:
    """One to three changes at random."""
    for _ in range(rng.integers(1, 4)):
        data = ANYWHERE[rng.integers(len(ANYWHERE))](data, rng) or b"\0"
    return data


def in_json(data: bytes, rng: Rng) -> bytes:
    """Values of a JSON text changed, left out or exchanged, or the text itself."""
    try:
        held = json.loads(data)
    except ValueError:
        return anywhere(data, rng)
    for _ in range(rng.integers(1, 4)):
        spots = list(_spots(held))
        if not spots:
            break
        holder, key = spots[rng.integers(len(spots))]
        other, elsewhere = spots[rng.integers(len(spots))]
        kind = rng.integers(5)
        if kind == 0:
            del holder[key]
        elif kind == 1:
            holder[key] = json.loads(json.dumps(other[elsewhere]))
        elif kind == 2 and isinstance(holder[key], int):
            holder[key] = holder[key] + int(rng.choice([-8, -4, -1, 1, 4, 8]))
        elif kind == 3 and isinstance(holder, dict):
            holder[str(VALUES[rng.integers(len(VALUES))])] = holder.pop(key)
        else:
            holder[key] = VALUES[rng.integers(len(VALUES))]
    text = json.dumps(held)
    if not rng.integers(8):  # every key twice, of which JSON says nothing
        text = text.replace("{", "{" + text[1 : text.find("}") + 1] + ",", 1)
    if not rng.integers(8):
        text = "[" * int(rng.choice([10, 2000, 100_000])) + text
    return text.encode("utf-8", "surrogatepass")


def _spots(held: Any) -> list[tuple[Any, Any]]:
    items = held.items() if isinstance(held, dict) else enumerate(held) if isinstance(held, list) else ()
    return [spot for key, value in items for spot in ((held, key), *_spots(value))]


def in_header(data: bytes, rng: Rng) -> bytes:
    """The header of a safetensors file, mostly with the length that it then has."""
    length = int.from_bytes(data[:8], "little")
    text = in_json(data[8 : 8 + length], rng)
    said = len(text) if rng.integers(8) else NUMBERS[rng.integers(len(NUMBERS))]
    return said.to_bytes(8, "little") + text + data[8 + length :]


def in_archive(data: bytes, rng: Rng) -> bytes:
    """A member of an archive changed, packed, doubled, renamed or left out; its checksum is right again."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(made, "w") as changed, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        members = archive.infolist()
        chosen = int(rng.integers(len(members)))
        kind = rng.integers(8)
        for number_, member in enumerate(members):
            text, name = archive.read(member), member.filename
            packed = zipfile.ZIP_STORED
            if number_ == chosen:
                if kind == 0:
                    continue
                if kind == 1:
                    name = str(rng.choice([m.filename for m in members]))
                elif kind == 2:
                    packed = int(rng.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]))
                else:
                    text = (in_json if name.endswith(".json") else anywhere)(text or b"\0", rng)
            elif kind >= 5 and name.endswith((".pkl", ".json")):  # small, and what all else hangs on
                text = (in_json if name.endswith(".json") else anywhere)(text, rng)
            changed.writestr(name, text, packed)
            if number_ == chosen and kind == 3:
                changed.writestr(name, text)
    return anywhere(made.getvalue(), rng) if not rng.integers(6) else made.getvalue()


def in_words(data: bytes, rng: Rng) -> bytes:
    """Words of a text exchanged, doubled, left out, or others."""
    words = data.split(b" ")
    for _ in range(rng.integers(1, 4)):
        at, other = int(rng.integers(len(words))), int(rng.integers(len(words)))
        kind = rng.integers(4)
        if kind == 0:
            words[at] = words[other]
        elif kind == 1:
            words.insert(at, words[other])
        elif kind == 2:
            words[at] = str(VALUES[rng.integers(len(VALUES))]).encode("utf-8", "surrogatepass")
        elif len(words) > 1:
            del words[at]
    return b" ".join(words)


Mutation = Callable[[bytes, Rng], bytes]


def mutated(data: bytes, rng: Rng, special: Mutation | None) -> bytes:
    """The file damaged, where there is a special way often by that."""
    return (special if special is not None and rng.random() < 0.6 else anywhere)(data, rng)
