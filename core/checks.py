"""What is checked. Each check takes a pair and gives the comparisons that its verdict rests on."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import check_generation, checkpoint, compare, floor, verdict
from .backend import SIDES
from .compare import Comparison
from .errors import StateError
from .learning import LearningSpec
from .measured import Job
from .noise import generator
from .pair import STEPS, Pair, buffers
from .state import State, random_state
from .technique import Arrays
from .verdict import Verdict

NUDGE = 1e-3
DRAWS = 3


@dataclass
class Outcome:
    """What a check found. `complaints` are findings that no comparison of tensors shows, each with the part or None."""

    comparisons: list[Comparison]
    complaints: list[tuple[str | None, str]] = field(default_factory=list)
    sensitivity: float | None = None


Check = Callable[[Pair, str], Outcome]


def structure(pair: Pair, dtype: str) -> Outcome:
    """Both models have exactly the spec's weights, as many numbers as it counts, and its outputs."""
    spec, found = pair.spec, Outcome([])
    for side in SIDES:
        backend = pair.side(side)
        model = pair.model(side, dtype)
        try:
            state = backend.get_state(model)
        except StateError as error:
            found.complaints.append((error.weights[0].rpartition(".")[0] if error.weights else None, str(error)))
            continue
        counted = backend.parameter_count(model)
        declared = {weight.name: np.array(weight.shape) for weight in spec.weights()}
        shapes = {name: np.array(array.shape) for name, array in state.items()}
        declared["parameter count"], shapes["parameter count"] = np.array(spec.parameter_count()), np.array(counted)
        batch, tensors = pair.batches()[0], spec.shrunk().outputs()
        samples = len(next(iter(batch.values())))
        for tensor, output in zip(tensors, backend.forward(model, batch).outputs.values(), strict=True):
            declared[tensor.name] = np.array([samples if size is None else size for size in tensor.shape])
            shapes[tensor.name] = np.array(output.shape)
        name = "PyTorch" if side == "torch" else "Keras"
        trained = backend.trained(model)
        for weight in spec.weights():
            if weight.trainable != (weight.name in trained):
                does, should = ("does not train", "does") if weight.trainable else ("trains", "does not")
                found.complaints.append((weight.owner, f"{weight.name} {does} in {name}, and in the spec it {should}"))
        found.comparisons += compare.every(declared, shapes, {}, sides=("the spec", name))
    return found


def _forward(pair: Pair, training: bool) -> Job:
    def job(side: str, state: State, batches: list[Arrays]) -> Arrays:
        model, backend = pair.loaded(side, state), pair.side(side)
        run = backend.forward(model, batches[0], training=training, noise=pair.noise() if training else None)
        return {**run.outputs, **(buffers(pair.spec, backend.get_state(model)) if training else {})}

    return job


def forward(pair: Pair, dtype: str) -> Outcome:
    """Outputs in evaluation mode; and that they could have differed: they move with each input and each weight."""
    found = Outcome(pair.measure(_forward(pair, training=False), [pair.whole()]))
    inert = {weight.name: weight for weight in pair.spec.weights() if weight.inert}
    movements: dict[str, float] = {}
    for draw in range(DRAWS):  # one state may leave a unit of a small network dead
        for name, moved in _movements(pair, draw).items():
            movements[name] = max(moved, movements.get(name, 0.0))
        active = {name: moved for name, moved in movements.items() if name not in inert}
        if all(map(verdict.is_seen, active.values())):
            break
    found.sensitivity = min(active.values())
    found.complaints = [
        (name.rpartition(".")[0] or None, f"the outputs do not move with {name}, so this comparison could not fail")
        for name, moved in active.items()
        if not verdict.is_seen(moved)
    ]
    for name, weight in inert.items():
        if verdict.is_seen(movements[name]):
            found.complaints.append((weight.owner, f"{name} is said to be inert, and outputs move with it"))
    return found


def _movements(pair: Pair, draw: int) -> dict[str, float]:
    """How far the PyTorch side's outputs move, in noise floors, when one weight or input moves by 0.1%.

    The movement of one random combination of the outputs, to first order: one backward pass serves every weight.
    """
    job, batch = _forward(pair, training=False), pair.whole(draw)
    state = pair.state if not draw else random_state(pair.spec, pair.seed + draw)
    moved = job("torch", floor.moved(state, pair.seed), [floor.moved(batch, pair.seed)])
    base = job("torch", state, [batch])
    floors = floor.movement(base, moved)
    cotangents = {}
    for name, output in base.items():
        direction = generator(pair.seed, f"cotangent {name}").standard_normal(output.shape)
        cotangents[name] = direction / np.linalg.norm(direction) / floors[name]
    slopes = pair.side("torch").pull_back(pair.loaded("torch", state), batch, cotangents)
    values = {**state, **batch}
    movements = {
        name: NUDGE * float(np.linalg.norm(slopes[name] * values[name])) if name in slopes else 0.0
        for name in (*state, *(tensor.name for tensor in pair.spec.inputs()))
    }
    other = pair.whole(draw + DRAWS)
    for tensor in pair.spec.inputs():
        if np.all(batch[tensor.name] == batch[tensor.name].flat[0]):
            movements[tensor.name] = 0.0
        elif tensor.dtype == "int":
            changed = job("torch", state, [{**batch, tensor.name: other[tensor.name]}])
            movements[tensor.name] = max(float(np.max(np.abs(changed[key] - base[key]))) / floors[key] for key in base)
    return movements


def forward_training(pair: Pair, dtype: str) -> Outcome:
    """Outputs in training mode under shared dropout masks, and the buffers that the pass moved."""
    return Outcome(pair.measure(_forward(pair, training=True), pair.batches()))


def _gradients(pair: Pair) -> Job:
    def job(side: str, state: State, batches: list[Arrays]) -> Arrays:
        model, loss = pair.loaded(side, state), pair.recipe(side).loss
        return pair.side(side).gradients(model, batches[0], loss, noise=pair.noise())

    return job


def gradients(pair: Pair, dtype: str) -> Outcome:
    """In training mode: the loss, and its gradient for every trainable weight and every float input."""
    found = Outcome(pair.measure(_gradients(pair), pair.batches()))
    given = {item.name for item in found.comparisons}
    wanted = [weight.name for weight in pair.spec.weights() if weight.trainable]
    wanted += [tensor.name for tensor in pair.spec.inputs() if tensor.dtype == "float"]
    for name in wanted:
        if f"gradient of {name}" not in given:
            found.complaints.append((name.rpartition(".")[0] or None, f"neither side has a gradient for {name}"))
    return found


def training(pair: Pair, dtype: str) -> Outcome:
    """Twenty steps, or a learning spec's own: every loss, and at the end every weight, buffer and optimizer slot."""
    if isinstance(pair.spec, LearningSpec):
        return Outcome(pair.learning())

    def job(side: str, state: State, batches: list[Arrays]) -> Arrays:
        return pair.side(side).train(pair.loaded(side, state), batches, pair.recipe(side), noise=pair.noise())

    return Outcome(pair.measure(job, pair.batches(STEPS)))


def round_trip(pair: Pair, dtype: str) -> Outcome:
    """PyTorch -> canonical -> Keras -> canonical -> PyTorch, bitwise."""
    start = {name: array.astype(dtype) for name, array in pair.state.items()}
    state = start
    for side in ("torch", "keras", "torch"):
        state = pair.side(side).get_state(pair.loaded(side, state, dtype))
    return Outcome(compare.bitwise(start, state))


def file_round_trip(pair: Pair, dtype: str) -> Outcome:
    """PyTorch -> file -> Keras, bitwise, and the spec with it."""
    start = {name: array.astype(dtype) for name, array in pair.state.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        checkpoint.save(path, pair.spec, pair.side("torch").get_state(pair.loaded("torch", start, dtype)))
        spec, read = checkpoint.load(path)
    found = Outcome(compare.bitwise(start, pair.side("keras").get_state(pair.loaded("keras", read, dtype))))
    if spec != pair.spec:
        found.complaints.append((None, "the file gives back another spec than was saved"))
    return found


def accuracy(pair: Pair, dtype: str) -> Outcome:
    """float32 is measured: each side's error against its own float64, and the two errors against each other.

    Rounding can push a single unit over the kink of a ReLU, on one side and not on the other: a jump that says nothing
    of accuracy. So a finding must stand on three batches; of each tensor the least ratio counts.
    """
    found: dict[str, Comparison] = {}
    for batch in pair.batches(DRAWS):
        for item in _accuracy(pair, batch):
            best = found.get(item.name, item)
            broken = [one for one in (best, item) if not math.isfinite(one.ratio)]  # no other batch mends that
            found[item.name] = broken[0] if broken else min(best, item, key=lambda one: one.ratio)
        if all(item.verdict is Verdict.EQUAL for item in found.values()):
            break
    return Outcome(list(found.values()))


def _accuracy(pair: Pair, drawn: Arrays) -> list[Comparison]:
    state, batch = floor.representable(pair.state), floor.representable(drawn)

    def run(side: str, dtype: str, move: str | None = None) -> Arrays:
        weights, moved = state, batch
        if move:
            weights, moved = floor.moved(state, pair.seed, move), floor.moved(batch, pair.seed, move)
        model, inputs = pair.inputs(side, dtype, weights, moved)
        outputs = pair.side(side).forward(model, inputs).outputs
        loss = pair.recipe(side).loss
        return {**outputs, **pair.side(side).gradients(model, inputs, loss, noise=pair.noise())}

    runs = [(run(side, "float64"), run(side, "float32"), run(side, "float32", floor.WIDE)) for side in SIDES]
    return compare_accuracy(*runs)


def compare_accuracy(torch: tuple[Arrays, Arrays, Arrays], keras: tuple[Arrays, Arrays, Arrays]) -> list[Comparison]:
    """Compare two sides' float32 errors. Each side gives its results in float64, in float32, and in float32 after
    everything moved by a unit: an error below that movement counts as the movement, since no better can be had."""
    result = []
    floors = floor.larger(*[floor.movement(single, moved) for _, single, moved in (torch, keras)])
    for name in {**torch[0], **keras[0]}:
        complaint = _incomparable(name, torch[:2], keras[:2])
        if complaint or name not in floors:
            equal = Comparison(name, Verdict.EQUAL, 1.0, 17.0, 0.0, 0.0)
            result.append(compare.failed(name, complaint) if complaint else equal)
            continue
        errors = [float(np.max(np.abs(single[name] - exact[name]))) for exact, single, _ in (torch, keras)]
        sizes = [max(error, floors[name]) for error in errors]
        ratio = max(sizes) / min(sizes)
        digits = compare.agreeing(max(errors), float(np.max(np.abs(torch[0][name]))), floors[name])
        judged = verdict.of_accuracy(ratio)
        side = "PyTorch" if errors[0] > errors[1] else "Keras"
        text = "" if judged is Verdict.EQUAL else f"{side} is {ratio:.0f} times less accurate in float32"
        result.append(Comparison(name, judged, ratio, digits, max(errors), floors[name], text))
    return result


def _incomparable(name: str, torch: tuple[Arrays, ...], keras: tuple[Arrays, ...]) -> str:
    """Why a tensor's float32 errors cannot be measured on both sides, or the empty string."""
    for side, (exact, single) in zip(compare.SIDES, (torch, keras), strict=True):
        if name not in exact or name not in single:
            return f"{side} does not have it in both precisions"
        precisions = f"{side}'s float64", f"{side}'s float32"
        if complaint := compare.unlike(exact[name], single[name], precisions):
            return complaint
        if exact[name].dtype.kind != "f" and not np.array_equal(exact[name], single[name]):
            return f"its discrete values differ between {precisions[0]} and {precisions[1]}"
    return ""


def generation(pair: Pair, dtype: str) -> Outcome:
    """Logits of a decoder, cached and uncached, on both sides; and if they are equal, the tokens of each strategy."""
    found = check_generation.logits(pair)
    if not all(item.verdict is Verdict.EQUAL for item in found):
        return Outcome(found)
    return Outcome(found + check_generation.tokens(pair), check_generation.forgetful(pair))


CHECKS: dict[str, tuple[Check, tuple[str, ...]]] = {
    "structure": (structure, ("float64",)),
    "forward": (forward, ("float64",)),
    "forward_training": (forward_training, ("float64",)),
    "gradients": (gradients, ("float64",)),
    "training": (training, ("float64",)),
    "round_trip": (round_trip, ("float64", "float32")),
    "file_round_trip": (file_round_trip, ("float64", "float32")),
    "generation": (generation, ("float64",)),
    "accuracy": (accuracy, ("float32",)),
}
