"""Files that are damaged, hostile or in the way: a sentence, and nothing is written, lost, left behind or executed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
from diglot.core.errors import DiglotError
from diglot.core.files import pickled, safetensors
from parameterized import parameterized

import diglot
import diglot.cli

from . import bad_files
from .bad_files import PRESET, SPEC

DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda data: data[: len(data) * 2 // 3],
    "truncated early": lambda data: data[:40],
    "zero-length": lambda data: b"",
    "wrong-magic": lambda data: b"\x89PNG\r\n\x1a\n" + data[8:],
    "a pointer of Git LFS": lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
    "a web page": lambda data: b"<!DOCTYPE html>\n<html><head><title>404</title></head></html>\n",
    "text": lambda data: b"Entry not found",
}
CORRUPT = {"safetensors": (8, 60), "pt": (40, 90), "bin": (40, 90), "weights.h5": (16, 300), "keras": (160, 400)}
FORMS = tuple(CORRUPT)
TORCHVISION = diglot.spec("resnet_small"), "torchvision"
KERAS = (
    diglot.spec("resnet_small", block="bottleneck", stride_on="conv1", conv_bias=True, norm_epsilon=1.001e-5),
    "keras.applications",
)
SLOW = """
import sys, time
from diglot.core.files import digest
whole = digest.folded
def slow(block, found):
    time.sleep(0.5)
    return whole(block, found)
digest.folded = slow
from diglot.cli import main
main()
"""
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), resource.RLIM_INFINITY))
from diglot.cli import main
main()
"""


class Files(unittest.TestCase):
    """Good files in a folder of their own, in which everything temporary lies too."""

    @classmethod
    def setUpClass(cls) -> None:
        made = tempfile.TemporaryDirectory()
        cls.addClassCleanup(made.cleanup)
        cls.good = bad_files.good(Path(made.name))

    def setUp(self) -> None:
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.folder = Path(made.name)
        self.left = self.folder / "harm"
        (self.folder / "temporary").mkdir()
        patched = mock.patch.object(tempfile, "tempdir", str(self.folder / "temporary"))
        patched.start()
        self.addCleanup(patched.stop)

    def held(self) -> dict[str, str]:
        """Every file of the folder, by a digest of what is in it."""
        return {
            str(path): os.readlink(path)
            if path.is_symlink()
            else hashlib.sha256(path.read_bytes()).hexdigest()
            if path.is_file()
            else ""
            for path in sorted(self.folder.rglob("*"))
        }

    def command(self, *words: object) -> tuple[int, str]:
        err = io.StringIO()
        with (
            mock.patch.object(sys, "argv", ["diglot", "convert", *map(str, words)]),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(err),
            self.assertRaises(SystemExit) as ended,
        ):
            diglot.cli.main()
        return int(ended.exception.code or 0), err.getvalue()

    def sentence(self, text: str) -> str:
        lines = text.splitlines()
        self.assertEqual(len(lines), 1, text)
        self.assertTrue(lines[0].startswith("diglot: "), text)
        self.assertLess(len(lines[0]), 600, text)
        return lines[0]

    def refused(self, *words: object) -> str:
        """The sentence with which the command refuses, after which all is as it was."""
        before = self.held()
        status, said = self.command(*words)
        self.assertEqual(status, 2, said)
        self.assertEqual(self.held(), before)
        return self.sentence(said)

    def refused_by_every_verb(self, path: Path) -> None:
        """The command's sentence, and those of what loads a file."""
        other = "out.weights.h5" if path.name.endswith((".h5", ".keras")) else "out.pt"
        said = self.refused(path, self.folder / other)
        self.assertIn(str(self.folder), said)
        self.refused(path, self.folder / "out.safetensors", "--spec", PRESET)
        library = KERAS if path.name.endswith((".h5", ".keras")) else TORCHVISION
        for load in (lambda: diglot.load(path), lambda: diglot.load_pretrained(library[0], path, source=library[1])):
            before = self.held()
            with self.assertRaises(DiglotError) as caught:
                load()
            self.assertEqual(len(str(caught.exception).splitlines()), 1, str(caught.exception))
            self.assertEqual(self.held(), before)

    def process(self, program: str, *words: object) -> subprocess.Popen[str]:
        environment = {**os.environ, "TMPDIR": str(self.folder / "temporary")}
        argv = [sys.executable, "-W", "ignore", "-c", program, *map(str, words)]
        return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)


class Damaged(Files):
    """What is not all there, or not what its name says."""

    @parameterized.expand([(name, form) for name in DAMAGE for form in FORMS])
    def test(self, name: str, form: str) -> None:
        path = self.folder / f"bad.{form}"
        path.write_bytes(DAMAGE[name](self.good[form].read_bytes()))
        self.refused_by_every_verb(path)

    @parameterized.expand(CORRUPT.items())
    def test_corrupt(self, form: str, span: tuple[int, int]) -> None:
        data = bytearray(self.good[form].read_bytes())
        data[slice(*span)] = b"\xaa" * (span[1] - span[0])
        path = self.folder / f"bad.{form}"
        path.write_bytes(data)
        self.refused_by_every_verb(path)

    @parameterized.expand([(form, ending) for form in FORMS for ending in (".part", ".incomplete", ".crdownload")])
    def test_half_downloaded(self, form: str, ending: str) -> None:
        path = self.folder / f"net.{form}{ending}"
        data = self.good[form].read_bytes()
        path.write_bytes(data[: len(data) // 2])
        self.refused_by_every_verb(path)

    def test_absurd_shapes(self) -> None:
        for path in bad_files.absurd(self.folder).values():
            with self.subTest(path.name):
                self.refused_by_every_verb(path)

    def test_twice(self) -> None:
        for name, path in bad_files.twice(self.folder).items():
            with self.subTest(name), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # zipfile's own, of a member that is there twice
                self.refused(path, self.folder / ("out.weights.h5" if path.suffix == ".h5" else "out.pt"))

    def test_a_missing_shard(self) -> None:
        for form, whole in (("safetensors", "safetensors"), ("weights.h5", "weights.h5"), ("bin", "pt")):
            with self.subTest(form):
                plain = self.folder / f"plain.{whole}"
                diglot.convert(self.good["weights.h5" if form == "weights.h5" else "pt"], plain)
                diglot.convert(plain, self.folder / f"sharded.{form}", max_shard_size="1KB")
                (index,) = self.folder.glob("sharded*.json")
                shard = sorted(path for path in self.folder.glob("sharded*") if path != index)[1]
                shard.rename(f"{shard}.part")
                self.assertIn(shard.name, self.refused(index, self.folder / f"out.{whole}"))
                Path(f"{shard}.part").rename(shard)
                self.assertEqual(self.command(index, self.folder / f"out.{whole}")[0], 0)
                for path in self.folder.glob("sharded*"):
                    path.unlink()

    def test_not_a_number(self) -> None:
        arrays = diglot.initial_state(SPEC, 0)
        arrays = {**arrays, "head.kernel": np.full_like(arrays["head.kernel"], np.nan)}
        path = self.folder / "nan.safetensors"
        diglot.save(path, SPEC, arrays)
        for suffix in ("pt", "safetensors"):
            status, said = self.command(path, self.folder / f"out.{suffix}")
            self.assertEqual(status, 0, said)
            self.assertRegex(self.sentence(said), r"NaN is among the numbers of head\.\w+;")


class Hostile(Files):
    """What would run, unpack without end, or never end."""

    def tearDown(self) -> None:
        self.assertFalse(self.left.exists(), "it was executed")

    @parameterized.expand([("pt",), ("bin",), ("pth",), ("safetensors",)])
    def test_code_in_an_archive(self, suffix: str) -> None:
        path = bad_files.unpickled_harm(self.folder / f"bad.{suffix}", self.left)
        self.refused_by_every_verb(path)
        self.assertIn("nothing in it was executed", self.refused(path, self.folder / "out.safetensors"))

    def test_half_an_archive(self) -> None:
        path = self.folder / "half.pt"
        for length in (10, -1):
            path.write_bytes(self.good["pt"].read_bytes()[:length])
            said = self.refused(path, self.folder / "out.safetensors")
            self.assertIn("is cut off or damaged: it begins as an archive and has no end; nothing was read", said)

    @parameterized.expand([("pt",), ("bin",), ("h5",), ("keras",)])
    def test_a_bare_pickle(self, suffix: str) -> None:
        import pickle

        path = self.folder / f"bad.{suffix}"
        for protocol in range(5):
            path.write_bytes(pickle.dumps({"weight": bad_files.Harm(self.left)}, protocol))
            self.refused_by_every_verb(path)

    def test_a_lambda_layer(self) -> None:
        path = bad_files.lambda_archive(self.folder / "bad.keras", self.good["weights.h5"].read_bytes(), self.left)
        self.assertIn("give a spec", self.refused(path, self.folder / "out.safetensors"))
        status, said = self.command(path, self.folder / "out.safetensors", "--spec", PRESET)
        self.assertEqual(status, 0, said)

    @parameterized.expand(
        [
            ("text", lambda group: group.create_dataset("0", data=["a"], dtype=h5py.string_dtype())),
            ("opaque", lambda group: group.create_dataset("0", data=np.void(b"\x80\x04harm"))),
            ("compound", lambda group: group.create_dataset("0", (2,), [("a", "f4"), ("b", "f4")])),
            ("references", lambda group: group.create_dataset("0", (2,), h5py.ref_dtype)),
            ("lists", lambda group: group.create_dataset("0", (2,), h5py.vlen_dtype(np.dtype("f4")))),
            ("outside", lambda group: group.create_dataset("0", (4,), "f4", external=[("/etc/passwd", 0, 16)])),
            ("a link out", lambda group: group.__setitem__("0", h5py.ExternalLink("net.weights.h5", "/a"))),
            ("a link within", lambda group: group.__setitem__("0", h5py.SoftLink("/a"))),
        ]
    )
    def test_no_numbers_of_its_own(self, name: str, make: Callable[[h5py.Group], None]) -> None:
        path = self.folder / "bad.weights.h5"
        with h5py.File(path, "w") as file:
            file.create_dataset("a", data=np.zeros(4, "f4"))
            make(file.create_group("dense/vars"))
        self.refused_by_every_verb(path)

    def test_an_archive_that_unpacks_to_far_more(self) -> None:
        zeros = bytes(1 << 26)
        keras = bad_files.archive(
            self.folder / "bad.keras",
            self.good["weights.h5"].read_bytes() + zeros,
            packed=zipfile.ZIP_DEFLATED,
        )
        text = pickled.write([("weight", "F32", (1 << 24,))])
        numbers = bad_files.torch_archive(self.folder / "numbers.pt", text, zeros, zipfile.ZIP_DEFLATED)
        listed = bad_files.torch_archive(self.folder / "listed.pt", text + zeros, b"", zipfile.ZIP_DEFLATED)
        for path in (keras, numbers, listed):
            with self.subTest(path.name):
                self.refused_by_every_verb(path)

    def test_pipes_and_devices(self) -> None:
        pipe = self.folder / "pipe.safetensors"
        os.mkfifo(pipe)
        index = self.folder / "model.safetensors.index.json"
        index.write_text('{"weight_map": {"weight": "pipe.safetensors"}}')
        for path in (pipe, index, Path("/dev/zero"), Path("/dev/stdin")):
            with self.subTest(path.name):
                self.assertIn(str(path), self.refused(path, self.folder / "out.pt"))
                self.refused(path, self.folder / "out.weights.h5", "--spec", PRESET)
        words = (self.good["pt"], self.folder / "out.weights.h5", "--map")
        for path in (pipe, Path("/dev/zero"), self.folder):
            self.assertIn("it is not a file", self.refused(*words, path))
        device = self.folder / "device.safetensors"
        device.symlink_to(os.devnull)
        for path in (pipe, device):
            with self.subTest(path.name):
                self.assertIn("not an ordinary file", self.refused(self.good["pt"], path, "--force"))

    def test_links_without_end(self) -> None:
        one, other = self.folder / "one.safetensors", self.folder / "other.safetensors"
        one.symlink_to(other)
        other.symlink_to(one)
        self.refused(one, self.folder / "out.pt")
        self.refused(self.good["pt"], one)
        self.refused(self.good["pt"], one, "--force")
        self.refused(self.good["pt"], one / "out.safetensors")

    def test_a_folder_for_a_file(self) -> None:
        for suffix in FORMS:
            with self.subTest(suffix):
                folder = self.folder / f"net.{suffix}"
                folder.mkdir()
                self.refused(folder, self.folder / "out.pt")
                self.refused(folder, self.folder / "out.safetensors", "--spec", PRESET)
                words = (self.good["safetensors"], folder, "--force")
                self.assertIn("not an ordinary file", self.refused(*words))


class InTheWay(Files):
    """A destination that cannot be written, or not in full."""

    def test_is_there(self) -> None:
        there = self.folder / "there.safetensors"
        there.write_bytes(b"precious")
        self.assertIn("is there already", self.refused(self.good["pt"], there))
        self.assertEqual(self.command(self.good["pt"], there, "--force")[0], 0)
        self.assertNotEqual(there.read_bytes(), b"precious")

    def test_what_is_there_stays_where_the_source_is_bad(self) -> None:
        there, bad = self.folder / "there.safetensors", self.folder / "bad.pt"
        there.write_bytes(b"precious")
        data = self.good["pt"].read_bytes()
        for length in range(0, len(data), len(data) // 9):
            bad.write_bytes(data[:length])
            self.refused(bad, there, "--force")

    def test_no_such_folder(self) -> None:
        self.assertIn(
            "No such file or directory", self.refused(self.good["pt"], self.folder / "no" / "out.safetensors")
        )

    def test_a_folder_that_cannot_be_written(self) -> None:
        denied = PermissionError(errno.EACCES, "Permission denied")
        with mock.patch.object(tempfile, "mkstemp", side_effect=denied):  # which no mode of a folder denies to root
            said = self.refused(self.good["pt"], self.folder / "out.safetensors")
        self.assertIn("out.safetensors cannot be written: Permission denied; choose another folder", said)

    def test_no_room(self) -> None:
        full = shutil._ntuple_diskusage(10**9, 10**9, 100)
        with mock.patch.object(shutil, "disk_usage", return_value=full):
            self.assertIn("left; nothing was written", self.refused(self.good["pt"], self.folder / "out.safetensors"))

    @parameterized.expand([("safetensors", "pt"), ("pt", "pt"), ("weights.h5", "weights.h5"), ("bin", "pt")])
    def test_a_full_disk(self, suffix: str, source: str) -> None:
        there = self.folder / f"out.{suffix}"
        there.write_bytes(b"precious")
        before = self.held()
        for limit in (0, 1000):
            done = self.process(LIMITED, limit, "convert", self.good[source], there, "--force")
            said = done.communicate(timeout=60)[1]
            self.assertEqual(done.returncode, 2, said)
            self.sentence(said)
            self.assertEqual(self.held(), before)

    @parameterized.expand([("INT", 130), ("TERM", 143)])
    def test_interrupted(self, name: str, status: int) -> None:
        there = self.folder / "out.safetensors"
        there.write_bytes(b"precious")
        before = self.held()
        running = self.process(SLOW, "convert", self.good["pt"], there, "--force")
        begun = time.monotonic()
        while len(self.held()) == len(before) and running.poll() is None and time.monotonic() < begun + 60:
            time.sleep(0.05)
        running.send_signal(getattr(signal, f"SIG{name}"))
        said = running.communicate(timeout=60)[1]
        self.assertEqual(running.returncode, status, said)
        self.assertIn("interrupted", self.sentence(said))
        self.assertEqual(self.held(), before)


class Headers(Files):
    """What a header of safetensors says and is not so."""

    @parameterized.expand(
        [
            ("a list", "[]"),
            ("no object", '{"weight": 1}'),
            ("no offsets", '{"weight": {"dtype": "F32", "shape": [4]}}'),
            ("an unknown kind", '{"weight": {"dtype": "F4", "shape": [4], "data_offsets": [0, 16]}}'),
            ("a kind that is no text", '{"weight": {"dtype": ["F32"], "shape": [4], "data_offsets": [0, 16]}}'),
            ("a fraction", '{"weight": {"dtype": "F32", "shape": [4.0], "data_offsets": [0, 16]}}'),
            ("a truth value", '{"weight": {"dtype": "F32", "shape": [true], "data_offsets": [0, 4]}}'),
            ("without end", '{"weight": {"dtype": "F32", "shape": [1e999], "data_offsets": [0, 16]}}'),
            ("metadata that are no texts", '{"__metadata__": {"diglot": {}}}'),
            ("deep", "[" * 100_000),
            ("not UTF-8", '{"\ud800": 1}'),
            ("a hole", f"{{{bad_files.entry('weight', [2], 4, 12)}}}"),
            ("backwards", f"{{{bad_files.entry('weight', [2], 8, 0)}}}"),
        ]
    )
    def test(self, name: str, text: str) -> None:
        path = self.folder / "bad.safetensors"
        coded = text.encode("utf-8", "surrogatepass")
        path.write_bytes(len(coded).to_bytes(8, "little") + coded + bytes(16))
        self.refused_by_every_verb(path)

    def test_more_axes_than_an_array_has(self) -> None:
        path = bad_files.header(
            self.folder / "bad.safetensors", f"{{{bad_files.entry('weight', [1] * 5000, 0, 4)}}}", bytes(4)
        )
        self.refused(path, self.folder / "out.pt")

    def test_no_tensor(self) -> None:
        path = self.folder / "empty.safetensors"
        path.write_bytes(safetensors.header([], {}))
        status, said = self.command(path, self.folder / "out.pt")
        self.assertIn(status, (0, 2), said)
