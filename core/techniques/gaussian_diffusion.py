"""Gaussian diffusion: the forward process, and the samplers that go back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import choice, flag, fraction, non_negative, whole
from ..technique import Arrays, Technique

Floats = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class GaussianDiffusion(Technique):
    """Images are noised in T steps, and go back along the noise that a network predicts in them.

    Source: Ho, Jain and Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020: the linear schedule of
    section 4, q(x_t | x_0) of eq. 4, the posterior of eq. 6 and 7, algorithm 2 (DDPM). Nichol and Dhariwal, "Improved
    denoising diffusion probabilistic models", ICML 2021, eq. 17: the cosine schedule. Song, Meng and Ermon, "Denoising
    diffusion implicit models", ICLR 2021, eq. 12 and 16: DDIM. Ho and Salimans, "Classifier-free diffusion guidance",
    2022, eq. 6.

    Times are whole numbers from 0 to T - 1, so that `times` 0 is the papers' t = 1; a `previous` time of -1 is the
    image itself. The built process works on images, (batch, ...), with one time each:
    `noised`, sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) epsilon; `guided`, (1 + w) epsilon(x, c) - w epsilon(x) of a
    prediction with the class and one without; `ddpm` and `ddim`, one step back along the predicted noise, the first to
    the time before, the second to any earlier one.

    Fields:
        timesteps: their number T.
        schedule: of the variances beta. `linear` from `beta_start` to `beta_end`, or `cosine`.
        beta_start, beta_end: of the linear schedule. The paper's are for 1000 steps; with fewer, so much larger ones
            lead to the same noise.
        offset: symbol s of the cosine schedule; it keeps the first variances from being tiny.
        max_beta: what a variance of the cosine schedule is clipped at.
        variance: of a DDPM step: that of the `posterior`, beta_tilde, or `beta` itself (section 3.2 of the paper).
        clip_images: whether the predicted x_0 is clipped to [-1, 1] before the step, as in the papers' code; DDIM
            then takes the noise that fits the clipped image.
        guidance: symbol w; 0 takes the prediction with the class alone.
        sampling_steps: steps of DDIM, spread evenly over T with the last step at T - 1.
        eta: randomness of DDIM, from 0, none, to 1, where its steps are DDPM's with the posterior variance.

    Departs from the document: it draws the times as floats, and has neither a schedule nor a noised image: its network
    is given the image itself.

    Raises SpecError for a value against its rule, for variances that do not lie between 0 and 1, for more sampling
    steps than there are times, and for an eta above 1.

    Frameworks differ: neither has any of it.
    """

    timesteps: int = whole(1000, least=2)
    schedule: str = choice("linear", "cosine")
    beta_start: float = fraction(1e-4)
    beta_end: float = fraction(0.02)
    offset: float = non_negative(0.008)
    max_beta: float = fraction(0.999)
    variance: str = choice("posterior", "beta")
    clip_images: bool = flag(True)
    guidance: float = non_negative(0.0)
    sampling_steps: int = whole(50)
    eta: float = non_negative(0.0)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "gaussian_diffusion_cosine": {"timesteps": 50, "schedule": "cosine", "clip_images": False, "guidance": 2.0},
        "gaussian_diffusion_guided": {
            "timesteps": 60,
            "beta_start": 1e-3,
            "beta_end": 0.3,
            "variance": "beta",
            "guidance": 1.5,
            "sampling_steps": 25,
            "eta": 0.5,
        },
        "gaussian_diffusion_random": {
            "timesteps": 40,
            "schedule": "cosine",
            "offset": 0.02,
            "max_beta": 0.9,
            "sampling_steps": 7,
            "eta": 1.0,
        },
    }
    CHECKED = ("gaussian_diffusion", *PRESETS)

    def constraints(self) -> Iterator[str]:
        if not 0 < self.beta_start <= self.beta_end:
            yield f"beta_start {self.beta_start} must lie above 0 and not above beta_end {self.beta_end}"
        if self.max_beta == 0:
            yield "max_beta 0 would clip every variance to nothing; choose one just below 1"
        if self.sampling_steps > self.timesteps:
            yield (
                f"sampling_steps {self.sampling_steps} is above timesteps {self.timesteps}; "
                "DDIM can visit a time only once, so give at most as many"
            )
        if self.eta > 1:
            yield f"eta {self.eta} is above 1, where DDIM would add more noise than a step takes away"

    def betas(self) -> Floats:
        """The variance of each step of the forward process."""
        if self.schedule == "linear":
            return np.linspace(self.beta_start, self.beta_end, self.timesteps)
        shares = np.arange(self.timesteps + 1) / self.timesteps
        kept = np.cos((shares + self.offset) / (1 + self.offset) * np.pi / 2) ** 2
        return np.asarray(np.minimum(1 - kept[1:] / kept[:-1], self.max_beta))

    def sampled_times(self) -> NDArray[np.int64]:
        """The times that DDIM visits, the earliest first."""
        steps = np.arange(1, self.sampling_steps + 1)
        return np.asarray(steps * self.timesteps // self.sampling_steps - 1, np.int64)

    def case(self, rng: np.random.Generator) -> Arrays:
        shape = (6, 3, 4, 2)
        names = ("images", "noise", "predicted", "unconditional")
        times = np.array([0, 1, self.timesteps - 1, *rng.integers(self.timesteps, size=3)])
        earlier = np.array([-1, 0, *(rng.integers(-1, time) if time else -1 for time in times[2:])])
        return {name: rng.standard_normal(shape) for name in names} | {"times": times, "previous": earlier}

    def rule(self, case: Arrays) -> Arrays:
        betas = self.betas()
        alpha_bars = np.cumprod(1 - betas)
        before = np.append(1.0, alpha_bars[:-1])
        start = np.sqrt(before) * betas / (1 - alpha_bars)
        current = np.sqrt(1 - betas) * (1 - before) / (1 - alpha_bars)
        posterior = betas * (1 - before) / (1 - alpha_bars)

        def at(values: Floats, times: NDArray[np.int64]) -> Floats:
            return np.asarray(values[times])[:, None, None, None]

        x, noise, predicted, times = case["images"], case["noise"], case["predicted"], case["times"]
        kept = at(alpha_bars, times)
        image = (x - np.sqrt(1 - kept) * predicted) / np.sqrt(kept)
        clipped = np.clip(image, -1, 1) if self.clip_images else image
        variance = posterior if self.variance == "posterior" else np.where(np.arange(self.timesteps) > 0, betas, 0.0)
        mean = at(start, times) * clipped + at(current, times) * x

        earlier = at(np.append(1.0, alpha_bars), case["previous"] + 1)
        direction = (x - np.sqrt(kept) * clipped) / np.sqrt(1 - kept)
        sigma = self.eta * np.sqrt((1 - earlier) / (1 - kept)) * np.sqrt(1 - kept / earlier)
        rest = np.sqrt(np.maximum(1 - earlier - sigma**2, 0))
        return {
            "betas": betas,
            "alpha_bars": alpha_bars,
            "posterior mean of the image": start,
            "posterior mean of the noised image": current,
            "posterior variances": posterior,
            "sampled times": self.sampled_times(),
            "noised": np.sqrt(kept) * x + np.sqrt(1 - kept) * noise,
            "guided": (1 + self.guidance) * predicted - self.guidance * case["unconditional"],
            "ddpm": mean + np.sqrt(at(variance, times)) * noise,
            "ddim": np.sqrt(earlier) * clipped + rest * direction + sigma * noise,
        }
