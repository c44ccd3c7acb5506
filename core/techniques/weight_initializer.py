"""Initial values of weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import choice, non_negative, positive
from ..noise import Noise
from ..technique import Arrays, Technique

CUT = 2.0
CUT_DEVIATION = 0.87962566103423978
"""The standard deviation of a standard normal distribution that is cut at -2 and 2."""
SCALED = ("normal", "truncated_normal", "uniform")


@dataclass(frozen=True, kw_only=True)
class WeightInitializer(Technique):
    """Values to start from, whose variance is chosen so that signals keep their size from layer to layer.

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS
    2010, eq. 16 (xavier: variance 2 / (fan_in + fan_out)); He et al., "Delving deep into rectifiers", ICCV 2015, eq. 10
    and 15 (he: 2 / ((1 + a^2) fan)); LeCun et al., "Efficient backprop" (1998), eq. 16 (lecun: 1 / fan); Saxe,
    McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks", ICLR
    2014 (orthogonal).

    A kernel's fan_in is its inputs times the receptive field, and its fan_out its outputs times that. The built
    initialiser draws by the framework: call it on a tensor in PyTorch, and give it as `kernel_initializer` in Keras.
    `draws` and the siblings' `fill` give the same values on both sides.

    Fields:
        distribution: the name; an orthogonal kernel has orthogonal columns, or rows where these are fewer.
        mode: which fan divides, of the he and lecun distributions.
        gain: factor on the deviation of all that have fans, and on an orthogonal kernel.
        negative_slope: symbol a, of the rectifier behind, for the he distributions.
        scale: deviation of `normal`, and of `truncated_normal` before it is cut; limit of `uniform`.
        normal_convention: whether xavier_normal, he_normal and lecun_normal are `untruncated` (PyTorch), or `truncated`
            at two deviations and made wider, by 1 / 0.8796, to have the same variance (Keras).

    Raises SpecError for a gain on what takes none, as it would be without effect.

    Frameworks differ: Keras's `HeNormal`, `GlorotNormal` and `LecunNormal` are truncated, PyTorch's are not. PyTorch's
    `trunc_normal_` cuts at -2 and 2 whatever its deviation, which is nowhere for one of 0.02; Keras's `TruncatedNormal`
    cuts at two deviations, and does not make up for it. `uniform_` is from 0 to 1, `RandomUniform` from -0.05 to 0.05.
    Left alone, PyTorch's Linear and Conv2d draw kernel and bias from +-1 / sqrt(fan_in), and Keras's Dense and Conv2D
    take GlorotUniform and a bias of zero. PyTorch counts one input for each output of a depthwise kernel, Keras all
    channels, so fan_in is larger there by their number. An orthogonal kernel that has more outputs than inputs depends
    on the order of its inputs; `fill` takes Keras's, height, width and channels.
    """

    distribution: str = choice(
        "xavier_uniform",
        "xavier_normal",
        "he_uniform",
        "he_normal",
        "lecun_normal",
        "orthogonal",
        "normal",
        "truncated_normal",
        "uniform",
        "zeros",
        "ones",
    )
    mode: str = choice("fan_in", "fan_out")
    gain: float = positive(1.0)
    negative_slope: float = non_negative(0.0)
    scale: float = positive(0.05)
    normal_convention: str = choice("untruncated", "truncated")

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "weight_initializer_xavier_normal": {"distribution": "xavier_normal"},
        "weight_initializer_xavier_truncated": {
            "distribution": "xavier_normal",
            "normal_convention": "truncated",
            "gain": 1.5,
        },
        "weight_initializer_he_uniform": {"distribution": "he_uniform", "mode": "fan_out", "negative_slope": 0.25},
        "weight_initializer_he_normal": {"distribution": "he_normal"},
        "weight_initializer_he_truncated": {"distribution": "he_normal", "normal_convention": "truncated"},
        "weight_initializer_lecun_normal": {"distribution": "lecun_normal", "normal_convention": "truncated"},
        "weight_initializer_orthogonal": {"distribution": "orthogonal", "gain": 1.5},
        "weight_initializer_normal": {"distribution": "normal", "scale": 0.02},
        "weight_initializer_truncated_normal": {"distribution": "truncated_normal", "scale": 0.02},
        "weight_initializer_uniform": {"distribution": "uniform"},
        "weight_initializer_zeros": {"distribution": "zeros"},
        "weight_initializer_ones": {"distribution": "ones"},
    }
    CHECKED = ("weight_initializer", *PRESETS)
    SEED: ClassVar[int] = 20260104
    AXES: ClassVar[dict[str, str]] = {
        "tall": "in out",
        "wide": "in out",
        "convolution": "height width in out",
        "expansion": "height width in out",
    }
    NATIVE: ClassVar[dict[str, str]] = {
        "torch": "torch.nn.init.xavier_uniform_",
        "keras": "keras.initializers.GlorotUniform",
    }

    def constraints(self) -> Iterator[str]:
        if self.gain != 1 and self.distribution in (*SCALED, "zeros", "ones"):
            yield f"gain {self.gain} has no effect on {self.distribution}; set scale, or leave the gain at 1"

    def standard(self) -> str:
        """The distribution of the draws before they are scaled: uniform from -1 to 1, normal, or truncated."""
        if self.distribution.endswith("uniform"):
            return "uniform"
        normal = self.distribution.endswith("_normal") and self.distribution != "truncated_normal"
        cut = self.distribution == "truncated_normal" or (normal and self.normal_convention == "truncated")
        return "truncated" if cut else "normal"

    def draws(self, noise: Noise, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Standard draws for one weight, in the canonical layout, by shared randomness."""
        if self.standard() == "uniform":
            return 2 * noise.uniform(name, shape) - 1
        values, attempt = noise.normal(name, shape), 0
        while self.standard() == "truncated" and np.any(np.abs(values) > CUT):
            attempt += 1
            values = np.where(np.abs(values) > CUT, noise.normal(f"{name} again {attempt}", shape), values)
        return values

    def spread(self, fan_in: int, fan_out: int, gain: float) -> float:
        """What the standard draws are multiplied by, for a gain that holds that of the rectifier."""
        if self.distribution in SCALED:
            return self.scale
        if self.distribution == "orthogonal":
            return gain
        fan = fan_in if self.mode == "fan_in" else fan_out
        deviation = gain * math.sqrt(1 / ((fan_in + fan_out) / 2 if self.distribution.startswith("xavier") else fan))
        factor = {"uniform": math.sqrt(3.0), "truncated": 1 / CUT_DEVIATION, "normal": 1.0}
        return deviation * factor[self.standard()]

    def case(self, rng: np.random.Generator) -> Arrays:
        """Standard draws for a tall and a wide dense kernel, and for those of two convolutions."""
        shapes = {"tall": (7, 4), "wide": (3, 8), "convolution": (3, 2, 4, 5), "expansion": (1, 2, 2, 6)}
        noise = Noise(int(rng.integers(2**31)))
        return {name: self.draws(noise, name, shape) for name, shape in shapes.items()}

    def rule(self, case: Arrays) -> Arrays:
        return {name: self.filled(draws) for name, draws in case.items()}

    def filled(self, draws: NDArray[Any]) -> NDArray[Any]:
        """The initial values that these draws become."""
        if self.distribution in ("zeros", "ones"):
            return np.full_like(draws, float(self.distribution == "ones"))
        receptive = math.prod(draws.shape[:-2])
        rectified = math.sqrt(2 / (1 + self.negative_slope**2)) if self.distribution.startswith("he") else 1.0
        spread = self.spread(receptive * draws.shape[-2], receptive * draws.shape[-1], self.gain * rectified)
        if self.distribution != "orthogonal":
            return spread * draws
        matrix = draws.reshape(-1, draws.shape[-1])
        wide = matrix.shape[0] < matrix.shape[1]
        q, r = np.linalg.qr(matrix.T if wide else matrix)
        q = q * np.sign(np.diag(r))
        return spread * (q.T if wide else q).reshape(draws.shape)
