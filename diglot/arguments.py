"""What a verb is given, held against what it takes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any


def architecture(spec: Any, verb: str) -> None:
    """Refuse what is not the spec of an architecture."""
    from .core.errors import SpecError
    from .core.spec import Spec

    if not isinstance(spec, Spec):
        raise SpecError(f"{verb} takes the spec of an architecture, from diglot.spec(NAME), not {spec!r}")


def named(spec: Any, verb: str) -> Any:
    """The spec of an architecture, which may be given by its name."""
    from .core import registry

    found = registry.make(spec) if isinstance(spec, str) else spec
    architecture(found, verb)
    return found


def mapping(state: Any) -> dict[str, Any]:
    """A state as a dictionary."""
    from .core.errors import StateError

    if not isinstance(state, Mapping):
        raise StateError(f"a state is a mapping from weight names to arrays, not a {type(state).__name__}")
    return dict(state)


def side_of(model: Any) -> Any:
    """The back end of a live model's framework."""
    from .core import backend
    from .core.errors import StateError

    torch, keras = sys.modules.get("torch"), sys.modules.get("keras")
    if torch is not None and isinstance(model, torch.nn.Module):
        return backend.load("torch")
    if keras is not None and isinstance(model, keras.Model):
        return backend.load("keras")
    raise StateError(f"{type(model).__name__} is neither a PyTorch module nor a Keras model")
