"""Text generation as a user asks for it: a model, prompts and options in, tokens out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import inputs as given
from .backend import Backend
from .decoding import Decoding, decode
from .errors import InputError
from .sampling import Tokens
from .spec import Spec
from .technique import Arrays

MARKS = ("start_token_id", "end_token_id", "pad_token_id")


def generate(side: Backend, model: Any, inputs: Any, *, cache: bool = True, **options: Any) -> Tokens:
    """The tokens that a model makes of its inputs; `diglot.generate` says how.

    Raises SpecError for an option against its rule, and InputError for a network that does not generate and for inputs
    that it cannot go on from.
    """
    spec = side.spec_of(model)
    if not spec.generates:
        raise InputError(f"this {spec.name} does not generate: that needs logits of the next token at every position")
    marks = {name: spec.fields().get(name) for name in MARKS if options.get(name) is None}
    decoding = Decoding(**{**options, **marks})
    _known(spec, decoding)
    prompt, others = _begun(spec, inputs, decoding.start_token_id)
    _fitting(spec, prompt, decoding.max_new_tokens)
    new = decode(side.decoder(model, others, cache=cache), prompt, decoding)
    return new if others else np.concatenate([prompt, new], axis=1)


def _known(spec: Spec, options: Decoding) -> None:
    tokens = spec.growing().high
    for name in MARKS:
        token = getattr(options, name)
        if token is not None and token >= tokens:
            raise InputError(f"generate: {name} is {token}, and the tokens of {spec.name} go from 0 to {tokens - 1}")
    if options.top_k is not None and options.top_k > tokens:
        raise InputError(f"generate: top_k is {options.top_k}, and {spec.name} has {tokens} tokens")


def _begun(spec: Spec, inputs: Any, start: int | None) -> tuple[Tokens, Arrays]:
    """What a network goes on from, and its other inputs: with an encoder the start token, and otherwise the prompts."""
    grows = spec.generates
    padding = spec.fields().get("pad_token_id")
    if len(spec.inputs()) == 1:
        if start is not None:
            raise InputError(f"generate: {spec.name} goes on from its {grows}, and has no use for a start_token_id")
        prompt = given.named(spec, inputs)[grows]
        rows = np.flatnonzero(np.any(prompt == padding, axis=1))
        if len(rows):
            raise InputError(
                f"generate: row {rows[0]} of {grows} has padding in it (token {padding}), and prompts are of one length"
            )
        return prompt, {}
    if isinstance(inputs, Mapping) and grows in inputs:
        raise InputError(f"generate: {spec.name} makes its {grows} by itself, from start_token_id on")
    others = given.named(spec, inputs, without=grows)
    if start is None or start == padding:
        told = "None" if start is None else f"{start}, the padding, which nothing attends to"
        raise InputError(f"generate: {spec.name} needs a start_token_id for its {grows}, and it is {told}")
    return np.full((len(next(iter(others.values()))), 1), start, dtype=np.int64), others


def _fitting(spec: Spec, prompt: Tokens, new: int) -> None:
    longest, asked = spec.growing().shape[1], prompt.shape[1] + new - 1  # nothing follows the last one
    if longest is not None and asked > longest:
        raise InputError(
            f"generate: a prompt of {prompt.shape[1]} and {new} new tokens are too many: {spec.name} is given at most "
            f"{longest} tokens as its {spec.generates}"
        )
