"""A causal language model in NumPy that stands for both sides, to try generation and its check without a framework."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from diglot.core.backend import Backend, Call, Run
from diglot.core.decoding import Uncached
from diglot.core.field import choice, optional_whole, whole
from diglot.core.pair import Pair
from diglot.core.parts import SEQUENCE, block, dense, embedding
from diglot.core.spec import Init, Part, Spec, Tensor
from diglot.core.transformer_parts import MASK

NORMAL = Init("normal")


@dataclass(frozen=True, kw_only=True)
class ToyText(Spec):
    """Embedding, one head of causal attention whose scores fall with distance, and logits; maybe behind an encoder.

    With a `source`, the mean of its embedding is added to every position.
    """

    vocab_size: int = whole(7)
    width: int = whole(4)
    max_len: int = whole(9)
    pad_token_id: int | None = optional_whole(None)
    form: str = choice("decoder", "encoder_decoder", "encoder")

    def inputs(self) -> tuple[Tensor, ...]:
        def text(name: str) -> Tensor:
            return Tensor(name, "batch time", (None, self.max_len), "int", self.vocab_size)

        return (text("source"), text("target")) if self.form == "encoder_decoder" else (text("tokens"),)

    def outputs(self) -> tuple[Tensor, ...]:
        return (Tensor("logits", SEQUENCE, (None, self.max_len, self.vocab_size)),)

    @property
    def generates(self) -> str:
        return {"decoder": "tokens", "encoder_decoder": "target", "encoder": ""}[self.form]

    def parts(self) -> Iterator[Part]:
        yield embedding("embed", self.vocab_size, self.width, NORMAL)
        for name in ("query", "key", "value"):
            yield dense(name, self.width, self.width, NORMAL, layout=SEQUENCE, bias=False)
        yield block("map", MASK)
        yield block("attention", SEQUENCE)
        yield dense("head", self.width, self.vocab_size, NORMAL, layout=SEQUENCE, bias=False)


class Model:
    """The network. `offset`, `keep` and `order` are where bugs are planted in its decoder."""

    def __init__(self, spec: ToyText) -> None:
        self.spec = spec
        self.state: dict[str, Any] = {}
        self.shift = lambda start: start
        self.keep = lambda kept, new: np.concatenate([kept, new], axis=1)
        self.order = lambda kept, rows: kept[rows]
        self.scale = 1.0

    def run(self, x: Any, kept: list[Any], start: int, calls: dict[str, Call]) -> tuple[Any, list[Any]]:
        """Logits of embedded tokens that follow `start` others, of which keys and values were kept."""

        def seen(name: str, output: Any, *inputs: Any) -> Any:
            calls[name] = Call(inputs, output)
            return output

        query, *new = (seen(name, x @ self.state[f"{name}.kernel"], x) for name in ("query", "key", "value"))
        key, value = (self.keep(one, other) for one, other in zip(kept, new, strict=True)) if kept else new
        distance = np.arange(x.shape[1])[:, None] + start - np.arange(key.shape[1])
        scores = np.where(distance < 0, -np.inf, query @ key.transpose(0, 2, 1) * self.scale - 0.3 * distance)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights = seen("map", (weights / weights.sum(-1, keepdims=True))[:, None])
        x = seen("attention", x + weights[:, 0] @ value, x)
        return seen("head", x @ self.state["head.kernel"], x), [key, value]


class Cached:
    """The decoder that keeps keys and values."""

    def __init__(self, model: Model, inputs: dict[str, Any]) -> None:
        self.model, self.inputs, self.kept, self.time = model, inputs, [], 0
        self.calls: dict[str, Call] = {}

    def step(self, tokens: Any) -> Any:
        x = embedded(self.model, {**self.inputs, self.model.spec.generates: tokens}, self.calls)
        logits, self.kept = self.model.run(x, self.kept, self.model.shift(self.time), self.calls)
        self.time += tokens.shape[1]
        return logits[:, -1]

    def reorder(self, rows: Any) -> None:
        self.kept = [self.model.order(kept, rows) for kept in self.kept]
        self.inputs = {name: array[rows] for name, array in self.inputs.items()}


def embedded(model: Model, inputs: dict[str, Any], calls: dict[str, Call]) -> Any:
    tokens = inputs[model.spec.inputs()[-1].name]
    x = model.state["embed.table"][tokens]
    calls["embed"] = Call((tokens,), x)
    return x + model.state["embed.table"][inputs["source"]].mean(1, keepdims=True) if "source" in inputs else x


class Side:
    """As much of a backend as generation needs."""

    def __init__(self) -> None:
        self.steps = 0

    def spec_of(self, model: Model) -> ToyText:
        return model.spec

    def set_state(self, model: Model, state: dict[str, Any]) -> None:
        model.state = dict(state)

    def forward(self, model: Model, inputs: dict[str, Any], *, taps: bool = False, **_: Any) -> Run:
        calls: dict[str, Call] = {}
        logits, _kept = model.run(embedded(model, inputs, calls), [], 0, calls)
        return Run({"logits": logits}, calls if taps else {})

    def decoder(self, model: Model, inputs: dict[str, Any], *, cache: bool = True, taps: bool = False) -> Any:
        whole = Uncached(lambda arrays: self.forward(model, arrays, taps=taps), inputs, model.spec.generates)
        return Cached(model, inputs) if cache else whole


class Toys(Pair):
    """The toy on both sides; `plant` alters the model of one."""

    def __init__(self, spec: ToyText, side: str = "", plant: Any = None) -> None:
        super().__init__(spec)
        self.planted, self.plant = side, plant

    def side(self, side: str) -> Backend:
        return Side()  # type: ignore[return-value]

    def build(self, side: str, dtype: str) -> Any:
        model = Model(self.spec)  # type: ignore[arg-type]
        if side == self.planted:
            self.plant(model)
        return model


def model(spec: ToyText) -> Model:
    """The toy with its seeded state."""
    toy = Toys(spec)
    return toy.loaded("torch", toy.state)
