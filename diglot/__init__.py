"""Diglot: each neural network once as a spec and twice as code, in PyTorch and in Keras, proven to be the same.

Every verb here is a few lines; the work is done in `diglot.core`. Nothing is imported before it is needed.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core.data import Data
    from .core.history import History
    from .core.port.handover import HandedOver
    from .core.port.mapping import WeightMapping
    from .core.recipe import Recipe
    from .core.results import Report
    from .core.spec import Hyperparameters, Spec
    from .core.technique import Optimizer

__all__ = [
    "Data",
    "History",
    "Recipe",
    "build",
    "check",
    "compare",
    "convert",
    "export_pretrained",
    "fit",
    "generate",
    "get_state",
    "hand_over",
    "initial_state",
    "load",
    "load_pretrained",
    "optimizer_state",
    "outputs",
    "pretrained_spec",
    "resize",
    "save",
    "set_optimizer_state",
    "set_state",
    "spec",
    "specs",
    "taps",
    "techniques",
    "transfer",
]
__version__ = "0.1.0"
CLASSES = {"Data": "data", "History": "history", "Recipe": "recipe"}


def __getattr__(name: str) -> Any:
    if name not in CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".core.{CLASSES[name]}", __name__), name)


def spec(name: str, /, **fields: Any) -> Any:
    """The spec of this name or preset, a frozen dataclass, with any field overridden.

    Raises SpecError for an unknown name (with the nearest ones), an unknown field, or a value against its rule.
    """
    from .core import registry

    return registry.make(name, **fields)


def specs() -> tuple[str, ...]:
    """The names of the architectures and of their presets."""
    from .core import registry

    owners = registry.architectures()
    return (*owners, *(name for name, (owner, _) in registry.presets().items() if owner in owners))


def techniques() -> tuple[str, ...]:
    """The names of the training techniques and of their presets."""
    from .core import registry

    owners = registry.techniques()
    return (*owners, *(name for name, (owner, _) in registry.presets().items() if owner in owners))


def build(spec: Spec, side: str, dtype: str = "float32") -> Any:
    """An ordinary model: a `torch.nn.Module` (side `torch`) or a built `keras.Model` (side `keras`).

    Raises MissingFrameworkError, with the extra to install, where the side's framework is missing.
    """
    from .core import backend
    from .core.errors import SpecError

    _of_architecture(spec, "build")
    if dtype not in ("float32", "float64"):
        raise SpecError(f"dtype must be float32 or float64, not {dtype!r}")
    return backend.load(side).build(spec, dtype)


def initial_state(spec: Spec, seed: int = 0) -> dict[str, Any]:
    """The canonical state that training starts from, `{name: float32 array}`, channels last, drawn by the seed."""
    from .core import state

    _of_architecture(spec, "initial_state")
    return state.initial_state(spec, seed)


def get_state(model: Any) -> dict[str, Any]:
    """The canonical state of a model that `build` made, `{name: array}`."""
    return _side_of(model).get_state(model)


def set_state(model: Any, state: Mapping[str, Any]) -> None:
    """Copy a canonical state into a model that `build` made.

    Raises StateError that names every missing, extra and misshapen weight; the model is then as before.
    """
    _side_of(model).set_state(model, _mapping(state))


def save(path: str | os.PathLike[str], spec: Spec, state: Mapping[str, Any]) -> None:
    """Write a spec and its state to a safetensors file, complete or not at all.

    Raises StateError where the two do not fit, and CheckpointError where the file cannot be written.
    """
    from .core import checkpoint

    _of_architecture(spec, "save")
    checkpoint.save(path, spec, _mapping(state))


def load(path: str | os.PathLike[str]) -> tuple[Spec, dict[str, Any]]:
    """The spec and the state of a file that `save` wrote.

    Raises CheckpointError for a missing, truncated or foreign file; nothing is loaded in part.
    """
    from .core import checkpoint

    return checkpoint.load(path)


def load_pretrained(spec: str | Spec, origin: Any, *, source: str) -> dict[str, Any]:
    """The canonical state out of another library's weights: a live model, a file, a folder, an address or a hub name.

    `source` is `torchvision`, `timm`, `keras.applications` or `huggingface`, whichever the spec names. A folder is one
    that its library wrote, with the weights whole or in shards.
    Raises SpecError for an unknown source or a configuration that is not the spec's, CheckpointError for a bad file,
    and StateError where the weights are those of another variant.
    """
    from .core import pretrained

    return pretrained.load(_named(spec, "load_pretrained"), origin, source)


def pretrained_spec(origin: Any, *, source: str, **fields: Any) -> Spec:
    """The spec of another library's weights that come with a configuration: a live model, a folder or a hub name.

    Any field may be overridden. Raises SpecError where nothing says which network it is, or where there is no spec for
    it, and CheckpointError for a bad file.
    """
    from .core import described

    return described.spec_of(origin, source, **fields)


def export_pretrained(spec: str | Spec, state: Mapping[str, Any], target: Any, *, source: str) -> None:
    """The way back: write a canonical state as another library's weights, into a live model or a file.

    Raises SpecError for an unknown source, StateError where state and spec or model do not fit, and CheckpointError
    where the file cannot be written.
    """
    from .core import pretrained

    pretrained.export(_named(spec, "export_pretrained"), _mapping(state), target, source)


def resize(
    spec: str | Spec, state: Mapping[str, Any], image_size: int, *, method: str = "bicubic", antialias: bool = True
) -> tuple[Any, dict[str, Any]]:
    """A network of images and its canonical state for another image size, so that both sides are built from the same.

    Learned positions are resampled, `bicubic` or `bilinear`, with or without `antialias`; the rest stays as it is.
    Raises SpecError where the network cannot have this size, and StateError where spec and state do not fit.
    """
    from .core import state as states
    from .core.errors import SpecError
    from .core.vision import ImageSpec

    spec, state = _named(spec, "resize"), _mapping(state)
    if not isinstance(spec, ImageSpec):
        raise SpecError(f"resize takes a network whose image_size can be changed, and {spec.name} is none")
    states.fit(spec, state)
    return spec.resized(state, image_size, method=method, antialias=antialias)


def outputs(model: Any, inputs: Any) -> dict[str, Any]:
    """The outputs of a model that `build` made by their names in the spec, in evaluation mode.

    `inputs` are as `taps` takes them. Of an encoder with `hidden_states`, `hidden_states.0` and so on are among them.
    Raises InputError where an input is missing or cannot be used.
    """
    from .core import inputs as given

    side = _side_of(model)
    return dict(side.forward(model, given.named(side.spec_of(model), inputs)).outputs)


def taps(model: Any, inputs: Any) -> dict[str, Any]:
    """Every intermediate result of a model that `build` made, `{part name: array}`, in evaluation mode.

    `inputs` are arrays by name, or one array for a network of one input; all arrays are in the canonical layout,
    channels last. Parts come in the order in which they finish; `blocks.0.attention.map` is an attention map.
    Raises SpecError where an input is missing or has other axes than declared.
    """
    from .core import inputs as given

    side = _side_of(model)
    arrays = given.named(side.spec_of(model), inputs)
    return {name: call.output for name, call in side.forward(model, arrays, taps=True).calls.items()}


def generate(
    model: Any,
    inputs: Any,
    *,
    max_new_tokens: int,
    strategy: str = "greedy",
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    num_beams: int = 4,
    length_penalty: float = 0.6,
    start_token_id: int | None = None,
    end_token_id: int | None = None,
    pad_token_id: int | None = None,
    seed: int = 0,
    cache: bool = True,
) -> Any:
    """Tokens that a model goes on with, int64, (batch, time): the same ones from both sides of one state.

    `inputs` are prompts of one length, which the result begins with. Where there is an encoder they are its `source`,
    and the result is the target without the `start_token_id` that it starts from. Each row is complete behind its
    `end_token_id`, and filled up with `pad_token_id` (or with the end token again) where others are longer. The three
    are the spec's own where it has them. `diglot.core.decoding.Decoding` says what the options mean; without `cache`
    the whole network runs for each token.

    Raises SpecError for an option against its rule, and InputError for a model that does not generate, tokens that it
    does not have, padding in a prompt, or more tokens than it takes in a row.
    """
    from .core import generation

    return generation.generate(
        _side_of(model),
        model,
        inputs,
        cache=cache,
        max_new_tokens=max_new_tokens,
        strategy=strategy,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        num_beams=num_beams,
        length_penalty=length_penalty,
        start_token_id=start_token_id,
        end_token_id=end_token_id,
        pad_token_id=pad_token_id,
        seed=seed,
    )


def fit(
    model: Any,
    data: Data,
    recipe: Recipe,
    *,
    epochs: int,
    batch_size: int,
    seed: int = 0,
    folder: str | os.PathLike[str] | None = None,
    shared: bool = False,
    watch: int = 0,
    tensorboard: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> History:
    """Train any model of either framework, with all techniques of a recipe at once, and give the numbers of it.

    The samples' order and every augmentation are drawn by `seed`, the same in both frameworks; with `shared`, so are
    the dropout masks of a model that `build` made. With a `folder`, a checkpoint is written after every epoch, and the
    same call goes on after an interruption, to the same bits. Every `watch` steps the gradient flow and the dead units
    are noted, if the recipe has them. All that is noted also goes to event files in the folder `tensorboard`, if there
    is one. The model ends with the averaged weights, or those of the best epoch, where the recipe says so.

    Raises SpecError and InputError for a request that cannot be met, before anything is changed; CheckpointError for a
    folder that holds another training; TrainingError where the loss or a gradient is not finite: the last checkpoint is
    then still there.
    """
    package = _side_of(model).__name__.rpartition(".")[0]
    trainer = importlib.import_module(f"{package}.trainer")
    options = {"epochs": epochs, "batch_size": batch_size, "seed": seed, "folder": folder, "shared": shared}
    told = {"watch": watch, "tensorboard": tensorboard, "progress": progress}
    found: History = trainer.fit(model, data, recipe, **options, **told)
    return found


def optimizer_state(model: Any, optimizer: Any, spec: Optimizer, schedule: Any = None) -> dict[str, Any]:
    """The canonical state of an optimizer of a model that `build` made: `SLOT of WEIGHT`, and `step`, the steps taken.

    `spec` is that of the optimizer. In PyTorch give the `schedule` too, if there is one; Keras's are in the optimizer.
    Raises StateError for an optimizer of other weights, or one without a state.
    """
    return _moving(model, "optimizer_state", optimizer, spec, schedule=schedule)


def set_optimizer_state(
    model: Any, optimizer: Any, spec: Optimizer, state: Mapping[str, Any], schedule: Any = None
) -> None:
    """Copy a canonical state into an optimizer of either framework, so that the training goes on as it would have.

    `spec` is that of the optimizer. In PyTorch a new `schedule` is taken to the same step.
    Raises StateError that names every missing, extra and misshapen slot; all is then as before.
    """
    _moving(model, "set_optimizer_state", optimizer, spec, _mapping(state), schedule=schedule)


def convert(
    src: Any,
    dst: str | os.PathLike[str],
    spec: str | Spec | None = None,
    source: str | None = None,
    *,
    map: Any = None,
    max_shard_size: int | str | None = None,
    dry_run: bool = False,
    force: bool = True,
) -> Spec | None:
    """Write a checkpoint in another form, complete or not at all, and return its spec. `dst`'s suffix says which form.

    `.safetensors` is the canonical one, `.weights.h5` and `.keras` are our Keras sibling's, `.pt`, `.pth` and `.bin`
    our PyTorch sibling's. With a `source`, `src` is that library's file, folder or model; where `src` is a canonical
    file, `dst` becomes that library's. A configuration beside `src` stands for the spec.

    With a `map`, the path of a file or a `WeightMapping`, the two files are of a user's own two models. Without a map,
    a spec and a source, a file goes into another of the same framework (`.pt`, `.pth`, `.bin` and plain `.safetensors`;
    `.weights.h5`, `.weights.json` and out of `.keras`) under the same names. Both return None.

    One tensor is in memory at a time, and what was written is read back before it is moved to `dst`. Above
    `max_shard_size`, such as `"500MB"`, there are shards and an index. With `dry_run` all is checked and nothing
    written. A file that is there is replaced, unless `force` is false.

    Raises SpecError where a spec is needed and not given, CheckpointError for a bad file or suffix, and StateError
    where the weights are those of another variant or do not fit the map.
    """
    from .core import convert as conversion

    found, mapping = None if spec is None else _named(spec, "convert"), conversion.mapping_of(map)
    return conversion.convert(src, dst, found, source, mapping, max_shard_size, dry_run, force)


def check(
    names: str | Hyperparameters | Sequence[str | Hyperparameters] | None = None,
    *,
    checks: str | Sequence[str] | None = None,
    dtypes: str | Sequence[str] = ("float64", "float32"),
    seed: int = 0,
    workers: int | None = None,
) -> Report:
    """Check that both sides of specs, presets or techniques are the same; None is all of them.

    The name of a spec stands for its small presets. `workers` above 1 runs the cells in processes of their own.
    Raises SpecError for an unknown name or check, and MissingFrameworkError where a side is not installed.
    """
    from .core import runner

    return runner.run(runner.plan(names, checks, dtypes, seed), workers=workers)


def compare(
    torch_model: Any,
    keras_model: Any,
    inputs: Any,
    *,
    torch_inputs: Any = None,
    torch_outputs: Sequence[str | int] | Mapping[str | int, str] | None = None,
    keras_outputs: Sequence[str | int] | Mapping[str | int, str] | None = None,
    map: Any = None,
    ignore: Sequence[str] = (),
    checks: str | Sequence[str] | None = None,
    steps: int = 3,
    seed: int = 0,
) -> Report:
    """Compare two models of your own: are they the same, and if not, at which layer do they part, and why?

    Each model is an instance, or a factory without arguments, which is called anew in float64. Both are compared on
    copies: yours are never changed. `inputs` are one array, a list, or arrays by name, in Keras's layout; they are
    permuted for PyTorch where its layers want it. `torch_inputs` are given instead where that does not fit. Outputs go
    together by name or else by order: `torch_outputs` and `keras_outputs` give another order, by name or by place, or,
    as {name: layout}, how PyTorch's lie: `same`, `channels` (behind the batch) or `time` (before the batch).

    Weights are matched by what they hold, by names, roles, shapes and order of execution; `report.mapping` says which
    was taken for which. `map` settles what is ambiguous: {PyTorch's name: Keras's name}, or a file that was written by
    `diglot compare --write-map`. A weight without a partner is an error unless `ignore` names it or a pattern of it.

    There are four checks. `weights`: do the two hold the same numbers, each where it belongs? Of factories, which draw
    weights of their own, that is only noted. The other checks are of copies with PyTorch's weights in both. `forward`:
    outputs in evaluation mode. `gradients`: of every weight and input. `training`: losses and weights after `steps`
    steps of plain gradient descent in training mode. `report.cells` has one for each, with the layer at fault and the
    cause; `report.findings` every matched layer, with its accumulated and its local error; `report.notes` what else to
    know.

    Raises InputError for what is no model or no input of it, StateError for weights that cannot be matched, and
    MissingFrameworkError where a framework is not installed.
    """
    from .core.port import comparing

    return comparing.compare(
        torch_model,
        keras_model,
        inputs,
        torch_inputs=torch_inputs,
        torch_outputs=torch_outputs,
        keras_outputs=keras_outputs,
        map=map,
        ignore=ignore,
        checks=checks,
        steps=steps,
        seed=seed,
    )


def transfer(
    source_model: Any,
    target_model: Any,
    map: Any = None,
    *,
    inputs: Any = None,
    torch_inputs: Any = None,
    ignore: Sequence[str] = (),
) -> WeightMapping:
    """Copy the weights and buffers of your own model into one of the other framework, and say which went where.

    Either way, in place, all of them or none; bitwise where both hold the same type. Where the target's type is
    narrower, as float32 is for float64 and bfloat16 for float32, numbers are rounded once, and `settled` of the
    mapping says how many weights were. Both models are live and run only where `inputs` are given (as `compare` takes
    them, with `torch_inputs`): what feeds what then decides which layer is which, and in which order a flattened
    feature map lies. Without them, layers are taken in the order in which the models hold them, and names where they
    tell. `map` and `ignore` are those of `compare`.

    Raises StateError for weights without a counterpart, or of which nothing tells which is which; InputError for what
    is no model, and where only a run tells how a feature map is flattened; SpecError for two models of one framework.
    """
    from .core.port import transferring

    return transferring.transfer(
        source_model, target_model, map, inputs=inputs, torch_inputs=torch_inputs, ignore=ignore
    )


def hand_over(
    source_model: Any,
    source_optimizer: Any,
    target_model: Any,
    target_optimizer: Any = None,
    map: Any = None,
    *,
    inputs: Any = None,
    torch_inputs: Any = None,
    source_schedule: Any = None,
    target_schedule: Any = None,
    ignore: Sequence[str] = (),
    accept: str | Sequence[str] = (),
) -> HandedOver:
    """Let a half-finished training of your own model go on in the other framework, as it would have gone on in its own.

    Weights and buffers go over as `transfer` moves them; so do the optimizer's slots, each in its weight's layout, the
    count of steps and the position of the schedule. Optimizers are the frameworks' own SGD, Adam, AdamW, RMSprop
    and Adafactor, or those that Diglot builds. Without a `target_optimizer` one is built that follows the source's
    rule; of the frameworks' own, no two but SGD's follow the same. Give PyTorch's schedule as `source_schedule` or
    `target_schedule`: a new one, which is taken to the step, or a function that makes it from the optimizer where that
    is built. Keras's are in their optimizers, and `target_schedule` where the optimizer is built.

    A setting, a convention or a course of the rate in which the two differ is an error that lists them all; `accept`
    names those that may differ. Another rate by one factor is only told. `map`, `inputs` and `ignore` are those of
    `transfer`. The result holds the `optimizer`, its `schedule`, the `mapping`, the `step`, and `notes` on what Diglot
    cannot see, such as clipping in a training loop.

    Raises StateError for all that cannot go on alike; SpecError for a word in `accept` that names nothing; and what
    `transfer` raises. Both models and optimizers are then as before.
    """
    from .core.port import handover

    return handover.hand_over(
        source_model,
        source_optimizer,
        target_model,
        target_optimizer,
        map,
        inputs=inputs,
        torch_inputs=torch_inputs,
        source_schedule=source_schedule,
        target_schedule=target_schedule,
        ignore=ignore,
        accept=accept,
    )


def _of_architecture(spec: Any, verb: str) -> None:
    from .core.errors import SpecError
    from .core.spec import Spec

    if not isinstance(spec, Spec):
        raise SpecError(f"{verb} takes the spec of an architecture, from diglot.spec(NAME), not {spec!r}")


def _named(spec: Any, verb: str) -> Any:
    from .core import registry

    found = registry.make(spec) if isinstance(spec, str) else spec
    _of_architecture(found, verb)
    return found


def _moving(model: Any, verb: str, optimizer: Any, spec: Any, *state: Any, schedule: Any) -> Any:
    from .core.errors import SpecError
    from .core.technique import Optimizer

    if not isinstance(spec, Optimizer):
        raise SpecError(f"{verb} takes the spec of an optimizer, such as diglot.spec('adam'), not {spec!r}")
    side = _side_of(model)
    module = importlib.import_module(f"{side.__name__.rpartition('.')[0]}.moving")
    return getattr(module, verb)(spec, optimizer, side.trainable(model, side.spec_of(model)), *state, schedule=schedule)


def _mapping(state: Any) -> dict[str, Any]:
    from .core.errors import StateError

    if not isinstance(state, Mapping):
        raise StateError(f"a state is a mapping from weight names to arrays, not a {type(state).__name__}")
    return dict(state)


def _side_of(model: Any) -> Any:
    from .core import backend
    from .core.errors import StateError

    torch, keras = sys.modules.get("torch"), sys.modules.get("keras")
    if torch is not None and isinstance(model, torch.nn.Module):
        return backend.load("torch")
    if keras is not None and isinstance(model, keras.Model):
        return backend.load("keras")
    raise StateError(f"{type(model).__name__} is neither a PyTorch module nor a Keras model")
