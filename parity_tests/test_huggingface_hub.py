"""Names of the hub: what is asked for, and what is not."""

from __future__ import annotations

import os
import shutil
from unittest import mock

from parameterized import parameterized

import diglot

from .files import same
from .huggingface import SPECS, STATES, Files

INDEX = "model.safetensors.index.json"


class Hub(Files):
    """Names of the hub, with a stand-in for its downloader."""

    def setUp(self) -> None:
        super().setUp()
        self.asked: list[str] = []
        self.cache = self.folder / "cache"
        patch = mock.patch("huggingface_hub.hf_hub_download", self.downloaded)
        patch.start()
        self.addCleanup(patch.stop)

    def downloaded(self, name: str, file: str, subfolder: str = "") -> str:
        self.asked.append(f"{name}:{subfolder}/{file}".replace(":/", ":"))
        if name == "no/one":
            raise RuntimeError("401: there is no no/one")
        if not (self.folder / subfolder / file).is_file():
            raise type("RemoteEntryNotFoundError", (Exception,), {})(f"404: {name} has no {file}")
        (self.cache / subfolder).mkdir(parents=True, exist_ok=True)
        shutil.copy(self.folder / subfolder / file, self.cache / subfolder / file)
        return str(self.cache / subfolder / file)

    @parameterized.expand([("bert-base-uncased",), ("google-bert/bert-base-uncased",), ("hf-hub:a/b.c",)])
    def test_a_name(self, name: str) -> None:
        self.saved("bert")
        self.assertTrue(same(self.read("bert", name), STATES["bert"]))
        name = name.removeprefix("hf-hub:")
        self.assertEqual(
            self.asked, [f"{name}:{file}" for file in ("config.json", "modules.json", "model.safetensors")]
        )
        self.assertEqual(diglot.pretrained_spec(name, source="huggingface"), SPECS["bert"])

    def test_shards(self) -> None:
        self.saved("bert", size="4KB")
        self.assertTrue(same(self.read("bert", "big/model"), STATES["bert"]))
        self.assertIn("big/model:model-00001-of-00002.safetensors", self.asked)

    def test_shards_elsewhere_are_not_asked_for(self) -> None:
        self.saved("bert", size="4KB")
        self.rewritten(INDEX, weight_map={"a": "../../secret.safetensors"})
        self.assertIn("no shard in its own folder", self.sentence(self.read, "bert", "big/model"))
        self.assertFalse([name for name in self.asked if "secret" in name])

    def test_sentences(self) -> None:
        self.sentences("bert", "Normalize", pooling_mode_mean_tokens=True)
        found = diglot.pretrained_spec("sentence-transformers/all-MiniLM-L6-v2", source="huggingface")
        self.assertEqual(found, SPECS["minilm"])
        self.assertIn("sentence-transformers/all-MiniLM-L6-v2:1_Pooling/config.json", self.asked)

    def test_what_is_not_there(self) -> None:
        self.assertIn("no/one could not be downloaded from the hub: 401", self.sentence(self.read, "bert", "no/one"))
        self.assertEqual(len(self.asked), 1)
        self.assertIn("could not be downloaded from the hub: 404: a has no", self.sentence(self.read, "bert", "a"))
        self.saved("bert", size="4KB")
        os.remove(self.folder / "model-00002-of-00002.safetensors")
        self.assertIn("404: a has no model-00002-of-00002", self.sentence(self.read, "bert", "a"))
        for name in ("none.safetensors", "none.bin", f"none/{INDEX}"):
            self.assertIn("is not a file", self.sentence(self.read, "bert", name))
