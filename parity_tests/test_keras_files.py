"""Files of Keras's libraries, old and new, in and out; bad files are one sentence, and execute nothing."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar
from unittest import mock

import h5py
import keras
import numpy as np
from diglot.core.architectures.mlp import MLP
from diglot.core.field import whole
from diglot.core.files import hdf5
from diglot.core.foreign import from_canonical
from diglot.core.parts import dense
from diglot.core.source import Source
from diglot.core.spec import Init, Part, Spec
from diglot.core.state import initial_state
from parameterized import parameterized

import diglot

from .files import InFolder, same

# A Keras library of one small network, so that every kind of file is quick; its one constructor is named as a preset.
FIELDS: dict[str, Any] = {"input_shape": (3,), "hidden_dims": (2, 4), "output_dim": 2, "batch_norm": True}
TABLE = Source("keras", (("hidden.{i}.dense", "dense#"), ("hidden.{i}.norm", "batch_normalization#"), ("head", "out")))
MLP_SPEC = diglot.spec("mlp", **FIELDS)
MLP_STATE = diglot.initial_state(MLP_SPEC, 2)


def little(**options: Any) -> keras.Model:
    """The small library's network."""
    x = inputs = keras.layers.Input((3,))
    for units in (2, 4):
        x = keras.layers.BatchNormalization()(keras.layers.Dense(units)(x))
    return keras.Model(inputs, keras.layers.Dense(2, name="out")(x))


@dataclass(frozen=True, kw_only=True)
class Headed(Spec):
    """A network of two dense layers, of which the head may be left away."""

    num_classes: int = whole(3, least=0)

    SOURCES: ClassVar[dict[str, Source]] = {"headed": Source("keras", (("body", "dense#"), ("fc", "predictions")))}
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"headed": {}}

    def parts(self) -> Iterator[Part]:
        yield dense("body", 3, 4, Init("xavier_uniform"))
        if self.num_classes:
            yield dense("fc", 4, self.num_classes, Init("xavier_uniform"))


def headed(include_top: bool = True, classes: int = 1000, **options: Any) -> keras.Model:
    """The library's network of it."""
    x = keras.layers.Dense(4)(inputs := keras.layers.Input((3,)))
    return keras.Model(inputs, keras.layers.Dense(classes, name="predictions")(x) if include_top else x)


class WithoutHead(InFolder):
    """A network without classes takes what there is of a file with a head, as transfer learning needs it."""

    @parameterized.expand([("net.h5",), ("net.keras",), ("net.weights.h5",), ("legacy.h5",), ("nameless.weights.h5",)])
    def test_every_kind_of_file(self, name: str) -> None:
        path, model = self.folder / name, headed()
        state = initial_state(Headed(num_classes=1000), 4)
        diglot.export_pretrained(Headed(num_classes=1000), state, model, source="headed")
        with contextlib.redirect_stderr(io.StringIO()):
            if name == "legacy.h5":
                diglot.export_pretrained(Headed(num_classes=1000), state, path, source="headed")
            else:
                model.save_weights(path) if "weights" in name else model.save(path)
        with (
            h5py.File(path, "a") if "nameless" in name else contextlib.nullcontext() as file,
            mock.patch.object(keras.applications, "Headed", headed, create=True),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", UserWarning)
            if file is not None:
                file.visititems(lambda _, group: group.attrs.pop("name", None) and None)
                file.close()
            read = diglot.load_pretrained(Headed(num_classes=0), path, source="headed")
        self.assertTrue(same(read, {key: state[key] for key in ("body.kernel", "body.bias")}))


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

    def test_several_weights_of_one_name_in_a_layer(self) -> None:
        """Keras itself writes such files of attention, of what is bidirectional, and of a model within a model."""
        inputs = keras.Input((4, 6))
        attended = keras.layers.MultiHeadAttention(2, 3, name="mha")(inputs, inputs)
        both = keras.layers.Bidirectional(keras.layers.GRU(2), name="both")(attended)
        last = keras.Sequential([keras.layers.Dense(3, name="only")], name="last")(both)
        model = keras.Model(inputs, last)
        with contextlib.redirect_stderr(io.StringIO()):
            model.save(path := self.folder / "net.h5")
        held = hdf5.read(path).tensors
        paths = {weight.path: np.asarray(weight) for weight in model.weights}
        renamed = {name.replace("last/", "last/only/"): np.asarray(stored) for name, stored in held.items()}
        self.assertEqual(set(renamed), set(paths))
        self.assertTrue(all(np.array_equal(renamed[name], array) for name, array in paths.items()))

    def test_a_damaged_file_at_any_length(self) -> None:
        for name in ("net.weights.h5", "net.keras"):
            diglot.export_pretrained(MLP_SPEC, MLP_STATE, whole := self.folder / name, source="little")
            content = whole.read_bytes()
            for length in (0, 4, 100, len(content) // 2, len(content) - 1):
                (path := self.folder / f"cut_{name}").write_bytes(content[:length])
                self.assertIn(str(path), self.sentence(self.read, path))

    @parameterized.expand([("layer_names",), ("weight_names",)])
    def test_names_that_are_none(self, name: str) -> None:
        for value in (3, "dense", 1.5):
            diglot.export_pretrained(MLP_SPEC, MLP_STATE, path := self.folder / "net.h5", source="little")
            with h5py.File(path, "a") as file:
                group = file if name == "layer_names" else file["out"]
                group.attrs[name] = value
            self.assertIn(f"has no list of names in {name}", self.sentence(self.read, path))
            shutil.copy(path, path := self.folder / "net.weights.h5")
            text = self.sentence(diglot.convert, path, self.folder / "x.pt", MLP_SPEC)
            self.assertIn(f"has no list of names in {name}", text)

    def test_groups_that_are_linked_again_and_again(self) -> None:
        """Thirty groups, each with two links to the next one, would be a thousand million."""
        with h5py.File(path := self.folder / "net.weights.h5", "w") as file:
            group = file
            for _ in range(30):
                group = group.create_group("a")
                group.parent["b"] = group
        self.assertIn("holds one group twice, again at", self.sentence(self.read, path))
        with h5py.File(path, "w") as file:
            file["round"] = file
        self.assertIn("holds one group twice, again at round", self.sentence(self.read, path))

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
