"""What an address or `imagenet` stands for, and the models of keras.applications that have the weights of a spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from ..core.address import cached
from ..core.errors import CheckpointError, DiglotError
from ..core.source import Source
from ..core.spec import Spec
from ..core.variants import alike
from .precision import precision

SIZE = 299  # taken by every one of them, and without effect on the weights


def fetch(name: str, spec: Spec | None, source: Source) -> Any:
    """The file behind an address, or keras.applications' model with its `imagenet` weights, by Keras's own downloader.

    Raises CheckpointError where it cannot be had; None where this is no such name.
    """
    try:
        if name == "imagenet" and spec is not None:
            return library(spec, source, "float32", "imagenet")
        if "://" in name:
            return Path(keras.utils.get_file(cached(name), name, cache_subdir="models"))
    except Exception as error:  # Keras raises a plain Exception where a download fails
        if isinstance(error, DiglotError):
            raise
        raise CheckpointError(f"{name} could not be downloaded: {error}") from error
    return None


def library(spec: Spec, source: Source, dtype: str, weights: str | None = None) -> Any:
    """The model of keras.applications that has this spec's weights, or None. Its name is that of a preset.

    With `weights`, Keras downloads them. Raises CheckpointError where there are none for the spec.
    """
    names = {preset.removesuffix("_keras").replace("_", "") for preset in alike(spec, source)}
    known = [getattr(keras.applications, name) for name in dir(keras.applications) if name.lower() in names]
    known = [constructor for constructor in known if callable(constructor)]
    classes, channels = spec.fields().get("num_classes", 0), spec.fields().get("in_channels", 3)
    if weights and (not known or channels != 3 or classes not in (0, 1000)):
        raise CheckpointError(f"keras.applications has no {weights} weights for this {spec.name}")
    if not known:
        return None
    options: dict[str, Any] = {"classes": classes} if classes else {}
    if not weights:
        options["input_shape"] = (SIZE, SIZE, channels)
    with precision(dtype):
        return known[0](weights=weights, include_top=bool(classes), **options)
