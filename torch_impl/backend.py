"""The PyTorch side of core/backend.py's Protocol."""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ..core import registry
from ..core.backend import Call, Decoder, Run
from ..core.decoding import Uncached
from ..core.errors import StateError
from ..core.learning import Learner, Training
from ..core.noise import Noise
from ..core.recipe import Recipe
from ..core.spec import Part, Spec, Tensor
from ..core.state import State, cast
from ..core.technique import Arrays, Technique
from .attention import AttentionMap
from .decoder import CachedDecoder
from .differentiable import DifferentiableStatistics
from .initializers import initialise
from .layout import inputs_to_native, path, to_canonical, to_native
from .techniques.dropout import Dropout


def build(spec: Spec, dtype: str = "float32") -> nn.Module:
    model: nn.Module = sibling(spec).build(spec).to(getattr(torch, dtype))
    if not spec.weights():
        model.register_buffer("like", torch.empty(0, dtype=getattr(torch, dtype)), persistent=False)
    initialise(model, spec)
    return model


def sibling(spec: Spec | Technique) -> Any:
    """The module of this side that implements a spec."""
    return importlib.import_module(registry.sibling(spec, "torch"))


def parameter_count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def trained(model: nn.Module) -> set[str]:
    return {weight.name for weight, tensor in _tensors(model, spec_of(model)).items() if tensor.requires_grad}


def get_state(model: nn.Module) -> State:
    arrays = {}
    for weight, tensor in _tensors(model, spec_of(model)).items():
        arrays[weight.name] = to_canonical(as_array(tensor).copy(), weight.axes, weight.factors)
    return arrays


def set_state(model: nn.Module, state: State) -> None:
    spec = spec_of(model)
    tensors = _tensors(model, spec)
    arrays = cast(spec, state, str(_like(model).dtype).removeprefix("torch."))
    with torch.no_grad():
        for weight, tensor in tensors.items():
            array = to_native(arrays[weight.name], weight.axes, weight.factors)
            tensor.copy_(torch.from_numpy(np.require(array, requirements="CW")))


def forward(
    model: nn.Module, inputs: Arrays, *, training: bool = False, noise: Noise | None = None, taps: bool = False
) -> Run:
    spec = spec_of(model)
    calls: dict[str, Call] = {}
    with running(model, training, noise), _tapped(model, spec, calls if taps else None), torch.no_grad():
        result = model(*_inputs(model, spec, inputs))
    return Run(_named(spec, result), calls)


def decoder(model: nn.Module, inputs: Arrays, *, cache: bool = True, taps: bool = False) -> Decoder:
    spec = spec_of(model)
    if not cache:
        return Uncached(functools.partial(forward, model, taps=taps), inputs, spec.generates)
    tensors = [to_tensor(model, declared, inputs) for declared in spec.inputs() if declared.name != spec.generates]

    @contextlib.contextmanager
    def watched(calls: dict[str, Call]) -> Iterator[None]:
        with running(model, False, None), _tapped(model, spec, calls if taps else None):
            yield

    return CachedDecoder(model, tensors, watched)


def pull_back(model: nn.Module, inputs: Arrays, cotangents: Arrays) -> Arrays:
    spec = spec_of(model)
    tensors = _inputs(model, spec, inputs)
    held = _tensors(model, spec)
    sources: dict[str, tuple[Any, torch.Tensor]] = {weight.name: (weight, held[weight]) for weight in held}
    for declared, tensor in zip(spec.inputs(), tensors, strict=True):
        if tensor.is_floating_point():
            sources[declared.name] = (declared, tensor)
    before = [tensor.requires_grad for _, tensor in sources.values()]
    try:
        for _, tensor in sources.values():
            tensor.requires_grad_()
        with running(model, False, None), DifferentiableStatistics():
            outputs = _tuple(model(*tensors))
        pairs = zip(spec.outputs(), outputs, strict=True)
        value = sum((to_tensor(model, declared, cotangents) * output).sum() for declared, output in pairs)
        found = torch.autograd.grad(value, [tensor for _, tensor in sources.values()], allow_unused=True)
    finally:
        for (_, tensor), required in zip(sources.values(), before, strict=True):
            tensor.requires_grad_(required)
    return {
        name: to_canonical(as_array(gradient), declared.axes, getattr(declared, "factors", ()))
        for (name, (declared, _)), gradient in zip(sources.items(), found, strict=True)
        if gradient is not None
    }


def gradients(model: nn.Module, batch: Arrays, loss: Technique, *, noise: Noise | None = None) -> Arrays:
    spec = spec_of(model)
    tensors = _inputs(model, spec, batch)
    sources = {f"gradient of {weight.name}": (weight, tensor) for weight, tensor in trainable(model, spec).items()}
    for declared, tensor in zip(spec.inputs(), tensors, strict=True):
        if tensor.is_floating_point():
            sources[f"gradient of {declared.name}"] = (declared, tensor.requires_grad_())
    with running(model, True, noise):
        value = loss_of(model, [*tensors, to_tensor(model, spec.targets(), batch)], sibling(loss).build(loss))
        found = torch.autograd.grad(value, [tensor for _, tensor in sources.values()], allow_unused=True)
    result: Arrays = {"loss": as_array(value)}
    for (name, (declared, _)), gradient in zip(sources.items(), found, strict=True):
        if gradient is not None:
            result[name] = to_canonical(as_array(gradient), declared.axes, getattr(declared, "factors", ()))
    return result


def train(model: nn.Module, batches: Sequence[Arrays], recipe: Recipe, *, noise: Noise | None = None) -> Arrays:
    from .moving import slots

    spec = spec_of(model)
    named = trainable(model, spec)
    weights = list(named.values())
    optimizer = sibling(recipe.optimizer).build(recipe.optimizer, weights, **recipe.optimizer.told(named))
    loss = sibling(recipe.loss).build(recipe.loss)
    scheduler = sibling(recipe.schedule).build(recipe.schedule, optimizer) if recipe.schedule else None
    losses = []
    with running(model, True, noise):
        for step, batch in enumerate(batches):
            if noise is not None:
                noise.step = step
            optimizer.zero_grad()
            value = loss_of(model, [*_inputs(model, spec, batch), to_tensor(model, spec.targets(), batch)], loss)
            value.backward()
            if recipe.clip:
                clipped = sibling(recipe.clip).clip(recipe.clip, [weight.grad for weight in weights], weights)
                for weight, gradient in zip(weights, clipped, strict=True):
                    weight.grad = gradient
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            losses.append(as_array(value))
    return {"loss": np.stack(losses), **get_state(model), **slots(recipe.optimizer, optimizer, named)}


def learner(model: nn.Module, noise: Noise | None = None, training: Training | None = None) -> Learner:
    if training is None:
        return sibling(spec_of(model)).Learner(model, noise)  # type: ignore[no-any-return]
    from .learning import SupervisedLearner

    return SupervisedLearner(model, noise, training)


def replay(model: nn.Module, part: Part, inputs: Sequence[Any], cotangent: np.ndarray, noise: Noise | None) -> Arrays:
    module = model.get_submodule(part.name)
    tensors = [_tensor(model, array) for array in inputs_to_native(part, inputs)]
    sources = {f"gradient of input {i}": (part.inputs[i], tensor.requires_grad_(), part.factors)
               for i, tensor in enumerate(tensors) if tensor is not None and tensor.is_floating_point()}  # fmt: skip
    inside = {
        weight: tensor
        for weight, tensor in _tensors(model, spec_of(model)).items()
        if not part.name or weight.owner == part.name or weight.owner.startswith(f"{part.name}.")
    }
    for weight, tensor in inside.items():
        if weight.trainable:
            sources[f"gradient of {weight.name}"] = (weight.axes, tensor, weight.factors)
    result: Arrays = {}
    with running(model, False, noise), torch.no_grad():
        result |= _results(model, part, module(*tensors), "evaluation")
    with running(model, True, noise):
        given = module(*tensors)
    result |= _results(model, part, given, "training")
    output = _tuple(given)[0]
    if output.requires_grad and sources and result["training output"].shape == cotangent.shape:
        upstream = _tensor(model, to_native(cotangent, part.output, part.factors))
        leaves = [tensor for _, tensor, _ in sources.values()]
        with running(model, True, noise):
            found = torch.autograd.grad(output, leaves, upstream, allow_unused=True)
        for (name, (axes, leaf, factors)), gradient in zip(sources.items(), found, strict=True):
            filled = torch.zeros_like(leaf) if gradient is None else gradient
            result[name] = to_canonical(as_array(filled), axes, factors)
    for weight, tensor in inside.items():  # behind the backward pass, which may compute a layer again
        if not weight.trainable:
            result[weight.name] = to_canonical(as_array(tensor).copy(), weight.axes, weight.factors)
    return result


def trace(technique: Technique, case: Arrays, dtype: str = "float64") -> Arrays:
    cast = {name: array.astype(dtype) if array.dtype.kind == "f" else array for name, array in case.items()}
    result: Arrays = sibling(technique).trace(technique, cast)
    return result


def spec_of(model: nn.Module) -> Spec:
    """The spec that a model was built from. Raises StateError for any other model."""
    spec = getattr(model, "spec", None)
    if not isinstance(spec, Spec):
        raise StateError(f"{type(model).__name__} was not built by diglot.build, so it has no spec to name its weights")
    return spec


def to_tensor(model: nn.Module, declared: Tensor, arrays: Arrays) -> torch.Tensor:
    """A declared input or target out of canonical arrays, in PyTorch's layout and the model's precision."""
    result: torch.Tensor = _tensor(model, to_native(arrays[declared.name], declared.axes))
    return result


def _tensors(model: nn.Module, spec: Spec) -> dict[Any, torch.Tensor]:
    """Every tensor of the model by its weight, in a strict bijection."""
    held = {**dict(model.named_parameters(remove_duplicate=False)), **_buffers(model)}
    wanted = {path(weight): weight for weight in spec.weights()}
    known = {id(held[name]) for name in wanted if name in held}
    held = {name: tensor for name, tensor in held.items() if name in wanted or id(tensor) not in known}  # tied: once
    wrong = [f"{name} is missing" for name in wanted if name not in held]
    named = [weight.name for name, weight in wanted.items() if name not in held]
    wrong += [f"{name} is not in the spec" for name in held if name not in wanted]
    named += [name for name in held if name not in wanted]
    for name, weight in wanted.items():
        shape = to_native(np.broadcast_to(np.float32(0), weight.shape), weight.axes, weight.factors).shape
        if name in held and tuple(held[name].shape) != shape:
            wrong.append(f"{name} is {tuple(held[name].shape)} and should be {shape}")
            named.append(weight.name)
    if wrong:
        raise StateError(f"the PyTorch model of {spec.name} does not fit its spec: {'; '.join(wrong)}", tuple(named))
    return {weight: held[name] for name, weight in wanted.items()}


def _buffers(model: nn.Module) -> dict[str, torch.Tensor]:
    kept = model.state_dict(keep_vars=True)
    return {name: tensor for name, tensor in model.named_buffers() if name in kept and tensor.is_floating_point()}


def trainable(model: nn.Module, spec: Spec) -> dict[Any, torch.Tensor]:
    return {weight: tensor for weight, tensor in _tensors(model, spec).items() if weight.trainable}


def loss_of(model: nn.Module, batch: Sequence[torch.Tensor], loss: Any) -> torch.Tensor:
    """The loss on a batch of inputs with the targets behind them."""
    spec = spec_of(model)
    *inputs, targets = batch
    outputs = dict(zip([declared.name for declared in spec.outputs()], _tuple(model(*inputs)), strict=True))
    result: torch.Tensor = sum(
        weight * loss(outputs[name], spec.targets_of(name, targets)) for name, weight in spec.loss_weights().items()
    )
    return result


def _inputs(model: nn.Module, spec: Spec, arrays: Arrays) -> list[torch.Tensor]:
    return [to_tensor(model, declared, arrays) for declared in spec.inputs()]


def _named(spec: Spec, result: Any) -> Arrays:
    return {
        declared.name: to_canonical(as_array(tensor), declared.axes)
        for declared, tensor in zip(spec.outputs(), _tuple(result), strict=True)
    }


def _results(model: nn.Module, part: Part, result: Any, mode: str) -> Arrays:
    """The first output of a part, and of the network itself the others as well."""
    first = to_canonical(as_array(_tuple(result)[0]), part.output, part.factors)
    others = {} if part.name else {f"{mode} {name}": array for name, array in _named(spec_of(model), result).items()}
    return {**others, f"{mode} output": first}


def _tuple(result: Any) -> tuple[torch.Tensor, ...]:
    return result if isinstance(result, tuple) else (result,)


def _tensor(model: nn.Module, array: Any) -> Any:
    if array is None:
        return None
    like = _like(model)
    tensor = torch.from_numpy(np.ascontiguousarray(array).copy()).to(like.device)
    return tensor.to(like.dtype) if tensor.is_floating_point() else tensor


def _like(model: nn.Module) -> torch.Tensor:
    """A tensor of the model's precision and device; a model without weights was given an empty one."""
    first = next(model.parameters(), None)
    return model.get_buffer("like") if first is None else first


def as_array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


@contextlib.contextmanager
def running(model: nn.Module, training: bool, noise: Noise | None) -> Iterator[None]:
    """Evaluation or training mode, with shared draws for every dropout layer; as before afterwards."""
    before = model.training
    layers = {name: module for name, module in model.named_modules() if isinstance(module, Dropout)}
    shared = {name: layer.shared for name, layer in layers.items()}
    try:
        model.train(training)
        for name, layer in layers.items():
            layer.shared = None if noise is None else (name, noise)
        yield
    finally:
        model.train(before)
        for name, layer in layers.items():
            layer.shared = shared[name]


@contextlib.contextmanager
def _tapped(model: nn.Module, spec: Spec, calls: dict[str, Call] | None) -> Iterator[None]:
    """Record the call of every part in `calls`, in the order in which they finish."""

    def record(part: Part) -> Any:
        def hook(_: nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> None:
            inputs = tuple(
                None if tensor is None else to_canonical(as_array(tensor).copy(), axes, part.factors)
                for axes, tensor in zip(part.inputs, args, strict=False)
            )
            # A copy: the next operation may work in place.
            result = to_canonical(as_array(_tuple(output)[0]).copy(), part.output, part.factors)
            calls[part.name] = Call(inputs, result)  # type: ignore[index]

        return hook

    parts = spec.parts() if calls is not None else ()
    maps = [module for module in model.modules() if isinstance(module, AttentionMap)] if calls is not None else []
    for module in maps:
        module.explicit = True
    handles = [model.get_submodule(part.name).register_forward_hook(record(part)) for part in parts]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module in maps:
            module.explicit = False
