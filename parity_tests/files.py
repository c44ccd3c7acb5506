"""What the tests of other libraries' files share: a small network, its weights by torchvision's names, and a folder."""

from __future__ import annotations

import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diglot.core import compare
from diglot.core.errors import DiglotError
from diglot.core.foreign import from_canonical
from diglot.core.verdict import Verdict

import diglot

SPEC = diglot.spec("resnet_small")
STATE = diglot.initial_state(SPEC, 1)
TENSORS = {
    name: torch.from_numpy(np.ascontiguousarray(array))
    for name, array in from_canonical(SPEC, SPEC.SOURCES["torchvision"], STATE).items()
}


def same(one: Any, other: Any) -> bool:
    return all(item.verdict is Verdict.EQUAL for item in compare.bitwise(one, other))


class InFolder(unittest.TestCase):
    """A test with a folder of its own, in which an error is one sentence."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def sentence(self, call: Callable[..., Any], *args: Any, **options: Any) -> str:
        with self.assertRaises(DiglotError) as caught:
            call(*args, **options)
        text = str(caught.exception)
        self.assertEqual(len(text.splitlines()), 1, text)
        return text
