"""Mistakes in porting the augmentation of small pictures."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("augment_small")
CROP = registry.make("augment_small_crop")


def normalised(spec: Any, pixels: Any) -> Arrays:
    """The pixels, and what becomes of them."""
    return {"pixels": pixels, "result": (pixels * spec.scale - np.array(spec.mean)) / np.array(spec.deviation)}


@partial(TechniqueBug, "border of zeros after normalising", PLAIN, "torch")
def grey_border(true: Any, spec: Any, case: Arrays) -> Arrays:
    inside = true(spec, {**case, "images": np.ones_like(case["images"])})["pixels"]
    result = true(spec, case)
    return {**result, "result": result["result"] * inside}


@partial(TechniqueBug, "one crop for the whole batch", PLAIN, "keras")
def one_crop(true: Any, spec: Any, case: Arrays) -> Arrays:
    drawn, size, border = spec.drawn(case), spec.crop_size, (spec.padding, spec.padding)
    top, left = drawn["top"][0], drawn["left"][0]
    pixels = np.pad(case["images"], ((0, 0), border, border, (0, 0)))[:, top : top + size, left : left + size]
    return normalised(spec, np.where(drawn["flip"][:, None, None, None], pixels[:, :, ::-1], pixels))


@partial(TechniqueBug, "mirrored top to bottom", PLAIN, "keras")
def upside_down(true: Any, spec: Any, case: Arrays) -> Arrays:
    pixels, flip = true(spec, case)["pixels"], spec.drawn(case)["flip"][:, None, None, None]
    return normalised(spec, np.where(flip, pixels[:, ::-1, ::-1], pixels))


@partial(TechniqueBug, "variance for the deviation", CROP, "torch")
def variance(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(deviation=tuple(value**2 for value in spec.deviation)), case)


@partial(TechniqueBug, "mean subtracted before the scale", CROP, "keras")
def mean_of_pixels(true: Any, spec: Any, case: Arrays) -> Arrays:
    pixels = true(spec, case)["pixels"]
    return {"pixels": pixels, "result": (pixels - np.array(spec.mean)) * spec.scale / np.array(spec.deviation)}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
