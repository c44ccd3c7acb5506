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


class Denoising(Course):
    """Images in [0, 1], which the network sees in [-1, 1], and their labels if it has classes.

    `held_out` and `held_out_labels` are scored, by a classifier that learns the real images.
    """

    def take(self, learner: Learner, step: int) -> Arrays:
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
        return {f"{sampler} samples": self.walk(learner, sampler, labels)[-1] for sampler in ("ddpm", "ddim")}

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
        data = self.data
        for sampler in ("ddpm", "ddim"):
            samples = self._seen(self.walk(learner, sampler, self._asked())[-1])
            scored = confidence(data["images"], data["labels"], held_out, data["held_out_labels"], samples)
            found |= {name.replace("samples", f"{sampler} samples"): value for name, value in scored.items()}
        return found

    def pictures(self, learner: Learner) -> Mapping[str, Picture]:
        asked, found = self._asked(), {}
        for sampler in ("ddpm", "ddim"):
            walked = self.walk(learner, sampler, asked)
            found[f"{sampler} samples"] = Picture("grid", self._rows(self._seen(walked[-1])))
            chosen = np.linspace(0, len(walked) - 1, SHOWN).round().astype(int)
            strip = [self._seen(walked[index][::SHOWN]) for index in chosen]
            found[f"{sampler} denoising"] = Picture("grid", np.stack(strip, axis=1))
        return found

    def _asked(self) -> NDArray[np.int64]:
        """Ten of each class, or as many without."""
        return np.repeat(np.arange(self.spec.num_classes or SHOWN), SHOWN)

    def _rows(self, images: NDArray[Any]) -> NDArray[Any]:
        return images.reshape(-1, SHOWN, *images.shape[1:])

    def _seen(self, images: NDArray[Any]) -> NDArray[Any]:
        """Images of [-1, 1] in 0..1."""
        return np.clip((images + 1) / 2, 0, 1)
