"""The losses of a generator and of its discriminator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import choice, fraction, non_negative
from ..technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class AdversarialLoss(Technique):
    """What a discriminator D and a generator G minimise against each other; all are means over the batch.

    Source: Goodfellow et al., "Generative adversarial nets", NeurIPS 2014 (`non_saturating`): eq. 1 for D, and for G
    the loss -log D(G(z)) that section 3 puts in the place of log(1 - D(G(z))). For `wasserstein`, Gulrajani et al.,
    "Improved training of Wasserstein GANs", NeurIPS 2017, eq. 3 and algorithm 1. One-sided label smoothing: Salimans
    et al., "Improved techniques for training GANs", NeurIPS 2016, section 3.4.

    The built object has three methods, each of which gives a scalar. `generator(fake_logits)`: -log sigmoid(f), or -f.
    `discriminator(fake_logits, real_logits)`: -(1 - s) log sigmoid(r) - s log(1 - sigmoid(r)) - log(1 - sigmoid(f)),
    or f - r. `penalty(critic, images, fakes, shares)`: lambda (||grad D(x)|| - 1)^2 at x = share image + (1 - share)
    fake, with the norm over all of x; its gradient reaches the weights of the critic, through the gradient.

    Fields:
        form: `non_saturating` takes f and r, D of fakes and of images, for logits; `wasserstein` for scores.
        smoothing: symbol s: an image counts as real by 1 - s only. Fakes keep their 0. For `non_saturating` alone.
        penalty: symbol lambda, weight of the gradient penalty, which `wasserstein` adds to D's loss.

    Departs from the document: its discriminator ends in a sigmoid, whose rounded result has no finite logarithm; here
    the losses take logits.

    Raises SpecError for smoothing beside `wasserstein`.

    Frameworks differ: the gradient of a norm at zero is 0 in PyTorch and NaN in TensorFlow; the sibling makes it 0.
    Keras's `BinaryCrossentropy` smooths both labels, and takes probabilities unless told otherwise.
    """

    form: str = choice("non_saturating", "wasserstein")
    smoothing: float = fraction(0.0)
    penalty: float = non_negative(10.0)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "adversarial_loss_smoothed": {"smoothing": 0.1},
        "adversarial_loss_wasserstein": {"form": "wasserstein"},
    }
    CHECKED = ("adversarial_loss", *PRESETS)

    def constraints(self) -> Iterator[str]:
        if self.form == "wasserstein" and self.smoothing:
            yield f"smoothing {self.smoothing} is of labels, and wasserstein has none; set smoothing=0.0"

    def case(self, rng: np.random.Generator) -> Arrays:
        """Logits, and a fixed critic v . tanh(x W) with images, fakes and shares for its penalty."""
        return {
            "fake_logits": 2 * rng.standard_normal((6, 1)),
            "real_logits": 2 * rng.standard_normal((6, 1)),
            "images": rng.standard_normal((6, 5)),
            "fakes": rng.standard_normal((6, 5)),
            "shares": rng.random(6),
            "kernel": 0.5 * rng.standard_normal((5, 4)),
            "head": rng.standard_normal(4),
        }

    def rule(self, case: Arrays) -> Arrays:
        fake, real = case["fake_logits"], case["real_logits"]
        batch = len(fake)
        if self.form == "wasserstein":
            generator, discriminator = -fake.mean(), fake.mean() - real.mean()
            slopes = np.full_like(fake, -1.0), np.full_like(fake, 1.0), np.full_like(real, -1.0)
        else:
            p, q, target = 1 / (1 + np.exp(-fake)), 1 / (1 + np.exp(-real)), 1 - self.smoothing
            generator = -np.log(p).mean()
            discriminator = -(target * np.log(q) + (1 - target) * np.log(1 - q) + np.log(1 - p)).mean()
            slopes = p - 1, p, q - target
        return {
            "generator loss": np.asarray(generator),
            "discriminator loss": np.asarray(discriminator),
            "gradient of fake_logits to the generator": slopes[0] / batch,
            "gradient of fake_logits": slopes[1] / batch,
            "gradient of real_logits": slopes[2] / batch,
            **self._penalised(case),
        }

    def _penalised(self, case: Arrays) -> Arrays:
        """The penalty of the fixed critic, and its gradient to the critic's weights, by hand."""
        kernel, head, shares = case["kernel"], case["head"], case["shares"][:, None]
        x = shares * case["images"] + (1 - shares) * case["fakes"]
        t = np.tanh(x @ kernel)
        u = 1 - t**2
        gradient = (u * head) @ kernel.T
        norm = np.sqrt((gradient**2).sum(axis=1, keepdims=True))
        upstream = 2 * self.penalty * (norm - 1) / norm * gradient / len(x)
        through = upstream @ kernel
        return {
            "penalty": np.asarray(self.penalty * ((norm - 1) ** 2).mean()),
            "gradient of kernel": upstream.T @ (u * head) + x.T @ (through * head * -2 * t * u),
            "gradient of head": (through * u).sum(axis=0),
        }
