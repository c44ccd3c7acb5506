"""The diffusion model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..denoising import Denoising
from ..field import choice, flag, fraction, non_negative, positive, sizes, whole
from ..learning import Course, LearningSpec, Verb, scalar
from ..noise import Noise
from ..parts import IMAGE, VECTOR, block, conv, dense, layer_norm, nested
from ..spec import ZEROS, Init, Part, Tensor, Weight
from ..technique import Arrays, Technique
from ..techniques.adam import Adam
from ..techniques.exponential_moving_average import ExponentialMovingAverage
from ..techniques.gaussian_diffusion import GaussianDiffusion
from .multi_head_attention import MultiHeadAttention

HE, XAVIER, TABLE = Init("he_normal"), Init("xavier_uniform"), Init("normal", 1.0)


@dataclass(frozen=True, kw_only=True)
class Diffusion(LearningSpec):
    """A denoising diffusion model: a U-Net that predicts the noise in an image, and a copy of it that samples.

    Source: Ho, Jain and Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020: algorithm 1 (training), and
    appendix B for the network, a U-Net of residual blocks with group normalisation, a sinusoidal time embedding and
    self-attention. Classes, and leaving them out at times: Ho and Salimans, "Classifier-free diffusion guidance", 2022,
    algorithm 1. Schedules and samplers: core/techniques/gaussian_diffusion.py. The samples are drawn from the average
    of the weights, core/techniques/exponential_moving_average.py.

    A convolution, then at each level `blocks` residual blocks, with a convolution of stride 2 behind every level but
    the last; two blocks with attention between them at the lowest resolution; and back, where each block is given
    beside its input what the way down left behind, and nearest neighbours with a convolution double the size. A block
    normalises, takes SiLU and convolves twice; between the two it adds a projection of the embedding.

    Inputs: `images`, float, (batch, height, width, channels), noised, of images in [-1, 1]; `times`, whole numbers
    below `timesteps`, (batch); and with classes `labels`, (batch), of which `num_classes` itself says that there is
    none. Output: `predicted`, float, (batch, height, width, channels), the noise.

    Fields:
        image_size, in_channels: height and width, and channels of an image.
        widths: channels of each level.
        blocks: residual blocks of a level on the way down; on the way up there is one more.
        groups: of every normalisation. One group of a single channel would take the embedding out again.
        norm_epsilon: of every normalisation.
        num_heads: of the attention.
        num_classes: number of classes; 0 is a model without labels.
        label_dropout: share of training images whose label is left out, so that the network learns to do without.
        timesteps, schedule, beta_start, beta_end, offset, max_beta: of the process that adds the noise.
        variance, clip_images, guidance, sampling_steps, eta: of the samplers; for these and the line above, see
            core/techniques/gaussian_diffusion.py.
        ema_decay, ema_warmup: see core/techniques/exponential_moving_average.py.
        learning_rate, beta_1, beta_2, epsilon: of Adam, see core/techniques/adam.py.
        batch_size: images of a training step.

    Departs from paper: Ho et al. concatenate sines and cosines as here, but with frequencies down to exactly 1 / 10000;
    these are those of the Transformer. Attention is at the lowest resolution alone, and blocks have no dropout.
    Attention has no biases, nor has the first convolution of a block, since the embedding that is added to it has one.

    Departs from the document: its `call` is given images, draws float times, never adds the noise that it draws, and
    has no loss and no sampler.

    Raises SpecError for an image that cannot be halved between the levels, for groups that do not fit the widths, heads
    that do not fit the last one, an odd first one, and guidance without classes or where no label is ever left out.

    Frameworks differ: group normalisation has epsilon 1e-5 in PyTorch and 1e-3 in Keras. Keras's `fit` keeps no
    average of the weights unless the optimizer is built with `use_ema`.
    """

    image_size: int = whole(8)
    in_channels: int = whole(1)
    widths: tuple[int, ...] = sizes((24, 48))
    blocks: int = whole(1)
    groups: int = whole(8)
    norm_epsilon: float = positive(1e-5)
    num_heads: int = whole(4)
    num_classes: int = whole(10, least=0)
    label_dropout: float = fraction(0.1)
    timesteps: int = whole(100, least=2)
    schedule: str = choice("cosine", "linear")
    beta_start: float = fraction(1e-4)
    beta_end: float = fraction(0.02)
    offset: float = non_negative(0.008)
    max_beta: float = fraction(0.999)
    variance: str = choice("posterior", "beta")
    clip_images: bool = flag(True)
    guidance: float = non_negative(1.0)
    sampling_steps: int = whole(50)
    eta: float = non_negative(0.0)
    ema_decay: float = fraction(0.995)
    ema_warmup: bool = flag(True)
    learning_rate: float = positive(1e-3)
    beta_1: float = fraction(0.9)
    beta_2: float = fraction(0.999)
    epsilon: float = positive(1e-8)
    batch_size: int = whole(64)

    LOSS: ClassVar[str] = "mean_squared_error"
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "diffusion_small": {
            "image_size": 4,
            "widths": (4, 6),
            "groups": 2,
            "num_heads": 2,
            "num_classes": 3,
            "label_dropout": 0.25,
            "timesteps": 50,
            "guidance": 1.5,
            "ema_decay": 0.9,
            "batch_size": 6,
        },
        "diffusion_small_unlabelled": {
            "image_size": 2,
            "in_channels": 2,
            "widths": (6,),
            "blocks": 2,
            "groups": 3,
            "num_heads": 1,
            "num_classes": 0,
            "timesteps": 60,
            "schedule": "linear",
            "beta_start": 1e-3,
            "beta_end": 0.2,
            "variance": "beta",
            "clip_images": False,
            "guidance": 0.0,
            "eta": 0.5,
            "ema_warmup": False,
            "batch_size": 6,
        },
    }
    CHECKED = tuple(PRESETS)
    COPIES: ClassVar[tuple[str, ...]] = ("average",)
    DATA: ClassVar[str] = "digits"
    RUN: ClassVar[Mapping[str, Any]] = {}
    RUN_STEPS: ClassVar[int] = 1500

    def constraints(self) -> Iterator[str]:
        self.process()
        times = 2 ** (len(self.widths) - 1)
        if self.image_size % times:
            yield (
                f"image_size {self.image_size} is not a multiple of {times}, and {len(self.widths)} widths halve it "
                f"{len(self.widths) - 1} times; pad or crop the images, or give fewer widths"
            )
        if any(width % self.groups or width == self.groups for width in self.widths):
            yield (
                f"groups {self.groups} must divide each of the widths {self.widths} into groups of two channels or "
                "more; choose fewer groups"
            )
        if self.widths[0] % 2:
            yield f"the first width, {self.widths[0]}, is odd, and the time's sines and cosines come in pairs"
        if self.widths[-1] % self.num_heads:
            yield f"num_heads {self.num_heads} does not divide the last width, {self.widths[-1]}"
        if self.guidance and not self.num_classes:
            yield f"guidance {self.guidance} needs classes; set it to 0, or give num_classes"
        if self.guidance and not self.label_dropout:
            yield (
                f"guidance {self.guidance} asks for predictions without labels, which label_dropout 0 never trains; "
                "give a label_dropout above 0, or set guidance to 0"
            )

    @property
    def hidden(self) -> int:
        """Channels of the embedding of time and label."""
        return 4 * self.widths[0]

    def down(self) -> Iterator[tuple[int, int]]:
        """Channels in and out of each block on the way down."""
        inputs = self.widths[0]
        for width in self.widths:
            for _ in range(self.blocks):
                yield inputs, width
                inputs = width

    def up(self) -> Iterator[tuple[int, int]]:
        """Channels in and out of each block on the way up; those that the way down left behind are among the first."""
        inputs = self.widths[-1]
        for level, width in reversed(list(enumerate(self.widths))):
            for place in range(self.blocks + 1):
                left = width if place < self.blocks else self.widths[max(level - 1, 0)]
                yield inputs + left, width
                inputs = width

    def inputs(self) -> tuple[Tensor, ...]:
        labels = Tensor("labels", "batch", (None,), "int", self.num_classes + 1)
        return (self._images("images"), self._times("times"), *((labels,) if self.num_classes else ()))

    def outputs(self) -> tuple[Tensor, ...]:
        return (self._images("predicted"),)

    def _images(self, name: str) -> Tensor:
        return Tensor(name, IMAGE, (None, self.image_size, self.image_size, self.in_channels))

    def _times(self, name: str) -> Tensor:
        return Tensor(name, "batch", (None,), "int", self.timesteps)

    def parts(self) -> Iterator[Part]:
        first, last, times = self.widths[0], self.widths[-1], len(self.widths) - 1
        yield dense("time.expand", first, self.hidden, XAVIER)
        yield dense("time.contract", self.hidden, self.hidden, XAVIER)
        yield Part("time", ("batch",), VECTOR)
        if self.num_classes:
            table = Weight("label.table", "tokens channels", (self.num_classes + 1, self.hidden), TABLE)
            yield Part("label", ("batch",), VECTOR, (table,))
        yield conv("stem", 3, self.in_channels, first, HE, bias=True)
        for index, (inputs, width) in enumerate(self.down()):
            yield from self._block(f"down.{index}", inputs, width)
            level, place = divmod(index + 1, self.blocks)
            if not place and level <= times:
                yield conv(f"downsample.{level - 1}", 3, width, width, HE, bias=True)
        yield from self._block("middle.0", last, last)
        yield _group_norm("attention.norm", last)
        yield from nested("attention.heads", self.attention())
        yield block("attention", IMAGE)
        yield from self._block("middle.1", last, last)
        for index, (inputs, width) in enumerate(self.up()):
            yield from self._block(f"up.{index}", inputs, width)
            level, place = divmod(index + 1, self.blocks + 1)
            if not place and level <= times:
                yield conv(f"upsample.{level - 1}.conv", 3, width, width, HE, bias=True)
                yield block(f"upsample.{level - 1}", IMAGE)
        yield _group_norm("norm", first)
        yield conv("head", 3, first, self.in_channels, ZEROS, bias=True)

    def _block(self, name: str, inputs: int, width: int) -> Iterator[Part]:
        yield _group_norm(f"{name}.norm1", inputs)
        yield conv(f"{name}.conv1", 3, inputs, width, HE)
        yield dense(f"{name}.embedding", self.hidden, width, XAVIER)
        yield _group_norm(f"{name}.norm2", width)
        yield conv(f"{name}.conv2", 3, width, width, ZEROS, bias=True)
        if inputs != width:
            yield conv(f"{name}.shortcut", 1, inputs, width, XAVIER, bias=True)
        yield block(name, IMAGE, VECTOR)

    def attention(self) -> MultiHeadAttention:
        """The attention at the lowest resolution."""
        return MultiHeadAttention(d_model=self.widths[-1], num_heads=self.num_heads, bias=False)

    def process(self) -> GaussianDiffusion:
        """The forward process and the samplers."""
        return self.part_of(GaussianDiffusion)

    def average(self) -> ExponentialMovingAverage:
        """How the copy follows the weights."""
        return ExponentialMovingAverage(decay=self.ema_decay, warmup=self.ema_warmup)

    def optimizers(self) -> dict[str, tuple[Technique, str]]:
        return {"network": (self.part_of(Adam), "")}

    def verbs(self) -> dict[str, Verb]:
        images, times, *labels = self.inputs()
        noise, previous = self._images("noise"), self._times("previous")
        dropped = [Tensor("dropped", "batch", (None,), "int", 2)] if labels else []
        taken = (images, noise, times, *labels, *dropped)
        return {
            "step": Verb(taken, (scalar("loss"),)),
            "error": Verb(taken, (scalar("loss"),)),
            "ddpm": Verb((images, noise, times, *labels), (images,)),
            "ddim": Verb((images, noise, times, previous, *labels), (images,)),
        }

    def course(self, data: Arrays, noise: Noise) -> Course:
        return Denoising(self, data, noise)

    def lesson(self, rng: np.random.Generator) -> Arrays:
        count = 2 * self.batch_size
        images = rng.random((count, self.image_size, self.image_size, self.in_channels))
        return {
            "images": images,
            **({"labels": rng.integers(self.num_classes, size=count)} if self.num_classes else {}),
        }

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        levels, groups = int(rng.integers(1, 3)), int(rng.integers(1, 3))
        classes = int(rng.choice([0, 3]))
        return cls(
            image_size=2**levels,
            in_channels=int(rng.integers(1, 3)),
            widths=tuple(2 * groups * int(size) for size in rng.integers(1, 4, levels)),
            blocks=int(rng.integers(1, 3)),
            groups=groups,
            num_heads=int(rng.integers(1, 3)),
            num_classes=classes,
            label_dropout=0.25,
            timesteps=50,
            schedule=str(rng.choice(["linear", "cosine"])),
            beta_start=0.002,
            beta_end=0.3,
            variance=str(rng.choice(["posterior", "beta"])),
            clip_images=bool(rng.random() < 0.5),
            guidance=1.5 if classes else 0.0,
            sampling_steps=20,
            eta=float(rng.choice([0.0, 0.5, 1.0])),
            ema_decay=0.9,
            ema_warmup=bool(rng.random() < 0.5),
            batch_size=6,
        )


def _group_norm(name: str, channels: int) -> Part:
    """The same weights as layer normalisation has."""
    return layer_norm(name, channels, layout=IMAGE)
