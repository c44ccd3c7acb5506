"""The verbs for models and files of users' own: compare two, move weights and trainings, rewrite files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .arguments import named

if TYPE_CHECKING:
    from .core.port.handover import HandedOver
    from .core.port.mapping import WeightMapping
    from .core.results import Report
    from .core.spec import Spec


def compare(
    torch_model: Any,
    keras_model: Any,
    inputs: Any,
    *,
    torch_inputs: Any = None,
    torch_outputs: Sequence[str | int] | Mapping[str | int, str] | None = None,
    keras_outputs: Sequence[str | int] | Mapping[str | int, str] | None = None,
    map: Any = None,
    ignore: str | Sequence[str] = (),
    checks: str | Sequence[str] | None = None,
    steps: int = 3,
    seed: int = 0,
) -> Report:
    """Compare two models of your own: are they the same, and if not, at which layer do they part, and why?

    Each model is an instance, or a factory without arguments, which is called anew in float64. Both are compared on
    copies: yours are never changed. Forward hooks of yours run on the copies too, since what they return may be part of
    what the model computes; one that keeps what it sees then holds tensors of a copy. One comparison runs at a time in
    a process; leave the models and Keras's settings alone in other threads meanwhile.

    `inputs` are one array, a list, or arrays by name, in Keras's layout; they are permuted for PyTorch where its layers
    want it. `torch_inputs` are given instead where that does not fit. Outputs go
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
    from .core.port.alone import alone

    with alone():
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
    ignore: str | Sequence[str] = (),
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
    from .core.port.alone import alone

    with alone():
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
    ignore: str | Sequence[str] = (),
    accept: str | Sequence[str] = (),
) -> HandedOver:
    """Let a half-finished training of your own model go on in the other framework, as it would have gone on in its own.

    Weights and buffers go over as `transfer` moves them; so do the optimizer's slots, each in its weight's layout, the
    count of steps and the position of the schedule. Optimizers are the frameworks' own SGD, Adam, AdamW, RMSprop and
    Adafactor, or those that Diglot builds. Without a `target_optimizer` one is built that follows the source's rule,
    and what the source's does not train is frozen; of the frameworks' own, no two but SGD's follow the same. Give
    PyTorch's schedule as `source_schedule` or `target_schedule`: a new one, which is taken to the step, or a function
    that makes it from the optimizer where that is built. Keras's are in their optimizers, and `target_schedule` where
    the optimizer is built.

    A setting, a convention or a course of the rate in which the two differ is an error that lists them all; `accept`
    names those that may differ. Another rate by one factor is only told. `map`, `inputs` and `ignore` are those of
    `transfer`. The result holds the `optimizer`, its `schedule`, the `mapping`, the `step`, and `notes` on what Diglot
    cannot see, such as clipping in a training loop.

    Raises StateError for all that cannot go on alike; SpecError for a word in `accept` that names nothing; and what
    `transfer` raises. Both models and optimizers are then as before.
    """
    from .core.port import handover
    from .core.port.alone import alone

    with alone():
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

    found = None if spec is None else named(spec, "convert")
    return conversion.convert(src, dst, found, source, conversion.mapping_of(map), max_shard_size, dry_run, force)
