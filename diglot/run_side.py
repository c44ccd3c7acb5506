"""One side of `diglot run`: the training itself, what it leaves behind, and how it goes on after an interruption."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import build, convert, get_state, initial_state, save, set_state
from .core import backend, checkpoint, runner
from .core.errors import CheckpointError, ReportError
from .core.learning import under
from .core.noise import Noise
from .core.parting import Series
from .core.technique import Arrays
from .run_data import Lesson, lesson

EVERY = 5.0  # seconds between two checkpoints
KEPT = 64  # numbers of a quantity that are kept of each step
PROGRESS, SCORES = "progress.safetensors", "scores.json"
NATIVE = {"torch": "model.pt", "keras": "model.keras"}


@dataclass(frozen=True)
class Request:
    """What was asked for: a network with some fields, how long, in which precision, and the folder."""

    name: str
    fields: Mapping[str, Any]
    steps: int | None
    seed: int
    dtype: str
    folder: str


Tell = Callable[[int, Mapping[str, float]], None]


class Run:
    """One side of a run, at some step."""

    def __init__(self, request: Request, side: str) -> None:
        self.request, self.side = request, side
        self.folder = Path(request.folder) / side
        self.lesson: Lesson = lesson(request.name, request.fields)
        self.steps = self.lesson.steps if request.steps is None else request.steps
        self.spec, self.training = self.lesson.spec, self.lesson.training
        self.model = build(self.spec, side, dtype=request.dtype)
        set_state(self.model, initial_state(self.spec, request.seed))
        own = None if self.training is self.spec else self.training
        self.learner = backend.load(side).learner(self.model, Noise(request.seed), own)
        self.course = self.training.course(self.lesson.data, Noise(request.seed))
        self.step = 0
        self.history: dict[str, tuple[list[int], list[Any]]] = {}

    def identity(self) -> dict[str, Any]:
        """What a run must share with the one that it goes on with. It may be longer."""
        asked = {"name": self.request.name, "seed": self.request.seed, "dtype": self.request.dtype}
        rules = {name: rule.fields() for name, (rule, _) in self.training.optimizers().items()}
        more = {"fields": self.spec.fields(), "optimizers": rules, "versions": runner.versions()}
        batch = {} if self.training is self.spec else {"batch_size": self.training.batch_size}
        found: dict[str, Any] = json.loads(json.dumps({**asked, **batch, **more}))
        return found

    def go(self, tell: Tell) -> None:
        """Train to the last step, and write what the training came to."""
        self.resume()
        tell(self.step, {})
        saved = time.monotonic()
        with interruptions() as heard:
            while self.step < self.steps and not heard:
                if _orphaned():
                    return
                found = self.course.take(self.learner, self.step)
                self._note(found)
                self.step += 1
                tell(self.step, {name: float(np.mean(value)) for name, value in found.items()})
                if time.monotonic() - saved > EVERY:
                    self.keep()
                    saved = time.monotonic()
            self.keep()
        if heard:
            raise KeyboardInterrupt
        self.finish()

    def _note(self, found: Arrays) -> None:
        """Keep the quantities of a step, but for those that only a larger file could hold."""
        for name, value in found.items():
            steps, values = self.history.setdefault(name, ([], []))
            if np.size(value) <= KEPT and (not values or values[0].shape == np.shape(value)):
                steps.append(self.step)
                values.append(np.array(value))

    def _told(self) -> dict[str, tuple[list[int], list[Any]]]:
        return {name: (steps, values) for name, (steps, values) in self.history.items() if steps}

    def keep(self) -> None:
        """Write all that is needed to go on. The file is complete, or the one before is still there."""
        from safetensors.numpy import save as to_bytes

        arrays = {f"learner.{name}": array for name, array in self.learner.kept().items()}
        arrays |= {f"course.{name}": np.asarray(array) for name, array in self.course.state().items()}
        for name, (steps, values) in self._told().items():
            arrays |= {f"steps.{name}": np.array(steps, np.int64), f"history.{name}": np.stack(values)}
        whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        note = {"run": json.dumps({"step": self.step, "quantities": list(self._told()), **self.identity()})}
        with checkpoint.replacing(self.folder / PROGRESS) as file:
            file.write(to_bytes(whole, note))

    def resume(self) -> None:
        """Go on where the folder's run stopped. Raises ReportError where it is of another run."""
        found = kept(self.folder)
        if found is None:
            return
        note, arrays = found
        step, quantities = note.pop("step"), note.pop("quantities")
        if note != self.identity():
            raise ReportError(f"{self.folder} holds another run: {_differing(note, self.identity())}")
        if step > self.steps:
            raise ReportError(
                f"{self.folder} holds a run of {step} steps, longer than {self.steps}; choose another folder"
            )
        self.learner.restore(under(arrays, "learner"))
        self.course.restore(under(arrays, "course"))
        for name, (steps, values) in history(quantities, arrays).items():
            self.history[name] = list(steps), list(values)
        self.step = step

    def finish(self) -> None:
        """The model, in the canonical form and in the framework's own, its scores and pictures."""
        from . import drawing

        path = self.folder / "model.safetensors"
        save(path, self.spec, get_state(self.model))
        convert(path, self.folder / NATIVE[self.side], self.spec)
        scores = {name: float(value) for name, value in self.course.scores(self.learner).items()}
        with checkpoint.replacing(self.folder / SCORES) as file:
            file.write(json.dumps({"steps": self.step, **scores}, indent=1).encode() + b"\n")
        for name, picture in self.course.pictures(self.learner).items():
            drawing.draw(picture, name, self.folder / f"{name.replace(' ', '-')}.png")
        drawing.curves({self.side: series(self._told())}, self.folder / "curves.png")


def _orphaned() -> bool:
    """Whether the process that started this one is gone, so that nobody waits for what it does."""
    parent = multiprocessing.parent_process()
    return parent is not None and not parent.is_alive()


def series(found: Mapping[str, tuple[list[int], list[Any]]]) -> dict[str, Series]:
    """A history as arrays: the steps of each quantity, and its values there."""
    return {name: (np.array(steps, np.int64), np.stack(values)) for name, (steps, values) in found.items()}


def history(quantities: list[str], arrays: Arrays) -> dict[str, Series]:
    """These quantities of a run, of the arrays that were kept."""
    return {name: (arrays[f"steps.{name}"], arrays[f"history.{name}"]) for name in quantities}


def kept(folder: Path) -> tuple[dict[str, Any], Arrays] | None:
    """What a run has kept in a folder; None where there is nothing. Raises CheckpointError for a damaged file."""
    from safetensors import SafetensorError, safe_open

    path = folder / PROGRESS
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="np") as file:
            note = json.loads((file.metadata() or {})["run"])
            return note, {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not what a run kept ({error}); delete it, or choose another folder"
        ) from error


def _differing(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """What is not the same, in words."""
    name = next(key for key in wanted if held.get(key) != wanted[key])
    if isinstance(held.get(name), dict) and isinstance(wanted[name], dict):
        return _differing(held[name], {**dict.fromkeys(held[name]), **wanted[name]})
    return f"its {name} is {held.get(name)!r} and not {wanted[name]!r}; choose another folder, or delete it"


@contextlib.contextmanager
def interruptions() -> Iterator[list[int]]:
    """Notes an interruption from the keyboard, for a step to be taken whole before it is heeded."""
    heard: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield heard
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        yield heard
    finally:
        signal.signal(signal.SIGINT, before)
