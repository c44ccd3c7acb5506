"""A side that gives again what it once gave: the planted bugs of one spec share what the correct side does."""

from __future__ import annotations

import functools
import hashlib
import pickle
from collections.abc import Callable
from typing import Any

from diglot.core import backend
from diglot.core.pair import Pair
from diglot.core.rules import Trio
from diglot.core.spec import Spec
from diglot.core.technique import Arrays, Technique


class Handle:
    """A model that is built when an answer is first needed. Its past is every call since its state was set."""

    def __init__(self, spec: Spec, dtype: str) -> None:
        self.spec, self.dtype = spec, dtype
        self.past: list[bytes] = []

    def key(self) -> bytes:
        """What an answer rests on: precision, state, and every call since, which may have moved buffers."""
        return hashlib.blake2b(b"".join([self.dtype.encode(), *self.past])).digest()


class Recalled:
    """The backend of a side for one spec, which runs a model only where it was not asked the same before."""

    def __init__(self, side: str) -> None:
        self.backend: Any = backend.load(side)
        self.answers: dict[bytes, Any] = {}
        self.models: dict[str, Any] = {}
        self.behind: dict[str, list[bytes]] = {}

    def build(self, spec: Spec, dtype: str = "float32") -> Handle:
        return Handle(spec, dtype)

    def set_state(self, model: Handle, state: Any) -> None:
        model.past = [pickle.dumps(("set_state", (state,), {}))]

    def decoder(self, model: Handle, *args: Any, **options: Any) -> Any:
        """A decoder goes on from step to step, so it is one of the model itself."""
        self._bring(model)
        self.behind[model.dtype] = []
        return self.backend.decoder(self.models[model.dtype], *args, **options)

    def __getattr__(self, verb: str) -> Any:
        return functools.partial(self._ask, verb)

    def _ask(self, verb: str, model: Handle, *args: Any, **options: Any) -> Any:
        model.past.append(pickle.dumps((verb, args, options)))
        key = model.key()
        if key not in self.answers:
            self.answers[key] = self._bring(model)
        return self.answers[key]

    def _bring(self, handle: Handle) -> Any:
        """Bring the model itself to where the past of its handle ends, and give what the last call gave."""
        behind, calls = self.behind.get(handle.dtype, []), [pickle.loads(call) for call in handle.past]
        goes_on = bool(behind) and behind == handle.past[: len(behind)]
        if handle.dtype not in self.models or not (goes_on or calls[0][0] == "set_state"):
            self.models[handle.dtype] = self.backend.build(handle.spec, handle.dtype)
        self.behind[handle.dtype] = list(handle.past)
        answer = None
        for verb, args, options in calls[len(behind) if goes_on else 0 :]:
            answer = getattr(self.backend, verb)(self.models[handle.dtype], *args, **options)
        return answer


@functools.lru_cache(maxsize=8)
def recalled(spec: Spec, side: str) -> Recalled:
    """The one of a spec and a side, kept while the bugs of that spec are met."""
    return Recalled(side)


@functools.lru_cache(maxsize=8)
def recalled_study(spec: Spec, side: str, seed: int) -> Callable[..., Any]:
    """The own training of a spec on a side, each of the same state, data and length taken once."""
    pair, answers = Pair(spec, seed), {}

    def study(*asked: Any) -> Any:
        key = hashlib.blake2b(pickle.dumps(asked)).digest()
        if key not in answers:
            answers[key] = pair.learnt(side, *asked)
        return answers[key]

    return study


@functools.lru_cache(maxsize=8)
def recalled_opinion(technique: Technique, who: str, seed: int) -> Callable[[Arrays, str], Arrays]:
    """What the rule or a side makes of a case, each case run once. The arrays are handed out as copies."""
    trio, answers = Trio(technique, seed), {}

    def opinion(case: Arrays, dtype: str) -> Arrays:
        key = hashlib.blake2b(pickle.dumps((case, dtype))).digest()
        if key not in answers:
            answers[key] = trio.opinion(who, case) if who == "rule" else trio.trace(who, case, dtype)
        return {name: array.copy() for name, array in answers[key].items()}

    return opinion
