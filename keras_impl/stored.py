"""Where Keras's own file keeps each weight of our siblings, without the memory for the weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
from keras.src.backend.common import global_state
from keras.src.saving import saving_lib

from ..core.spec import Spec
from .backend import sibling
from .layout import variable
from .precision import precision

WAITING = "uninitialized_variables"


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


@contextlib.contextmanager
def _without_values() -> Iterator[None]:
    """Keras makes variables without values, and forgets afterwards that it should give them some."""
    before = list(global_state.get_global_attribute(WAITING, []))
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute(WAITING, before)


def places(spec: Spec) -> dict[str, tuple[str, str]]:
    """The path of each weight's dataset in a `.weights.h5` of a spec's model, and the name of its layer."""
    with precision("float32"), _without_values():
        model = sibling(spec).build(spec)
        model.make_variables()
        store = _Watched()
        saving_lib._save_state(model, store, None, "", set())
        return {weight.name: store.paths[id(variable(model, weight))] for weight in spec.weights()}
