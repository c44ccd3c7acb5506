"""`python -m parity_tests.traps`: run the naive port of everything that both frameworks have; `--write` the page.

A naive port gives both native classes the rate and what has to be given, and leaves the rest to their defaults.
"""

from __future__ import annotations

import argparse
import inspect
import pydoc
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import torch
from diglot.core import checkpoint, registry, traps
from diglot.core.noise import generator
from diglot.core.technique import Optimizer
from diglot.core.verdict import Verdict
from diglot.keras_impl.precision import precision

from .agreement import agreement

PAGE = Path(__file__).parents[1] / "docs" / "traps.md"
STEPS, RATE = 20, 0.05
Pair = tuple[np.ndarray, np.ndarray]
GIVEN: dict[str, dict[str, dict[str, Any]]] = {
    "sgd": {"torch": {"momentum": 0.875}, "keras": {"momentum": 0.875}},
}
SIZES = {"adafactor": 1e-14}  # of the gradients: where its two epsilons count


def native(name: str, side: str) -> Any:
    """The framework's own class or function of a technique."""
    return pydoc.locate(traps.natives(name)[side])


def optimizer(name: str) -> Pair:
    """A kernel after each of the steps, under a rate that falls."""
    rng, options = generator(0, f"naive {name}"), GIVEN.get(name, {"torch": {}, "keras": {}})
    start, gradients = rng.standard_normal((5, 4)), SIZES.get(name, 1.0) * rng.standard_normal((STEPS, 5, 4))
    rates = RATE * np.linspace(1.0, 0.25, STEPS)
    weight = torch.nn.Parameter(torch.tensor(start))
    one = native(name, "torch")([weight], lr=RATE, **options["torch"])
    variable = keras.Variable(start, dtype="float64")
    other = native(name, "keras")(learning_rate=RATE, **options["keras"])
    found: list[list[np.ndarray]] = [[], []]
    for gradient, rate in zip(gradients, rates, strict=True):
        one.param_groups[0]["lr"] = other.learning_rate = float(rate)
        weight.grad = torch.tensor(gradient)
        one.step()
        other.apply([tf.convert_to_tensor(gradient)], [variable])
        found[0].append(weight.detach().numpy().copy())
        found[1].append(variable.numpy())
    return np.stack(found[0]), np.stack(found[1])


def schedule(name: str, torch_options: dict[str, Any], keras_options: dict[str, Any], steps: int = 50) -> Pair:
    """The rate at each step."""
    holder = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    one = native(name, "torch")(holder, **torch_options)
    rates = []
    for _ in range(steps):
        rates.append(holder.param_groups[0]["lr"])
        holder.step()
        one.step()
    kind = native(name, "keras")
    first = {} if "values" in inspect.signature(kind).parameters else {"initial_learning_rate": np.float64(RATE)}
    other = kind(**first, **keras_options)
    return np.array(rates), np.array([float(other(step)) for step in range(steps)])


def loss(name: str, outputs: np.ndarray, targets: np.ndarray) -> Pair:
    """The loss of the same output and target."""
    one = native(name, "torch")()(torch.tensor(outputs), torch.tensor(targets))
    other = native(name, "keras")()(tf.convert_to_tensor(targets), tf.convert_to_tensor(outputs))
    return one.numpy()[None], other.numpy()[None]


def kl_divergence() -> Pair:
    """PyTorch's takes logarithms and Keras's probabilities, which is seen at once; the mean is not."""
    p, q = generator(0, "kl").dirichlet(np.ones(5), (2, 6))
    one = torch.nn.KLDivLoss()(torch.tensor(np.log(q)), torch.tensor(p))
    return one.numpy()[None], keras.losses.KLDivergence()(p, tf.convert_to_tensor(q)).numpy()[None]


def cosine_similarity() -> Pair:
    x, y = generator(0, "cosine").standard_normal((2, 6, 5))
    one = torch.nn.CosineSimilarity()(torch.tensor(x), torch.tensor(y)).mean()
    return one.numpy()[None], keras.losses.CosineSimilarity()(x, tf.convert_to_tensor(y)).numpy()[None]


def batch_norm() -> Pair:
    """The running variance after one batch, and the output in training."""
    x = generator(0, "batch norm").normal(0.5, 2.0, (8, 3, 3, 4))
    one, other = torch.nn.BatchNorm2d(4, dtype=torch.float64), keras.layers.BatchNormalization()
    outputs = one(torch.tensor(x).movedim(-1, 1)).movedim(1, -1), other(tf.convert_to_tensor(x), training=True)
    first = np.append(outputs[0].detach().numpy(), one.running_var.numpy())
    return first, np.append(outputs[1].numpy(), other.moving_variance.numpy())


def reduce_on_plateau() -> Pair:
    """The rate after each epoch, with equal factors and patience."""
    metrics = [1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.8]
    holder = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    one = torch.optim.lr_scheduler.ReduceLROnPlateau(holder, factor=0.5, patience=2)
    other = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=2)
    model = keras.Sequential()
    model.compile(keras.optimizers.SGD(RATE))
    other.set_model(model)
    other.on_train_begin()
    rates: list[list[float]] = [[], []]
    for epoch, metric in enumerate(metrics):
        one.step(metric)
        other.on_epoch_end(epoch, {"loss": metric})
        rates[0].append(holder.param_groups[0]["lr"])
        rates[1].append(float(model.optimizer.learning_rate))
    return np.array(rates[0]), np.array(rates[1])


def mixed_precision() -> Pair:
    """The first loss scale."""
    one = torch.amp.GradScaler("cpu").get_scale()
    other = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()).initial_scale
    return np.array([one]), np.array([float(other)])


def _logits() -> tuple[np.ndarray, np.ndarray]:
    rng = generator(0, "logits")
    return rng.standard_normal((6, 5)), rng.integers(0, 5, 6)


PORTS: dict[str, Callable[[], Pair]] = {
    "batch_norm": batch_norm,
    "binary_cross_entropy": lambda: loss("binary_cross_entropy", _logits()[0], (_logits()[0] > 0.3) * 1.0),
    "cosine_restarts": lambda: schedule("cosine_restarts", {"T_0": 10}, {"first_decay_steps": 10}),
    "cosine_similarity": cosine_similarity,
    "cross_entropy": lambda: loss("cross_entropy", *_logits()),
    "huber": lambda: loss("huber", *generator(0, "huber").standard_normal((2, 6, 5))),
    "kl_divergence": kl_divergence,
    "mean_squared_error": lambda: loss(
        "mean_squared_error", generator(0, "mse").standard_normal((6, 1)), generator(0, "targets").standard_normal(6)
    ),
    "mixed_precision": mixed_precision,
    "polynomial": lambda: schedule("polynomial", {"total_iters": 20}, {"decay_steps": 20}),
    "reduce_on_plateau": reduce_on_plateau,
    "step_decay": lambda: schedule(
        "step_decay", {"milestones": [20]}, {"boundaries": [20], "values": [RATE, RATE / 10]}
    ),
    "warmup_cosine": lambda: schedule("warmup_cosine", {"T_max": 20}, {"decay_steps": 20}),
}  # fmt: skip


def ported() -> list[str]:
    """The techniques of which a naive port can be run: every optimizer that both frameworks have, and PORTS."""
    both = [name for name in registry.techniques() if len(traps.natives(name)) == 2]
    return [name for name in both if name in PORTS or issubclass(registry.classes()[name], Optimizer)]


def run(name: str) -> Pair:
    """What the two native classes give."""
    torch.manual_seed(0)
    with precision("float64"), warnings.catch_warnings(action="ignore"):  # both warn of what is shown here
        one, other = PORTS[name]() if name in PORTS else optimizer(name)
    return np.asarray(one, np.float64), np.asarray(other, np.float64)


def error(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference relative to the largest element; 0 where it is no more than rounding."""
    if agreement(one, other).verdict is Verdict.EQUAL:
        return 0.0
    return float(np.abs(one - other).max() / max(np.abs(one).max(), np.abs(other).max()))


def errors(names: Iterable[str]) -> dict[str, float]:
    """What each naive port comes to."""
    return {name: error(*run(name)) for name in names}


def main() -> None:
    """Print each naive port's error, and write the page if asked to."""
    parser = argparse.ArgumentParser(prog="python -m parity_tests.traps", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    found = errors(ported())
    for name, value in found.items():
        print(f"{name:30} {value:.1e}")
    if parser.parse_args().write:
        with checkpoint.replacing(PAGE) as file:
            file.write("\n".join([*traps.page(found), ""]).encode())


if __name__ == "__main__":
    main()
