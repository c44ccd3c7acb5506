"""The models of keras.applications that have the weights of a spec."""

from __future__ import annotations

from typing import Any

import keras

from ..core.errors import CheckpointError
from ..core.source import Source
from ..core.spec import Spec
from ..core.variants import alike
from .precision import precision

SIZE = 299  # taken by every one of them, and without effect on the weights


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
