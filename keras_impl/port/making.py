"""A model of the user's: made by a factory, built on its inputs, and called as they fit it."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...core.errors import InputError
from ...core.port.subject import Inputs
from ..precision import precision
from .exactly import exactly
from .naming import named
from .raising import Raised, told


def made(factory: Any, precise: bool) -> Any:
    """The model of a factory, made in float64 if it is to be precise. Raises InputError for what makes none."""
    if not callable(factory):
        raise InputError(f"{type(factory).__name__} is no Keras model: give a keras.Model or a function that makes one")
    with (
        precision("float64") if precise else contextlib.nullcontext(),
        exactly() if precise else contextlib.nullcontext(),
    ):
        try:
            model = factory()
        except Exception as error:
            name = getattr(factory, "__name__", type(factory).__name__)
            raise InputError(
                f"{name}() raised {told(error)}; give a keras.Model or a function without arguments that makes one"
            ) from error
    if not isinstance(model, keras.layers.Layer):
        name = getattr(factory, "__name__", type(factory).__name__)
        raise InputError(f"{name}() gave a {type(model).__name__} and no Keras model: give a function that makes one")
    return model


def built(model: Any, inputs: Inputs) -> None:
    """Build a model, by the inputs, that has not been built, and see that it takes them."""
    pairs = list(inputs.items() if isinstance(inputs, Mapping) else enumerate(inputs))
    given = {key: tf.convert_to_tensor(array.astype(model.compute_dtype) if array.dtype.kind == "f" else array)
            for key, array in ((key, np.asarray(array)) for key, array in pairs)}  # fmt: skip
    args, kwargs = arguments(model, given if isinstance(inputs, Mapping) else list(given.values()))
    whole = all(layer.built for layer in named(model).layers.values()) if model.built else False
    alive = Raised(named(model), False).alive() if whole else contextlib.nullcontext()
    try:
        with alive:
            model(*args, **kwargs)
    except Exception as error:
        shapes = ", ".join(str(tuple(one.shape)) for one in given.values())
        raise InputError(
            f"the Keras model {type(model).__name__} does not take inputs of the shapes {shapes}: {told(error)}"
        ) from error


def arguments(model: Any, given: Any) -> tuple[list[Any], dict[str, Any]]:
    """How the inputs go into a call of the model: one by one, as a list, as a dictionary or by name."""
    graph = model._obj_type() in ("Functional", "Sequential")
    if graph:
        return [given if isinstance(given, dict) or len(given) != 1 else given[0]], {}
    parameters = list(inspect.signature(model.call).parameters.values())
    names = [one.name for one in parameters if one.name not in ("training", "mask")]
    many = any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in parameters)
    if isinstance(given, dict):
        named = set(given) <= set(names) or any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
        return ([], given) if named else ([given], {})
    if len(given) == 1 or many or len(names) >= len(given):
        return list(given), {}
    return [list(given)], {}
