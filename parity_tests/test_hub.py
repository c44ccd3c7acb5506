"""Addresses and names of weights, each of which is downloaded once and is never taken for another."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from typing import Any
from unittest import mock

import keras
import numpy as np
import torch
from diglot.core.errors import MissingFrameworkError
from keras.src.utils import file_utils
from parameterized import parameterized

import diglot

from . import oracle  # noqa: F401  torchvision can be imported after it
from .files import SPEC, STATE, TENSORS, InFolder, same

EPSILON = {"torchvision": 1e-5, "keras.applications": 1.001e-5}


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
        (kept,) = os.listdir(self.folder / "cache" / "checkpoints")
        self.assertRegex(kept, "^[0-9a-f]{12}_net.pth$")

    def test_an_address_with_a_hash_that_is_not_its_own(self) -> None:
        os.rename(self.folder / "net.pth", path := self.folder / "net-deadbeef.pth")
        self.assertIn("could not be downloaded: invalid hash value", self.sentence(self.read, path.as_uri()))
        self.assertEqual(os.listdir(self.folder / "cache" / "checkpoints"), [])

    @parameterized.expand([("file:///no/such/net.pth",), ("nonsense://x/net.pth",), ("http://localhost:1/net.pth",)])
    def test_an_address_that_leads_nowhere(self, url: str) -> None:
        self.assertIn(f"{url} could not be downloaded", self.sentence(self.read, url))

    def test_an_address_whose_hash_is_its_own_keeps_its_name(self) -> None:
        """So that torchvision's own cache is shared."""
        digest = hashlib.sha256((self.folder / "net.pth").read_bytes()).hexdigest()[:8]
        os.rename(self.folder / "net.pth", path := self.folder / f"net-{digest}.pth")
        self.assertTrue(same(self.read(path.as_uri()), STATE))
        self.assertEqual(os.listdir(self.folder / "cache" / "checkpoints"), [path.name])

    @parameterized.expand([("torchvision", "model.safetensors"), ("keras.applications", "model.h5")])
    def test_two_addresses_of_one_name(self, source: str, name: str) -> None:
        """Nearly every file on the hub is called model.safetensors."""
        spec = diglot.spec("densenet_small", norm_epsilon=EPSILON[source])
        paths = [self.folder / folder / name for folder in ("one", "two")]
        states = [diglot.initial_state(spec, seed) for seed in (1, 2)]
        for path, state in zip(paths, states, strict=True):
            path.parent.mkdir()
            diglot.export_pretrained(spec, state, path, source=source)
        with mock.patch.object(file_utils.config, "keras_home", return_value=str(self.folder / "keras")):
            for _ in range(2):
                for path, state in zip(paths, states, strict=True):
                    self.assertTrue(same(self.read(path.as_uri(), spec, source), state), path)

    @parameterized.expand(
        [("port", "http://x:y/a.pth"), ("brackets", "http://[x/a.pth"), ("long", f"file:///{'a' * 5000}")]
    )
    def test_a_malformed_address(self, case: str, url: str) -> None:
        self.assertIn("could not be downloaded", self.sentence(self.read, url))
        text = self.sentence(self.read, url, diglot.spec("resnet50_keras"), "keras.applications")
        self.assertIn("could not be downloaded", text)

    def test_an_empty_name(self) -> None:
        for name in ("", " "):
            self.assertIn("an empty name is no file", self.sentence(self.read, name))
            self.assertIn("an empty name is no file", self.sentence(diglot.convert, name, self.folder / "x.pt", SPEC))

    def test_names_of_torchvision(self) -> None:
        import torchvision

        with mock.patch.object(torch.hub, "download_url_to_file") as download:
            download.side_effect = lambda url, path, *_, **__: shutil.copy(self.folder / "net.pth", path)
            self.assertTrue(same(self.read("ResNet50_Weights.IMAGENET1K_V2"), STATE))
            self.assertTrue(same(self.read(torchvision.models.ResNet50_Weights.IMAGENET1K_V2), STATE))
        self.assertEqual(download.call_count, 1)
        url = "https://download.pytorch.org/models/resnet50-11ad3fa6.pth"
        self.assertEqual(download.call_args.args[:1] + download.call_args.args[2:3], (url, "11ad3fa6"))
        for name in ("ResNet50_Weights.IMAGENET9", "ResNet5_Weights.DEFAULT"):
            self.assertIn(f"torchvision knows no weights {name}", self.sentence(self.read, name))

    def test_names_of_the_hub(self) -> None:
        with mock.patch("huggingface_hub.hf_hub_download", return_value=str(self.folder / "net.pth")) as download:
            for name in ("timm/resnet50.a1_in1k", "hf-hub:timm/resnet50.a1_in1k"):
                self.assertTrue(same(self.read(name, source="timm"), STATE))
                download.assert_called_with("timm/resnet50.a1_in1k", "model.safetensors")
            download.side_effect = RuntimeError("404")
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
