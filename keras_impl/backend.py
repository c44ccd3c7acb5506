"""The Keras side of core/backend.py's Protocol."""

from __future__ import annotations

import contextlib
import functools
import importlib
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..core import registry
from ..core.backend import Call, Decoder, Run
from ..core.decoding import Uncached
from ..core.errors import StateError
from ..core.learning import Learner, Training
from ..core.noise import Noise
from ..core.recipe import Recipe
from ..core.spec import Part, Spec, Tensor, Weight
from ..core.state import State, cast
from ..core.technique import Arrays, Technique
from .attention import AttentionMap
from .decoder import CachedDecoder
from .exact import constant
from .initializers import initialise
from .layout import layer, variable
from .model import SpecModel, undrawn
from .precision import precision
from .steps import Steps, as_written
from .techniques.dropout import Dropout

STEPS: weakref.WeakKeyDictionary[keras.Model, tuple[Any, Steps]] = weakref.WeakKeyDictionary()
LEARNER = "_learner"  # a model's own, which holds the model: kept where Keras tracks nothing, so that both can go


def build(spec: Spec, dtype: str = "float32") -> keras.Model:
    with precision(dtype):
        model: SpecModel = sibling(spec).build(spec)
        with undrawn(model):
            model.make_variables()
        initialise(model, spec)
    return model


def sibling(spec: Spec | Technique) -> Any:
    """The module of this side that implements a spec."""
    return importlib.import_module(registry.sibling(spec, "keras"))


def parameter_count(model: keras.Model) -> int:
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def trained(model: keras.Model) -> set[str]:
    given = {id(found) for found in model.trainable_variables}
    return {weight.name for weight, found in _variables(model, spec_of(model)).items() if id(found) in given}


def get_state(model: keras.Model) -> State:
    return {weight.name: as_array(found) for weight, found in _variables(model, spec_of(model)).items()}


def set_state(model: keras.Model, state: State) -> None:
    spec = spec_of(model)
    variables = _variables(model, spec)
    arrays = cast(spec, state, model.variable_dtype)
    for weight, found in variables.items():
        found.assign(arrays[weight.name])


def forward(
    model: keras.Model, inputs: Arrays, *, training: bool = False, noise: Noise | None = None, taps: bool = False
) -> Run:
    spec = spec_of(model)
    calls: dict[str, Call] = {}
    with running(model, noise), _tapped(model, spec, calls if taps else None):
        result = model(*_inputs(model, spec, inputs), training=training)
    return Run(_named(spec, result), calls)


def decoder(model: keras.Model, inputs: Arrays, *, cache: bool = True, taps: bool = False) -> Decoder:
    spec = spec_of(model)
    if not cache:
        return Uncached(functools.partial(forward, model, taps=taps), inputs, spec.generates)
    tensors = [to_tensor(model, declared, inputs) for declared in spec.inputs() if declared.name != spec.generates]

    @contextlib.contextmanager
    def watched(calls: dict[str, Call]) -> Iterator[None]:
        with running(model, None), _tapped(model, spec, calls if taps else None):
            yield

    return CachedDecoder(model, tensors, watched, eager=taps)


def pull_back(model: keras.Model, inputs: Arrays, cotangents: Arrays) -> Arrays:
    spec = spec_of(model)
    with running(model, None):
        tensors = _inputs(model, spec, inputs)
        sources = {weight.name: found.value for weight, found in _variables(model, spec).items()}
        for declared, tensor in zip(spec.inputs(), tensors, strict=True):
            if tensor.dtype.is_floating:
                sources[declared.name] = tensor
        with tf.GradientTape() as tape:
            tape.watch(list(sources.values()))
            outputs = _tuple(model(*tensors, training=False))
        given = [to_tensor(model, declared, cotangents) for declared in spec.outputs()]
        found = tape.gradient(outputs, list(sources.values()), given)
    pairs = zip(sources, found, strict=True)
    return {name: as_array(tf.convert_to_tensor(gradient)) for name, gradient in pairs if gradient is not None}


def gradients(model: keras.Model, batch: Arrays, loss: Technique, *, noise: Noise | None = None) -> Arrays:
    spec = spec_of(model)
    with running(model, noise):
        tensors = _inputs(model, spec, batch)
        sources = {f"gradient of {weight.name}": found.value for weight, found in trainable(model, spec).items()}
        for declared, tensor in zip(spec.inputs(), tensors, strict=True):
            if tensor.dtype.is_floating:
                sources[f"gradient of {declared.name}"] = tensor
        with tf.GradientTape() as tape:
            tape.watch(list(sources.values()))
            targets = to_tensor(model, spec.targets(), batch)
            value = loss_of(model, [*tensors, targets], sibling(loss).build(loss))
        found = tape.gradient(value, list(sources.values()))
    given = {name: gradient for name, gradient in zip(sources, found, strict=True) if gradient is not None}
    result = {name: as_array(tf.convert_to_tensor(gradient)) for name, gradient in given.items()}
    return {"loss": as_array(value), **result}


def train(model: keras.Model, batches: Sequence[Arrays], recipe: Recipe, *, noise: Noise | None = None) -> Arrays:
    from .moving import slots

    spec = spec_of(model)
    named = trainable(model, spec)
    weights = list(named.values())
    steps = _steps(model, weights, recipe, noise)
    losses = []
    with running(model, steps.noise), as_written():
        steps.restart()
        for step, batch in enumerate(batches):
            if steps.noise is not None:
                steps.noise.step = step
            losses.append(as_array(steps.take(*_inputs(model, spec, batch), to_tensor(model, spec.targets(), batch))))
    return {"loss": np.stack(losses), **get_state(model), **slots(recipe.optimizer, steps.optimizer, named)}


def _steps(model: keras.Model, weights: Sequence[Any], recipe: Recipe, noise: Noise | None) -> Steps:
    """The steps of a recipe, of which a model keeps the last."""
    key = recipe, None if noise is None else noise.seed
    if model not in STEPS or STEPS[model][0] != key:
        with running(model, None):
            told = recipe.optimizer.told(trainable(model, spec_of(model)))
            optimizer = sibling(recipe.optimizer).build(recipe.optimizer, weights, **told)
            if recipe.schedule:
                sibling(recipe.schedule).build(recipe.schedule, optimizer)
            loss = sibling(recipe.loss).build(recipe.loss)
        clip = recipe.clip and functools.partial(sibling(recipe.clip).clip, recipe.clip)
        STEPS[model] = key, Steps(model, weights, functools.partial(loss_of, loss=loss), optimizer, clip, noise)
    return STEPS[model][1]


def learner(model: keras.Model, noise: Noise | None = None, training: Training | None = None) -> Learner:
    """The learner of a model. Of its spec's own training a model keeps the last, with the graphs traced for it."""
    if training is not None:
        from .learning import SupervisedLearner

        return SupervisedLearner(model, noise, training)
    key = None if noise is None else noise.seed
    kept, found = vars(model).get(LEARNER, (None, None))
    if found is not None and kept == key:
        found.restart()
    else:
        found = sibling(spec_of(model)).Learner(model, noise)
        vars(model)[LEARNER] = key, found
    return found  # type: ignore[no-any-return]


def replay(model: keras.Model, part: Part, inputs: Sequence[Any], cotangent: np.ndarray, noise: Noise | None) -> Arrays:
    alone = layer(model, part.name)
    tensors = [_tensor(model, array) for array in inputs]
    sources = {f"gradient of input {i}": tensor for i, tensor in enumerate(tensors)
               if tensor is not None and tensor.dtype.is_floating}  # fmt: skip
    inside = {
        weight: found
        for weight, found in _variables(model, spec_of(model)).items()
        if not part.name or weight.owner == part.name or weight.owner.startswith(f"{part.name}.")
    }
    sources |= {f"gradient of {weight.name}": found.value for weight, found in inside.items() if weight.trainable}
    result: Arrays = {}
    with running(model, noise):
        mode = {"training": False} if alone._call_has_training_arg else {}
        result |= _results(model, part, alone(*tensors, **mode), "evaluation")
        mode = {"training": True} if alone._call_has_training_arg else {}
        with tf.GradientTape() as tape:
            tape.watch(list(sources.values()))
            given = alone(*tensors, **mode)
    result |= _results(model, part, given, "training")
    output = _tuple(given)[0]
    if output.dtype.is_floating and sources and tuple(output.shape) == cotangent.shape:
        with running(model, noise):
            found = tape.gradient(output, list(sources.values()), _tensor(model, cotangent))
        for (name, leaf), gradient in zip(sources.items(), found, strict=True):
            result[name] = as_array(tf.zeros_like(leaf) if gradient is None else tf.convert_to_tensor(gradient))
    for weight, found in inside.items():  # behind the backward pass, which may compute a layer again
        if not weight.trainable:
            result[weight.name] = as_array(found).copy()
    return result


def trace(technique: Technique, case: Arrays, dtype: str = "float64") -> Arrays:
    cast = {name: array.astype(dtype) if array.dtype.kind == "f" else array for name, array in case.items()}
    with precision(dtype):
        result: Arrays = sibling(technique).trace(technique, cast)
    return result


def spec_of(model: keras.Model) -> Spec:
    """The spec that a model was built from. Raises StateError for any other model."""
    spec = getattr(model, "spec", None)
    if not isinstance(spec, Spec):
        raise StateError(f"{type(model).__name__} was not built by diglot.build, so it has no spec to name its weights")
    return spec


def to_tensor(model: keras.Model, declared: Tensor, arrays: Arrays) -> tf.Tensor:
    """A declared input or target out of canonical arrays, in the model's precision."""
    return _tensor(model, arrays[declared.name])


def _variables(model: keras.Model, spec: Spec) -> dict[Weight, Any]:
    """Every variable of the model by its weight, in a strict bijection."""
    result, wrong, named = {}, [], []
    for weight in spec.weights():
        try:
            result[weight] = variable(model, weight)
        except (AttributeError, IndexError, KeyError):
            wrong.append(f"{weight.name} is missing")
            named.append(weight.name)
            continue
        if tuple(result[weight].shape) != weight.shape:
            wrong.append(f"{weight.name} is {tuple(result[weight].shape)} and should be {weight.shape}")
            named.append(weight.name)
    wanted = {id(found) for found in result.values()}
    if extra := [found for found in model.weights if id(found) not in wanted]:
        owners = {id(found): name for name, item in walk(model) for found in item.weights}  # the innermost comes last
        wrong += [f"{found.path} is not in the spec" for found in extra]
        named += [f"{owners.get(id(found), '')}.{found.name}" for found in extra]
    if wrong:
        raise StateError(f"the Keras model of {spec.name} does not fit its spec: {'; '.join(wrong)}", tuple(named))
    return result


def trainable(model: keras.Model, spec: Spec) -> dict[Weight, Any]:
    return {weight: found for weight, found in _variables(model, spec).items() if weight.trainable}


def loss_of(model: keras.Model, batch: Sequence[Any], loss: Any, training: bool = True) -> Any:
    """The loss on a batch of inputs with the targets behind them."""
    spec = spec_of(model)
    *inputs, targets = batch
    outputs = _tuple(model(*inputs, training=training))
    outputs = dict(zip([declared.name for declared in spec.outputs()], outputs, strict=True))
    return sum(constant(weight, outputs[name]) * loss(spec.targets_of(name, targets), outputs[name])
               for name, weight in spec.loss_weights().items())  # fmt: skip


def _named(spec: Spec, result: Any) -> Arrays:
    return {declared.name: as_array(tensor) for declared, tensor in zip(spec.outputs(), _tuple(result), strict=True)}


def _results(model: keras.Model, part: Part, result: Any, mode: str) -> Arrays:
    """The first output of a part, and of the network itself the others as well."""
    others = {} if part.name else {f"{mode} {name}": array for name, array in _named(spec_of(model), result).items()}
    return {**others, f"{mode} output": as_array(_tuple(result)[0])}


def _tuple(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def _inputs(model: keras.Model, spec: Spec, arrays: Arrays) -> list[Any]:
    return [to_tensor(model, declared, arrays) for declared in spec.inputs()]


def _tensor(model: keras.Model, array: Any) -> Any:
    if array is None:
        return None
    return tf.convert_to_tensor(array, dtype=model.variable_dtype if array.dtype.kind == "f" else None)


def as_array(tensor: Any) -> np.ndarray:
    return np.asarray(tf.convert_to_tensor(tensor).numpy())


@contextlib.contextmanager
def running(model: keras.Model, noise: Noise | None) -> Iterator[None]:
    """In the model's own precision, with shared draws for every dropout layer; as before afterwards."""
    found = [item for item in model._flatten_layers() if isinstance(item, Dropout)]
    names = {id(item): name for name, item in walk(model)} if found and noise is not None else {}
    shared = [item.shared for item in found]
    try:
        for item in found:
            item.shared = None if noise is None else (names[id(item)], noise)
        with precision(model.variable_dtype):
            yield
    finally:
        for item, before in zip(found, shared, strict=True):
            item.shared = before


def walk(item: Any, name: str = "") -> Iterator[tuple[str, keras.layers.Layer]]:
    """Every layer with its attribute path, from a layer's public attributes and their lists."""
    yield name, item
    for key, value in vars(item).items():
        if key.startswith("_"):
            continue
        path = f"{name}.{key}" if name else key
        if isinstance(value, keras.layers.Layer):
            yield from walk(value, path)
        elif isinstance(value, list | tuple):
            for index, entry in enumerate(value):
                if isinstance(entry, keras.layers.Layer):
                    yield from walk(entry, f"{path}.{index}")


@contextlib.contextmanager
def _tapped(model: keras.Model, spec: Spec, calls: dict[str, Call] | None) -> Iterator[None]:
    """Record the call of every part in `calls`, in the order in which they finish.

    Keras has no hooks, so each layer's `call` is shadowed on the instance for the time being.
    """

    def shadow(part: Part, call: Any) -> Any:
        def recorded(*args: Any, **options: Any) -> Any:
            output = call(*args, **options)
            inputs = tuple(None if value is None else as_array(value) for value in args[: len(part.inputs)])
            calls[part.name] = Call(inputs, as_array(_tuple(output)[0]))  # type: ignore[index]
            return output

        return recorded

    found = [
        (vars(layer(model, part.name)), layer(model, part.name).call, part)
        for part in spec.parts()
        if calls is not None
    ]
    before = [attributes.get("call") for attributes, _, _ in found]
    maps = [item for item in model._flatten_layers() if isinstance(item, AttentionMap)] if calls is not None else []
    try:
        for item in maps:
            item.explicit = True
        for attributes, call, part in found:
            attributes["call"] = shadow(part, call)
        yield
    finally:
        for (attributes, _, _), call in zip(found, before, strict=True):
            attributes.pop("call", None)
            if call is not None:
                attributes["call"] = call
        for item in maps:
            item.explicit = False
