"""Files, addresses and hub names of other libraries, in and out; bad files are one sentence, and execute nothing."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
import types
import unittest
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import h5py
import keras
import numpy as np
import torch
from diglot.core import compare
from diglot.core.architectures.mlp import MLP
from diglot.core.errors import DiglotError, MissingFrameworkError
from diglot.core.foreign import from_canonical
from diglot.core.source import Source
from diglot.core.verdict import Verdict
from parameterized import parameterized
from safetensors.torch import save_file

import diglot
import diglot.cli

from . import oracle

SPEC = diglot.spec("resnet_small")
STATE = diglot.initial_state(SPEC, 1)
TENSORS = {
    name: torch.from_numpy(np.ascontiguousarray(array))
    for name, array in from_canonical(SPEC, SPEC.SOURCES["torchvision"], STATE).items()
}
# A Keras library of one small network, so that every kind of file is quick; its one constructor is named as a preset.
FIELDS: dict[str, Any] = {"input_shape": (3,), "hidden_dims": (2, 4), "output_dim": 2, "batch_norm": True}
TABLE = Source("keras", (("hidden.{i}.dense", "dense#"), ("hidden.{i}.norm", "batch_normalization#"), ("head", "out")))
MLP_SPEC = diglot.spec("mlp", **FIELDS)
MLP_STATE = diglot.initial_state(MLP_SPEC, 2)
BOMB = """
import pathlib
class Trap:
    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path({path!r}),)
"""


def same(one: Any, other: Any) -> bool:
    return all(item.verdict is Verdict.EQUAL for item in compare.bitwise(one, other))


def little(**options: Any) -> keras.Model:
    """The small library's network."""
    x = inputs = keras.layers.Input((3,))
    for units in (2, 4):
        x = keras.layers.BatchNormalization()(keras.layers.Dense(units)(x))
    return keras.Model(inputs, keras.layers.Dense(2, name="out")(x))


class InFolder(unittest.TestCase):
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


class Keras(InFolder):
    model: ClassVar[keras.Model]

    def setUp(self) -> None:
        super().setUp()
        patches: list[Any] = [
            mock.patch.object(MLP, "SOURCES", {"little": TABLE}),
            mock.patch.dict(MLP.PRESETS, {"mlp_small": FIELDS}),
            mock.patch.object(keras.applications, "MLPSmall", little, create=True),
        ]
        for patch in patches:
            patch.start()
            self.addCleanup(patch.stop)
        self.model = little()
        diglot.export_pretrained(MLP_SPEC, MLP_STATE, self.model, source="little")

    def read(self, origin: Any) -> Any:
        return diglot.load_pretrained(MLP_SPEC, origin, source="little")

    def test_live(self) -> None:
        self.assertTrue(same(self.read(self.model), MLP_STATE))
        self.assertTrue(np.array_equal(self.model.get_layer("out").kernel, MLP_STATE["head.kernel"]))

    @parameterized.expand([("net.h5",), ("net.keras",), ("net.weights.h5",)])
    def test_kerass_own_files(self, name: str) -> None:
        path = self.folder / name
        with contextlib.redirect_stderr(io.StringIO()):
            self.model.save_weights(path) if "weights" in name else self.model.save(path)
        self.assertTrue(same(self.read(path), MLP_STATE))
        self.assertTrue(same(self.read(str(path)), MLP_STATE))

    @parameterized.expand([("net.h5",), ("net.keras",), ("net.weights.h5",)])
    def test_the_librarys_model_takes_what_is_written(self, name: str) -> None:
        path = self.folder / name
        diglot.export_pretrained(MLP_SPEC, MLP_STATE, path, source="little")
        self.assertTrue(same(self.read(path), MLP_STATE))
        other = little()
        other.load_weights(path)
        self.assertTrue(same(self.read(other), MLP_STATE))
        self.assertEqual(os.listdir(self.folder), [name])

    def test_a_spec_that_the_library_has_no_model_of(self) -> None:
        path = self.folder / "net.h5"
        with mock.patch.dict(MLP.PRESETS, clear=True):
            diglot.export_pretrained(MLP_SPEC, MLP_STATE, path, source="little")
            self.assertTrue(same(self.read(path), MLP_STATE))
            text = self.sentence(
                diglot.export_pretrained, MLP_SPEC, MLP_STATE, self.folder / "net.weights.h5", source="little"
            )
        self.assertIn("only a legacy .h5 can hold its names", text)
        self.assertEqual(os.listdir(self.folder), ["net.h5"])

    def test_a_file_that_lost_its_names(self) -> None:
        """Keras 3 did not always keep them. Then the order is all that there is, and Keras knows it."""
        path = self.folder / "net.weights.h5"
        self.model.save_weights(path)
        with h5py.File(path, "a") as file:
            file.visititems(lambda _, group: group.attrs.pop("name", None) and None)
        with self.assertWarnsRegex(UserWarning, "does not keep the names of its layers: read in the order"):
            self.assertTrue(same(self.read(path), MLP_STATE))
        with mock.patch.dict(MLP.PRESETS, clear=True):
            self.assertIn("has no model of this spec to read it by order", self.sentence(self.read, path))

    def test_old_names_of_weights(self) -> None:
        """`dense/kernel:0` within a group, and layers that a previous model has numbered on."""
        with h5py.File(path := self.folder / "net.h5", "w") as file:
            held: dict[str, dict[str, np.ndarray]] = {}
            for name, array in from_canonical(MLP_SPEC, TABLE, MLP_STATE).items():
                stem, _, rest = name.partition("#")
                name = f"{stem}_{9 + int(rest[0])}{rest[1:]}" if rest else name
                held.setdefault(name.rpartition("/")[0], {})[f"{name}:0"] = array
            for chunk, names in enumerate((["dropout"], list(reversed(held)))):
                file.attrs[f"layer_names{chunk}"] = np.array(names, "S")
            file.create_group("dropout").attrs["weight_names"] = np.array([], "S1")
            for layer, arrays in held.items():
                group = file.create_group(layer)
                group.attrs["weight_names"] = np.array(list(arrays), "S")
                for name, array in arrays.items():
                    group.create_dataset(name, data=array)
        self.assertTrue(same(self.read(path), MLP_STATE))

    def test_a_damaged_file_at_any_length(self) -> None:
        for name in ("net.weights.h5", "net.keras"):
            diglot.export_pretrained(MLP_SPEC, MLP_STATE, whole := self.folder / name, source="little")
            content = whole.read_bytes()
            for length in (0, 4, 100, len(content) // 2, len(content) - 1):
                (path := self.folder / f"cut_{name}").write_bytes(content[:length])
                self.assertIn(str(path), self.sentence(self.read, path))

    def test_links_out_of_a_file_are_refused(self) -> None:
        secret = self.folder / "secret.h5"
        diglot.export_pretrained(MLP_SPEC, MLP_STATE, secret, source="little")
        for link in (h5py.ExternalLink(str(secret), "/out/out/kernel:0"), h5py.SoftLink("/dense/dense/bias:0")):
            path = self.folder / "net.h5"
            shutil.copy(secret, path)
            with h5py.File(path, "a") as file:
                del file["out/out/kernel:0"]
                file["out/out/kernel:0"] = link
            self.assertIn("nothing of its own at out/kernel:0", self.sentence(self.read, path))

    def test_a_dataset_in_another_file_is_refused(self) -> None:
        diglot.export_pretrained(MLP_SPEC, MLP_STATE, path := self.folder / "net.h5", source="little")
        (self.folder / "raw").write_bytes(bytes(100))
        with h5py.File(path, "a") as file:
            del file["out/out/bias:0"]
            file.create_dataset("out/out/bias:0", (2,), "f4", external=[(str(self.folder / "raw"), 0, 8)])
        self.assertIn("keeps no plain numbers of its own", self.sentence(self.read, path))

    def test_archives_that_are_none_of_keras(self) -> None:
        path = self.folder / "net.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("other", "x")
        self.assertIn("is a file of PyTorch", self.sentence(self.read, path))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("model.weights.h5", bytes(10**7))
        self.assertIn("would unpack to more than", self.sentence(self.read, path))
        with h5py.File(path := self.folder / "empty.h5", "w"):
            pass
        self.assertIn("holds no weights of Keras layers", self.sentence(self.read, path))

    def test_bad_targets(self) -> None:
        for path in (self.folder / "net.pth", self.folder / "no" / "net.h5", self.folder):
            self.sentence(diglot.export_pretrained, MLP_SPEC, MLP_STATE, path, source="little")
        self.assertEqual(os.listdir(self.folder), [])

    def test_two_layers_of_one_name(self) -> None:
        inner = [keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(3, name="same")]) for _ in range(2)]
        text = self.sentence(self.read, keras.Sequential([keras.layers.Input((3,)), *inner]))
        self.assertIn("two layers of the model", text)

    def test_a_live_model_of_another_shape(self) -> None:
        x = keras.layers.Input((3,))
        other = keras.Model(x, keras.layers.Dense(2, name="out")(x))
        self.assertIn("missing: dense#0/kernel", self.sentence(self.read, other))


class Names(InFolder):
    """Addresses and hub names go to the framework's own downloader, and into its cache."""

    def setUp(self) -> None:
        super().setUp()
        cache = mock.patch.object(torch.hub, "get_dir", return_value=str(self.folder / "cache"))
        cache.start()
        self.addCleanup(cache.stop)
        torch.save(TENSORS, self.folder / "net.pth")

    def read(self, origin: Any, spec: Any = SPEC, source: str = "torchvision") -> Any:
        return diglot.load_pretrained(spec, origin, source=source)

    def test_an_address_is_fetched_once(self) -> None:
        url = (self.folder / "net.pth").as_uri()
        self.assertTrue(same(self.read(url), STATE))
        os.remove(self.folder / "net.pth")
        self.assertTrue(same(self.read(url), STATE))
        self.assertEqual(os.listdir(self.folder / "cache" / "checkpoints"), ["net.pth"])

    def test_an_address_with_a_hash_that_is_not_its_own(self) -> None:
        os.rename(self.folder / "net.pth", path := self.folder / "net-deadbeef.pth")
        self.assertIn("could not be downloaded: invalid hash value", self.sentence(self.read, path.as_uri()))
        self.assertEqual(os.listdir(self.folder / "cache" / "checkpoints"), [])

    @parameterized.expand([("file:///no/such/net.pth",), ("nonsense://x/net.pth",), ("http://localhost:1/net.pth",)])
    def test_an_address_that_leads_nowhere(self, url: str) -> None:
        self.assertIn(f"{url} could not be downloaded", self.sentence(self.read, url))

    def test_names_of_torchvision(self) -> None:
        with mock.patch.object(torch.hub, "download_url_to_file") as download:
            download.side_effect = lambda url, path, *_, **__: shutil.copy(self.folder / "net.pth", path)
            self.assertTrue(same(self.read("ResNet50_Weights.IMAGENET1K_V2"), STATE))
        url = "https://download.pytorch.org/models/resnet50-11ad3fa6.pth"
        self.assertEqual(download.call_args.args[:1] + download.call_args.args[2:3], (url, "11ad3fa6"))
        for name in ("ResNet50_Weights.IMAGENET9", "ResNet5_Weights.DEFAULT"):
            self.assertIn(f"torchvision knows no weights {name}", self.sentence(self.read, name))

    def test_names_of_the_hub(self) -> None:
        hub = types.ModuleType("huggingface_hub")
        hub.hf_hub_download = mock.Mock(return_value=str(self.folder / "net.pth"))  # type: ignore[attr-defined]
        with mock.patch.dict(sys.modules, {"huggingface_hub": hub}):
            for name in ("timm/resnet50.a1_in1k", "hf-hub:timm/resnet50.a1_in1k"):
                self.assertTrue(same(self.read(name, source="timm"), STATE))
                hub.hf_hub_download.assert_called_with("timm/resnet50.a1_in1k", "model.safetensors")
            hub.hf_hub_download.side_effect = RuntimeError("404")
            self.assertIn(
                "could not be downloaded from the hub: 404", self.sentence(self.read, "timm/x", source="timm")
            )
        with (
            mock.patch.dict(sys.modules, {"huggingface_hub": None}),
            self.assertRaises(MissingFrameworkError) as caught,
        ):
            self.read("timm/resnet50.a1_in1k", source="timm")
        self.assertIn("pip install huggingface_hub", str(caught.exception))

    def test_keras(self) -> None:
        applications = {"source": "keras.applications", "spec": "resnet50_keras"}
        with mock.patch.object(keras.utils, "get_file", side_effect=Exception("404")):
            text = self.sentence(self.read, "https://x.org/a.h5", **applications)
            self.assertIn("https://x.org/a.h5 could not be downloaded: 404", text)
        with mock.patch.object(keras.applications, "ResNet50", side_effect=Exception("404")) as made:
            self.assertIn("imagenet could not be downloaded: 404", self.sentence(self.read, "imagenet", **applications))
        self.assertEqual(made.call_args.kwargs, {"weights": "imagenet", "include_top": True, "classes": 1000})
        other = diglot.spec("resnet50_keras", num_classes=10)
        text = self.sentence(self.read, "imagenet", other, "keras.applications")
        self.assertIn("keras.applications has no imagenet weights for this resnet", text)

    def test_keras_imagenet(self) -> None:
        """The real constructor of the real network, but for its weights; through a legacy file and back."""
        spec = diglot.spec("resnet50_keras")
        build = keras.applications.ResNet50
        model = build(weights=None)
        with mock.patch.object(keras.applications, "ResNet50", return_value=model):
            state = self.read("imagenet", spec, "keras.applications")
        diglot.export_pretrained(spec, state, path := self.folder / "net.h5", source="keras.applications")
        again = build(weights=None)
        again.load_weights(path)
        pairs = zip(model.weights, again.weights, strict=True)
        self.assertTrue(all(np.array_equal(one.numpy(), two.numpy()) for one, two in pairs))
        with mock.patch.object(keras.utils, "get_file", return_value=str(path)):
            self.assertTrue(same(self.read("https://x.org/net.h5", spec, "keras.applications"), state))


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
        self.assertIn("resnet_small with 2 classes", self.command(*words)[2])
        self.assertEqual(self.command(*words, "--set", "num_classes=2")[0], 0)

    @parameterized.expand(
        [
            ("no file", ("none.pth", "x.pth", "--spec", "resnet_small"), "none.pth is not a file"),
            ("no spec", ("theirs.pth", "x.pth", "--source", "torchvision"), "give a spec"),
            ("no spec for a state_dict", ("theirs.pth", "x.keras"), "give a spec"),
            ("not ours", ("theirs.pth", "x.keras", "--spec", "resnet_small"), "extra: layer2.0.downsample.0.weight"),
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
