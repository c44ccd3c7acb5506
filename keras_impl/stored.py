"""Where Keras's own file keeps each weight of our siblings, without the memory for the weights."""

from __future__ import annotations

import keras
from keras.src.saving import saving_lib

from ..core.spec import Spec
from .backend import sibling
from .layout import variable
from .precision import precision


class _Watched(saving_lib.H5IOStore):
    """Looks on while Keras saves a model, and notes under which path each variable goes; nothing is written."""

    def __init__(self) -> None:
        self.paths: dict[int, tuple[str, str]] = {}
        self.path, self.layer = "", ""

    def __bool__(self) -> bool:
        return True

    def make(self, path: str, metadata: dict[str, str] | None = None) -> _Watched:
        self.path, self.layer = path, (metadata or {}).get("name", "")
        return self

    def __setitem__(self, key: str, value: object) -> None:
        self.paths[id(value)] = f"{self.path}/vars/{key}" if self.path else f"vars/{key}", self.layer


def places(spec: Spec) -> dict[str, tuple[str, str]]:
    """The path of each weight's dataset in a `.weights.h5` of a spec's model, and the name of its layer."""
    with precision("float32"), keras.StatelessScope():  # in which Keras makes variables without values
        model = sibling(spec).build(spec)
        model.make_variables()
        store = _Watched()
        saving_lib._save_state(model, store, None, "", set())
        return {weight.name: store.paths[id(variable(model, weight))] for weight in spec.weights()}
