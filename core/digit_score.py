"""How real generated digits look to a classifier of real ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import DiglotError

CONFIDENT = 0.9
VOTERS = 5


def confidence(
    images: Any, labels: Any, held_out: Any, held_out_labels: Any, samples: Mapping[str, Any], wanted: Any = None
) -> dict[str, float]:
    """What a classifier trained on `images` says of held-out ones and of samples by name, all (samples, ...) in 0..1.

    Its own accuracy on what is held out; the share of these, and of the samples, that it gives a class with a
    probability above 0.9; how many classes there are among such samples; and of samples that were asked for by class,
    `wanted`, the share that it gives this one. The classifier is five small networks of different seeds, whose
    probabilities are averaged: where they do not agree, none of them can be confident.

    Raises DiglotError where scikit-learn is not installed.
    """
    try:
        from sklearn.neural_network import MLPClassifier  # type: ignore[import-untyped]
    except ImportError as error:
        raise DiglotError("digits are scored by scikit-learn; install it with `pip install scikit-learn`") from error
    real = _rows(images)
    voters = [MLPClassifier((128,), max_iter=400, random_state=seed).fit(real, labels) for seed in range(VOTERS)]

    def judged(array: Any) -> tuple[Any, Any]:
        found = np.mean([voter.predict_proba(_rows(array)) for voter in voters], axis=0)
        return voters[0].classes_[found.argmax(axis=1)], found.max(axis=1) > CONFIDENT

    classes, sure = judged(held_out)
    result = {
        "classifier accuracy": float((classes == held_out_labels).mean()),
        "confident on held-out": float(sure.mean()),
    }
    for name, array in samples.items():
        classes, sure = judged(array)
        result |= {f"confident on {name}": float(sure.mean()), f"classes among {name}": float(len(set(classes[sure])))}
        if wanted is not None:
            result[f"{name} of the class asked for"] = float((classes == wanted).mean())
    return result


def _rows(array: Any) -> Any:
    return np.asarray(array, np.float64).reshape(len(array), -1)
