"""The negative evidence lower bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import choice, non_negative, positive
from ..technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class NegativeELBO(Technique):
    """What a variational autoencoder minimises: -log p(x | z) + beta KL(q(z | x) || N(0, I)), a mean over the batch.

    Source: Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014, eq. 10 and appendix B; beta from Higgins
    et al., "beta-VAE", ICLR 2017, eq. 4.

    The built loss takes images x and what the decoder gives, float, (batch, ...), and the encoder's mean mu and
    log-variance log sigma^2, float, (batch, latents). It gives three scalars in nats for each image: the loss, its
    reconstruction term and its KL term, 1/2 sum_j (mu_j^2 + sigma_j^2 - log sigma_j^2 - 1).

    Fields:
        likelihood: of a pixel. `bernoulli`: the decoder gives logits, and x lies in [0, 1]. `gaussian`: it gives the
            mean, and the log-density keeps its constant, so that bounds of different `std` can be compared.
        std: symbol sigma of the Gaussian likelihood, the same for every pixel.
        beta: weight of the KL term.

    Departs from the document: it has no loss at all.

    Frameworks differ: Keras's `binary_crossentropy` averages over the last axis, and PyTorch's over everything unless
    told to sum; with either mean the KL term weighs as many times too much as there are pixels. PyTorch's
    `gaussian_nll_loss` raises variances below 1e-6 to it and drops the constant unless asked, so the formula is written
    out on both sides.
    """

    likelihood: str = choice("bernoulli", "gaussian")
    std: float = positive(1.0)
    beta: float = non_negative(1.0)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "negative_elbo_gaussian": {"likelihood": "gaussian", "std": 0.5, "beta": 4.0},
    }
    CHECKED = ("negative_elbo", *PRESETS)

    def case(self, rng: np.random.Generator) -> Arrays:
        return {
            "images": rng.random((5, 3, 4, 2)),
            "decoded": 2 * rng.standard_normal((5, 3, 4, 2)),
            "mean": rng.standard_normal((5, 3)),
            "log_variance": rng.standard_normal((5, 3)),
        }

    def rule(self, case: Arrays) -> Arrays:
        x, y, mean, log_variance = case["images"], case["decoded"], case["mean"], case["log_variance"]
        batch = len(x)
        if self.likelihood == "bernoulli":
            p = 1 / (1 + np.exp(-y))
            terms, slope = -(x * np.log(p) + (1 - x) * np.log(1 - p)), p - x
        else:
            terms = 0.5 * ((x - y) / self.std) ** 2 + np.log(self.std) + 0.5 * np.log(2 * np.pi)
            slope = (y - x) / self.std**2
        reconstruction = terms.sum() / batch
        kl = 0.5 * (mean**2 + np.exp(log_variance) - log_variance - 1).sum() / batch
        return {
            "loss": np.asarray(reconstruction + self.beta * kl),
            "reconstruction": np.asarray(reconstruction),
            "kl": np.asarray(kl),
            "gradient of decoded": slope / batch,
            "gradient of mean": self.beta * mean / batch,
            "gradient of log_variance": self.beta * 0.5 * (np.exp(log_variance) - 1) / batch,
        }
