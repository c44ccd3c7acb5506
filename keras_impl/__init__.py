"""The Keras side, on TensorFlow. Importing it registers every class with Keras's own saving and loading."""

from __future__ import annotations

import importlib
import os
import pkgutil

from ..core.errors import MissingFrameworkError

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

try:
    import keras
    import tensorflow as tf  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingFrameworkError(
        f"the keras side needs {error.name}: install it with `pip install 'diglot[keras]'`"
    ) from error

if keras.backend.backend() != "tensorflow":
    raise MissingFrameworkError(
        f"the keras side runs on TensorFlow, and Keras was started on {keras.backend.backend()}: "
        "set KERAS_BACKEND=tensorflow before anything imports keras"
    )

from . import architectures, techniques

for _folder in (architectures, techniques):
    for _module in pkgutil.iter_modules(_folder.__path__):
        importlib.import_module(f"{_folder.__name__}.{_module.name}")
