"""The independent oracle: another library's own model, with random weights, and its own forward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import torch
from diglot.core import backend, compare, floor, foreign, pretrained, verdict
from diglot.core.compare import Comparison
from diglot.core.noise import generator
from diglot.core.spec import Spec, rounded
from diglot.core.state import State
from diglot.core.technique import Arrays
from diglot.keras_impl.precision import precision

import diglot

# Torchvision's own library of operators may not fit the installed PyTorch; without these two it cannot be imported.
LIBRARY = torch.library.Library("torchvision", "DEF")
LIBRARY.define("nms(Tensor a, Tensor b, float c) -> Tensor")
LIBRARY.define("qnms(Tensor a, Tensor b, float c) -> Tensor")

Forward = Callable[[Any, Arrays], Arrays]


def randomised(name: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Random values for a weight of another library, by what its name says that it is; statistics are not trivial."""
    rng = generator(seed, f"oracle {name}")
    if name.endswith(("running_var", "moving_variance")):
        return rng.uniform(0.5, 1.5, shape)
    if name.endswith(("running_mean", "moving_mean", "bias", "beta")):
        return rng.normal(0, 0.2, shape)
    if name.endswith("gamma") or len(shape) == 1:
        return rng.uniform(0.7, 1.3, shape)
    if name.endswith("kernel"):
        return rng.normal(0, np.sqrt(1.5 / np.prod(shape[:-1])), shape)
    return rng.normal(0, np.sqrt(1.5 / np.prod(shape[1:])), shape)


def randomise(model: Any, seed: int = 0) -> Any:
    """Give every weight and statistic of a live model random values, in evaluation mode and in float64.

    Its epsilons are rounded as a spec's are in every check, because TensorFlow passes Python floats through float32.
    """
    if isinstance(model, torch.nn.Module):
        for module in model.modules():
            if hasattr(module, "eps"):
                module.eps = rounded(module.eps)
        model.double().eval()
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                if tensor.is_floating_point():
                    tensor.copy_(torch.from_numpy(randomised(name, tuple(tensor.shape), seed)))
        return model
    for layer in model._flatten_layers():
        if hasattr(layer, "epsilon"):
            layer.epsilon = rounded(layer.epsilon)
    for variable in model.weights:
        variable.assign(randomised(variable.path, tuple(variable.shape), seed))
    return model


def made(build: Callable[[], Any]) -> Any:
    """A live Keras model in float64."""
    with precision("float64"):
        return build()


def theirs(model: Any, spec: Spec, inputs: Arrays) -> Arrays:
    """The library's own forward pass in evaluation mode, its outputs by the spec's names."""
    (image,) = [inputs[tensor.name] for tensor in spec.inputs()]
    if isinstance(model, torch.nn.Module):
        with torch.no_grad():
            found = model(torch.from_numpy(np.ascontiguousarray(image.transpose(0, 3, 1, 2))))
        found = found.numpy()
    else:
        found = np.asarray(model(image, training=False))
    return {spec.outputs()[0].name: found}


def linear_head(model: keras.Model) -> keras.Model:
    """A classifier of keras.applications without the softmax at its end."""
    model.layers[-1].activation = keras.activations.linear
    return model


def agreement(
    spec: Spec, model: Any, source: str, seed: int = 0, forward: Any = None, inputs: Arrays | None = None
) -> dict[str, list[Comparison]]:
    """The library's own forward pass against ours on both sides, in float64 and by measured noise floors.

    `model` is a live model of the library in float64 (`made`), which is randomised here, and whose weights have moved
    by a unit in the end. `forward(model, spec, inputs)` gives its outputs by name where it returns more than one array.
    Every output that it names is compared. `inputs` are drawn where they are not given.
    """
    forward = forward or theirs
    spec = spec.rounded()
    randomise(model, seed)
    state = diglot.load_pretrained(spec, model, source=source)
    inputs = inputs or {tensor.name: array for tensor, array in zip(spec.inputs(), batch(spec, seed), strict=True)}
    base, moves = forward(model, spec, inputs), moved(state, inputs, 3 * seed)
    diglot.export_pretrained(spec, moves[0][0], model, source=source)
    floors = [floor.movement(base, forward(model, spec, moves[0][1]))]
    ours = {}
    for side, shift in zip(("torch", "keras"), moves[1:], strict=True):
        network = diglot.build(spec, side, "float64")
        ours[side] = run(side, network, state, inputs, base)
        floors.append(floor.movement(ours[side], run(side, network, *shift, base)))
    least = floor.larger(floor.larger(floors[0], floors[1]), floors[2])
    names = {"torch": "PyTorch", "keras": "Keras"}
    blind = [
        compare.failed(name, "it hardly depends on the input") for name in base if is_blind(base[name], least[name])
    ]
    return {side: blind or compare.every(base, ours[side], least, sides=(source, names[side])) for side in ours}


def is_blind(output: np.ndarray, least: float) -> bool:
    """Whether two images give the same output but for noise, so that the comparison could not fail."""
    return not verdict.is_seen(float(np.max(np.abs(output[1] - output[0]))) / least)


def batch(spec: Spec, seed: int) -> list[np.ndarray]:
    """Inputs of exactly the spec's sizes, two of each."""
    drawn = spec.drawn(generator(seed, "oracle"), 2)
    return [drawn[tensor.name] for tensor in spec.inputs()]


def moved(state: State, inputs: Arrays, seed: int) -> list[tuple[State, Arrays]]:
    """State and inputs moved by one unit in the last place, by three sets of coins."""
    return [(floor.moved(state, seed + coins), floor.moved(inputs, seed + coins)) for coins in range(3)]


def run(side: str, network: Any, state: State, inputs: Arrays, like: Arrays) -> Arrays:
    """Our forward pass, and of its outputs those that the library has."""
    diglot.set_state(network, state)
    outputs = backend.load(side).forward(network, inputs).outputs
    return {name: outputs[name] for name in like}


def returned(spec: Spec, model: Any, other: Any, source: str, seed: int = 0) -> list[Comparison]:
    """The way back: a second live model is given the first one's weights, and then holds the same bits."""
    randomise(model, seed)
    diglot.export_pretrained(spec, diglot.load_pretrained(spec, model, source=source), other, source=source)
    reader = pretrained.side_of(foreign.table(spec, source))
    return compare.bitwise(*[positional(reader.arrays_of(each)) for each in (model, other)])


def positional(arrays: Arrays) -> Arrays:
    """Keras numbers the layers of a second model on, so weights are compared in their order."""
    kept = [array for name, array in arrays.items() if not name.endswith("num_batches_tracked")]
    return {str(number): array for number, array in enumerate(kept)}
