"""Transfer learning: a trained network under a new head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from .. import registry
from ..errors import nearest
from ..field import fraction, optional_whole, whole, word, words
from ..parts import VECTOR, block, dense, nested
from ..spec import Init, Part, Weight
from ..state import State, fit, initial_state
from ..vision import ImageClassifier

HE = Init("he_normal")
XAVIER = Init("xavier_uniform")
SMALL = {"backbone": "resnet_small", "image_size": 12, "hidden": 7, "num_classes": 4}


@dataclass(frozen=True, kw_only=True)
class Transfer(ImageClassifier):
    """An image classifier without its head, frozen in part, under a head of two dense layers with dropout.

    Source: Yosinski et al., "How transferable are features in deep neural networks?", NeurIPS 2014, section 2; the head
    is the document's: 512 units, ReLU, dropout, classes.

    Input: `image`, float, (batch, height, width, channels). Output: `logits`, float, (batch, channels), one channel
    per class.

    core/vision.py has the fields image_size and in_channels.

    Fields:
        backbone: the name of an image classifier or of one of its presets.
        frozen: prefixes of names of the backbone's weights (`layer1`, `bn1.gamma`): these do not train.
        trainable_last: how many of the backbone's weights train, counted from the last in the spec's order (running
            statistics aside) and less those that are `frozen`; 0 trains the head alone, None leaves it to `frozen`.
        hidden: units of the head's first layer.
        dropout_rate: in the head.
        num_classes: number of classes.

    A batch normalisation that holds no weight that trains is really frozen: it uses its running statistics in
    training, and leaves them as they are.

    Raises SpecError for a backbone that is no image classifier, and for a prefix that no weight begins with.

    Departs from paper: the document counts the last weights of a network whose old head is among them, and replaces
    that head afterwards; here the old head is gone before anything is counted. It leaves the frozen part's batch
    normalisation in training mode, where its statistics go on moving.

    Frameworks differ: PyTorch's `requires_grad=False` leaves batch normalisation's statistics moving, and its module
    must be kept in evaluation mode, which `train()` of the whole network does and `train()` of a part of it undoes;
    Keras's `trainable = False` means just that.
    """

    backbone: str = word("resnet50")
    frozen: tuple[str, ...] = words()
    trainable_last: int | None = optional_whole(0)
    hidden: int = whole(512)
    dropout_rate: float = fraction(0.5)
    num_classes: int = whole(10)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "transfer_small": {**SMALL},
        "transfer_small_last": {**SMALL, "trainable_last": 8, "dropout_rate": 0.0},
        "transfer_small_prefix": {**SMALL, "trainable_last": None, "frozen": ("conv1", "bn1", "layer1")},
    }
    CHECKED: ClassVar[tuple[str, ...]] = tuple(PRESETS)

    def constraints(self) -> Iterator[str]:
        kind = registry.classes().get(registry.presets().get(self.backbone, (self.backbone,))[0])
        if kind is None or not issubclass(kind, ImageClassifier) or kind is Transfer:
            known = [name for name, found in registry.classes().items() if issubclass(found, ImageClassifier)]
            known.remove(self.name)
            known += [name for name, (owner, _) in registry.presets().items() if owner in known]
            yield f"backbone {self.backbone!r} is no image classifier{nearest(self.backbone, known)}"
            return
        names = [weight.name for weight in self.backbone_spec().weights()]
        for prefix in self.frozen:
            if not any(begins(name, prefix) for name in names):
                parts = {".".join(name.split(".")[: prefix.count(".") + 1]) for name in names}
                yield f"frozen: no weight of {self.backbone} begins with {prefix!r}{nearest(prefix, sorted(parts))}"

    @property
    def num_features(self) -> int:
        """Channels that the head is given."""
        return self.backbone_spec().num_features

    def backbone_spec(self) -> ImageClassifier:
        """The backbone without its head. Raises SpecError as its own spec does, as for an image that is too small."""
        sizes = {"image_size": self.image_size, "in_channels": self.in_channels}
        whole_spec: ImageClassifier = registry.make(self.backbone, **sizes)
        return whole_spec.headless()

    def shrunk(self) -> Transfer:
        """Images of the size that the backbone is checked with."""
        return self.replace(image_size=self.backbone_spec().shrunk().image_size)

    def frozen_weights(self) -> frozenset[str]:
        """The names of the backbone's weights, within it, that do not train; running statistics are not among them."""
        names = [weight.name for weight in self.backbone_spec().weights() if weight.trainable]
        held = set(names[: max(0, len(names) - self.trainable_last)]) if self.trainable_last is not None else set()
        return frozenset(held | {name for name in names if any(begins(name, prefix) for prefix in self.frozen)})

    def frozen_parts(self) -> list[str]:
        """The names of the parts that hold weights, and none that trains."""
        frozen = {f"backbone.{name}" for name in self.frozen_weights()}
        owned = [(part.name, [weight for weight in part.weights if weight.role not in STATISTICS])
                 for part in self.parts() if part.name.startswith("backbone.")]  # fmt: skip
        return [name for name, weights in owned if weights and all(weight.name in frozen for weight in weights)]

    def parts(self) -> Iterator[Part]:
        frozen = {f"backbone.{name}" for name in self.frozen_weights()}
        for part in nested("backbone", self.backbone_spec()):
            yield replace(part, weights=tuple(held(weight, frozen) for weight in part.weights))
        yield dense("head.hidden", self.num_features, self.hidden, HE)
        yield block("head.dropout", VECTOR)
        yield dense("head.classes", self.hidden, self.num_classes, XAVIER)
        yield Part("head", (VECTOR,), VECTOR)

    def resized(self, state: State, image_size: int, *, method: str, antialias: bool) -> tuple[Self, State]:
        """The network for images of another size, as its backbone sees to it."""
        own, prefix = self.backbone_spec(), "backbone."
        inside = {weight.name: state[f"{prefix}{weight.name}"] for weight in own.weights()}
        _, moved = own.resized(inside, image_size, method=method, antialias=antialias)
        renamed = {f"{prefix}{name}": array for name, array in moved.items()}
        return self.replace(image_size=image_size), {**state, **renamed}

    def with_backbone(self, state: Mapping[str, Any], seed: int = 0) -> State:
        """The initial state with a trained backbone, whose state without a head `load_pretrained` gives.

        Raises StateError where the state does not fit `backbone_spec()`.
        """
        fit(self.backbone_spec(), state)
        return {**initial_state(self, seed), **{f"backbone.{name}": array for name, array in state.items()}}

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Transfer:
        name = str(rng.choice(["resnet_small", "resnet_small_imagenet", "resnet_small_bottleneck"]))
        count = len([weight for weight in registry.make(name).weights() if weight.trainable])
        return cls(
            backbone=name,
            frozen=("layer1",) if rng.random() < 0.5 else (),
            trainable_last=int(rng.integers(count)) if rng.random() < 0.7 else None,
            hidden=int(rng.integers(3, 9)),
            dropout_rate=float(rng.choice([0.0, 0.3])),
            image_size=int(rng.integers(16, 34)),
            in_channels=int(rng.integers(1, 4)),
            num_classes=int(rng.integers(2, 6)),
        )


STATISTICS = ("mean", "variance")


def begins(name: str, prefix: str) -> bool:
    """Whether a weight is the one of this name, or lies in the part of this name."""
    return name == prefix or name.startswith(f"{prefix}.")


def held(weight: Weight, frozen: set[str]) -> Weight:
    """The weight, which does not train if it is frozen."""
    return replace(weight, trainable=False) if weight.name in frozen else weight
