"""The multi-layer perceptron."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..field import choice, flag, fraction, positive, sizes, whole
from ..parts import FLAT, IMAGE, VECTOR, batch_norm, block, dense, flat_factors
from ..spec import Init, Part, Spec, Tensor

INITS = {"xavier": Init("xavier_uniform"), "he": Init("he_normal"), "normal": Init("normal", 0.02)}


@dataclass(frozen=True, kw_only=True)
class MLP(Spec):
    """A multi-layer perceptron: dense layers, each with optional batch normalisation, an activation and dropout.

    Source: Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", Nature 323 (1986);
    initialisations from Glorot and Bengio (2010, eq. 16) and He et al. (2015, eq. 10).

    Input: `features`, float, (batch, channels), or (batch, height, width, channels) where `input_shape` has three
    sizes; it is then flattened. Output: `logits`, float, (batch, channels) with one channel per class.

    Fields:
        input_shape: sizes of one input, without the batch.
        hidden_dims: units of each hidden layer.
        output_dim: number of classes.
        activation: the nonlinearity; `gelu` is the exact form, x times the normal distribution function of x.
        negative_slope: slope of `leaky_relu` below zero.
        dropout_rate: probability that a unit is dropped in training.
        batch_norm: normalise before the activation (Ioffe and Szegedy 2015).
        norm_epsilon, norm_momentum: added to the variance; weight of the new batch in the running statistics.
        running_variance: divide by n - 1 (`unbiased`) or by n (`biased`) in the running variance.
        weight_init: distribution of the kernels; biases start at zero.

    Raises SpecError for a value against its rule.

    Frameworks differ: PyTorch flattens channels first and Keras channels last, so the first kernel is permuted.
    """

    input_shape: tuple[int, ...] = sizes((64,), lengths=(1, 3))
    hidden_dims: tuple[int, ...] = sizes((128, 64))
    output_dim: int = whole(10)
    activation: str = choice("relu", "leaky_relu", "tanh", "sigmoid", "gelu")
    negative_slope: float = positive(0.01)
    dropout_rate: float = fraction(0.0)
    batch_norm: bool = flag(False)
    norm_epsilon: float = positive(1e-5)
    norm_momentum: float = fraction(0.1)
    running_variance: str = choice("unbiased", "biased")
    weight_init: str = choice("xavier", "he", "normal")

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "mlp_small": {
            "input_shape": (12,),
            "hidden_dims": (16, 8),
            "output_dim": 5,
            "batch_norm": True,
            "dropout_rate": 0.2,
        },
        "mlp_small_gelu": {"input_shape": (12,), "hidden_dims": (16, 8), "output_dim": 5, "activation": "gelu"},
        "mlp_small_image": {
            "input_shape": (4, 3, 2),
            "hidden_dims": (16,),
            "output_dim": 5,
            "activation": "leaky_relu",
            "dropout_rate": 0.3,
        },
    }
    CHECKED: ClassVar[tuple[str, ...]] = tuple(PRESETS)

    def inputs(self) -> tuple[Tensor, ...]:
        layout = IMAGE if len(self.input_shape) == 3 else VECTOR
        return (Tensor("features", layout, (None, *self.input_shape)),)

    def outputs(self) -> tuple[Tensor, ...]:
        return (Tensor("logits", VECTOR, (None, self.output_dim)),)

    def parts(self) -> Iterator[Part]:
        init, width = INITS[self.weight_init], math.prod(self.input_shape)
        flattened = self.input_shape if len(self.input_shape) == 3 else None
        if flattened is not None:
            yield Part("flatten", (IMAGE,), f"batch {FLAT}", factors=flat_factors(flattened))
        for index, units in enumerate(self.hidden_dims):
            name = f"hidden.{index}"
            yield dense(f"{name}.dense", width, units, init, flattened=flattened)
            if self.batch_norm:
                yield batch_norm(f"{name}.norm", units, layout=VECTOR)
            yield block(f"{name}.activation", VECTOR)
            yield block(f"{name}.dropout", VECTOR)
            yield block(name, VECTOR, flattened=flattened)
            width, flattened = units, None
        yield dense("head", width, self.output_dim, init)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        image = bool(rng.random() < 0.3)
        return cls(
            input_shape=tuple(int(size) for size in rng.integers(2, 5, 3)) if image else (int(rng.integers(3, 20)),),
            hidden_dims=tuple(int(units) for units in rng.integers(3, 20, rng.integers(1, 5))),
            output_dim=int(rng.integers(2, 8)),
            activation=str(rng.choice(["relu", "leaky_relu", "tanh", "sigmoid", "gelu"])),
            negative_slope=float(rng.uniform(0.01, 0.3)),
            dropout_rate=float(rng.choice([0.0, 0.1, 0.5])),
            batch_norm=bool(rng.random() < 0.5),
            norm_epsilon=float(rng.choice([1e-5, 1e-3])),
            norm_momentum=float(rng.choice([0.1, 0.01])),
            running_variance=str(rng.choice(["unbiased", "biased"])),
            weight_init=str(rng.choice(["xavier", "he", "normal"])),
        )
