"""The name of the file behind an address in a framework's cache."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import urlparse


def name_in(url: str) -> str:
    """The last part of an address. Raises ValueError for one that is malformed."""
    return Path(urlparse(url).path).name


def cached(url: str) -> str:
    """A name that is of this address alone: half of all files on the hub are called model.safetensors."""
    return f"{hashlib.sha256(url.encode()).hexdigest()[:12]}_{name_in(url)}"
