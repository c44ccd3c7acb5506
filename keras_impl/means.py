"""What `fit` and `evaluate` tell of losses that Keras does not know."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops, tree


class Means:
    """Means over samples, by name. Keras finds none of them in the model, so its files hold no numbers of an epoch."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.metrics = [keras.metrics.Mean(name) for name in names]

    def take(self, data: Any, losses: tuple[Any, ...]) -> dict[str, Any]:
        """The means with the losses of these samples, the first of the names. A batch counts by its size."""
        count = ops.shape(tree.flatten(data)[0])[0]
        taken = self.metrics[: len(losses)]
        for metric, loss in zip(taken, losses, strict=True):
            metric.update_state(loss, sample_weight=count)
        return {metric.name: metric.result() for metric in taken}
