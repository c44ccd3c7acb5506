"""What is true of an architecture in both languages: its hyperparameters, weights, tensors and parts.

A spec is a frozen dataclass. It says which weights there are, under which names, with which named axes and initial
values, and which parts a network has, in the order of execution. It never computes a network.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from . import field
from .axes import Array, parse, sizes_of
from .errors import SpecError
from .source import Source

CHECKED_BITS = 16
CHECKED_TIME = 10


@dataclass(frozen=True)
class Init:
    """How a weight starts: zeros, ones, xavier_uniform, he_normal, he_normal_fan_out or normal (with its `std`)."""

    name: str
    std: float = 1.0


ZEROS, ONES = Init("zeros"), Init("ones")


@dataclass(frozen=True)
class Weight:
    """One array of the canonical state.

    `name` is the attribute path, the same on both sides (`layer2.0.conv1.kernel`); `axes` names the axes of `shape`
    in the canonical order, which is channels last. `factors` sizes the parts of a composite axis. A weight that is
    not `trainable` is a buffer. `inert` gives the reason where no output can depend on the weight.
    """

    name: str
    axes: str
    shape: tuple[int, ...]
    init: Init = ZEROS
    trainable: bool = True
    factors: tuple[tuple[str, int], ...] = ()
    inert: str = ""

    def __post_init__(self) -> None:
        sizes_of(self.axes, self.shape, dict(self.factors))

    @property
    def role(self) -> str:
        """The last word of the name: kernel, bias, gamma, beta, mean, variance or table."""
        return self.name.rpartition(".")[2]

    @property
    def owner(self) -> str:
        """The name of the part that holds the weight."""
        return self.name.rpartition(".")[0]

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def fans(self) -> tuple[int, int]:
        """`(fan_in, fan_out)`: inputs and outputs of one unit, receptive field included (Glorot and Bengio 2010)."""
        groups = parse(self.axes)
        receptive = math.prod(
            size
            for group, size in zip(groups, self.shape, strict=True)
            if group[0] in ("height", "width") and len(group) == 1
        )
        return receptive * self.shape[-2], receptive * self.shape[-1]


@dataclass(frozen=True)
class Tensor:
    """An input, target or output. Axes are named in the canonical (channels last) order; the batch size is None.

    `dtype` is `float` (the run's own precision) or `int`; an int tensor holds values below `high`.
    """

    name: str
    axes: str
    shape: tuple[int | None, ...]
    dtype: str = "float"
    high: int = 0


@dataclass(frozen=True)
class Part:
    """A module or layer at an attribute path that both sides share: what is tapped, and replayed to locate an error.

    `inputs` names the axes of each tensor argument, `output` those of the result; `factors` sizes the parts of a
    composite axis among them.
    """

    name: str
    inputs: tuple[str, ...]
    output: str
    weights: tuple[Weight, ...] = ()
    factors: tuple[tuple[str, int], ...] = ()


def rounded(value: float) -> float:
    """A float near the given one that float32 holds exactly; from 2**-12 to 1, so that it holds 1 minus it as well.

    TensorFlow passes Python floats through float32 even in a float64 graph; a check must not measure that.
    """
    if 2**-12 <= abs(value) < 1:
        grid = 2**24
        return math.copysign(min(round(abs(value) * grid), grid - 1) / grid, value)
    mantissa, exponent = math.frexp(value)
    return math.ldexp(round(mantissa * 2**CHECKED_BITS), exponent - CHECKED_BITS)


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_rounded, value))
    return rounded(value) if isinstance(value, float) else value


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What architectures and techniques have in common: named, validated, immutable fields."""

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {}
    CHECKED: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[str]

    def __post_init__(self) -> None:
        field.validate(self, self.name)
        for complaint in self.constraints():
            raise SpecError(f"{self.name}: {complaint}")

    @classmethod
    def spec_name(cls) -> str:
        """The name of the file that holds the spec."""
        return cls.__module__.rpartition(".")[2]

    @property
    def name(self) -> str:
        """The name of the file that holds the spec."""
        return self.spec_name()

    def constraints(self) -> Iterator[str]:
        """A sentence for each rule between fields that is broken."""
        yield from ()

    def fields(self) -> dict[str, Any]:
        """The hyperparameters by name."""
        return {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}

    def replace(self, **changes: Any) -> Self:
        """A copy with other values. Raises SpecError for an unknown field or a value against its rule."""
        field.unknown(type(self), self.name, changes)
        return dataclasses.replace(self, **changes)

    def rounded(self) -> Self:
        """A copy whose floats are exact in float32, as every check uses it."""
        return self.replace(**{key: _rounded(value) for key, value in self.fields().items()})

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        """A small random valid spec, for calibration and property tests; by default one of those that are checked."""
        presets = cls.CHECKED or ("",)
        return cls(**cls.PRESETS.get(presets[int(rng.integers(len(presets)))], {}))


@dataclass(frozen=True, kw_only=True)
class Spec(Hyperparameters):
    """An architecture. A subclass gives the fields and the four methods below; its docstring is its documentation."""

    kind: ClassVar[str] = "architecture"
    LOSS: ClassVar[str] = "cross_entropy"
    SOURCES: ClassVar[Mapping[str, Source | tuple[Source, ...]]] = {}
    BATCH: ClassVar[int] = 6

    def inputs(self) -> tuple[Tensor, ...]:
        """The input tensors, in the order of the arguments."""
        raise TypeError(f"{self.name} does not say its inputs")

    def outputs(self) -> tuple[Tensor, ...]:
        """The output tensors, in order."""
        raise TypeError(f"{self.name} does not say its outputs")

    def parts(self) -> Iterable[Part]:
        """Every part with its weights, in the order in which the parts finish; the whole network is not among them."""
        raise TypeError(f"{self.name} does not say its parts")

    def loss(self) -> str:
        """The technique that a check trains the network with."""
        return self.LOSS

    def loss_fields(self) -> dict[str, Any]:
        """The fields of that technique which the network says."""
        return {}

    def targets(self) -> Tensor:
        """What the loss compares its first output with: a class index for each position of it, or as many floats."""
        output = next(tensor for tensor in self.outputs() if tensor.name in self.loss_weights())
        if self.loss() != "cross_entropy":
            return Tensor("targets", output.axes, output.shape)
        axes = " ".join(output.axes.split()[:-1])
        return Tensor("targets", axes, output.shape[:-1], "int", int(output.shape[-1] or 0))

    def targets_of(self, name: str, targets: Any) -> Any:
        """What the loss compares an output of that name with: all the targets, unless a spec says which of them."""
        return targets

    def loss_weights(self) -> dict[str, float]:
        """The outputs that the loss is taken of, and the weight of each in the sum. By default the first alone."""
        return {self.outputs()[0].name: 1.0}

    def shrunk(self) -> Self:
        """The spec whose inputs and outputs have the sizes of an example, where the full ones would only cost time."""
        return self

    def example(self, rng: np.random.Generator, batch: int | None = None) -> dict[str, Array]:
        """Random inputs and targets by name, float64 and int64, on which the network is checked."""
        return self.shrunk().drawn(rng, batch or self.BATCH)

    def whole_example(self, rng: np.random.Generator) -> dict[str, Array]:
        """What the evaluation forward pass is compared on: the example, unless a spec can afford its full size."""
        return self.example(rng)

    @property
    def generates(self) -> str:
        """The input that the network continues token by token, by the logits of its first output; empty if none is."""
        return ""

    def growing(self) -> Tensor:
        """The input that grows, of a network that generates."""
        return next(tensor for tensor in self.inputs() if tensor.name == self.generates)

    def prompt(self, rng: np.random.Generator) -> dict[str, Array]:
        """Inputs on which generation is checked: an example, whose input that grows does not start with padding."""
        arrays, grows = self.example(rng), self.growing()
        length = min(int(grows.shape[1] or CHECKED_TIME), CHECKED_TIME)
        tokens = rng.integers(grows.high, size=(self.BATCH, length))
        padding = self.fields().get("pad_token_id")
        tokens[:, 0] = np.where(tokens[:, 0] == padding, (tokens[:, 0] + 1) % grows.high, tokens[:, 0])
        arrays[grows.name] = tokens
        return {tensor.name: arrays[tensor.name] for tensor in self.inputs()}

    def drawn(self, rng: np.random.Generator, batch: int) -> dict[str, Array]:
        """Random inputs and targets of exactly the spec's sizes."""
        return {tensor.name: draw(tensor, rng, batch) for tensor in (*self.inputs(), self.targets())}

    def weights(self) -> tuple[Weight, ...]:
        """Every weight, in the order of the parts."""
        return _weights(self)

    def parameter_count(self) -> int:
        """The number of trainable numbers."""
        return sum(weight.size for weight in self.weights() if weight.trainable)


@functools.lru_cache(maxsize=64)
def _weights(spec: Spec) -> tuple[Weight, ...]:
    return tuple(weight for part in spec.parts() for weight in part.weights)


def draw(tensor: Tensor, rng: np.random.Generator, batch: int) -> NDArray[Any]:
    """A random array of a tensor's shape: standard normal floats, or uniform whole numbers below `high`."""
    shape = tuple(batch if size is None else size for size in tensor.shape)
    return rng.integers(tensor.high, size=shape) if tensor.dtype == "int" else rng.standard_normal(shape)
