"""The frameworks' own conventions: what each calls a weight, and the order in which it keeps named axes."""

from __future__ import annotations

from .axes import SPATIAL, parse, render

LEAVES = {
    "torch": {"kernel": "weight", "gamma": "weight", "scale": "weight", "table": "weight", "beta": "bias",
              "mean": "running_mean", "variance": "running_var"},
    "keras": {"table": "embeddings", "mean": "moving_mean", "variance": "moving_variance"},
}  # fmt: skip
RANK = {"batch": 0, "out": 1}


def leaf(role: str, side: str) -> str:
    """What a framework calls a weight of this role: a `kernel` is PyTorch's `weight`."""
    return LEAVES[side].get(role, role)


def native(axes: str, side: str) -> str:
    """A framework's order of the axes. Keras's is the canonical one.

    PyTorch's is batch, then outputs, then inputs or channels, and spatial axes last.
    """
    if side == "keras":
        return axes
    groups = [tuple(sorted(group, key=_rank)) for group in parse(axes)]
    return render(tuple(sorted(groups, key=_group_rank)))


def _group_rank(group: tuple[str, ...]) -> int:
    """A composite axis comes where inputs come, unless it holds the outputs."""
    return _rank(group[0]) if len(group) == 1 or "out" in group else 2


def _rank(name: str) -> int:
    return 3 if name in SPATIAL else RANK.get(name, 2)
