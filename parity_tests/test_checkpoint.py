"""Checkpoints: bitwise, open to every reader of safetensors, whole or not there, and one sentence for a bad file."""

from __future__ import annotations

import errno
import json
import os
import pickle
import stat
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from diglot.core import registry
from diglot.core.errors import CheckpointError, DiglotError, StateError
from diglot.core.noise import generator
from diglot.core.state import fit, initial_state, random_state
from parameterized import parameterized
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import diglot

PRESETS = [(preset,) for name in registry.architectures() for preset in registry.checked(name)]
SPEC = diglot.spec("mlp", input_shape=(3,), hidden_dims=(2,), output_dim=2, batch_norm=True)
STATE = initial_state(SPEC, 1)
NOTE = {"format": 1, "spec": "mlp", "fields": SPEC.fields()}
SPECIAL = (float("nan"), float("inf"), -float("inf"), -0.0, 5e-324)


def written() -> bytes:
    """The bytes of a good file."""
    with tempfile.TemporaryDirectory() as folder:
        diglot.save(f"{folder}/net", SPEC, STATE)
        return Path(folder, "net").read_bytes()


GOOD = written()
DATA = 8 + int.from_bytes(GOOD[:8], "little")
HEADER = json.loads(GOOD[8:DATA])


def assembled(header: str | dict[str, Any], data: bytes = GOOD[DATA:]) -> bytes:
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return len(text).to_bytes(8, "little") + text + data


def noted(note: Any) -> bytes:
    """A good file under another note."""
    text = note if isinstance(note, str) else json.dumps(note)
    return assembled({**HEADER, "__metadata__": {"diglot": text}})


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return list(one) == list(other) and all(
        one[name].dtype == other[name].dtype
        and one[name].shape == other[name].shape
        and one[name].tobytes() == other[name].tobytes()
        for name in one
    )


class InFolder(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "net.safetensors"

    def sentence(self, call: Callable[..., Any], *args: Any) -> str:
        """The one sentence of a refused request."""
        with self.assertRaises(DiglotError) as caught:
            call(*args)
        text = str(caught.exception)
        self.assertEqual(len(text.splitlines()), 1, text)
        return text

    def refused(self, content: bytes) -> str:
        """The sentence for a file of this content; it names the file."""
        self.path.write_bytes(content)
        text = self.sentence(diglot.load, self.path)
        self.assertIn(str(self.path), text)
        return text


class RoundTrip(InFolder):
    @parameterized.expand(
        [(f"{preset} {dtype}", preset, dtype) for (preset,) in PRESETS for dtype in ("f2", "f4", "f8")]
    )
    def test_bitwise(self, case: str, preset: str, dtype: str) -> None:
        spec = diglot.spec(preset)
        state = {name: array.astype(dtype) for name, array in random_state(spec, 3).items()}
        for array, value in zip(state.values(), SPECIAL, strict=False):
            array.flat[0] = value
        diglot.save(self.path, spec, state)
        again, read = diglot.load(self.path)
        self.assertEqual((again, type(again)), (spec, type(spec)))
        self.assertTrue(same({name: read[name] for name in state}, state))
        self.assertEqual(len(read), len(state))

    def test_what_is_read_is_the_callers_own(self) -> None:
        self.path.write_bytes(GOOD)
        _, read = diglot.load(self.path)
        for array in read.values():
            array += 1
        self.assertEqual(self.path.read_bytes(), GOOD)

    @parameterized.expand(
        [
            ("big endian", lambda array: array.astype(array.dtype.newbyteorder(">"))),
            ("fortran order", np.asfortranarray),
            ("strided", lambda array: np.repeat(array, 2, axis=0)[::2]),
            ("backwards", lambda array: array[::-1].copy()[::-1]),
        ]
    )
    def test_memory_layout_does_not_matter(self, case: str, stored: Callable[[np.ndarray], np.ndarray]) -> None:
        diglot.save(self.path, SPEC, {name: stored(array) for name, array in STATE.items()})
        self.assertEqual(self.path.read_bytes(), GOOD)

    def test_the_order_of_the_state_does_not_matter(self) -> None:
        diglot.save(self.path, SPEC, dict(reversed(STATE.items())))
        self.assertEqual(self.path.read_bytes(), GOOD)

    def test_lists_are_written_as_float64(self) -> None:
        diglot.save(self.path, SPEC, {name: array.tolist() for name, array in STATE.items()})
        _, read = diglot.load(self.path)
        self.assertTrue(all(np.array_equal(read[name], STATE[name]) for name in STATE))

    def test_a_path_as_text(self) -> None:
        diglot.save(str(self.path), SPEC, STATE)
        self.assertEqual(diglot.load(str(self.path))[0], SPEC)


class OpenFormat(InFolder):
    def test_safetensors_reads_ours(self) -> None:
        diglot.save(self.path, SPEC, STATE)
        read = load_file(self.path)
        self.assertTrue(same({name: read[name] for name in STATE}, STATE))
        self.assertEqual(len(read), len(STATE))
        with safe_open(self.path, framework="np") as file:
            self.assertEqual(json.loads(file.metadata()["diglot"]), json.loads(json.dumps(NOTE)))

    @parameterized.expand([("f2",), ("f4",), ("f8",)])
    def test_we_read_safetensors(self, dtype: str) -> None:
        state = {name: array.astype(dtype) for name, array in STATE.items()}
        save_file(state, self.path, metadata={"diglot": json.dumps(NOTE), "format": "np"})
        spec, read = diglot.load(self.path)
        self.assertEqual(spec, SPEC)
        self.assertTrue(same({name: read[name] for name in state}, state))

    def test_tensors_are_aligned(self) -> None:
        self.assertEqual(DATA % 8, 0)


class BadFile(InFolder):
    @parameterized.expand([(int(length),) for length in np.linspace(0, len(GOOD) - 1, 61)])
    def test_truncated(self, length: int) -> None:
        self.assertIn("nothing was loaded", self.refused(GOOD[:length]))

    @parameterized.expand([("byte", b"x"), ("itself", GOOD)])
    def test_followed_by_more(self, case: str, more: bytes) -> None:
        self.refused(GOOD + more)

    @parameterized.expand([("pickled", pickle.dumps(STATE)), ("zeros", bytes(100)), ("text", b"hello\nworld\n" * 9),
                           ("zip", b"PK\x03\x04" + bytes(60)), ("hdf5", b"\x89HDF\r\n\x1a\n" + bytes(60))])  # fmt: skip
    def test_another_format(self, case: str, content: bytes) -> None:
        self.assertIn("is not a readable safetensors file", self.refused(content))

    @parameterized.expand([(length,) for length in (0, 1, DATA - 9, DATA - 7, 10**9, 2**31, 2**62, 2**63, 2**64 - 1)])
    def test_absurd_header_length(self, length: int) -> None:
        self.refused(length.to_bytes(8, "little") + GOOD[8:])

    @parameterized.expand([(repr(shape), shape) for shape in (
        [2**62, 4], [2**63], [2**64], [-3, 2], [1.5], "3", None, {}, [[3]], [], [3, 2, 1], [2, 3], [3], [0, 2],
        [1] * 99,
    )])  # fmt: skip
    def test_absurd_shape(self, case: str, shape: Any) -> None:
        entry = {**HEADER["hidden.0.dense.kernel"], "shape": shape}
        self.refused(assembled({**HEADER, "hidden.0.dense.kernel": entry}))

    @parameterized.expand([(repr(span), span) for span in (
        [0, 0], [24, 0], [0, 2**63], [-1, 23], [0], None, [0, 23], [8, 32], [0.0, 24.0], ["0", "24"],
    )])  # fmt: skip
    def test_absurd_offsets(self, case: str, span: Any) -> None:
        entry = {**HEADER["hidden.0.dense.kernel"], "data_offsets": span}
        self.refused(assembled({**HEADER, "hidden.0.dense.kernel": entry}))

    @parameterized.expand([("BF16", 2), ("I32", 4), ("I64", 8), ("BOOL", 1), ("U8", 1), ("F8_E4M3", 1), ("C64", 8)])
    def test_stored_as_another_kind_of_number(self, code: str, size: int) -> None:
        header, end = {"__metadata__": HEADER["__metadata__"]}, 0
        for name, array in STATE.items():
            start, end = end, end + size * array.size
            header[name] = {"dtype": code, "shape": array.shape, "data_offsets": [start, end]}
        self.assertIn(
            f"is stored as {code}; convert it to F64, F32 or F16", self.refused(assembled(header, bytes(end)))
        )

    @parameterized.expand([("dtype", "F32", "F16"), ("shape", "[2]", "[1]"), ("name", '"head.bias"', '"head.bias_"')])
    def test_a_tensor_twice(self, case: str, right: str, wrong: str) -> None:
        entry = json.dumps({"head.bias": HEADER["head.bias"]})[1:-1].replace(right, wrong)
        self.refused(assembled(f"{json.dumps(HEADER)[:-1]}, {entry}}}"))

    @parameterized.expand([("empty", "{}"), ("same", json.dumps(HEADER["__metadata__"]))])
    def test_metadata_twice(self, case: str, metadata: str) -> None:
        self.refused(assembled(f'{{"__metadata__": {metadata}, {json.dumps(HEADER)[1:]}'))

    def test_no_tensors(self) -> None:
        message = self.refused(assembled({"__metadata__": HEADER["__metadata__"]}, b""))
        self.assertTrue(all(name in message for name in STATE))

    @parameterized.expand([("missing",), ("extra",), ("shape",)])
    def test_spec_and_state_disagree(self, case: str) -> None:
        state = dict(STATE)
        bias = state.pop("head.bias")
        name, array = {"missing": ("hidden.0.dense.bias", bias), "extra": ("head.bias_", bias),
                       "shape": ("head.bias", np.zeros(3, "f4"))}[case]  # fmt: skip
        save_file({**state, name: array}, self.path, metadata={"diglot": json.dumps(NOTE)})
        with self.assertRaises(StateError) as caught:
            diglot.load(self.path)
        self.assertIn(str(self.path), str(caught.exception))
        self.assertEqual(caught.exception.weights, ("head.bias",))


class BadNote(InFolder):
    """The metadata of a file that is otherwise good."""

    @parameterized.expand(
        [("none", None), ("empty", {}), ("another", {"format": "pt"}), ("other case", {"Diglot": "{}"})]
    )
    def test_not_ours(self, case: str, metadata: Any) -> None:
        header = {name: entry for name, entry in HEADER.items() if name != "__metadata__"}
        message = self.refused(assembled({**header, **({} if metadata is None else {"__metadata__": metadata})}))
        self.assertIn("holds no Diglot spec", message)

    @parameterized.expand([("no JSON", "{"), ("nothing", ""), ("deep", "[" * 100_000), ("digits", "9" * 5000),
                           ("null", "null"), ("number", "1"), ("text", '"mlp"'), ("list", "[]"), ("object", "{}"),
                           ("no fields", '{"format": 1, "spec": "mlp"}')])  # fmt: skip
    def test_no_note(self, case: str, text: str) -> None:
        self.assertIn("holds no Diglot spec", self.refused(noted(text)))

    @parameterized.expand([(repr(value), value) for value in (0, 2, 1.5, "1", None, [1], {}, -1, False)])
    def test_another_version(self, case: str, value: Any) -> None:
        self.assertIn("update Diglot", self.refused(noted({**NOTE, "format": value})))

    @parameterized.expand([(repr(value), value) for value in (
        "no such", "", "mlp_small", "adam", "MLP", "../mlp", "a\nb", None, 1, True, ["mlp"], {"mlp": 1},
    )])  # fmt: skip
    def test_another_architecture(self, case: str, value: Any) -> None:
        self.assertIn(f"{value!r}, which is not installed here", self.refused(noted({**NOTE, "spec": value})))

    @parameterized.expand([(repr(value), value) for value in (None, 1, True, "x", [], [["output_dim", 2]])])
    def test_fields_that_are_no_object(self, case: str, value: Any) -> None:
        self.assertIn("holds no Diglot spec", self.refused(noted({**NOTE, "fields": value})))

    @parameterized.expand(
        [(repr(field), field) for field in ("output_dims", "", "name", "self", "a\nb", "__class__", "kind")]
    )
    def test_unknown_field(self, case: str, field: str) -> None:
        message = self.refused(noted({**NOTE, "fields": {**SPEC.fields(), field: 2}}))
        self.assertIn(f"mlp has no field {field!r}", message)

    @parameterized.expand([(name,) for name in registry.architectures()])
    def test_any_json_in_any_field(self, name: str) -> None:
        fields = registry.make(name).fields()
        for field in fields:
            for value in (None, True, 0, -1, 3, 0.5, float("nan"), float("inf"), 10**400, 10**4000, "", "relu", "a\nb",
                          [], [1], [10**4000] * 3, [[1], [2]], ["x"], [None], {}, {"a": 1}):  # fmt: skip
                with self.subTest(field=field, value=str(value)[:20]):
                    self.refused(noted({**NOTE, "spec": name, "fields": {**fields, field: value}}))

    def test_a_damaged_number_of_layers_is_not_counted_out(self) -> None:
        fields = {**diglot.spec("transformer_lm_small").fields(), "num_layers": 10**12}
        self.assertIn(
            "more than the file holds", self.refused(noted({**NOTE, "spec": "transformer_lm", "fields": fields}))
        )


class Fuzz(InFolder):
    """Whatever a file holds, it is loaded whole or refused in one sentence."""

    def outcome(self, content: bytes) -> bool:
        self.path.write_bytes(content)
        try:
            spec, state = diglot.load(self.path)
        except DiglotError as error:
            self.assertEqual(len(str(error).splitlines()), 1)
            return False
        fit(spec, state)
        return True

    @parameterized.expand([("flip",), ("cut",), ("insert",), ("delete",), ("swap",), ("header",)])
    def test_mutated(self, kind: str) -> None:
        loaded = 0
        for draw in range(60):
            rng = generator(11, f"fuzz {kind}", draw)
            loaded += self.outcome(mutated(bytearray(GOOD), kind, rng))
        self.assertEqual(loaded > 0, kind in ("flip", "swap", "header"))

    def test_unchanged(self) -> None:
        self.assertTrue(self.outcome(GOOD))


def mutated(content: bytearray, kind: str, rng: np.random.Generator) -> bytes:
    place, other = (int(offset) for offset in rng.integers(0, len(content), 2))
    match kind:
        case "flip":
            content[place] ^= 1 << int(rng.integers(8))
        case "cut":
            return bytes(content[:place])
        case "insert":
            content[place:place] = rng.bytes(int(rng.integers(1, 20)))
        case "delete":
            del content[place : place + int(rng.integers(1, 20))]
        case "swap":
            content[place], content[other] = content[other], content[place]
        case "header":  # digits for digits and letters for letters, so that much of it is still JSON
            place = 8 + place % (DATA - 8)
            content[place] = int(rng.choice(list(b"0123456789" if chr(content[place]).isdigit() else b'aZ"[]{},:. \\')))
    return bytes(content)


class Unconvertible:
    """An array that is lost while it is converted, as one on another device may be."""

    shape, dtype = (2,), np.dtype("float32")

    def __array__(self, *args: Any, **options: Any) -> np.ndarray:
        raise OSError(errno.EIO, "the array is gone")


class FailedSave(InFolder):
    """What was there before is untouched, and nothing else is left."""

    def setUp(self) -> None:
        super().setUp()
        self.path.write_bytes(b"what was there before")

    def tearDown(self) -> None:
        self.assertEqual(self.path.read_bytes(), b"what was there before")
        self.assertEqual(os.listdir(self.folder), [self.path.name])
        super().tearDown()

    @parameterized.expand([(f"{call} {code}", call, code) for call in ("os.fsync", "os.replace", "os.chmod")
                           for code in ("ENOSPC", "EIO", "EROFS", "EDQUOT")])  # fmt: skip
    def test_the_disk_refuses(self, case: str, call: str, code: str) -> None:
        number = getattr(errno, code)
        with mock.patch(call, side_effect=OSError(number, os.strerror(number))):
            message = self.sentence(diglot.save, self.path, SPEC, STATE)
        self.assertEqual(
            message, f"{self.path} was not written: {os.strerror(number)}; what was there before is untouched"
        )

    @parameterized.expand([("interrupt", KeyboardInterrupt), ("memory", MemoryError)])
    def test_cut_short(self, case: str, kind: type[BaseException]) -> None:
        with mock.patch("os.fsync", side_effect=kind), self.assertRaises(kind):
            diglot.save(self.path, SPEC, STATE)

    def test_an_array_is_lost(self) -> None:
        with self.assertRaises(OSError):
            diglot.save(self.path, SPEC, {**STATE, "head.bias": Unconvertible()})

    @parameterized.expand([("missing", {"head.bias": None}), ("int", {"head.bias": np.zeros(2, int)}),
                           ("shape", {"head.bias": np.zeros(3)}), ("extra", {"head.bais": np.zeros(2)})])  # fmt: skip
    def test_a_state_that_does_not_fit(self, case: str, change: dict[str, Any]) -> None:
        with self.assertRaises(StateError):
            diglot.save(self.path, SPEC, {**STATE, **change})

    @parameterized.expand(
        [("none", None), ("list", [1]), ("pairs", list(STATE.items())), ("array", STATE["head.bias"])]
    )
    def test_no_state(self, case: str, state: Any) -> None:
        self.assertIn(
            "a state is a mapping from weight names to arrays", self.sentence(diglot.save, self.path, SPEC, state)
        )

    @parameterized.expand(
        [("name", "mlp"), ("technique", diglot.spec("adam")), ("none", None), ("array", np.ones((2, 2)))]
    )
    def test_no_spec(self, case: str, spec: Any) -> None:
        message = self.sentence(diglot.save, self.path, spec, STATE)
        self.assertIn("save takes the spec of an architecture", message)

    def test_a_folder_that_is_a_file(self) -> None:
        self.assertIn("choose another folder", self.sentence(diglot.save, self.path / "net", SPEC, STATE))

    def test_a_folder_that_is_not_there(self) -> None:
        self.assertIn("No such file", self.sentence(diglot.save, self.folder / "a" / "b", SPEC, STATE))


class Paths(InFolder):
    def test_a_folder(self) -> None:
        self.assertIn("is not a file", self.sentence(diglot.load, self.folder))
        self.assertIn("is not an ordinary file", self.sentence(diglot.save, self.folder, SPEC, STATE))
        self.assertEqual(os.listdir(self.folder), [])

    @parameterized.expand(
        [("absent", "absent"), ("null", "a\0b"), ("lines", "a\nb"), ("long", "a" * 5000), ("empty", "")]
    )
    def test_nothing_to_load(self, case: str, name: str) -> None:
        self.assertIn("is not a file", self.sentence(diglot.load, f"{self.folder}/{name}"))

    @parameterized.expand([("null", "a\0b"), ("long", "a" * 300), ("empty", ""), ("dot", ".")])
    def test_nowhere_to_save(self, case: str, name: str) -> None:
        self.sentence(diglot.save, f"{self.folder}/{name}", SPEC, STATE)
        self.assertEqual(os.listdir(self.folder), [])

    @parameterized.expand([("long", "a" * 255), ("unicode", "é網 \n'\""), ("hidden", ".x")])
    def test_an_unusual_name(self, case: str, name: str) -> None:
        diglot.save(self.folder / name, SPEC, STATE)
        self.assertEqual(diglot.load(self.folder / name)[0], SPEC)
        self.assertEqual(os.listdir(self.folder), [name])

    def test_a_link_stays_a_link(self) -> None:
        link = self.folder / "link"
        link.symlink_to(self.path)
        for _ in range(2):
            diglot.save(link, SPEC, STATE)
            self.assertTrue(link.is_symlink())
            self.assertEqual(self.path.read_bytes(), GOOD)

    def test_a_pipe_is_never_replaced(self) -> None:
        os.mkfifo(self.path)
        self.assertIn("is not an ordinary file", self.sentence(diglot.save, self.path, SPEC, STATE))
        self.assertIn("is not a file", self.sentence(diglot.load, self.path))
        self.assertTrue(stat.S_ISFIFO(self.path.stat().st_mode))

    def test_permissions_are_those_of_any_new_file(self) -> None:
        diglot.save(self.path, SPEC, STATE)
        ordinary = self.folder / "ordinary"
        ordinary.touch()
        self.assertEqual(self.path.stat().st_mode, ordinary.stat().st_mode)

    def test_errors_are_of_their_kind(self) -> None:
        for call in (lambda: diglot.load(self.folder), lambda: diglot.save(self.folder, SPEC, STATE)):
            with self.assertRaises(CheckpointError) as caught:
                call()
            self.assertIsInstance(caught.exception, ValueError)
