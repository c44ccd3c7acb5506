"""Diglot: each neural network once as a spec and twice as code, in PyTorch and in Keras, proven to be the same.

Every verb here is a few lines; the work is done in `diglot.core`. Nothing is imported before it is needed.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .arguments import architecture, mapping, named, side_of
from .porting import compare, convert, hand_over, transfer
from .training import fit, optimizer_state, set_optimizer_state

if TYPE_CHECKING:
    from .core.results import Report
    from .core.spec import Hyperparameters, Spec

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

    architecture(spec, "build")
    if dtype not in ("float32", "float64"):
        raise SpecError(f"dtype must be float32 or float64, not {dtype!r}")
    return backend.load(side).build(spec, dtype)


def initial_state(spec: Spec, seed: int = 0) -> dict[str, Any]:
    """The canonical state that training starts from, `{name: float32 array}`, channels last, drawn by the seed."""
    from .core import state

    architecture(spec, "initial_state")
    return state.initial_state(spec, seed)


def get_state(model: Any) -> dict[str, Any]:
    """The canonical state of a model that `build` made, `{name: array}`."""
    return side_of(model).get_state(model)


def set_state(model: Any, state: Mapping[str, Any]) -> None:
    """Copy a canonical state into a model that `build` made.

    Raises StateError that names every missing, extra and misshapen weight; the model is then as before.
    """
    side_of(model).set_state(model, mapping(state))


def save(path: str | os.PathLike[str], spec: Spec, state: Mapping[str, Any]) -> None:
    """Write a spec and its state to a safetensors file, complete or not at all.

    Raises StateError where the two do not fit, and CheckpointError where the file cannot be written.
    """
    from .core import checkpoint

    architecture(spec, "save")
    checkpoint.save(path, spec, mapping(state))


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

    return pretrained.load(named(spec, "load_pretrained"), origin, source)


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

    pretrained.export(named(spec, "export_pretrained"), mapping(state), target, source)


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

    spec, state = named(spec, "resize"), mapping(state)
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

    side = side_of(model)
    return dict(side.forward(model, given.named(side.spec_of(model), inputs)).outputs)


def taps(model: Any, inputs: Any) -> dict[str, Any]:
    """Every intermediate result of a model that `build` made, `{part name: array}`, in evaluation mode.

    `inputs` are arrays by name, or one array for a network of one input; all arrays are in the canonical layout,
    channels last. Parts come in the order in which they finish; `blocks.0.attention.map` is an attention map.
    Raises SpecError where an input is missing or has other axes than declared.
    """
    from .core import inputs as given

    side = side_of(model)
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
        side_of(model),
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
