"""Plots of how the generated networks are distributed, compared with trained ones."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from stages.evaluation.figures import Figures, SetFigures
from stages.evaluation.metrics.novelty import distance_in_tau
from stages.evaluation.metrics.performance import per_class
from stages.evaluation.metrics.spread import dispersion_by_direction
from stages.evaluation.metrics.two_sample import Separability
from stages.evaluation.metrics.two_sample import two_sample as two_sample_tests
from stages.reporting.drawing import SPAN, curve, in_percent, new_axes, numbers, plot, rule, with_legend
from stages.reporting.looks import OPEN, Look, look
from stages.reporting.plots.score_and_novelty import points

BINS, MOST_CLASSES = 40, 60


def _main_sets(figures: Figures) -> dict[str, SetFigures]:
    """Members, held-out members and generated networks, those of them that there are."""
    return {name: entry for name, entry in figures.sets.items() if entry.role != "baseline"}


def _edges(distances: np.ndarray) -> np.ndarray:
    """Bins over distances; by powers of ten when these span a large factor."""
    away, end = distances[distances > 0], float(distances.max()) or 1.0
    if len(away) and away.max() > SPAN * away.min():
        return np.geomspace(max(0.8 * float(away.min()), 1e-4), 1.1 * end, BINS + 1)
    return np.linspace(0, 1.1 * end, BINS + 1)


@plot(
    "Distance to the nearest member",
    "Aligned distances of networks to the nearest member: a generator that has learned the distribution puts its "
    "networks where held-out members are.",
)
def distances(figures: Figures) -> Figure | None:
    """Histograms of nearest-member distances of members, held-out members and generated networks."""
    by_set = {name: points(entry, distance_in_tau) for name, entry in _main_sets(figures).items()}
    by_set = {name: values[np.isfinite(values)] for name, values in by_set.items() if np.isfinite(values).any()}
    if not by_set:
        return None
    edges = _edges(np.concatenate(list(by_set.values())))
    axes = new_axes(4.6, 3.5, "distance to the nearest member, in τ", "networks, %")
    if edges[0] > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if edges[-1] < 200 * edges[0] else (1,)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_locator(NullLocator())
    for name, values in by_set.items():
        entry = figures.sets[name]
        shares = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / len(values)
        style: dict[str, Any] = {"linewidth": 1.4}
        if entry.role == "members":
            style = {"fill": True, "alpha": 0.4, "linewidth": 0}
        axes.stairs(shares, edges, color=look(entry).colour, label=name, **style)
    axes.set_ylim(bottom=0)
    in_percent(axes)
    return with_legend(axes)


def _heldout_spread(figures: Figures) -> str:
    """Between what held-out members' spread lies, which is what an ideal generator would show."""
    spread = numbers(dispersion_by_direction.of(figures.sets.get("held-out")))
    if not len(spread):
        return ""
    return f"Held-out members, which an ideal generator resembles, have {spread.min():.2f} to {spread.max():.2f} here."


@plot(
    "Spread by direction",
    "How widely networks are spread along each principal direction of the members, as root mean square around these' "
    "mean, over how widely the members are. The directions are fitted to the members, who have 1 along each; others "
    "needn't.",
    beside=_heldout_spread,
)
def directions(figures: Figures) -> Figure | None:
    """Dispersion along each principal direction, for held-out and generated networks."""
    axes = new_axes(4.6, 3.5, "principal direction", "spread over the members'")
    for name, entry in _main_sets(figures).items():
        spread = numbers(dispersion_by_direction.of(entry))
        if entry.role != "members":
            curve(axes, np.arange(1.0, len(spread) + 1), spread, name, look(entry).colour)
    if not axes.lines:
        return None
    axes.set_ylim(bottom=0)
    for line in axes.lines:
        line.set(marker=".", markersize=3, linewidth=0.8)
    rule(axes, 1.0, "members", across=True)
    return with_legend(axes)


def _draw_auc(axes: Axes, row: float, test: Separability, mark: Look, fill: str) -> None:
    """An AUC with its interval."""
    axes.plot([test.low, test.high], [row, row], color=mark.colour, linewidth=2, alpha=0.55, solid_capstyle="butt")
    axes.plot(test.auc, row, mark.marker, color=mark.colour, markersize=5.5, markerfacecolor=fill)


@plot(
    "Classifier two-sample tests",
    "Area under the curve (AUC), with its 97.5 % interval, of a classifier that is to tell each set from held-out "
    "members by weights (filled) or by outputs (open): 0.5 is chance, 1 is certainty. On the right, the p-value of a "
    "kernel test (MMD) of the weights: how often it would come out as large if both were of one distribution.",
)
def two_sample(figures: Figures) -> Figure | None:
    """Two-sample tests of each set against held-out members."""
    by_set = {name: tests for name, entry in figures.sets.items() if (tests := two_sample_tests.of(entry))}
    if not by_set:
        return None
    axes = new_axes(4.6, 0.9 + 0.3 * len(by_set), "AUC", "")
    axes.grid(visible=False, axis="y")
    for row, (name, tests) in enumerate(by_set.items()):
        mark = look(figures.sets[name])
        _draw_auc(axes, row - 0.15, tests.weights, mark, mark.colour)
        if tests.outputs:
            _draw_auc(axes, row + 0.15, tests.outputs, mark, OPEN)
        text: dict[str, Any] = {"fontsize": 8, "alpha": 0.75, "va": "center"}
        axes.text(1.02, row, f"p {tests.mmd.p:.2g}", transform=axes.get_yaxis_transform(), **text)
    axes.set_yticks(range(len(by_set)), list(by_set))
    axes.set_ylim(len(by_set) - 0.5, -0.5)
    axes.set_xlim(min(0.45, axes.get_xlim()[0]), 1.02)
    rule(axes, 0.5, "chance", across=False)
    return with_legend(axes)


@plot(
    "Accuracy by class",
    "Mean test accuracy on the examples of each class: networks that are good overall may still have lost one.",
)
def classes(figures: Figures) -> Figure | None:
    """Per-class accuracy of members, held-out members and generated networks."""
    axes = new_axes(4.6, 3.5, "class", "test accuracy, %")
    for name, entry in _main_sets(figures).items():
        accuracy, mark = numbers(per_class.of(entry)), look(entry)
        if 0 < len(accuracy) <= MOST_CLASSES and np.isfinite(accuracy).any():
            style: dict[str, Any] = {"markersize": 5.5, "markeredgewidth": 0, "alpha": 0.85, "linestyle": ""}
            axes.plot(np.arange(len(accuracy)), accuracy, mark.marker, color=mark.colour, label=name, **style)
    if not axes.lines:
        return None
    in_percent(axes)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return with_legend(axes)
