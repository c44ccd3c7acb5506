"""Mistakes in porting the cross-entropy."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("cross_entropy")
SMOOTHED = registry.make("cross_entropy_smoothed")
SOFT = registry.make("cross_entropy_soft")
WEIGHTED = registry.make("cross_entropy_weighted")
BY_COUNT = registry.make("cross_entropy_weighted_by_count")
PADDED = registry.make("cross_entropy_smoothed_padded")


def rescaled(result: Arrays, factor: float) -> Arrays:
    """The loss and its gradient times a number."""
    return {name: array * factor for name, array in result.items()}


@partial(TechniqueBug, "smoothing spread over the K - 1 other classes", SMOOTHED, "keras")
def smoothing_over_others(true: Any, spec: Any, case: Arrays) -> Arrays:
    classes = case["logits"].shape[-1]
    return true(spec.replace(label_smoothing=spec.label_smoothing * classes / (classes - 1)), case)


@partial(TechniqueBug, "smoothing forgotten", PADDED, "torch")
def no_smoothing(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(label_smoothing=0.0), case)


@partial(TechniqueBug, "smoothing 0.1% too strong", SMOOTHED, "torch")
def larger_smoothing(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(label_smoothing=spec.label_smoothing * 1.001), case)


@partial(TechniqueBug, "sum over the positions", SMOOTHED, "torch")
def sum_for_mean(true: Any, spec: Any, case: Arrays) -> Arrays:
    return rescaled(true(spec, case), case["targets"].size)


@partial(TechniqueBug, "sum over time, mean over the batch", SMOOTHED, "keras")
def sum_over_time(true: Any, spec: Any, case: Arrays) -> Arrays:
    return rescaled(true(spec, case), case["targets"].shape[1])


@partial(TechniqueBug, "ignored positions counted in the mean", PADDED, "keras")
def ignored_counted(true: Any, spec: Any, case: Arrays) -> Arrays:
    return rescaled(true(spec, case), float(np.mean(case["targets"] != spec.ignore_index)))


@partial(TechniqueBug, "ignore index not honoured", PADDED, "torch")
def ignore_index_not_honoured(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(ignore_index=None), case)


@partial(TechniqueBug, "mean of the means of each sequence", PLAIN, "torch")
def mean_of_means(true: Any, spec: Any, case: Arrays) -> Arrays:
    rows = [{name: array[row : row + 1] for name, array in case.items()} for row in range(len(case["targets"]))]
    results = [true(spec, row) for row in rows if np.any(row["targets"] != spec.ignore_index)]
    return {
        "loss": np.mean([result["loss"] for result in results]),
        "gradient": np.concatenate([result["gradient"] for result in results]) / len(results),
    }


@partial(TechniqueBug, "probabilities given for logits", PLAIN, "keras")
def probabilities_for_logits(true: Any, spec: Any, case: Arrays) -> Arrays:
    powers = np.exp(case["logits"])
    return true(spec, {**case, "logits": powers / powers.sum(axis=-1, keepdims=True)})


@partial(TechniqueBug, "logits divided by a temperature of 1.001", PLAIN, "torch")
def temperature(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, {**case, "logits": case["logits"] / 1.001})
    return {"loss": result["loss"], "gradient": result["gradient"] / 1.001}


@partial(TechniqueBug, "class weights divided by the count, as in Keras", WEIGHTED, "keras")
def divided_by_count(true: Any, spec: Any, case: Arrays) -> Arrays:
    valid = case["targets"] != spec.ignore_index
    return rescaled(true(spec, case), float(np.array(spec.class_weights)[case["targets"][valid]].mean()))


@partial(TechniqueBug, "smoothed terms weighed by the target's weight", WEIGHTED, "torch")
def one_weight_for_all_terms(true: Any, spec: Any, case: Arrays) -> Arrays:
    valid = case["targets"] != spec.ignore_index
    mean = float(np.array(spec.class_weights)[case["targets"][valid]].mean())
    return rescaled(true(spec.replace(weight_convention="by_count"), case), 1 / mean)


@partial(TechniqueBug, "class weights divided by their sum, as in PyTorch", BY_COUNT, "torch")
def divided_by_weights(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(weight_convention="by_weights"), case)


@partial(TechniqueBug, "largest probability taken for the class", SOFT, "keras")
def hardened(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(targets="indices"), {**case, "targets": case["targets"].argmax(axis=-1)})


@partial(TechniqueBug, "probabilities not smoothed", SOFT, "torch")
def soft_not_smoothed(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(label_smoothing=0.0), case)


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
