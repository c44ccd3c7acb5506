"""Mistakes in porting the Kullback-Leibler divergence."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import torch
from diglot.core import registry
from diglot.core.technique import Arrays
from diglot.keras_impl.precision import precision

from . import TechniqueBug

PLAIN = registry.make("kl_divergence")
BATCH = registry.make("kl_divergence_batch")
LOG = registry.make("kl_divergence_log")


@partial(TechniqueBug, "mean over all elements, the classes too", PLAIN, "torch")
def over_all_elements(true: Any, spec: Any, case: Arrays) -> Arrays:
    outputs = torch.tensor(case["outputs"], requires_grad=True)
    loss = (torch.nn.functional.kl_div(outputs, torch.tensor(case["targets"]), reduction="none")).mean()
    loss.backward()
    return {"loss": loss.detach().numpy(), "gradient": outputs.grad.numpy()}


@partial(TechniqueBug, "probabilities cut at 1e-7", PLAIN, "keras")
def cut(true: Any, spec: Any, case: Arrays) -> Arrays:
    with precision("float64"):
        outputs = tf.convert_to_tensor(case["outputs"])
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            loss = keras.losses.KLDivergence()(case["targets"], tf.exp(outputs))
    return {"loss": loss.numpy(), "gradient": tape.gradient(loss, outputs).numpy()}


@partial(TechniqueBug, "divided by the positions for the batch", BATCH, "keras")
def by_positions(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(reduction="positions"), case)


@partial(TechniqueBug, "probabilities given for log-probabilities", BATCH, "torch")
def probabilities(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec, {**case, "outputs": np.exp(case["outputs"])})


@partial(TechniqueBug, "the two distributions exchanged", LOG, "keras")
def exchanged(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), "loss": true(spec, {"outputs": case["targets"], "targets": case["outputs"]})["loss"]}


@partial(TechniqueBug, "cross-entropy without the entropy of the targets", LOG, "torch")
def without_entropy(true: Any, spec: Any, case: Arrays) -> Arrays:
    result, targets = true(spec, case), case["targets"]
    return {**result, "loss": result["loss"] - (np.exp(targets) * targets).sum(axis=-1).mean()}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
