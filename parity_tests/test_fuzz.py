"""A thousand damaged files of every form; and that what looks at them sees a traceback, a crash and a hang."""

from __future__ import annotations

import os
import time
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
from diglot.core.errors import CheckpointError
from parameterized import parameterized

from bench import fuzz, mutations
from bench.fuzz_cases import Case

FILES = 1000


def refuses(path: Path, out: Path) -> None:
    raise CheckpointError("it is damaged")


def reads(path: Path, out: Path) -> None:
    path.read_bytes()


def raises(path: Path, out: Path) -> None:
    raise ValueError("of no use to a user")


def leaves(path: Path, out: Path) -> None:
    out.write_bytes(b"a part")
    raise CheckpointError("it is damaged")


def says_nothing(path: Path, out: Path) -> None:
    raise CheckpointError("")


def dies(path: Path, out: Path) -> None:
    if path.read_bytes() != b"good":
        os.abort()


def stays(path: Path, out: Path) -> None:
    if path.read_bytes() != b"good":
        time.sleep(60)


OUTCOMES = {
    fuzz.REFUSED: refuses, fuzz.READ: reads, "traceback": raises, "left behind": leaves, "no sentence": says_nothing,
    "crash": dies, "hang": stays,
}  # fmt: skip


class Fuzz(unittest.TestCase):
    def test_a_thousand_files(self) -> None:
        counts, failures = fuzz.fuzz(FILES, workers=1)
        self.assertEqual(failures, [])
        self.assertEqual(sum(counts.values()), FILES)
        self.assertGreater(counts[fuzz.REFUSED], FILES // 2)
        self.assertGreater(counts[fuzz.READ], FILES // 20)

    @parameterized.expand(OUTCOMES)
    def test_sees(self, kind: str) -> None:
        case = Case(kind, {"file": b"good"}, "file", "file", None, (OUTCOMES[kind],))
        with mock.patch.object(fuzz, "LIMIT", 3.0 if kind == "hang" else fuzz.LIMIT):
            found = list(fuzz.outcomes([case], 0, range(2), 1))
        self.assertEqual([(one.number, one.kind) for one in found], [(0, kind), (1, kind)])

    def test_each_number_is_the_same_file_each_time(self) -> None:
        data = Path(__file__).read_bytes()
        for number in range(200):
            one, again = (mutations.mutated(data, np.random.default_rng([7, number]), None) for _ in range(2))
            self.assertEqual(one, again)
            self.assertLess(abs(len(one) - len(data)), len(data) + 10_000)
