"""Where the file of our own Keras sibling has each weight of a spec."""

from __future__ import annotations

import importlib
import json
import zipfile
from pathlib import Path
from typing import Any

from .. import backend, registry
from ..errors import SpecError
from ..spec import Spec
from .hdf5 import UNREADABLE

UNSAID = "give a spec (--spec), or a map (--map) of two models of your own"


def of_keras(spec: Spec) -> dict[str, tuple[str, str]]:
    """The path of each weight's dataset in a `.weights.h5`, and the name of its layer.

    Raises MissingFrameworkError where only Keras knows it and is not installed.
    """
    backend.load("keras")
    package = __name__.removesuffix(".core.files.layouts")
    found: dict[str, tuple[str, str]] = importlib.import_module(f"{package}.keras_impl.stored").places(spec)
    return found


def configured(path: Path) -> Spec:
    """The spec in the configuration of a .keras file, read as data: nothing that it names is imported."""
    said: Any = None
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > 1 << 26:
                raise KeyError
            said = json.loads(archive.read("config.json"))["config"]
        found = registry.make(said["spec"], **said["fields"])
    except UNREADABLE as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"{path} does not say which of Diglot's networks it is of; {UNSAID}") from error
    if not isinstance(found, Spec):
        raise SpecError(f"{path} names {said['spec']}, which is not an architecture")
    return found
