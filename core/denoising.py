"""The course of a diffusion model: images in another order each epoch, with times, noise and labels left out by lot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .digit_score import confidence
from .learning import Course, Learner, Picture
from .noise import Noise
from .technique import Arrays

SHOWN = 10
SAMPLERS = "ddpm", "ddim"


class Denoising(Course):
    """Images in [0, 1], which the network sees in [-1, 1], and their labels if it has classes.

    `held_out` and `held_out_labels` are scored, by a classifier that learns the real images.
    """

    def __init__(self, spec: Any, data: Arrays, noise: Noise) -> None:
        super().__init__(spec, data, noise)
        self._drawn: tuple[Learner, dict[str, Arrays]] | None = None

    def take(self, learner: Learner, step: int) -> Arrays:
        self._drawn = None
        rows = self.rows("images", step, self.spec.batch_size)
        return learner.do("step", self._batch("images", "labels", rows, step), step)

    def _batch(self, name: str, labels: str, rows: NDArray[np.int64], step: int) -> Arrays:
        draws = Noise(self.noise.seed, step)
        images, count = 2.0 * self.data[name][rows] - 1.0, (len(rows),)
        batch: Arrays = {"images": images, "noise": draws.normal(f"diffusion {name}", images.shape)}
        batch["times"] = draws.integers(f"times {name}", self.spec.timesteps, count)
        if self.spec.num_classes:
            kept = draws.keep_mask(f"labels {name}", count, self.spec.label_dropout)
            batch |= {"labels": self.data[labels][rows], "dropped": (~kept).astype(np.int64)}
        return batch

    def finish(self, learner: Learner) -> Arrays:
        labels = np.arange(self.spec.num_classes or 4)
        return {f"{sampler} samples": self.walk(learner, sampler, labels)[-1] for sampler in SAMPLERS}

    def walk(self, learner: Learner, sampler: str, labels: NDArray[np.int64]) -> list[NDArray[Any]]:
        """From noise to a sample for each label, with every step between."""
        every = np.arange(self.spec.timesteps)
        times = every if sampler == "ddpm" else self.spec.process().sampled_times()
        shape = (len(labels), self.spec.image_size, self.spec.image_size, self.spec.in_channels)
        walked = [Noise(self.noise.seed).normal(f"{sampler} start", shape)]
        for time, previous in reversed(list(zip(times, [-1, *times[:-1]], strict=True))):
            arrays = {
                "images": walked[-1],
                "noise": Noise(self.noise.seed, int(time)).normal(f"{sampler} step", shape),
                "times": np.full(len(labels), time),
                "previous": np.full(len(labels), previous),
                "labels": labels,
            }
            walked.append(learner.do(sampler, arrays)["images"])
        return walked

    def scores(self, learner: Learner) -> Mapping[str, float]:
        held_out, size = self.data["held_out"], self.spec.batch_size
        parts = np.array_split(np.arange(len(held_out)), max(1, len(held_out) // size))
        batches = [self._batch("held_out", "held_out_labels", rows, step) for step, rows in enumerate(parts)]
        losses = [float(learner.do("error", batch)["loss"]) for batch in batches]
        found = {"held-out loss": float(np.average(losses, weights=[len(rows) for rows in parts]))}
        if "labels" not in self.data:
            return found
        images, labels, held_out_labels = (self.data[name] for name in ("images", "labels", "held_out_labels"))
        samples = {f"{sampler} samples": shown["samples"] for sampler, shown in self._shown(learner).items()}
        wanted = self._asked() if self.spec.num_classes else None
        return found | confidence(images, labels, held_out, held_out_labels, samples, wanted)

    def pictures(self, learner: Learner) -> Mapping[str, Picture]:
        found = {}
        for sampler, shown in self._shown(learner).items():
            found[f"{sampler} samples"] = Picture("grid", self._rows(shown["samples"]))
            found[f"{sampler} denoising"] = Picture("grid", shown["strip"])
        return found

    def _shown(self, learner: Learner) -> dict[str, Arrays]:
        """Of each sampler the `samples`, and a `strip` of how some came about: drawn once, until the next step."""
        if self._drawn is None or self._drawn[0] is not learner:
            self._drawn = learner, {sampler: self._sampled(learner, sampler) for sampler in SAMPLERS}
        return self._drawn[1]

    def _sampled(self, learner: Learner, sampler: str) -> Arrays:
        walked = self.walk(learner, sampler, self._asked())
        chosen = np.linspace(0, len(walked) - 1, SHOWN).round().astype(int)
        strip = np.stack([self._seen(walked[index][::SHOWN]) for index in chosen], axis=1)
        return {"samples": self._seen(walked[-1]), "strip": strip}

    def _asked(self) -> NDArray[np.int64]:
        """Ten of each class, or as many without."""
        return np.repeat(np.arange(self.spec.num_classes or SHOWN), SHOWN)

    def _rows(self, images: NDArray[Any]) -> NDArray[Any]:
        return images.reshape(-1, SHOWN, *images.shape[1:])

    def _seen(self, images: NDArray[Any]) -> NDArray[Any]:
        """Images of [-1, 1] in 0..1."""
        return np.clip((images + 1) / 2, 0, 1)
