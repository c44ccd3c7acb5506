"""Mistakes in porting mixup."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("mixup")
EACH = registry.make("mixup_per_sample")


def mixed(spec: Any, case: Arrays, drawn: Arrays) -> Arrays:
    """Samples and targets, written out for other draws."""
    classes, weight = np.eye(spec.num_classes)[case["targets"]], drawn["weight"][:, None]
    targets = weight * classes + (1 - weight) * classes[drawn["partner"]]
    return {**{name: spec.mixed(case[name], drawn) for name in ("images", "features")}, "targets": targets}


@partial(TechniqueBug, "weights of sample and partner exchanged in the targets", PLAIN, "torch")
def exchanged(true: Any, spec: Any, case: Arrays) -> Arrays:
    drawn = spec.drawn(case)
    return {**true(spec, case), "targets": mixed(spec, case, {**drawn, "weight": 1 - drawn["weight"]})["targets"]}


@partial(TechniqueBug, "the batch reversed for a permutation", PLAIN, "keras")
def reversed_batch(true: Any, spec: Any, case: Arrays) -> Arrays:
    return mixed(spec, case, {**spec.drawn(case), "partner": np.arange(len(case["targets"]))[::-1]})


@partial(TechniqueBug, "targets not mixed", PLAIN, "keras")
def targets_left(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), "targets": np.eye(spec.num_classes)[case["targets"]]}


@partial(TechniqueBug, "one weight for the batch", EACH, "torch")
def one_weight(true: Any, spec: Any, case: Arrays) -> Arrays:
    drawn = spec.drawn(case)
    return mixed(spec, case, {**drawn, "weight": np.full(len(drawn["weight"]), drawn["weight"][0])})


@partial(TechniqueBug, "weights of the samples broadcast over the features", EACH, "torch")
def over_features(true: Any, spec: Any, case: Arrays) -> Arrays:
    drawn, x = spec.drawn(case), case["features"]
    return {**true(spec, case), "features": drawn["weight"] * x + (1 - drawn["weight"]) * x[drawn["partner"]]}


@partial(TechniqueBug, "weight kept above a half", EACH, "keras")
def folded(true: Any, spec: Any, case: Arrays) -> Arrays:
    drawn = spec.drawn(case)
    return mixed(spec, case, {**drawn, "weight": np.maximum(drawn["weight"], 1 - drawn["weight"])})


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
