"""Drawing: one style and palette, inline SVG whose text and axes take the page's colour, and PNG."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from stages.reporting.looks import INK

STYLE: dict[Any, Any] = {
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color"), INK
    ),
    "font.size": 9,
    "axes.titlesize": 9,
    "legend.fontsize": 8.5,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.alpha": 0.13,
    "grid.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
}
LONG = 40
"""Letters of a legend's entry beyond which it has a line to itself."""
PNG_DPI = 150
MOST_POINTS = 600
"""Points drawn of one curve: more can't be seen and make the page heavy."""


F = TypeVar("F")
Draw = Callable[[F], Figure | None]
"""Draws figures of this kind: an evaluation's, or a sweep's."""


@dataclass(frozen=True)
class Plot(Generic[F]):
    """A drawing with its title and a caption that says what to see; a wide one takes the page's full width.

    What is right depends on the zoo, so a caption's rules of thumb are in `beside`: what held-out members show here.
    """

    title: str
    caption: str
    draw: Draw[F]
    wide: bool
    beside: Callable[[F], str] | None

    @property
    def name(self) -> str:
        """Unique on the page; the ids within the SVG begin with it."""
        return self.draw.__name__

    def full_caption(self, figures: F) -> str:
        """The caption, and what it means beside these held-out members."""
        beside = self.beside(figures) if self.beside else ""
        return f"{self.caption} {beside}".strip()

    def svg(self, figures: F, folder: Path | None = None) -> str | None:
        """The SVG, or None where `figures` lacks what is drawn; equal figures give equal text.

        With a folder, `<name>.png` is written there, too, in black on white.
        """
        with rc_context({**STYLE, "svg.hashsalt": self.name}):
            figure = self.draw(figures)
            if figure is None:
                return None
            svg = inline_svg(figure, self.name, self.title)
            if folder is not None:
                figure.set_layout_engine(None)  # laid out already
                path = folder / f"{self.name}.png"
                figure.savefig(path, format="png", dpi=PNG_DPI, facecolor="white", metadata={"Software": None})
            return svg


def plot(
    title: str, caption: str, wide: bool = False, beside: Callable[[F], str] | None = None
) -> Callable[[Draw[F]], Plot[F]]:
    """Make a plot of a function that draws."""
    return lambda draw: Plot(title, caption, draw, wide, beside)


def numbers(values: Sequence[float | None] | None) -> np.ndarray:
    """A list as floats, null as NaN; empty where there is none."""
    return np.array([] if values is None else values, dtype=float)


def inline_svg(figure: Figure, name: str, title: str) -> str:
    """The figure as an SVG element to be put into HTML: scalable, in the page's font and colour, ids its own."""
    text = StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()[text.getvalue().index("<svg") :]
    box = re.search(r'viewBox="[^"]*"', svg)
    assert box, "matplotlib writes a viewBox"
    svg = f'<svg {box[0]} role="img" aria-label="{title}"' + svg[svg.index(">") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>|\s*<style.*?</style>|\s*<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font: (?:\w+ )?([\d.]+px) [^;\"]*", r"font-size: \1", svg).replace("xlink:href", "href")
    svg = re.sub(r'((?: id| href)="#?|url\(#)(?!data:)', rf"\g<1>{name}-", svg)
    svg = re.sub(r' (?:x|y|d)="[^"]*"', lambda match: re.sub(r"(\.\d\d)\d+", r"\1", match[0]), svg)
    return svg.replace(INK, "currentColor").strip()


def new_axes(width: float, height: float, x: str, y: str) -> Axes:
    """One set of labelled axes in a figure of so many inches."""
    axes = Figure(figsize=(width, height), layout="constrained").subplots()
    axes.set(xlabel=x, ylabel=y)
    axes.set_axisbelow(True)
    return axes


def with_legend(axes: Axes, columns: int = 3) -> Figure:
    """The axes' figure with its legend below, where it never covers a point."""
    figure = axes.figure
    assert isinstance(figure, Figure)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        columns = 1 if max(map(len, labels)) > LONG else min(columns, len(handles))
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, columnspacing=1.4)
    return figure


def in_percent(axes: Axes) -> None:
    """Label the vertical axis, which holds shares, in per cent."""
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}")


def thin(values: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the values, evenly spaced, the last always among them."""
    return values[np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))]


def pairs(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Those positions of two lists where both hold a number."""
    both = min(len(x), len(y))
    good = np.isfinite(x[:both]) & np.isfinite(y[:both])
    return x[:both][good], y[:both][good]


def curve(axes: Axes, x: np.ndarray, y: np.ndarray, label: str, colour: str, line: str = "-") -> None:
    """A line through those points that have both numbers; none where there is none."""
    x, y = pairs(x, y)
    if len(x):
        axes.plot(thin(x, MOST_POINTS), thin(y, MOST_POINTS), line, color=colour, label=label)


def rule(axes: Axes, value: float | int | None, text: str, across: bool) -> None:
    """A dashed line across (or up) the plot, labelled beyond its end, where nothing is covered."""
    if value is None:
        return
    dashes: dict[str, Any] = {"color": INK, "alpha": 0.55, "linestyle": (0, (4, 3)), "linewidth": 0.8, "zorder": 1.5}
    label: dict[str, Any] = {"fontsize": 8, "alpha": 0.75}
    if across:
        axes.axhline(value, **dashes)
        axes.text(1.015, value, text, transform=axes.get_yaxis_transform(), va="center", **label)
    else:
        axes.axvline(value, **dashes)
        axes.text(value, 1.01, text, transform=axes.get_xaxis_transform(), ha="center", va="bottom", **label)


def powers_of_ten(axes: Axes) -> None:
    """A logarithmic axis where the values allow and need one, with plain numbers on it."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
    if values.min() <= 0 or values.max() < 10 * values.min():
        return
    axes.set_yscale("log")
    subs = (1.0, 2.0, 5.0) if values.max() < 1e3 * values.min() else (1.0,)
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_locator(NullLocator())


SPAN = 20
"""Factor between the smallest and the largest distance beyond which they are shown by powers of ten."""


def stretch_score(axes: Axes, lowest: float, highest: float) -> None:
    """Spread scores near 1 as their errors' logarithms would, when they share the axis with poor networks."""
    if lowest < 0.85:
        near = 1.005  # beyond 1, so that a faultless network has a place
        stretch = (lambda a: -np.log(np.maximum(near - a, 1e-9)), lambda s: near - np.exp(-s))
        axes.set_yscale("function", functions=stretch)
        ticks = (0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1)
        axes.set_yticks([t for t in ticks if lowest - 0.1 <= t <= max(highest, 0.5)])
        low, high = (float(stretch[0](a)) for a in (lowest, highest))
        pad = 0.06 * (high - low) + 0.05
        axes.set_ylim(*(float(stretch[1](edge)) for edge in (low - pad, high + pad)))
    in_percent(axes)


def stretch_distance(axes: Axes, distances: np.ndarray) -> None:
    """Show distances by powers of ten when they span a large factor; 1 and zero keep their place."""
    away, end = distances[distances > 0], max(1.0, float(distances.max()))
    if not len(away) or away.max() < SPAN * away.min():
        axes.set_xlim(-0.03 * end, 1.1 * end)
        return
    first = max(-3, int(np.floor(np.log10(away.min()))))
    axes.set_xscale("symlog", linthresh=10.0**first, linscale=0.4)
    axes.set_xlim(-0.15 * 10.0**first, 1.3 * end)
    axes.set_xticks([0, *(10.0**p for p in range(first, int(np.floor(np.log10(end))) + 1))])
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def log_scale_with_ticks(axes: Axes, values: Iterable[float], apart: float = 1.45) -> None:
    """A logarithmic axis with its ticks at the values themselves, leaving out those less than this factor apart."""
    ticks: list[float] = []
    for value in sorted(set(values)):
        if not ticks or value >= apart * ticks[-1]:
            ticks.append(value)
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.set_xticks([], minor=True)
