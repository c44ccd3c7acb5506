"""Pictures of a training as PNG files."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .core import checkpoint, compare
from .core.backend import SIDES
from .core.learning import Picture
from .core.parting import Series

TITLES = dict(zip(SIDES, compare.SIDES, strict=True))
COLOURS = {"torch": "#d95f0e", "keras": "#2c7fb8"}
GAP = 1  # pixels between the images of a grid
SMOOTHED = 200  # points of a curve that a page can show


def draw(picture: Picture, name: str, path: Path) -> None:
    """Write one picture."""
    {"grid": _grid, "points": _points, "lines": _lines}[picture.form](picture, name, path)


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def _written(figure: Any, path: Path) -> None:
    held = io.BytesIO()
    figure.savefig(held, format="png")
    with checkpoint.replacing(path) as file:
        file.write(held.getvalue())


def _grid(picture: Picture, name: str, path: Path) -> None:
    """Images beside and below each other, each pixel as a square."""
    rows, columns, height, width, channels = picture.values.shape
    sheet = np.ones((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, channels))
    for row in range(rows):
        for column in range(columns):
            top, left = row * (height + GAP) + GAP, column * (width + GAP) + GAP
            sheet[top : top + height, left : left + width] = picture.values[row, column]
    figure = _figure(max(2.0, columns * 0.6), max(1.0, rows * 0.6))
    axes = figure.add_subplot()
    axes.imshow(sheet.squeeze(-1) if channels == 1 else sheet, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()
    _written(figure, path)


def _points(picture: Picture, name: str, path: Path) -> None:
    figure = _figure(6, 5)
    axes = figure.add_subplot()
    labels = np.asarray(picture.labels)
    for label in np.unique(labels):
        rows = picture.values[labels == label]
        axes.scatter(rows[:, 0], rows[:, 1], s=8, label=str(label), color=f"C{int(label) % 10}")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    axes.set_title(name)
    _written(figure, path)


def _lines(picture: Picture, name: str, path: Path) -> None:
    figure = _figure(6, 4)
    axes = figure.add_subplot()
    for index, label in enumerate(picture.labels):
        axes.plot(picture.values[:, 0], picture.values[:, index + 1], label=str(label))
    axes.legend(frameon=False)
    axes.set_title(name)
    _written(figure, path)


def curves(histories: Mapping[str, Mapping[str, Series]], path: Path) -> None:
    """Every quantity but whole numbers over the steps, one panel each, with both sides where there are two."""
    names = list(dict.fromkeys(name for one in histories.values() for name in one if one[name][1].dtype.kind == "f"))
    if not names:
        return
    figure = _figure(6, 2.4 * len(names))
    panels = figure.subplots(len(names), 1, squeeze=False)[:, 0]
    for axes, name in zip(panels, names, strict=True):
        for side, history in histories.items():
            if name in history:
                steps, values = (_averaged(array) for array in history[name])
                style = {"torch": "-", "keras": "--"}[side]
                axes.plot(steps, values, style, color=COLOURS[side], label=TITLES[side], linewidth=1.2)
        axes.set_ylabel(name)
        axes.legend(frameon=False)
    panels[-1].set_xlabel("step")
    _written(figure, path)


def _averaged(array: Any) -> Any:
    """A long series as means of as many stretches as can be told apart."""
    means = array.reshape(len(array), -1).astype(np.float64).mean(axis=1)
    parts = np.array_split(means, min(len(array), SMOOTHED))
    return np.array([part.mean() for part in parts])
