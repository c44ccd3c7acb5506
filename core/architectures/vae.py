"""The variational autoencoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..field import choice, fraction, non_negative, positive, sizes, whole
from ..learning import Course, Learner, LearningSpec, Picture, Verb, scalar
from ..noise import Noise
from ..parts import FLAT, IMAGE, VECTOR, block, conv, conv_transpose, dense, flat_factors, unflattening
from ..spec import Init, Part, Tensor
from ..technique import Arrays, Technique
from ..techniques.adam import Adam
from ..techniques.negative_elbo import NegativeELBO

HE, XAVIER = Init("he_normal"), Init("xavier_uniform")
SHOWN = 10
NEIGHBOURS = 10


@dataclass(frozen=True, kw_only=True)
class VAE(LearningSpec):
    """A convolutional variational autoencoder: an encoder to a normal distribution, a sample of it, and a decoder.

    Source: Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014, section 3 and algorithm 1 with the
    reparametrisation z = mu + sigma epsilon of section 2.4.

    The encoder halves the image once for each of `widths`, by convolutions of stride 2 that pad as much on all sides;
    two dense layers give the mean and the log-variance. The decoder's dense layer gives the smallest feature map, and
    transposed convolutions double it as often; a last one, of stride 1, gives the channels of the image.

    Inputs: `images`, float, (batch, height, width, channels), in [0, 1] for the Bernoulli likelihood; `noise`, float,
    (batch, latents), standard normal draws. Without noise a network in training draws its own, and one in evaluation
    mode takes the mean for the sample. Outputs: `decoded`, (batch, height, width, channels), the logits of the
    Bernoulli likelihood or the mean of the Gaussian; `mean` and `log_variance`, (batch, latents).

    Fields:
        image_size, in_channels: height and width, and channels of an image.
        widths: channels of each convolution of the encoder, and of the decoder in reverse.
        kernel_size: of every convolution, odd.
        latent_dim: size of the sample z.
        likelihood, std, beta: see core/techniques/negative_elbo.py.
        learning_rate, beta_1, beta_2, epsilon: of Adam, see core/techniques/adam.py.
        batch_size: images of a training step.

    Departs from the document: its decoder is fed the log-variance, `encoder(...)[1]`; here it takes the sample, as the
    paper says. The document's layers pad one more row below and to the right than above and to the left ('same'); here
    the padding is symmetric, and the transposed convolutions match. The last layer gives logits, since the logarithm
    of a rounded sigmoid is not finite.

    Raises SpecError for an image that cannot be halved as often as there are widths.

    Frameworks differ: a transposed convolution of kernel 3 and stride 2 gives 2 n + 1 rows, of which PyTorch's
    `padding=1, output_padding=1` cuts off the first and Keras's 'same' the last; PyTorch flattens channels first.
    """

    image_size: int = whole(28)
    in_channels: int = whole(1)
    widths: tuple[int, ...] = sizes((32, 64))
    kernel_size: int = whole(3, least=2)
    latent_dim: int = whole(2)
    likelihood: str = choice("bernoulli", "gaussian")
    std: float = positive(1.0)
    beta: float = non_negative(1.0)
    learning_rate: float = positive(1e-3)
    beta_1: float = fraction(0.9)
    beta_2: float = fraction(0.999)
    epsilon: float = positive(1e-8)
    batch_size: int = whole(128)

    LOSS: ClassVar[str] = "mean_squared_error"
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "vae_small": {"image_size": 8, "widths": (4, 6), "latent_dim": 3, "batch_size": 6},
        "vae_small_gaussian": {
            "image_size": 6,
            "in_channels": 2,
            "widths": (4,),
            "kernel_size": 5,
            "likelihood": "gaussian",
            "std": 0.5,
            "beta": 4.0,
            "batch_size": 6,
        },
    }
    CHECKED = tuple(PRESETS)
    DATA: ClassVar[str] = "mnist"
    RUN: ClassVar[Mapping[str, Any]] = {}
    RUN_STEPS: ClassVar[int] = 2000

    def constraints(self) -> Iterator[str]:
        if self.kernel_size % 2 == 0:
            yield f"kernel_size {self.kernel_size} is even, and padding is symmetric; choose an odd one"
        if self.image_size % 2 ** len(self.widths):
            times = 2 ** len(self.widths)
            yield (
                f"image_size {self.image_size} is not a multiple of {times}, and the {len(self.widths)} transposed "
                f"convolutions give multiples of it only; pad or crop the images, or give fewer widths"
            )

    @property
    def smallest(self) -> tuple[int, int, int]:
        """Height, width and channels of the feature map between the convolutions and the dense layers."""
        size = self.image_size // 2 ** len(self.widths)
        return size, size, self.widths[-1]

    def inputs(self) -> tuple[Tensor, ...]:
        return (self._images("images"), Tensor("noise", VECTOR, (None, self.latent_dim)))

    def outputs(self) -> tuple[Tensor, ...]:
        return (self._images("decoded"), self._latents("mean"), self._latents("log_variance"))

    def _images(self, name: str) -> Tensor:
        return Tensor(name, IMAGE, (None, self.image_size, self.image_size, self.in_channels))

    def _latents(self, name: str) -> Tensor:
        return Tensor(name, VECTOR, (None, self.latent_dim))

    def parts(self) -> Iterator[Part]:
        channels, flat = self.in_channels, int(np.prod(self.smallest))
        for index, width in enumerate(self.widths):
            yield conv(f"encoder.convolutions.{index}", self.kernel_size, channels, width, HE, bias=True)
            channels = width
        yield Part("encoder.flatten", (IMAGE,), f"batch {FLAT}", factors=flat_factors(self.smallest))
        yield dense("encoder.mean", flat, self.latent_dim, XAVIER, flattened=self.smallest)
        yield dense("encoder.log_variance", flat, self.latent_dim, XAVIER, flattened=self.smallest)
        yield Part("encoder", (IMAGE,), VECTOR)
        yield block("sampling", VECTOR, VECTOR, VECTOR)
        yield unflattening("decoder.dense", self.latent_dim, self.smallest, HE)
        for index, width in enumerate(reversed(self.widths)):
            yield conv_transpose(f"decoder.convolutions.{index}", self.kernel_size, channels, width, HE)
            channels = width
        yield conv_transpose("decoder.head", self.kernel_size, channels, self.in_channels, XAVIER)
        yield Part("decoder", (VECTOR,), IMAGE)

    def objective(self) -> NegativeELBO:
        """What the training minimises."""
        return self.part_of(NegativeELBO)

    def optimizers(self) -> dict[str, tuple[Technique, str]]:
        return {"network": (self.part_of(Adam), "")}

    def verbs(self) -> dict[str, Verb]:
        losses = tuple(map(scalar, ("loss", "reconstruction", "kl")))
        return {
            "step": Verb(self.inputs(), losses),
            "terms": Verb(self.inputs(), losses),
            "encode": Verb((self._images("images"),), (self._latents("mean"), self._latents("log_variance"))),
            "decode": Verb((self._latents("latents"),), (self._images("decoded"),)),
        }

    def course(self, data: Arrays, noise: Noise) -> Course:
        return Reconstruction(self, data, noise)

    def lesson(self, rng: np.random.Generator) -> Arrays:
        return {"images": rng.random((2 * self.batch_size, self.image_size, self.image_size, self.in_channels))}

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        widths = tuple(int(width) for width in rng.integers(3, 7, int(rng.integers(1, 3))))
        return cls(
            image_size=int(rng.integers(1, 3)) * 2 ** len(widths),
            in_channels=int(rng.integers(1, 4)),
            widths=widths,
            kernel_size=int(rng.choice([3, 5])),
            latent_dim=int(rng.integers(1, 5)),
            likelihood=str(rng.choice(["bernoulli", "gaussian"])),
            std=float(rng.uniform(0.3, 2.0)),
            beta=float(rng.uniform(0.2, 4.0)),
            batch_size=6,
        )


class Reconstruction(Course):
    """Images in another order in each epoch; `held_out`, where the data has it, is scored and drawn.

    `labels` and `held_out_labels` only colour the map of the latents.
    """

    def take(self, learner: Learner, step: int) -> Arrays:
        return learner.do("step", self._batch("images", self.rows("images", step, self.spec.batch_size), step), step)

    def _batch(self, name: str, rows: Any, step: int) -> Arrays:
        shape = (len(rows), self.spec.latent_dim)
        return {"images": self.data[name][rows], "noise": Noise(self.noise.seed, step).normal(f"latent {name}", shape)}

    def finish(self, learner: Learner) -> Arrays:
        images = self.data["images"][: self.spec.batch_size]
        found = learner.do("encode", {"images": images})
        return {**found, **learner.do("decode", {"latents": found["mean"]})}

    def scores(self, learner: Learner) -> Mapping[str, float]:
        held_out = self.data["held_out"]
        parts = np.array_split(np.arange(len(held_out)), max(1, len(held_out) // self.spec.batch_size))
        totals = dict.fromkeys(("loss", "reconstruction", "kl"), 0.0)
        for step, rows in enumerate(parts):
            for name, value in learner.do("terms", self._batch("held_out", rows, step)).items():
                totals[name] += float(value) * len(rows) / len(held_out)
        found = {
            "held-out ELBO": -totals["reconstruction"] - totals["kl"],
            "held-out reconstruction": -totals["reconstruction"],
            "held-out KL": totals["kl"],
        }
        if "labels" in self.data:
            found["held-out accuracy of the nearest latents"] = self._separated(learner)
        return found

    def _separated(self, learner: Learner) -> float:
        """The share of held-out images whose label most of the nearest latents of the training images have."""
        known, asked = self._means(learner, self.data["images"]), self._means(learner, self.data["held_out"])
        right = 0
        for mean, label in zip(asked, self.data["held_out_labels"], strict=True):
            nearest = np.argsort(((known - mean) ** 2).sum(axis=1), kind="stable")[:NEIGHBOURS]
            right += int(np.bincount(self.data["labels"][nearest]).argmax() == label)
        return right / len(asked)

    def _means(self, learner: Learner, images: Any) -> Any:
        """The means of the latents, (samples, latents)."""
        parts = np.array_split(images, max(1, len(images) // self.spec.batch_size))
        return np.concatenate([learner.do("encode", {"images": part})["mean"] for part in parts])

    def pictures(self, learner: Learner) -> Mapping[str, Picture]:
        held_out = self.data["held_out"]
        means = self._means(learner, held_out)
        first = held_out[:SHOWN]
        ends = means[:SHOWN], means[SHOWN : 2 * SHOWN]
        shares = np.linspace(0, 1, SHOWN)[:, None]
        walks = [self._seen(learner, (1 - shares) * one + shares * other) for one, other in zip(*ends, strict=True)]
        found = {
            "reconstructions": Picture("grid", np.stack([first, self._seen(learner, means[:SHOWN])])),
            "interpolation": Picture("grid", np.stack(walks)),
        }
        if "held_out_labels" in self.data and self.spec.latent_dim > 1:
            found["latents"] = Picture("points", means[:, :2], self.data["held_out_labels"])
        if self.spec.latent_dim == 2:
            line = np.linspace(-2, 2, 2 * SHOWN)
            lattice = np.stack(np.meshgrid(line, -line), axis=-1).reshape(-1, 2)
            seen = self._seen(learner, lattice)
            found["manifold"] = Picture("grid", seen.reshape(2 * SHOWN, 2 * SHOWN, *seen.shape[1:]))
        return found

    def _seen(self, learner: Learner, latents: Any) -> Any:
        """Decoded latents as images in 0..1."""
        decoded = learner.do("decode", {"latents": latents})["decoded"]
        return 1 / (1 + np.exp(-decoded)) if self.spec.likelihood == "bernoulli" else np.clip(decoded, 0, 1)
