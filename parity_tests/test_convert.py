"""`diglot convert` and its verb: every form from every other, and a sentence for what is none."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import zipfile
from pathlib import Path
from unittest import mock

import keras
import torch
from diglot.core.errors import DiglotError
from parameterized import parameterized

import diglot
import diglot.cli

from .files import SPEC, STATE, TENSORS, InFolder, same


class Convert(InFolder):
    def setUp(self) -> None:
        super().setUp()
        torch.save(TENSORS, self.folder / "theirs.pth")

    def command(self, *words: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.object(sys, "argv", ["diglot", "convert", *words]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            self.assertRaises(SystemExit) as left,
        ):
            diglot.cli.main()
        return int(left.exception.code or 0), out.getvalue(), err.getvalue()

    @parameterized.expand([(".safetensors",), (".pt",), (".pth",), (".weights.h5",), (".keras",)])
    def test_every_form_from_a_library_and_back(self, suffix: str) -> None:
        ours = self.folder / f"ours{suffix}"
        found = diglot.convert(self.folder / "theirs.pth", ours, "resnet_small", source="torchvision")
        self.assertEqual(found, SPEC)
        spec = None if suffix in (".safetensors", ".keras") else SPEC
        diglot.convert(ours, self.folder / "canonical.safetensors", spec)
        read, state = diglot.load(self.folder / "canonical.safetensors")
        self.assertEqual(read, SPEC)
        self.assertTrue(same({name: state[name] for name in STATE}, STATE))
        diglot.convert(self.folder / "canonical.safetensors", self.folder / "back.pth", source="torchvision")
        back = torch.load(self.folder / "back.pth", weights_only=True)
        self.assertEqual(set(back), set(TENSORS))
        self.assertTrue(all(torch.equal(back[name], TENSORS[name]) for name in TENSORS))

    def test_the_siblings_take_what_is_written(self) -> None:
        for name in ("net.pth", "net.weights.h5", "net.keras"):
            diglot.convert(self.folder / "theirs.pth", self.folder / name, SPEC, "torchvision")
        net, model = diglot.build(SPEC, "torch"), diglot.build(SPEC, "keras")
        net.load_state_dict(torch.load(self.folder / "net.pth", weights_only=True), strict=True)
        model.load_weights(self.folder / "net.weights.h5")
        for each in (net, model, keras.models.load_model(self.folder / "net.keras")):
            self.assertTrue(same(diglot.get_state(each), STATE))

    def test_float64_stays(self) -> None:
        state = {name: array.astype("float64") * (1 + 1e-12) for name, array in STATE.items()}
        diglot.save(self.folder / "wide.safetensors", SPEC, state)
        for name in ("wide.pth", "wide.weights.h5", "wide.keras"):
            diglot.convert(self.folder / "wide.safetensors", self.folder / name)
            diglot.convert(self.folder / name, self.folder / "again.safetensors", SPEC)
            self.assertTrue(same({**diglot.load(self.folder / "again.safetensors")[1]}, state))

    def test_the_command(self) -> None:
        ours, theirs = str(self.folder / "ours.weights.h5"), str(self.folder / "theirs.pth")
        status, out, err = self.command(theirs, ours, "--spec", "resnet_small", "--source", "torchvision")
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, rf"wrote {ours}: resnet, {len(STATE)} weights, [\d,]+ parameters")
        torch.save({**TENSORS, "fc.bias": torch.zeros(2), "fc.weight": TENSORS["fc.weight"][:2]}, theirs)
        words = (theirs, ours, "--spec", "resnet_small", "--source", "torchvision")
        self.assertIn("have 2 classes, and this resnet 5; load with num_classes=2", self.command(*words)[2])
        self.assertEqual(self.command(*words, "--set", "num_classes=2", "--force")[0], 0)

    @parameterized.expand(
        [
            ("no file", ("none.pth", "x.pth", "--spec", "resnet_small"), "none.pth is not a file"),
            ("no spec", ("theirs.pth", "x.pth", "--source", "torchvision"), "give a spec"),
            ("no spec for a state_dict", ("theirs.pth", "x.keras"), "give a spec"),
            ("not ours", ("theirs.pth", "x.keras", "--spec", "resnet_small"), "torchvision; give source='torchvision'"),
            ("not its", ("theirs.pth", "x.keras", "--spec", "resnet18"), "'resnet_small') with source='torchvision'"),
            ("address", ("http://x:y/a", "x.pt", "--spec", "resnet18", "--source", "timm"), "could not be downloaded"),
            ("suffix", ("theirs.pth", "x.onnx", "--spec", "resnet_small", "--source", "torchvision"), "must end in"),
            ("source", ("theirs.pth", "x.pt", "--spec", "resnet_small", "--source", "tim"), "did you mean 'timm'"),
            (
                "name",
                ("theirs.pth", "x.pt", "--spec", "resnet_smal", "--source", "timm"),
                "did you mean 'resnet_small'",
            ),
            ("field", ("theirs.pth", "x.pt", "--spec", "resnet_small", "--set", "classes"), "FIELD=VALUE"),
            ("field alone", ("theirs.pth", "x.pt", "--set", "num_classes=3"), "it needs --spec NAME"),
            ("a folder", ("theirs.pth", "no/x.pt", "--spec", "resnet_small", "--source", "timm"), "cannot be written"),
            ("variant", ("theirs.pth", "x.pt", "--spec", "resnet18", "--source", "timm"), "are those of resnet_small"),
        ]
    )
    def test_bad_requests(self, case: str, words: tuple[str, ...], said: str) -> None:
        words = tuple(str(self.folder / word) if Path(word).suffix in (".pth", ".pt", ".keras", ".onnx") else word
                      for word in words)  # fmt: skip
        status, out, err = self.command(*words)
        self.assertEqual((status, out), (2, ""))
        self.assertIn(said, err)
        self.assertEqual(len(err.splitlines()), 1)
        self.assertEqual(os.listdir(self.folder), ["theirs.pth"])

    @parameterized.expand([("net.safetensors",), ("net.bin",), ("net.h5",)])
    def test_a_librarys_file_without_its_source(self, name: str) -> None:
        """Whatever its form, the sentence says whose it is."""
        spec = diglot.spec("densenet_small", norm_epsilon=1.001e-5 if name.endswith(".h5") else 1e-5)
        source = "keras.applications" if name.endswith(".h5") else "torchvision"
        diglot.export_pretrained(spec, diglot.initial_state(spec), path := self.folder / name, source=source)
        text = self.sentence(diglot.convert, path, self.folder / "x.pt", spec)
        self.assertIn(f"are not in Diglot's own form but in that of {source}; give source='{source}'", text)
        os.truncate(path, 100)
        self.assertNotIn("give source=", self.sentence(diglot.convert, path, self.folder / "x.pt", spec))

    def test_a_model_without_its_source(self) -> None:
        text = self.sentence(diglot.convert, torch.nn.Linear(1, 1), self.folder / "x.pt", SPEC)
        self.assertIn("Linear is no file of Diglot's", text)

    def test_a_keras_file_whose_configuration_is_hostile(self) -> None:
        """The configuration is read as data: it names a spec, and nothing else in it is looked at."""
        for config in ({"module": "os", "class_name": "system"}, {"config": {"spec": "adam", "fields": {}}}, [1]):
            path = self.folder / "net.keras"
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("config.json", json.dumps(config))
                archive.writestr("model.weights.h5", b"")
            with self.assertRaises(DiglotError):
                diglot.convert(path, self.folder / "x.pth")

    def test_a_spec_that_is_not_the_files(self) -> None:
        diglot.save(path := self.folder / "net.safetensors", SPEC, STATE)
        text = self.sentence(diglot.convert, path, self.folder / "x.pt", diglot.spec("resnet18"))
        self.assertIn("holds its own spec of resnet, which is not the given one", text)
