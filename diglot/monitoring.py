"""A training's history as pictures and as one self-contained HTML page, of one side or of both in one picture."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from .core.checkpoint import replacing
from .core.errors import CheckpointError, ReportError
from .core.history import STATISTICS, History, Series
from .core.monitoring import Finding, Limits, find, layer_norms
from .drawing import COLOURS, SMOOTHED, TITLES

THEMES = {
    "light": {"paper": "#ffffff", "ink": "#1d2126", "rule": "#d9d4ca", "alone": "#1c4f8f"},
    "dark": {"paper": "#1b1f25", "ink": "#e6e3dc", "rule": "#3a414a", "alone": "#8fbcf5"},
}
DRAWN_LIGHT = {"keras": "#67b3e6", "torch": "#f0873a"}  # on a dark ground
HELD_OUT = "val_"
LEGEND = 10  # lines that a legend can tell apart; beyond it a colour bar tells the depth

Histories = Mapping[str, History]


@dataclass(frozen=True)
class Plot:
    """One picture: `lines` gives each side's named series, all in one panel or each side in its own."""

    name: str
    title: str
    across: str
    lines: Callable[[History], Iterator[tuple[str, Series]]]
    logarithmic: bool = False
    base: int = 10
    drawn: str = "default"
    by_depth: bool = False
    note: str = ""


def report(
    histories: History | Histories, folder: str | Path, title: str = "Training", limits: Limits | None = None
) -> Path:
    """Write a PNG for each kind of quantity and `index.html`, which holds them all, into a folder that is made.

    `histories` is one, or one for each of `torch` and `keras`. Gives the path of the page.

    Raises ReportError for another side, for histories that hold nothing, and for a folder that cannot be used.
    """
    given: Histories = {"": histories} if isinstance(histories, History) else histories
    if not given or not set(given) <= {"", *TITLES}:
        raise ReportError(
            f"the sides of a history are {' and '.join(TITLES)}, not {', '.join(map(repr, given)) or 'none'}"
        )
    shown = [plot for plot in _plots(given) if any(any(True for _ in plot.lines(one)) for one in given.values())]
    if not shown:
        raise ReportError("the history holds no step, epoch or flow; note what the training came to before its report")
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pictures = [(plot, {theme: _drawn(plot, given, theme) for theme in THEMES}) for plot in shown]
        for plot, drawn in pictures:
            with replacing(folder / f"{plot.name}.png") as file:
                file.write(drawn["light"])
        page = _page(given, title, limits or Limits(), pictures)
        with replacing(folder / "index.html") as file:
            file.write(page.encode())
    except OSError as error:
        raise ReportError(f"{folder} cannot be used: {error.strerror}; choose another folder") from error
    except CheckpointError as error:
        raise ReportError(str(error)) from error
    return folder / "index.html"


def _plots(histories: Histories) -> Iterator[Plot]:
    def quantities(per: str, *names: str) -> Callable[[History], Iterator[tuple[str, Series]]]:
        return lambda history: ((name, found) for name in names if len((found := history.series(name, per))[0]))

    yield Plot("loss", "Loss by step", "step", quantities("step", "loss"))
    epochs = dict.fromkeys(name for one in histories.values() for name in one.epochs)
    for metric in dict.fromkeys(name.removeprefix(HELD_OUT) for name in epochs):
        names = [name for name in (metric, f"{HELD_OUT}{metric}") if name in epochs]
        word = f"{metric.replace('_', ' ').capitalize()} by epoch"
        yield Plot(f"epoch_{_file(metric)}", word, "epoch", quantities("epoch", *names))
    yield Plot("learning_rate", "Learning rate", "step", quantities("step", "learning_rate"))
    yield Plot("loss_scale", "Loss scale", "step", quantities("step", "loss_scale"), True, 2, "steps-post")
    yield Plot("gradient_norm", "Norm of all gradients", "step", quantities("step", "gradient_norm"), logarithmic=True)
    usual = {"loss", "learning_rate", "loss_scale", "gradient_norm"}
    for name in dict.fromkeys(name for one in histories.values() for name in one.steps if name not in usual):
        yield Plot(f"step_{_file(name)}", name.replace("_", " ").capitalize(), "step", quantities("step", name))
    yield Plot(
        "flow_norm", "Gradient norm of each layer", "step", _layers, True, by_depth=True, note=
        "A fan that opens towards the dark end, the input, is a gradient that vanishes on its way there.",
    )  # fmt: skip
    yield Plot(
        "flow_update", "Step of each weight, relative to its own size", "step", _updates, True, by_depth=True, note=
        "Near 0.001 is usual. A line far below the others hardly learns; at 1 a step replaces the weight.",
    )  # fmt: skip
    yield Plot(
        "dead_units", "Share of dead units of each layer", "step",
        lambda history: ((layer, history.series(layer, "dead")) for layer in history.dead), by_depth=True,
        note="Units that are 0 for every sample, so that no gradient passes through them.",
    )  # fmt: skip


def _layers(history: History) -> Iterator[tuple[str, Series]]:
    found: dict[str, tuple[list[int], list[float]]] = {}
    for flow in history.flows:
        for layer, norm in layer_norms(flow.names, flow.values).items():
            steps, norms = found.setdefault(layer, ([], []))
            steps.append(flow.step)
            norms.append(norm)
    for layer, (steps, norms) in found.items():
        yield layer, (np.array(steps), np.array(norms))


def _updates(history: History) -> Iterator[tuple[str, Series]]:
    for weight in history.weights():
        yield weight, history.flow(weight, "update")


@np.errstate(all="ignore")  # an axis of numbers near the largest there is would end beyond it
def _drawn(plot: Plot, histories: Histories, theme: str) -> bytes:
    """The picture as PNG."""
    from matplotlib.figure import Figure

    colours = THEMES[theme]
    found = {side: list(plot.lines(history)) for side, history in histories.items()}
    beside = len(found) if plot.by_depth else 1
    figure = Figure(figsize=(8.4, 3.2), dpi=120, layout="constrained", facecolor=colours["paper"])
    panels = figure.subplots(1, beside, squeeze=False, sharey=True)[0]
    for axes in panels:
        axes.set_facecolor(colours["paper"])
        axes.grid(color=colours["rule"], linewidth=0.6)
        axes.tick_params(colors=colours["ink"], labelsize=8)
        axes.spines[:].set_color(colours["rule"])
        axes.set_xlabel(plot.across, color=colours["ink"], fontsize=9)
    if plot.by_depth:
        for axes, (side, lines) in zip(panels, found.items(), strict=True):
            _by_depth(figure, axes, lines, colours, axes is panels[-1])
            axes.set_title(TITLES.get(side, ""), color=colours["ink"], fontsize=10)
    else:
        for place, (side, lines) in enumerate(found.items()):
            own = (DRAWN_LIGHT if theme == "dark" else COLOURS).get(side, colours["alone"])
            for number, (name, series) in enumerate(lines):
                style = {"color": own, "linestyle": ("-", "--")[number % 2], "linewidth": 3.2 if place == 0 else 1.2}
                label = ", ".join(filter(None, (TITLES.get(side), name.replace("_", " "))))
                _line(panels[0], series, label=label, drawstyle=plot.drawn, **style)
        _legend(panels[0], colours)
    values = [array for lines in found.values() for _, (_, array) in lines]
    if plot.logarithmic and any((array > 0).any() for array in values):
        panels[0].set_yscale("log", base=plot.base)
    held = io.BytesIO()
    figure.savefig(held, format="png")
    return held.getvalue()


def _by_depth(figure: Any, axes: Any, lines: Sequence[tuple[str, Series]], colours: dict[str, str], last: bool) -> None:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable

    shades = colormaps["viridis"].resampled(max(len(lines), 2))
    for number, (name, series) in enumerate(lines):
        _line(axes, series, label=name, color=shades(number), linewidth=1.4)
    if len(lines) <= LEGEND:
        _legend(axes, colours)
    elif last:
        bar = figure.colorbar(ScalarMappable(cmap=shades), ax=axes, ticks=[0, 1])
        bar.ax.set_yticklabels(["input", "output"], color=colours["ink"], fontsize=8)


def _line(axes: Any, series: Series, **style: Any) -> None:
    steps, values = (np.array_split(array.astype(np.float64), min(len(array), SMOOTHED)) for array in series)
    marker = "o" if len(steps) == 1 else None  # a line of one point would not be seen
    axes.plot([part.mean() for part in steps], [part.mean() for part in values], marker=marker, **style)


def _legend(axes: Any, colours: dict[str, str]) -> None:
    if axes.lines:  # of two sides, one may not have the quantity
        axes.legend(frameon=False, fontsize=8, labelcolor=colours["ink"], loc="upper left", bbox_to_anchor=(1.01, 1))


def _file(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def _page(histories: Histories, title: str, limits: Limits, pictures: Sequence[tuple[Plot, dict[str, bytes]]]) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files(__package__).joinpath("monitoring.html.j2").read_text("utf-8"))
    found = {side: find(history, limits) for side, history in histories.items()}
    return template.render(
        title=title,
        sides=[TITLES[side] for side in histories if side],
        facts=list(_facts(histories)),
        findings=_shared(found),
        pictures=[
            (plot, {theme: base64.b64encode(drawn[theme]).decode() for theme in THEMES}) for plot, drawn in pictures
        ],
        statistics=STATISTICS,
        flows=[(TITLES.get(side, ""), history.flows[-1]) for side, history in histories.items() if history.flows],
    )


def _shared(found: Mapping[str, list[Finding]]) -> list[tuple[str, str, str]]:
    """Each finding's kind, whose it is, and its sentence; one that both sides have stands once, with the
    first side's number."""
    sides: dict[tuple[Any, ...], tuple[list[str], str]] = {}
    for side, findings in found.items():
        for finding in findings:
            whose, _ = sides.setdefault((finding.kind, finding.layer, finding.steps), ([], str(finding)))
            whose.append(TITLES.get(side, ""))
    return [(kind, " and ".join(filter(None, whose)), text) for (kind, *_), (whose, text) in sides.items()]


def _facts(histories: Histories) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """What a page says at its head: each fact's name, and each side's figure."""
    wanted = (("Last loss", "loss", "step"), ("Held-out loss", f"{HELD_OUT}loss", "epoch"),
              ("Held-out accuracy", f"{HELD_OUT}accuracy", "epoch"))  # fmt: skip
    steps = {
        side: max((max(kept) for kept in one.steps.values() if kept), default=-1) + 1 for side, one in histories.items()
    }
    yield "Steps", [(TITLES.get(side, ""), f"{count:,}") for side, count in steps.items()]
    for word, name, per in wanted:
        last = [(TITLES.get(side, ""), one.series(name, per)[1]) for side, one in histories.items()]
        if any(len(values) for _, values in last):
            yield word, [(side, f"{values[-1]:.4g}" if len(values) else "none") for side, values in last]
