"""The generative adversarial network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..digit_score import confidence
from ..field import choice, fraction, non_negative, positive, sizes, whole
from ..learning import Course, Learner, LearningSpec, Picture, Verb, scalar
from ..noise import Noise
from ..parts import FLAT, IMAGE, VECTOR, batch_norm, block, conv, conv_transpose, dense, flat_factors, unflattening
from ..spec import ONES, ZEROS, Init, Part, Tensor, Weight
from ..technique import Arrays, Technique
from ..techniques.adam import Adam
from ..techniques.adversarial_loss import AdversarialLoss
from ..techniques.batch_norm import BatchNorm

SHOWN, SCORED = 10, 1000


@dataclass(frozen=True, kw_only=True)
class GAN(LearningSpec):
    """A deep convolutional generative adversarial network: a generator of images, and a discriminator of its fakes.

    Source: Goodfellow et al., "Generative adversarial nets", NeurIPS 2014, algorithm 1; the layers are those of Radford
    et al., "Unsupervised representation learning with deep convolutional generative adversarial networks", ICLR 2016,
    section 3. The Wasserstein form: Gulrajani et al., NeurIPS 2017, algorithm 1.

    The generator: a dense layer, batch normalisation of each of its units and ReLU give the smallest feature map; a
    transposed convolution of stride 1 and then one of stride 2 for each further doubling, each with batch normalisation
    and ReLU; a last one of stride 2 and tanh. The discriminator: convolutions of stride 2, each with leaky ReLU and
    dropout, and a dense layer to one logit. All pad as much on either side.

    A step of the training is one update. `critic_steps` of the discriminator come first and then one of the generator,
    each on draws of its own. Both networks run in training mode in both updates, and fakes are normalised by their
    batch; only the generator's update moves its running statistics. Fakes and images pass the discriminator as one
    batch, so each meets a dropout mask of its own; it does not normalise, so they do not see each other. The penalty's
    interpolates pass it apart, and meet the masks of the fakes where draws are shared.

    Inputs: `latents`, float, (batch, latents), standard normal; `images`, float, (batch, height, width, channels), in
    [-1, 1]. Outputs: `fake_logits` and `real_logits`, (batch, 1), and `generated`, (batch, height, width, channels), in
    [-1, 1]. The course takes images in [0, 1] and gives such samples.

    Fields:
        image_size, in_channels: height and width, and channels of an image.
        latent_dim: size of the latents z.
        generator_widths: channels of the smallest feature map, and of each transposed convolution but the last.
        discriminator_widths: channels of each convolution.
        kernel_size: of every convolution, odd.
        negative_slope: of the leaky ReLU below zero.
        dropout_rate: probability that a unit of the discriminator is dropped.
        norm_epsilon, norm_momentum, running_variance: see core/techniques/batch_norm.py.
        weight_std: standard deviation of every kernel at the start (Radford et al., section 4).
        form, smoothing, penalty: see core/techniques/adversarial_loss.py.
        critic_steps: updates of the discriminator for one of the generator; Gulrajani et al. take 5.
        generator_rate, discriminator_rate: learning rates of the two.
        beta_1, beta_2, epsilon: of both, see core/techniques/adam.py; Gulrajani et al. take 0 and 0.9.
        batch_size: images, and latents, of an update.

    Departs from the document: it ends in a sigmoid, where the loss takes logits; its transposed convolutions have a
    bias before batch normalisation, which subtracts it again, and here have none; its 'same' padding is one more below
    and on the right. One flag, `discriminator.trainable`, decides there what each of two compiled models moves; here
    each optimizer holds the weights of its own network. Departs from paper: a critic's last layer has no bias, since
    the Wasserstein loss is a difference that no bias changes.

    Raises SpecError for an image whose size is no multiple of what the transposed convolutions give, for an even
    kernel, and for images of another shape than the spec's.

    Frameworks differ: as in core/architectures/vae.py, a transposed convolution of stride 2 is cropped on the other
    side; the slope of a leaky ReLU is 0.01 in PyTorch and 0.3 in Keras; and see core/techniques/batch_norm.py.
    """

    image_size: int = whole(28)
    in_channels: int = whole(1)
    latent_dim: int = whole(100)
    generator_widths: tuple[int, ...] = sizes((256, 128, 64))
    discriminator_widths: tuple[int, ...] = sizes((64, 128))
    kernel_size: int = whole(5)
    negative_slope: float = positive(0.2)
    dropout_rate: float = fraction(0.3)
    norm_epsilon: float = positive(1e-5)
    norm_momentum: float = fraction(0.1)
    running_variance: str = choice("unbiased", "biased")
    weight_std: float = positive(0.02)
    form: str = choice("non_saturating", "wasserstein")
    smoothing: float = fraction(0.0)
    penalty: float = non_negative(10.0)
    critic_steps: int = whole(1)
    generator_rate: float = positive(2e-4)
    discriminator_rate: float = positive(2e-4)
    beta_1: float = fraction(0.5)
    beta_2: float = fraction(0.999)
    epsilon: float = positive(1e-8)
    batch_size: int = whole(128, least=2)

    LOSS: ClassVar[str] = "mean_squared_error"
    STEPS: ClassVar[int] = 90  # 45 alternations, or 30 of three updates
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "gan_small": {
            "image_size": 8,
            "latent_dim": 5,
            "generator_widths": (6, 5, 4),
            "discriminator_widths": (4, 6),
            "smoothing": 0.1,
            "batch_size": 6,
        },
        "gan_small_wasserstein": {
            "image_size": 6,
            "in_channels": 2,
            "latent_dim": 4,
            "generator_widths": (5, 4),
            "discriminator_widths": (4, 5),
            "kernel_size": 3,
            "running_variance": "biased",
            "form": "wasserstein",
            "critic_steps": 2,
            "beta_1": 0.0,
            "beta_2": 0.9,
            "batch_size": 6,
        },
    }
    CHECKED = tuple(PRESETS)
    DATA: ClassVar[str] = "digits"
    RUN: ClassVar[Mapping[str, Any]] = {
        "image_size": 8,
        "latent_dim": 16,
        "generator_widths": (64, 32),
        "discriminator_widths": (64, 128),
        "dropout_rate": 0.0,
        "generator_rate": 1e-3,
        "discriminator_rate": 1e-3,
        "batch_size": 64,
    }
    RUN_STEPS: ClassVar[int] = 8000

    def constraints(self) -> Iterator[str]:
        self.objective()
        if self.kernel_size % 2 == 0:
            yield f"kernel_size {self.kernel_size} is even, and padding is symmetric; choose an odd one"
        if len(self.generator_widths) < 2:
            yield f"generator_widths {self.generator_widths} have no convolution between the ends; give two or more"
        times = 2 ** (len(self.generator_widths) - 1)
        if self.image_size % times:
            yield (
                f"image_size {self.image_size} is not a multiple of {times}, and the generator's transposed "
                f"convolutions double {len(self.generator_widths) - 1} times; pad or crop the images, or give fewer "
                f"generator_widths"
            )

    @property
    def smallest(self) -> tuple[int, int, int]:
        """Height, width and channels of the feature map that the generator begins with."""
        size = self.image_size // 2 ** (len(self.generator_widths) - 1)
        return size, size, self.generator_widths[0]

    @property
    def last(self) -> tuple[int, int, int]:
        """Height, width and channels of the feature map that the discriminator ends with."""
        size = math.ceil(self.image_size / 2 ** len(self.discriminator_widths))
        return size, size, self.discriminator_widths[-1]

    @property
    def strides(self) -> tuple[int, ...]:
        """Of the generator's transposed convolutions, without the last."""
        return (1, *(2 for _ in self.generator_widths[2:]))

    def norm(self) -> BatchNorm:
        """The generator's batch normalisation."""
        return BatchNorm(epsilon=self.norm_epsilon, momentum=self.norm_momentum, running_variance=self.running_variance)

    def inputs(self) -> tuple[Tensor, ...]:
        return (Tensor("latents", VECTOR, (None, self.latent_dim)), self._images("images"))

    def outputs(self) -> tuple[Tensor, ...]:
        return (*(Tensor(name, VECTOR, (None, 1)) for name in self.loss_weights()), self._images("generated"))

    def loss_weights(self) -> dict[str, float]:
        return {"fake_logits": 1.0, "real_logits": 1.0}

    def _images(self, name: str) -> Tensor:
        return Tensor(name, IMAGE, (None, self.image_size, self.image_size, self.in_channels))

    def parts(self) -> Iterator[Part]:
        init, size, channels = Init("normal", self.weight_std), self.kernel_size, self.generator_widths[0]
        yield unflattening("generator.dense", self.latent_dim, self.smallest, init, bias=False)
        yield flat_norm("generator.norm", self.smallest)
        for index, width in enumerate(self.generator_widths[1:]):
            yield conv_transpose(f"generator.convolutions.{index}", size, channels, width, init, bias=False)
            yield batch_norm(f"generator.norms.{index}", width)
            channels = width
        yield conv_transpose("generator.head", size, channels, self.in_channels, init)
        yield Part("generator", (VECTOR,), IMAGE)
        channels = self.in_channels
        for index, width in enumerate(self.discriminator_widths):
            yield conv(f"discriminator.convolutions.{index}", size, channels, width, init, bias=True)
            yield block(f"discriminator.dropouts.{index}", IMAGE)
            channels = width
        yield Part("discriminator.flatten", (IMAGE,), f"batch {FLAT}", factors=flat_factors(self.last))
        bias = self.form != "wasserstein"
        yield dense("discriminator.head", math.prod(self.last), 1, init, flattened=self.last, bias=bias)
        yield Part("discriminator", (IMAGE,), VECTOR)

    def objective(self) -> AdversarialLoss:
        """What the two minimise against each other."""
        return self.part_of(AdversarialLoss)

    def optimizers(self) -> dict[str, tuple[Technique, str]]:
        rates = {"discriminator": self.discriminator_rate, "generator": self.generator_rate}
        return {name: (self.part_of(Adam, learning_rate=rate), name) for name, rate in rates.items()}

    def verbs(self) -> dict[str, Verb]:
        """The loss of the discriminator is told without the penalty, which is then told beside it."""
        latents, images = self.inputs()
        takes, gives = [images, latents], [scalar("discriminator_loss")]
        if self.form == "wasserstein":
            takes.append(Tensor("shares", "batch", (None,)))
            gives.append(scalar("penalty"))
        return {
            "step_discriminator": Verb(tuple(takes), tuple(gives)),
            "step_generator": Verb((latents,), (scalar("generator_loss"),)),
            "generate": Verb((latents,), (self._images("generated"),)),
            "judge": Verb((images,), (Tensor("real_logits", VECTOR, (None, 1)),)),
        }

    def course(self, data: Arrays, noise: Noise) -> Course:
        return Contest(self, data, noise)

    def lesson(self, rng: np.random.Generator) -> Arrays:
        return {"images": rng.random((2 * self.batch_size, self.image_size, self.image_size, self.in_channels))}

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        widths = tuple(int(width) for width in rng.integers(3, 7, int(rng.integers(2, 4))))
        return cls(
            image_size=int(rng.integers(1, 3)) * 2 ** (len(widths) - 1),
            in_channels=int(rng.integers(1, 4)),
            latent_dim=int(rng.integers(1, 6)),
            generator_widths=widths,
            discriminator_widths=tuple(int(width) for width in rng.integers(3, 7, int(rng.integers(1, 3)))),
            kernel_size=int(rng.choice([3, 5])),
            negative_slope=float(rng.uniform(0.05, 0.3)),
            dropout_rate=float(rng.choice([0.0, 0.3])),
            running_variance=str(rng.choice(["unbiased", "biased"])),
            form=str(rng.choice(["non_saturating", "wasserstein"])),
            critic_steps=int(rng.integers(1, 3)),
            batch_size=6,
        )


def flat_norm(name: str, shape: tuple[int, int, int]) -> Part:
    """Batch normalisation of each unit of a dense layer whose units become a feature map."""
    factors, axes = flat_factors(shape), f"batch {FLAT}"
    starts = {"gamma": ONES, "beta": ZEROS, "mean": ZEROS, "variance": ONES}
    weights = (
        Weight(f"{name}.{role}", FLAT, (math.prod(shape),), init, role in ("gamma", "beta"), factors)
        for role, init in starts.items()
    )
    return Part(name, (axes,), axes, tuple(weights), factors)


class Contest(Course):
    """Images in another order in each epoch of the discriminator; latents and shares drawn for each update.

    `labels`, `held_out` and `held_out_labels` serve only to score the samples.
    """

    def take(self, learner: Learner, step: int) -> Arrays:
        spec, (alternation, turn) = self.spec, divmod(step, self.spec.critic_steps + 1)
        rows = self.rows("images", alternation * spec.critic_steps + min(turn, spec.critic_steps - 1), spec.batch_size)
        draws = Noise(self.noise.seed, step)
        arrays = {"latents": draws.normal("latents", (len(rows), spec.latent_dim))}
        if turn == spec.critic_steps:
            return learner.do("step_generator", arrays, step)
        arrays |= {"images": 2 * self.data["images"][rows] - 1, "shares": draws.uniform("shares", (len(rows),))}
        return learner.do("step_discriminator", arrays, step)

    def finish(self, learner: Learner) -> Arrays:
        images = 2 * self.data["images"][: self.spec.batch_size] - 1
        return {"generated": self.samples(learner, 2 * SHOWN), **learner.do("judge", {"images": images})}

    def samples(self, learner: Learner, count: int) -> Any:
        """So many generated images, in 0..1; the first ones are always of the same latents."""
        return self._seen(learner, self._latents(count))

    def _latents(self, count: int) -> Any:
        """Of samples, a hundred to a draw."""
        size = SHOWN * SHOWN
        draws = [
            Noise(self.noise.seed, step).normal("shown latents", (size, self.spec.latent_dim))
            for step in range(math.ceil(count / size))
        ]
        return np.concatenate(draws)[:count]

    def _seen(self, learner: Learner, latents: Any) -> Any:
        parts = np.array_split(latents, max(1, len(latents) // 100))
        return np.concatenate([(learner.do("generate", {"latents": part})["generated"] + 1) / 2 for part in parts])

    def scores(self, learner: Learner) -> Mapping[str, float]:
        images, labels, held_out, held_out_labels = (
            self.data[name] for name in ("images", "labels", "held_out", "held_out_labels")
        )
        return confidence(images, labels, held_out, held_out_labels, {"samples": self.samples(learner, SCORED)})

    def pictures(self, learner: Learner) -> Mapping[str, Picture]:
        latents = self._latents(SHOWN * SHOWN)
        shares = np.linspace(0, 1, SHOWN)[:, None]
        ends = latents[:SHOWN], latents[SHOWN : 2 * SHOWN]
        walks = [self._seen(learner, (1 - shares) * one + shares * other) for one, other in zip(*ends, strict=True)]
        seen = self._seen(learner, latents)
        return {
            "samples": Picture("grid", seen.reshape(SHOWN, SHOWN, *seen.shape[1:])),
            "interpolation": Picture("grid", np.stack(walks)),
        }
