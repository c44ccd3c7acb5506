"""Files of PyTorch's libraries, in and out; bad files are one sentence, and execute nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from parameterized import parameterized
from safetensors.torch import save_file

import diglot

from . import oracle
from .files import SPEC, STATE, TENSORS, InFolder, same

BOMB = """
import pathlib
class Trap:
    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path({path!r}),)
"""


class PyTorch(InFolder):
    def read(self, origin: Any) -> Any:
        return diglot.load_pretrained(SPEC, origin, source="torchvision")

    def saved(self, content: Any, name: str = "net.pth", **options: Any) -> Path:
        torch.save(content, self.folder / name, **options)
        return self.folder / name

    @parameterized.expand(
        [
            ("plain", lambda tensors: tensors),
            ("a training checkpoint", lambda tensors: {"state_dict": tensors, "epoch": 3}),
            ("as of deit", lambda tensors: {"model": tensors}),
            ("data parallel", lambda tensors: {f"module.{name}": tensor for name, tensor in tensors.items()}),
            ("both", lambda tensors: {"model": {f"module.{name}": tensor for name, tensor in tensors.items()}}),
            ("with counters", lambda tensors: {**tensors, "bn1.num_batches_tracked": torch.tensor(3)}),
        ]
    )
    def test_what_files_hold(self, case: str, wrapped: Callable[[Any], Any]) -> None:
        for name in ("net.pth", "net.pt", "net.bin", "net.tar"):
            self.assertTrue(same(self.read(self.saved(wrapped(TENSORS), name)), STATE))
        self.assertTrue(same(self.read(self.saved(wrapped(TENSORS), _use_new_zipfile_serialization=False)), STATE))

    def test_safetensors(self) -> None:
        save_file(TENSORS, self.folder / "net.safetensors")
        self.assertTrue(same(self.read(str(self.folder / "net.safetensors")), STATE))

    def test_live(self) -> None:
        self.assertTrue(same(self.read(TENSORS), STATE))
        self.assertTrue(same(self.read({f"module.{name}": tensor for name, tensor in TENSORS.items()}), STATE))

    def test_other_precisions(self) -> None:
        for dtype in (torch.float64, torch.float16):
            state = self.read(self.saved({name: tensor.to(dtype) for name, tensor in TENSORS.items()}))
            self.assertTrue(same(state, {name: np.asarray(value, str(dtype)[6:]) for name, value in STATE.items()}))
        halves = {name: tensor.bfloat16() for name, tensor in TENSORS.items()}
        state = self.read(self.saved(halves))
        self.assertTrue(np.array_equal(state["fc.kernel"], halves["fc.weight"].float().numpy().T))

    @parameterized.expand([("net.pth",), ("net.pt",), ("net.bin",), ("net.safetensors",)])
    def test_written_and_read_again(self, name: str) -> None:
        path = self.folder / name
        diglot.export_pretrained(SPEC, STATE, path, source="torchvision")
        self.assertTrue(same(self.read(path), STATE))
        self.assertEqual(os.listdir(self.folder), [name])

    def test_torchvision_takes_what_is_written(self) -> None:
        from torchvision.models.resnet import BasicBlock, ResNet

        spec = diglot.spec("resnet18", num_blocks=(1, 1, 1, 1), num_classes=3)
        one, two = (ResNet(BasicBlock, [1, 1, 1, 1], 3) for _ in range(2))
        oracle.randomise(one).float()
        path = self.folder / "net.pth"
        diglot.export_pretrained(
            spec, diglot.load_pretrained(spec, one, source="torchvision"), path, source="torchvision"
        )
        two.load_state_dict(torch.load(path, weights_only=True), strict=True)
        pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
        self.assertTrue(all(torch.equal(*pair) for pair in pairs))

    def test_code_in_a_pickle_is_not_executed(self) -> None:
        namespace: dict[str, Any] = {}
        exec(BOMB.format(path=str(self.folder / "executed")), namespace)
        for content in (namespace["Trap"](), {"state_dict": TENSORS, "epoch": namespace["Trap"]()}):
            for options in ({}, {"_use_new_zipfile_serialization": False}):
                text = self.sentence(self.read, self.saved(content, **options))
                self.assertIn("holds more than tensors; nothing in it was executed", text)
        self.assertFalse((self.folder / "executed").exists())

    def test_a_whole_model(self) -> None:
        text = self.sentence(self.read, self.saved(torch.nn.Linear(2, 2)))
        self.assertIn("Save the model's state_dict instead", text)

    @parameterized.expand(
        [
            ("nothing", {}, "holds no state_dict but a mapping with"),
            ("a list", [1, 2], "holds no state_dict but list"),
            ("numbers", {"epoch": 3, "lr": 0.1}, "a mapping with epoch, lr"),
            ("a tensor", torch.zeros(2), "holds no state_dict but Tensor"),
            ("a sparse tensor", {"fc.weight": torch.zeros(2, 2).to_sparse()}, "fc.weight is no plain array"),
        ]
    )
    def test_no_state_dict(self, case: str, content: Any, said: str) -> None:
        self.assertIn(said, self.sentence(self.read, self.saved(content)))

    def test_a_damaged_file_at_any_length(self) -> None:
        for options in ({}, {"_use_new_zipfile_serialization": False}):
            whole = self.saved(TENSORS, **options).read_bytes()
            for length in (0, 1, 8, 100, len(whole) // 2, len(whole) - 1):
                path = self.folder / "cut.pth"
                path.write_bytes(whole[:length])
                self.assertIn(str(path), self.sentence(self.read, path))
        save_file(TENSORS, path := self.folder / "cut.safetensors")
        whole = path.read_bytes()
        for length in (0, 7, 100, len(whole) - 1):
            path.write_bytes(whole[:length])
            self.assertIn("is not a readable safetensors file", self.sentence(self.read, path))

    def test_other_bad_paths(self) -> None:
        for path in (self.folder, self.folder / "none.pth", "", "x" * 5000, "a\0b"):
            self.sentence(self.read, path)
        (self.folder / "text.pth").write_text("weights")
        self.assertIn("text.pth", self.sentence(self.read, self.folder / "text.pth"))

    def test_a_file_of_keras(self) -> None:
        path = self.folder / "net.pth"
        with h5py.File(path, "w"):
            pass
        self.assertIn("is a file of Keras, and the source torchvision", self.sentence(self.read, path))

    def test_bad_targets(self) -> None:
        write = diglot.export_pretrained
        for path in (self.folder / "net.onnx", self.folder / "no" / "net.pth", self.folder):
            self.sentence(write, SPEC, STATE, path, source="torchvision")
        self.assertEqual(os.listdir(self.folder), [])
