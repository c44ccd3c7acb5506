"""Mistakes in porting CutMix."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.mixing import Mixing
from diglot.core.noise import Noise
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("cutmix")
EACH = registry.make("cutmix_per_sample")


def mixed(spec: Any, case: Arrays, drawn: Arrays) -> Arrays:
    """Images and targets, written out for other draws."""
    classes, weight = np.eye(spec.num_classes)[case["targets"]], drawn["weight"][:, None]
    targets = weight * classes + (1 - weight) * classes[drawn["partner"]]
    return {"images": spec.mixed(case["images"], drawn), "targets": targets}


@partial(TechniqueBug, "drawn weight, before the box is cut at the border", PLAIN, "torch")
def uncut_weight(true: Any, spec: Any, case: Arrays) -> Arrays:
    batch, height, width, _ = case["images"].shape
    weight = Mixing.draw(spec, Noise(spec.SEED), batch, height, width)["weight"]
    return {**true(spec, case), "targets": mixed(spec, case, {**spec.drawn(case), "weight": weight})["targets"]}


@partial(TechniqueBug, "rows taken for columns", PLAIN, "keras")
def transposed(true: Any, spec: Any, case: Arrays) -> Arrays:
    drawn = spec.drawn(case)
    return {**true(spec, case), "images": mixed(spec, case, {**drawn, "box": drawn["box"][:, [1, 0, 3, 2]]})["images"]}


@partial(TechniqueBug, "all but the box replaced", EACH, "keras")
def outside(true: Any, spec: Any, case: Arrays) -> Arrays:
    drawn, images = spec.drawn(case), case["images"]
    swapped = images + images[drawn["partner"]] - spec.mixed(images, drawn)
    return {**true(spec, case), "images": swapped}


@partial(TechniqueBug, "box one row and one column too large", EACH, "torch")
def larger_box(true: Any, spec: Any, case: Arrays) -> Arrays:
    drawn = spec.drawn(case)
    return {**true(spec, case), "images": spec.mixed(case["images"], {**drawn, "box": drawn["box"] + [0, 0, 1, 1]})}


@partial(TechniqueBug, "partner's weight given to the sample", EACH, "torch")
def exchanged(true: Any, spec: Any, case: Arrays) -> Arrays:
    drawn = spec.drawn(case)
    return {**true(spec, case), "targets": mixed(spec, case, {**drawn, "weight": 1 - drawn["weight"]})["targets"]}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
