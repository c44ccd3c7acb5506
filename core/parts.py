"""The usual parts of a network, with the names and axes of their weights. A spec lists them in order of execution."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .spec import ONES, ZEROS, Init, Part, Spec, Weight

VECTOR = "batch channels"
SEQUENCE = "batch time channels"
IMAGE = "batch height width channels"
FLAT = "(height width channels)"
NO_FACTORS: tuple[tuple[str, int], ...] = ()


def dense(
    name: str,
    inputs: int,
    outputs: int,
    init: Init,
    *,
    layout: str = VECTOR,
    bias: bool = True,
    flattened: tuple[int, ...] | None = None,
    inert_bias: str = "",
) -> Part:
    """`y = x W + b`. `flattened` gives height, width and channels of the feature map that `x` was made of."""
    axes, source, factors = "in out", layout, NO_FACTORS
    if flattened is not None:
        axes, source, factors = f"{FLAT} out", f"batch {FLAT}", flat_factors(flattened)
    weights = [Weight(f"{name}.kernel", axes, (inputs, outputs), init, factors=factors)]
    if bias:
        weights.append(Weight(f"{name}.bias", "out", (outputs,), ZEROS, inert=inert_bias))
    return Part(name, (source,), layout, tuple(weights), factors)


def flat_factors(shape: tuple[int, ...]) -> tuple[tuple[str, int], ...]:
    """The sizes of the factors of a flattened feature map."""
    return tuple(zip(("height", "width", "channels"), shape, strict=True))


def conv(name: str, size: int | tuple[int, int], inputs: int, outputs: int, init: Init, *, bias: bool = False) -> Part:
    """A two-dimensional convolution; a single size is that of a square kernel, two are its height and width."""
    height, width = (size, size) if isinstance(size, int) else size
    weights = [Weight(f"{name}.kernel", "height width in out", (height, width, inputs, outputs), init)]
    if bias:
        weights.append(Weight(f"{name}.bias", "out", (outputs,), ZEROS))
    return Part(name, (IMAGE,), IMAGE, tuple(weights))


def unflattening(name: str, inputs: int, shape: tuple[int, ...], init: Init, *, bias: bool = True) -> Part:
    """A dense layer whose units become a feature map of height, width and channels."""
    height, width, channels = shape
    factors = (("height", height), ("width", width), ("out", channels))
    weights = [
        Weight(f"{name}.kernel", "in (height width out)", (inputs, height * width * channels), init, True, factors)
    ]
    if bias:
        axes = "(height width out)"
        weights.append(Weight(f"{name}.bias", axes, (height * width * channels,), ZEROS, True, factors))
    return Part(name, (VECTOR,), f"batch {FLAT}", tuple(weights), flat_factors(shape))


def conv_transpose(name: str, size: int, inputs: int, outputs: int, init: Init, *, bias: bool = True) -> Part:
    """A two-dimensional transposed convolution, with the kernel of the convolution that it is the transpose of.

    So `in` are the channels that it gives, and `out` those that it takes.
    """
    weights = [Weight(f"{name}.kernel", "height width in out", (size, size, outputs, inputs), init)]
    if bias:
        weights.append(Weight(f"{name}.bias", "out", (outputs,), ZEROS))
    return Part(name, (IMAGE,), IMAGE, tuple(weights))


def batch_norm(name: str, channels: int, *, layout: str = IMAGE, scale: bool = True) -> Part:
    """Batch normalisation: scale gamma if any, shift beta, and the running mean and variance as buffers."""
    weights = (
        Weight(f"{name}.gamma", "channels", (channels,), ONES),
        Weight(f"{name}.beta", "channels", (channels,), ZEROS),
        Weight(f"{name}.mean", "channels", (channels,), ZEROS, trainable=False),
        Weight(f"{name}.variance", "channels", (channels,), ONES, trainable=False),
    )
    return Part(name, (layout,), layout, weights if scale else weights[1:])


def layer_norm(name: str, channels: int, *, layout: str = SEQUENCE) -> Part:
    """Layer normalisation over the last axis: scale gamma and shift beta."""
    return Part(
        name,
        (layout,),
        layout,
        (
            Weight(f"{name}.gamma", "channels", (channels,), ONES),
            Weight(f"{name}.beta", "channels", (channels,), ZEROS),
        ),
    )


def rms_norm(name: str, channels: int, *, layout: str = SEQUENCE) -> Part:
    """Normalisation by the root mean square over the last axis: a scale and no shift."""
    return Part(name, (layout,), layout, (Weight(f"{name}.scale", "channels", (channels,), ONES),))


def embedding(name: str, rows: int, channels: int, init: Init) -> Part:
    """A table of vectors, looked up by token."""
    return Part(name, ("batch time",), SEQUENCE, (Weight(f"{name}.table", "tokens channels", (rows, channels), init),))


def block(name: str, layout: str, *more: str, flattened: tuple[int, ...] | None = None) -> Part:
    """A part that only joins others. `layout` is that of its result and first argument, `more` of further ones.

    `flattened` gives the feature map that the first argument was made of.
    """
    if flattened is not None:
        return Part(name, (f"batch {FLAT}", *more), layout, factors=flat_factors(flattened))
    return Part(name, (layout, *more), layout)


def nested(name: str, spec: Spec) -> Iterator[Part]:
    """A spec as a part of another one: its parts under this name, and then the whole of it."""
    for part in spec.parts():
        weights = tuple(replace(weight, name=f"{name}.{weight.name}") for weight in part.weights)
        yield replace(part, name=f"{name}.{part.name}", weights=weights)
    yield Part(name, tuple(tensor.axes for tensor in spec.inputs()), spec.outputs()[0].axes)
