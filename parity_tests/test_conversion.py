"""Files of weights in every form, of users' own models too: bitwise, one tensor at a time, complete or not there."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import keras
import numpy as np
import torch
from diglot.core.files import containers, digest, forms, planned, streaming, writing
from diglot.core.port import mapfile
from diglot.core.port.mapping import Match, WeightMapping
from diglot.core.port.piece import Piece
from parameterized import parameterized
from safetensors.torch import load_file

import diglot
import diglot.cli

from .files import InFolder

FACTORS = (("channels", 4), ("height", 3), ("width", 2))
GATES = (("gate", 4),)
PLAIN = {
    "wide": torch.arange(6, dtype=torch.float64).reshape(2, 3) / 7,
    "turned": torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).t(),
    "half": torch.tensor([1.0, -2.5]).half(),
    "brain": torch.tensor([[1.0, 3.1]]).bfloat16(),
    "flag": torch.tensor([True, False]),
    "count": torch.tensor(7),
    "none": torch.empty(0, 3),
    "byte": torch.arange(3, dtype=torch.uint8),
}
NAMES = (".pt", ".pth", ".bin", ".safetensors", ".bin.index.json", ".safetensors.index.json")


def match(name: str, axes: str, torch_axes: str, keras_axes: str, stored: str, **options: Any) -> Match:
    """One tensor on both sides."""
    return Match(
        name, axes, (Piece(name, torch_axes, **options),), (Piece(stored, keras_axes, stored=stored, **options),), "map"
    )


def users() -> tuple[dict[str, torch.Tensor], WeightMapping]:
    """Weights of a PyTorch model with every kind of layout, and where a Keras model has them."""
    draw = torch.Generator().manual_seed(1)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw)

    tensors = {
        "conv.weight": drawn(4, 3, 3, 5),
        "down.weight": drawn(6, 1, 3, 3),
        "up.weight": drawn(3, 4, 2, 2),
        "embed.weight": drawn(11, 8),
        "head.weight": drawn(7, 24),
        "packed.weight": drawn(24, 8),
        "lstm.weight_ih_l0": drawn(20, 3),
        "lstm.bias_ih_l0": drawn(20),
        "lstm.bias_hh_l0": drawn(20),
        "point.weight": drawn(9, 4, 1, 1),
        "norm.num_batches_tracked": torch.tensor(3),
    }
    heads = (("heads", 2), ("depth", 4))
    found = [
        match("conv.weight", "height width in out", "out in height width", "height width in out", "layers/conv/vars/0"),
        match("down.weight", "height width channels multiplier", "(channels multiplier) 1 height width",
              "height width channels multiplier", "layers/down/vars/0", factors=(("multiplier", 2),)),
        match("up.weight", "height width out in", "in out height width", "height width out in", "layers/up/vars/0"),
        match("embed.weight", "tokens channels", "tokens channels", "tokens channels", "layers/embed/vars/0"),
        match("head.weight", "(height width channels) out", "out (channels height width)",
              "(height width channels) out", "layers/head/vars/0", factors=FACTORS),
        match("point.weight", "in out", "out in 1 1", "in out", "layers/point/vars/0"),
    ]  # fmt: skip
    for number, name in enumerate(("query", "key", "value")):
        whole = Piece("packed.weight", "(three heads depth) in", (("three", 3), *heads), (("three", number),))
        path = f"layers/{name}/vars/0"
        found.append(
            Match(f"{name}.kernel", "in heads depth", (whole,), (Piece(path, "in heads depth", stored=path),), "map")
        )
    for number in range(4):
        picked = {"factors": GATES, "pick": (("gate", number),)}
        found.append(
            match("lstm.weight_ih_l0", "in out", "(gate out) in", "in (gate out)", "layers/lstm/vars/0", **picked)
        )
        biases = tuple(Piece(f"lstm.bias_{kind}_l0", "(gate out)", **picked) for kind in ("ih", "hh"))
        path = "layers/lstm/vars/1"
        found.append(
            Match(f"lstm.bias.{number}", "out", biases, (Piece(path, "(gate out)", stored=path, **picked),), "map")
        )
    return tensors, WeightMapping(tuple(found), {"torch": ("norm.num_batches_tracked",), "keras": ()})


def command(*words: Any) -> tuple[int, str, str]:
    """Run `diglot convert`; its status, and what it says."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["diglot", "convert", *map(str, words)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            diglot.cli.main()
        except SystemExit as left:
            return int(left.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


class Forms(InFolder):
    def setUp(self) -> None:
        super().setUp()
        self.first = self.folder / "first.pt"
        torch.save(PLAIN, self.first)

    def same(self, path: Path, wanted: dict[str, torch.Tensor]) -> None:
        found = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
        self.assertEqual(set(found), set(wanted))
        for name, tensor in wanted.items():
            self.assertEqual(found[name].dtype, tensor.dtype, name)
            self.assertTrue(torch.equal(found[name], tensor), name)

    @parameterized.expand([(one, other) for one in NAMES for other in NAMES])
    def test_every_form_of_pytorch_into_every_other(self, one: str, other: str) -> None:
        """With the strides, the empty one, the scalar and the types that NumPy lacks."""
        limit = 60 if one.endswith(".json") else None
        self.assertIsNone(diglot.convert(self.first, self.folder / f"one{one}", max_shard_size=limit))
        limit = 60 if other.endswith(".json") else None
        diglot.convert(self.folder / f"one{one}", self.folder / f"other{other}", max_shard_size=limit)
        diglot.convert(self.folder / f"other{other}", self.folder / "last.pth")
        self.same(self.folder / "last.pth", PLAIN)
        if limit is None:
            self.same(self.folder / f"other{other}", PLAIN)

    def test_what_pytorch_maps_into_memory(self) -> None:
        diglot.convert(self.first, self.folder / "second.pt")
        found = torch.load(self.folder / "second.pt", mmap=True, weights_only=True)
        self.assertEqual(list(found), list(PLAIN))
        self.assertTrue(torch.equal(found["turned"], PLAIN["turned"]))

    def test_a_training_checkpoint_of_a_parallel_model(self) -> None:
        state = {f"module.{name}": tensor for name, tensor in PLAIN.items()}
        torch.save({"epoch": 3, "state_dict": state, "optimizer": {"state": {}, "lr": 0.1}}, self.first)
        diglot.convert(self.first, self.folder / "bare.safetensors")
        self.same(self.folder / "bare.safetensors", PLAIN)

    def test_a_checkpoint_of_two_models(self) -> None:
        torch.save({"model": {"a": torch.ones(1)}, "ema": {"a": torch.zeros(1)}, "step": 3}, self.folder / "two.pth")
        said = "ema of .*two.pth could be meant as well as model; to convert it, save it alone"
        with self.assertWarnsRegex(UserWarning, said):
            diglot.convert(self.folder / "two.pth", self.folder / "x.safetensors")
        self.assertEqual(load_file(self.folder / "x.safetensors")["a"].tolist(), [1])
        for words, stream in ((["--dry-run"], 1), ([], 2)):
            told = command(self.folder / "two.pth", self.folder / "y.safetensors", *words)
            self.assertRegex(told[stream], "model of .*two.pth was taken, and ema, step left out")
            self.assertRegex(told[stream], said)
            self.assertRegex(told[1], "y.safetensors: 1 tensor, 4 bytes")

    @parameterized.expand([
        ("list", [1, 2], "holds no state_dict but a list; save a model's state_dict()"),
        ("mapping", {"epoch": 3}, "holds no state_dict but a mapping with epoch; save"),
        ("sparse", {"a": torch.ones(2, 2).to_sparse()}, "holds a sparse tensor, which no other form of a file has"),
        ("complex", {"a": torch.ones(2, dtype=torch.complex64)}, "holds a complex tensor, which no other form"),
    ])  # fmt: skip
    def test_no_numbers_that_another_form_has(self, name: str, held: Any, said: str) -> None:
        torch.save(held, self.folder / f"{name}.pth")
        text = self.sentence(diglot.convert, self.folder / f"{name}.pth", self.folder / "x.safetensors")
        self.assertIn(f"{name}.pth {said}", text)

    def test_a_file_from_before_the_archives(self) -> None:
        torch.save(PLAIN, self.first, _use_new_zipfile_serialization=False)
        diglot.convert(self.first, self.folder / "new.safetensors")
        self.same(self.folder / "new.safetensors", {**PLAIN, "brain": PLAIN["brain"].float()})

    def test_shards_as_their_library_names_them(self) -> None:
        diglot.convert(self.first, self.folder / "model.safetensors", max_shard_size="0.06KB")
        files = sorted(path.name for path in self.folder.iterdir() if path != self.first)
        self.assertEqual(files[0], "model-00001-of-00003.safetensors")
        index = json.loads((self.folder / "model.safetensors.index.json").read_text())
        self.assertEqual(set(index["weight_map"]), set(PLAIN))
        self.assertEqual(index["metadata"]["total_size"], sum(tensor.nbytes for tensor in PLAIN.values()))
        self.assertEqual(set(index["weight_map"].values()), set(files[:-1]))
        os.unlink(self.folder / files[1])
        text = self.sentence(diglot.convert, self.folder / files[-1], self.folder / "whole.pt")
        self.assertIn(f"names {files[1]} of 3 shards, not there", text)

    def test_what_keras_writes(self) -> None:
        """Its archive, its one file and its shards, into one another, and Keras loads each."""
        model = self.model()
        wanted = [np.array(weight) for weight in model.weights]
        model.save(self.folder / "a.keras")
        model.save_weights(self.folder / "own.weights.json", max_shard_size=1e-6)
        for source in ("a.keras", "own.weights.json"):
            diglot.convert(self.folder / source, self.folder / "b.weights.h5")
            diglot.convert(self.folder / "b.weights.h5", self.folder / "c.weights.json", max_shard_size="1KB")
            diglot.convert(self.folder / "c.weights.json", self.folder / "d.weights.h5")
            self.assertGreater(len(list(self.folder.glob("c_*.weights.h5"))), 1)
            for name in ("b.weights.h5", "c.weights.json", "d.weights.h5"):
                other = self.model()
                other.load_weights(self.folder / name)
                for found, array in zip(other.weights, wanted, strict=True):
                    np.testing.assert_array_equal(np.array(found), array)

    @staticmethod
    def model() -> keras.Model:
        layers = [keras.layers.Dense(20, name="one"), keras.layers.BatchNormalization(), keras.layers.Dense(3)]
        return keras.Sequential([keras.Input((10,)), *layers])

    def test_nan_is_passed_on_and_told(self) -> None:
        for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
            torch.save(
                {"bad": torch.tensor([1, float("nan")]).to(dtype), "good": torch.tensor([1e38, 3e38])}, self.first
            )
            with self.assertWarnsRegex(UserWarning, "NaN is among the numbers of bad; they were passed on"):
                diglot.convert(self.first, self.folder / "spoiled.safetensors")
        status, _, err = command(self.first, self.folder / "again.safetensors")
        self.assertEqual(
            (status, err), (0, "diglot: NaN is among the numbers of bad; they were passed on as they are\n")
        )


class OwnModels(InFolder):
    def setUp(self) -> None:
        super().setUp()
        self.tensors, self.map = users()
        diglot.convert(self.saved("user.pt"), self.folder / "user.safetensors")

    def saved(self, name: str) -> Path:
        torch.save(self.tensors, self.folder / name)
        return self.folder / name

    @parameterized.expand(
        [("pt", "weights.h5"), ("safetensors", "weights.h5"), ("safetensors", "weights.json"), ("pt", "h5")]
    )
    def test_there_and_back(self, one: str, other: str) -> None:
        there, back = self.folder / f"there.{other}", self.folder / f"back.{one}"
        limit = "1KB" if other.endswith("json") else None
        diglot.convert(self.folder / f"user.{one}", there, map=self.map, max_shard_size=limit)
        held = forms.read(there)
        assert held is not None
        arrays = {name: np.asarray(tensor) for name, tensor in held.tensors.items()}
        wanted = {name: tensor.numpy() for name, tensor in self.tensors.items()}
        np.testing.assert_array_equal(arrays["layers/conv/vars/0"], wanted["conv.weight"].transpose(2, 3, 1, 0))
        np.testing.assert_array_equal(arrays["layers/up/vars/0"], wanted["up.weight"].transpose(2, 3, 1, 0))
        down = wanted["down.weight"].reshape(3, 2, 3, 3).transpose(2, 3, 0, 1)
        np.testing.assert_array_equal(arrays["layers/down/vars/0"], down)
        head = wanted["head.weight"].reshape(7, 4, 3, 2).transpose(2, 3, 1, 0).reshape(24, 7)
        np.testing.assert_array_equal(arrays["layers/head/vars/0"], head)
        key = wanted["packed.weight"][8:16].reshape(2, 4, 8).transpose(2, 0, 1)
        np.testing.assert_array_equal(arrays["layers/key/vars/0"], key)
        np.testing.assert_array_equal(arrays["layers/lstm/vars/0"], wanted["lstm.weight_ih_l0"].T)
        both = wanted["lstm.bias_ih_l0"] + wanted["lstm.bias_hh_l0"]
        np.testing.assert_array_equal(arrays["layers/lstm/vars/1"], both)
        diglot.convert(there, back, map=self.map)
        found = load_file(back) if one == "safetensors" else torch.load(back, weights_only=True)
        del self.tensors["norm.num_batches_tracked"]
        self.assertEqual(set(found), set(self.tensors))
        for name, tensor in found.items():
            if "bias" not in name:
                self.assertTrue(torch.equal(tensor, self.tensors[name]), name)
        self.assertTrue(np.array_equal(found["lstm.bias_ih_l0"], both) and not found["lstm.bias_hh_l0"].any())

    def test_a_legacy_file_whose_layers_are_mixed(self) -> None:
        """The weights of a layer need not stand side by side in a map."""
        names = ["a/kernel", "b/kernel", "a/bias", "b/bias"]
        tensors = {name: torch.full((2, 3), float(place)) for place, name in enumerate(names)}
        torch.save(tensors, self.folder / "mixed.pt")
        piece = {name: (Piece(name, "a b"),) for name in names}
        mapping = WeightMapping(tuple(Match(name, "a b", piece[name], piece[name], "map", ("x",)) for name in names))
        diglot.convert(self.folder / "mixed.pt", self.folder / "mixed.h5", map=mapping)
        held = forms.read(self.folder / "mixed.h5")
        assert held is not None
        self.assertTrue(all(np.array_equal(held.tensors[name], tensors[name]) for name in names))

    def test_keras_loads_what_is_written(self) -> None:
        model = keras.Sequential([keras.Input((6, 6, 3)), keras.layers.Conv2D(4, (3, 5), use_bias=False, name="mine")])
        one = match("conv.weight", "height width in out", "out in height width", "height width in out",
                    "layers/conv2d/vars/0")  # fmt: skip
        rest = tuple(name for name in self.tensors if name != "conv.weight")
        mapping = WeightMapping((one,), {"torch": rest})
        diglot.convert(self.folder / "user.pt", self.folder / "conv.weights.h5", map=mapping)
        model.load_weights(self.folder / "conv.weights.h5")
        np.testing.assert_array_equal(
            np.array(model.weights[0]), self.tensors["conv.weight"].numpy().transpose(2, 3, 1, 0)
        )

    def test_large_tensors_in_slabs(self) -> None:
        """As small ones, but cut where a slab ends."""
        tensors = {
            "conv.weight": torch.randn(70, 60, 3, 3),
            "embed.weight": torch.randn(900, 50),
            "head.weight": torch.randn(300, 24),
        }
        kept = tuple(each for each in self.map.matches if each.name in tensors)
        torch.save(tensors, self.folder / "large.pt")
        for size in (1 << 10, 40_000, 1 << 25):
            with mock.patch.object(planned, "SLAB", size), mock.patch.object(streaming, "SLAB", size):
                diglot.convert(self.folder / "large.pt", self.folder / "large.weights.h5", map=WeightMapping(kept))
                diglot.convert(self.folder / "large.weights.h5", self.folder / "back.pt", map=WeightMapping(kept))
            found = torch.load(self.folder / "back.pt", weights_only=True)
            self.assertTrue(all(torch.equal(found[name], tensor) for name, tensor in tensors.items()))

    def test_what_a_map_need_not_say(self) -> None:
        """Second names of tied tensors, a model's optimizer, and the axes of a vector."""
        self.tensors |= {"tied.weight": self.tensors["embed.weight"], "vector": torch.arange(3.0)}
        vector = Match("vector", "", (Piece("vector", ""),), (Piece("layers/norm/vars/0", ""),), "map")
        mapping = WeightMapping((*self.map.matches, vector))
        diglot.convert(self.saved("tied.pt"), self.folder / "tied.weights.h5", map=mapping)
        held = forms.read(self.folder / "tied.weights.h5")
        assert held is not None
        self.assertEqual(np.asarray(held.tensors["layers/norm/vars/0"]).tolist(), [0, 1, 2])
        with h5py.File(self.folder / "tied.weights.h5", "a") as file:
            file["optimizer/vars/0"] = 3
        diglot.convert(self.folder / "tied.weights.h5", self.folder / "back.pt", map=mapping)
        self.assertEqual(torch.load(self.folder / "back.pt", weights_only=True)["vector"].tolist(), [0, 1, 2])

    def test_a_map_in_a_file(self) -> None:
        mapfile.write_map(self.folder / "map.toml", self.map)
        status, out, err = command(
            self.folder / "user.pt", self.folder / "x.weights.h5", "--map", self.folder / "map.toml"
        )
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, "^wrote .*x.weights.h5: 11 tensors, 3,384 bytes$")
        status, _, err = command(self.folder / "x.weights.h5", self.folder / "x.pt", "--map", self.folder / "map.toml")
        self.assertEqual(status, 0)
        self.assertIn("the map leaves out norm.num_batches_tracked of the target", err)
        (self.folder / "layer.toml").write_text('[rename]\n"conv" = "conv"\n')
        said = command(self.folder / "user.pt", self.folder / "y.weights.h5", "--map", self.folder / "layer.toml")
        self.assertIn("the map only renames conv, and a file does not say what its axes are, nor what a layer", said[2])
        (self.folder / "short.toml").write_text('[rename]\n"conv.weight" = "layers/conv/vars/0"\n')
        said = command(self.folder / "user.pt", self.folder / "y.weights.h5", "--map", self.folder / "short.toml")
        self.assertEqual(said[0], 2)
        self.assertIn("the map only renames conv.weight, and a file does not say what its axes are", said[2])

    def test_a_legacy_file_of_keras(self) -> None:
        """Read by its weights' whole paths, by a layer and a weight, and not written where a layer has layers."""
        for path, read in (("layer/query/kernel", True), ("layer/kernel", True), ("other/kernel", False)):
            with h5py.File(self.folder / "legacy.h5", "w") as file:
                file.attrs["layer_names"] = np.array(["layer"], "S")
                group = file.create_group("layer")
                names = [path, path.replace("query", "key")] if "query" in path else [path]
                group.attrs["weight_names"] = np.array(names, "S")
                for place, name in enumerate(names):
                    group.create_dataset(name, data=np.full((2, 3), place, np.float32))
            taken = "layer/query/kernel" if read else "third/query/kernel"
            one = Match("a", "a b", (Piece("x.weight", "b a"),), (Piece(taken, "a b"),), "map", ("x",))
            mapping = WeightMapping((one,), {"keras": ("layer/key/kernel",)})
            back = self.folder / "back.pt"
            if read:
                diglot.convert(self.folder / "legacy.h5", back, map=mapping, force=True)
                self.assertFalse(torch.load(back, weights_only=True)["x.weight"].any())
                text = self.sentence(diglot.convert, back, self.folder / "new.h5", map=mapping)
                self.assertIn("which no map says of layer/query/kernel; write .weights.h5", text)
            else:
                self.assertIn(
                    "have no third/query/kernel",
                    self.sentence(diglot.convert, self.folder / "legacy.h5", back, map=mapping, force=True),
                )

    def test_what_a_map_may_not_say(self) -> None:
        first, last = self.folder / "user.pt", self.folder / "x.weights.h5"
        some = WeightMapping(self.map.matches[:1])
        self.assertIn(
            "neither takes nor ignores down.weight, up.weight", self.sentence(diglot.convert, first, last, map=some)
        )
        wrong = match("conv.weight", "a b", "a b", "b a", "layers/conv/vars/0")
        text = self.sentence(diglot.convert, first, last, map=WeightMapping((wrong,)))
        self.assertIn("conv.weight [4, 3, 3, 5] is not 'a b', as the map says", text)
        absent = match("cnv.weight", "a", "a", "a", "layers/conv/vars/0")
        self.assertIn(
            "did you mean 'conv.weight'", self.sentence(diglot.convert, first, last, map=WeightMapping((absent,)))
        )
        parts = WeightMapping(tuple(each for each in self.map.matches if "weight_ih" in each.name)[:3])
        self.assertIn("numbers of layers/lstm/vars/0", self.sentence(diglot.convert, first, last, map=parts))
        ignoring = WeightMapping(self.map.matches, {"torch": ("conv.weigt",)})
        text = self.sentence(diglot.convert, first, last, map=ignoring)
        self.assertRegex(text, "the map ignores conv.weigt, and .* have none; did you mean 'conv.weight'")
        hole = WeightMapping((match("conv.weight", "a b c d", "a b c d", "a b c d", "layers/conv/vars/9"),))
        text = self.sentence(diglot.convert, first, last, map=hole)
        self.assertIn("the map fills layers/conv/vars/9 and not layers/conv/vars/0, which Keras would miss", text)
        self.assertIn("leads to the other", self.sentence(diglot.convert, first, self.folder / "x.bin", map=self.map))
        self.assertIn(
            "holds a model's configuration", self.sentence(diglot.convert, first, self.folder / "x.keras", map=self.map)
        )
        self.assertIn("give either it", self.sentence(diglot.convert, first, last, "resnet18", map=self.map))
        self.assertIn("not a list", self.sentence(diglot.convert, first, last, map=[]))
        self.assertEqual(sorted(os.listdir(self.folder)), ["user.pt", "user.safetensors"])


class Requests(InFolder):
    def setUp(self) -> None:
        super().setUp()
        torch.save(PLAIN, self.folder / "first.pt")

    def test_a_dry_run_prints_the_plan_and_touches_nothing(self) -> None:
        before = sorted(os.listdir(self.folder))
        status, out, err = command(
            self.folder / "first.pt", self.folder / "x.safetensors", "--dry-run", "--max-shard-size", "60"
        )
        self.assertEqual((status, err), (0, ""))
        for said in ("turned", "4 5", "BF16", "x-00001-of-00003.safetensors", "would write", "8 tensors"):
            self.assertIn(said, out)
        self.assertEqual(sorted(os.listdir(self.folder)), before)
        diglot.convert(self.folder / "first.pt", self.folder / "x.safetensors", dry_run=True)
        self.assertEqual(sorted(os.listdir(self.folder)), before)

    def test_a_destination_that_is_there(self) -> None:
        there = self.folder / "there.safetensors"
        there.write_bytes(b"mine")
        status, _, err = command(self.folder / "first.pt", there)
        self.assertEqual((status, there.read_bytes()), (2, b"mine"))
        self.assertIn("is there already, and was left as it is; choose another name, or --force", err)
        self.assertEqual(len(err.splitlines()), 1)
        self.sentence(diglot.convert, self.folder / "first.pt", there, force=False)
        self.assertEqual(command(self.folder / "first.pt", there, "--force")[0], 0)
        self.assertEqual(set(load_file(there)), set(PLAIN))
        self.assertEqual(command(self.folder / "first.pt", self.folder / "first.pt", "--force")[0], 0)
        self.assertEqual(set(torch.load(self.folder / "first.pt", weights_only=True)), set(PLAIN))

    @parameterized.expand(
        [
            ("size", ("first.pt", "x.bin", "--max-shard-size", "much"), "a shard has a size such as 500MB"),
            ("no shards", ("first.pt", "x.pt", "--max-shard-size", "9"), "shards are written as"),
            ("suffix", ("first.pt", "x.onnx"), "must end in"),
            (
                "other side",
                ("first.pt", "x.weights.h5"),
                "does not say which network it is of; give a spec (--spec), or a map (--map)",
            ),
            ("no map", ("first.pt", "x.weights.h5", "--map", "none.toml"), "none.toml"),
            ("folder", ("first.pt", "no/x.bin"), "cannot be written: No such file or directory"),
        ]
    )
    def test_bad_requests(self, case: str, words: tuple[str, ...], said: str) -> None:
        status, out, err = command(
            *(self.folder / word if "." in word and "--" not in word else word for word in words)
        )
        self.assertEqual((status, out), (2, ""))
        self.assertIn(said, err)
        self.assertEqual(len(err.splitlines()), 1)
        self.assertEqual(os.listdir(self.folder), ["first.pt"])


class Whole(InFolder):
    """The destination is complete or absent."""

    def setUp(self) -> None:
        super().setUp()
        self.first = self.folder / "first.pt"
        torch.save({f"w{number}": torch.randn(256, 1024) for number in range(6)}, self.first)

    @parameterized.expand([("x.safetensors", None), ("x.pt", None), ("x.bin", "3MB")])
    def test_what_is_read_back_is_what_was_written(self, name: str, limit: str | None) -> None:
        """A bit that flips on the way to the disk is found, and nothing is left."""
        real = containers._whole

        def flipped(file: Any, block: Any) -> None:
            real(
                file,
                np.frombuffer(bytes([block[0] ^ 1]) + bytes(block[1:]), np.uint8)
                if len(block) == containers.AT_ONCE
                else block,
            )

        class Zip(containers.zipfile.ZipFile):  # type: ignore[name-defined,misc]
            def open(self, *args: Any, **options: Any) -> Any:
                member = super().open(*args, **options)
                write = member.write
                if "data/" in member._zinfo.filename if hasattr(member, "_zinfo") else False:
                    member.write = lambda block: write(bytes([block[0] ^ 1]) + bytes(block[1:]))
                return member

        with mock.patch.object(containers, "_whole", flipped), mock.patch.object(containers.zipfile, "ZipFile", Zip):
            text = self.sentence(diglot.convert, self.first, self.folder / name, max_shard_size=limit)
        self.assertRegex(text, "was not written: read back, w0 is another")
        self.assertEqual(os.listdir(self.folder), ["first.pt"])

    def test_no_room(self) -> None:
        with mock.patch("shutil.disk_usage", return_value=mock.Mock(free=1000)):
            text = self.sentence(diglot.convert, self.first, self.folder / "x.safetensors")
        self.assertRegex(text, r"x.safetensors needs 6 MB, and .* has 0 MB left; nothing was written")
        self.assertEqual(os.listdir(self.folder), ["first.pt"])

    @parameterized.expand([("x.safetensors",), ("x.pth",), ("x.weights.h5",)])
    def test_a_disk_that_is_full_on_the_way(self, name: str) -> None:
        program = (
            "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20));"
            "from diglot.cli import main; sys.argv[0] = 'diglot'; main()"
        )
        words = [str(self.first), str(self.folder / name)]
        if name.endswith("h5"):
            words[0] = str(self.keras())
        before = sorted(os.listdir(self.folder))
        done = subprocess.run([sys.executable, "-c", program, "convert", *words], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        told = f"{name} was not written: {os.strerror(errno.EFBIG)}; what was there before is untouched"
        self.assertRegex(done.stderr, rf"^diglot: .*{told}\n$")
        self.assertEqual(sorted(os.listdir(self.folder)), before)

    def keras(self) -> Path:
        held = forms.read(self.first)
        assert held is not None
        tensors = [
            planned.Planned(f"{name}/vars/0", each.code, each.shape, (name,), each.raw)
            for name, each in held.tensors.items()
        ]
        path = self.folder / "first.weights.h5"
        writing.write(writing.Files((planned.File(path, "weights.h5", tuple(tensors)),)), [held])
        return path

    @parameterized.expand([(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_an_interruption(self, number: signal.Signals, status: int) -> None:
        program = (
            "import sys, time; from diglot.core.files import digest; folded = digest.folded\n"
            "def slow(*args):\n    print('on', flush=True); time.sleep(0.2); return folded(*args)\n"
            "digest.folded = slow; from diglot.cli import main; sys.argv[0] = 'diglot'; main()"
        )
        words = [sys.executable, "-c", program, "convert", str(self.first), str(self.folder / "x.safetensors")]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(number)
            _, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, len(err.splitlines())), (status, 1), err)
        self.assertIn("interrupted", err)
        self.assertEqual(os.listdir(self.folder), ["first.pt"])


class Cost(InFolder):
    def test_no_framework_for_a_librarys_weights(self) -> None:
        """A spec and a source, there and back; PyTorch's file and safetensors."""
        program = """
import os, sys
import diglot
os.chdir(sys.argv[1])
spec = diglot.spec("resnet_small")
diglot.save("first.safetensors", spec, diglot.initial_state(spec))
diglot.convert("first.safetensors", "theirs.pth", source="torchvision")
diglot.convert("theirs.pth", "theirs.safetensors")
diglot.convert("theirs.safetensors", "ours.safetensors", spec, "torchvision")
diglot.convert("ours.safetensors", "ours.pt")
diglot.convert("ours.pt", "last.safetensors", spec)
same = open("first.safetensors", "rb").read() == open("last.safetensors", "rb").read()
print(same, sorted({"torch", "keras", "tensorflow", "jax"} & set(sys.modules)))
"""
        done = subprocess.run(
            [sys.executable, "-c", program, str(self.folder)], capture_output=True, text=True, check=True
        )
        self.assertEqual(done.stdout, "True []\n")

    @unittest.skipUnless(os.path.exists("/proc/self/status"), "the peak is asked of Linux")
    def test_no_framework_and_flat_memory(self) -> None:
        """208 MB, of which the largest tensor has 16: PyTorch's file and safetensors into Keras's and back."""
        program = """
import os, sys
from diglot.core.files import forms, repacking, target, writing
from diglot.core.files.planned import Planned
from diglot.core.port import mapfile
from diglot.core.port.mapping import Match, WeightMapping
from diglot.core.port.piece import Piece
import numpy as np
import diglot
os.chdir(sys.argv[1])
numbers = np.arange(1 << 22, dtype=np.float32).reshape(1024, 4096)
tensors = [Planned(f"w{k}", "F32", (1024, 4096), (), plain=lambda: numbers) for k in range(13)]
writing.write(target.files(forms.Path("a.safetensors"), tensors), [])
def match(name, path):
    return Match(name, "in out", (Piece(name, "out in"),), (Piece(path, "in out", stored=path),), "map")
mapping = WeightMapping(tuple(match(f"w{k}", f"{k}/vars/0") for k in range(13)))
diglot.convert("a.safetensors", "b.weights.h5", map=mapping)
diglot.convert("b.weights.h5", "c.safetensors", map=mapping)
diglot.convert("c.safetensors", "d.pt")
diglot.convert("d.pt", "e.weights.h5", map=mapping)
diglot.convert("e.weights.h5", "f.weights.json", max_shard_size="100MB")
frameworks = sorted({"torch", "keras", "tensorflow", "jax"} & set(sys.modules))
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(frameworks, int(peak.split()[1]) * 1024)
"""
        done = subprocess.run(
            [sys.executable, "-c", program, str(self.folder)], capture_output=True, text=True, check=True
        )
        frameworks, peak = done.stdout.split()
        self.assertEqual(frameworks, "[]")
        self.assertLess(int(peak), 3 * (1 << 24) + 150_000_000)
        one, other = (forms.read(self.folder / name) for name in ("a.safetensors", "c.safetensors"))
        assert one is not None
        assert other is not None
        for name, tensor in one.tensors.items():
            self.assertEqual(digest.digest(tensor.flat()), digest.digest(other.tensors[name].flat()))


if __name__ == "__main__":
    unittest.main()
