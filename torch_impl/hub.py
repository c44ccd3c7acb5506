"""What an address, or a name of torchvision or of the hub, stands for: a file in the framework's own cache."""

from __future__ import annotations

import re
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch

from ..core import shards
from ..core.address import cached, name_in
from ..core.errors import CheckpointError, MissingFrameworkError
from ..core.source import Source
from ..core.spec import Spec
from .foreign import SUFFIXES

HASH = re.compile(r"-([a-f0-9]{8,})\.")  # the content's own, as torchvision and timm name their files


def fetch(name: str, spec: Spec | None, source: Source) -> Any:
    """The file behind an address or a name of torchvision or of timm, by the framework's own downloader and cache.

    Raises CheckpointError where it cannot be had; None where this is no such name.
    """
    if re.fullmatch(r"\w+_Weights\.\w+", name):
        return _download(_torchvision_url(name))
    if "://" in name and not name.startswith("hf-hub:"):
        return _download(name)
    owner = "?" if source.settings else ""  # transformers' first models are in no one's name
    if re.fullmatch(rf"(hf-hub:)?([\w.-]+/){owner}[\w.-]+", name) and not name.endswith((*SUFFIXES, shards.INDEX)):
        return _hub(name.removeprefix("hf-hub:"), bool(source.settings))
    return None


def _download(url: str) -> Path:
    folder = Path(torch.hub.get_dir(), "checkpoints")
    try:
        known = HASH.search(name_in(url))
        path = folder / (name_in(url) if known else cached(url))
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), known[1] if known else None, progress=False)
    except (OSError, ValueError, RuntimeError, HTTPException) as error:
        raise CheckpointError(f"{url} could not be downloaded: {error}") from error
    return path


def _torchvision_url(name: str) -> str:
    try:
        from torchvision.models import get_weight
    except (ImportError, RuntimeError) as error:
        raise MissingFrameworkError(
            f"{name} is a name of torchvision's, which cannot be imported here: `pip install torchvision`"
        ) from error
    try:
        return str(get_weight(name).url)
    except (ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(f"torchvision knows no weights {name} ({error})") from error


def _hub(name: str, is_configured: bool) -> Path:
    """The file of weights of a model on the hub, or the index of its shards, which then lie beside it."""
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise MissingFrameworkError(
            f"{name} is not a file; as a name on the hub it needs huggingface_hub: `pip install huggingface_hub`"
        ) from error
    reasons: list[str] = []

    def had(file: str, folder: str | None = None) -> Path | None:
        try:
            return Path(hf_hub_download(name, file, **({"subfolder": folder} if folder else {})))
        except Exception as error:  # the hub has many errors of its own, most of them not OSError
            if not type(error).__name__.endswith("EntryNotFoundError"):
                raise CheckpointError(f"{name} could not be downloaded from the hub: {error}") from error
            reasons.append(str(error))
        return None

    if is_configured and had(shards.CONFIG) and had(shards.MODULES):
        had(shards.POOLING[1], shards.POOLING[0])
    path = next(filter(None, map(had, shards.FILES)), None)
    if path is None:
        raise CheckpointError(f"{name} could not be downloaded from the hub: {reasons[-1]}")
    if path.name.endswith(shards.INDEX):
        for file in shards.shards_of(path):
            if had(file) is None:
                raise CheckpointError(f"{name} could not be downloaded from the hub: {reasons[-1]}")
    return path
