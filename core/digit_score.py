"""How real generated digits look to a classifier of real ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import DiglotError

CONFIDENT = 0.9
VOTERS = 5


def confidence(images: Any, labels: Any, held_out: Any, held_out_labels: Any, samples: Any) -> dict[str, float]:
    """What a classifier trained on `images` says of held-out ones and of samples, all (samples, ...) in 0..1.

    Its own accuracy on what is held out; the share of these, and of the samples, that it gives a class with a
    probability above 0.9; and how many classes there are among such samples. The classifier is five small networks of
    different seeds, whose probabilities are averaged: where they do not agree, none of them can be confident.

    Raises DiglotError where scikit-learn is not installed.
    """
    try:
        from sklearn.neural_network import MLPClassifier  # type: ignore[import-untyped]
    except ImportError as error:
        raise DiglotError("digits are scored by scikit-learn; install it with `pip install scikit-learn`") from error
    rows = [np.asarray(array, np.float64).reshape(len(array), -1) for array in (images, held_out, samples)]
    voters = [MLPClassifier((128,), max_iter=400, random_state=seed).fit(rows[0], labels) for seed in range(VOTERS)]
    known, found = (np.mean([voter.predict_proba(array) for voter in voters], axis=0) for array in rows[1:])
    sure = found.max(axis=1) > CONFIDENT
    return {
        "classifier accuracy": float((voters[0].classes_[known.argmax(axis=1)] == held_out_labels).mean()),
        "confident on held-out": float((known.max(axis=1) > CONFIDENT).mean()),
        "confident on samples": float(sure.mean()),
        "classes among samples": float(len(np.unique(found[sure].argmax(axis=1)))),
    }
