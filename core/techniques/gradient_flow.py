"""Statistics of each weight's gradient and of its step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import choice
from ..history import STATISTICS
from ..technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class GradientFlow(Technique):
    """Mean, deviation, norm and share of zeros of each weight's gradient, and the length of its step by its own.

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS
    2010, section 4.2: gradients compared across layers tell whether they vanish on their way to the input.

    The built function takes the gradients, the weights before the step and the weights after it, three lists in one
    order, and gives (weights, statistics): `mean`; `std`; `norm`, the root of the sum of squares; `zeros`, the share of
    elements that are exactly 0; `update`, |after - before| / |before|, where |.| is the norm. A weight without a
    gradient, None, counts as one of zeros alone. `update` is NaN for a weight that was zero throughout, as nothing can
    be told in parts of zero. Half precision is widened to float32 before anything is squared.

    Fields:
        deviation: `population` divides the squared deviations by n, as the elements are all there are; `sample` by
            n - 1, and gives 0 for a weight of one element.

    Departs from the document: its `param.grad.std()` is PyTorch's, which divides by n - 1 and is NaN for a weight of
    one element; it skips a weight without a gradient, which is the one to be found, and does not look at the step.

    Frameworks differ: `std` divides by n - 1 in PyTorch and by n in NumPy, Keras and TensorFlow. In TensorFlow an
    embedding's gradient lists a repeated row several times; the sibling adds them up first.
    """

    deviation: str = choice("population", "sample")

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"gradient_flow_sample": {"deviation": "sample"}}
    CHECKED = ("gradient_flow", *PRESETS)

    def case(self, rng: np.random.Generator) -> Arrays:
        """Gradients `g.NAME`, weights before `b.NAME` and after `a.NAME`.

        That of `embedding` is for each of four tokens, of which two are the same; the rows of others have none.
        """
        case: Arrays = {"tokens": np.array([4, 1, 4, 2])}
        for name, shape in {"kernel": (5, 4), "embedding": (6, 3), "bias": (4,), "scale": (1,)}.items():
            before = rng.standard_normal(shape)
            given = (4, 3) if name == "embedding" else shape
            case |= {f"g.{name}": rng.normal(0.3, 1.0, given), f"b.{name}": before}
            case[f"a.{name}"] = before + 0.01 * rng.standard_normal(shape)
        return case

    def rule(self, case: Arrays) -> Arrays:
        rows = []
        for name in (key[2:] for key in case if key.startswith("g.")):
            gradient, before, after = (case[f"{kind}.{name}"] for kind in "gba")
            if name == "embedding":
                gradient = np.zeros_like(before)
                np.add.at(gradient, case["tokens"], case["g.embedding"])
            rows.append(self.row(gradient, before, after))
        return dict(zip(STATISTICS, np.array(rows).T, strict=True))

    def row(self, gradient: NDArray[Any], before: NDArray[Any], after: NDArray[Any]) -> list[float]:
        """The statistics of one weight."""
        count = gradient.size if self.deviation == "population" else max(gradient.size - 1, 1)
        squares = ((gradient - gradient.mean()) ** 2).sum()
        length = float(np.linalg.norm(before))
        return [
            float(gradient.mean()),
            float(np.sqrt(squares / count)),
            float(np.linalg.norm(gradient)),
            float(np.mean(gradient == 0)),
            float(np.linalg.norm(after - before)) / length if length else float("nan"),
        ]
