"""Whether generated networks are distributed as trained ones are."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from stages.reporting.drawing import INK, curve, dig, finished, in_percent, look, new_axes, numbers, plot, rule, sets

TRAINED = ("members", "held-out", "generated")
BINS, MOST_CLASSES = 40, 60
TESTS = (("weights", "weights", "o"), ("outputs", "outputs", "s"))
"""What two-sample tests look at, its name, and its mark."""


def main_sets(figures: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Members, held-out members and generated networks, those of them that there are."""
    return {name: entry for name, entry in sets(figures).items() if entry.get("role") in TRAINED}


def _edges(distances: np.ndarray) -> np.ndarray:
    """Bins over distances; by powers of ten when these span more than a factor of twenty."""
    away, end = distances[distances > 0], float(distances.max()) or 1.0
    if len(away) and away.max() > 20 * away.min():
        return np.geomspace(max(0.8 * float(away.min()), 1e-4), 1.1 * end, BINS + 1)
    return np.linspace(0, 1.1 * end, BINS + 1)


@plot(
    "Distance to the nearest member",
    "How far networks are from the nearest member: a generator that has learned the distribution puts its networks where "
    "held-out members are; a heap further left is copies.",
)
def distances(figures: dict[str, Any]) -> Figure | None:
    """Histograms of nearest-member distances of members, held-out members and generated networks."""
    found = {name: numbers(entry, "points", "distance_in_tau") for name, entry in main_sets(figures).items()}
    found = {name: values[np.isfinite(values)] for name, values in found.items() if np.isfinite(values).any()}
    if not found:
        return None
    edges = _edges(np.concatenate(list(found.values())))
    axes = new_axes(4.6, 3.5, "distance to the nearest member, in τ", "networks, %")
    if edges[0] > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if edges[-1] < 200 * edges[0] else (1,)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_locator(NullLocator())
    for name, values in found.items():
        own = look(sets(figures)[name])
        shares = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / len(values)
        style: dict[str, Any] = {"linewidth": 1.4}
        if own.label == "members":
            style = {"fill": True, "alpha": 0.4, "linewidth": 0}
        axes.stairs(shares, edges, color=own.colour, label=name, **style)
    axes.set_ylim(bottom=0)
    in_percent(axes)
    return finished(axes)


@plot(
    "Spread by direction",
    "How widely networks are spread along each principal direction of the members, relative to these: 1 throughout is "
    "right, a direction near 0 has collapsed.",
)
def directions(figures: dict[str, Any]) -> Figure | None:
    """Dispersion along each principal direction, for held-out and generated networks."""
    axes = new_axes(4.6, 3.5, "principal direction", "spread over the members'")
    for name, entry in main_sets(figures).items():
        spread = numbers(entry, "dispersion_by_direction")
        if entry.get("role") != "members":
            curve(axes, np.arange(1.0, len(spread) + 1), spread, name, look(entry).colour)
    if not axes.lines:
        return None
    axes.set_ylim(bottom=0)
    for line in axes.lines:
        line.set(marker=".", markersize=3, linewidth=0.8)
    rule(axes, 1.0, "members", across=True)
    return finished(axes)


def _interval(axes: Axes, row: float, test: dict[str, Any], colour: str, marker: str) -> None:
    """One AUC with its interval."""
    low, high = (np.nan if test.get(end) is None else test[end] for end in ("low", "high"))
    axes.plot([low, high], [row, row], color=colour, linewidth=2, alpha=0.55, solid_capstyle="butt")
    axes.plot(test["auc"], row, marker, color=colour, markersize=5, markeredgewidth=0)


@plot(
    "Told apart by a classifier",
    "Area under the curve (AUC), with its interval, of a classifier that tells each set from held-out members by weights "
    "(circles) or by outputs (squares): at 0.5 it can't, at 1 it always can. On the right, p of an MMD test: small means "
    "different.",
)
def two_sample(figures: dict[str, Any]) -> Figure | None:
    """Classifier two-sample tests of each set against held-out members."""
    shown = {name: entry for name, entry in sets(figures).items() if any(_tests(entry))}
    if not shown:
        return None
    axes = new_axes(4.6, 0.9 + 0.3 * len(shown), "AUC", "")
    axes.grid(visible=False, axis="y")
    for row, entry in enumerate(shown.values()):
        colour = look(entry).colour
        for offset, (test, _, marker) in zip((-0.15, 0.15), TESTS, strict=True):
            if dig(entry, "two_sample", test, "auc") is not None:
                _interval(axes, row + offset, entry["two_sample"][test], colour, marker)
        if (p := dig(entry, "two_sample", "mmd", "p")) is not None:
            word: dict[str, Any] = {"fontsize": 8, "alpha": 0.75, "va": "center"}
            axes.text(1.02, row, f"p {p:.2g}", transform=axes.get_yaxis_transform(), **word)
    axes.set_yticks(range(len(shown)), list(shown))
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(min(0.45, axes.get_xlim()[0]), 1.02)
    rule(axes, 0.5, "can't tell", across=False)
    for _, label, marker in TESTS:
        axes.plot([], [], marker, color=INK, markersize=5, markeredgewidth=0, label=label)
    return finished(axes)


def _tests(entry: dict[str, Any]) -> list[float]:
    """The AUCs that were measured of a set."""
    found = (dig(entry, "two_sample", test, "auc") for test, _, _ in TESTS)
    return [auc for auc in found if auc is not None]


@plot(
    "Accuracy by class",
    "Mean accuracy on each class: generated networks that are good overall may still have lost one.",
)
def classes(figures: dict[str, Any]) -> Figure | None:
    """Per-class accuracy of members, held-out members and generated networks."""
    axes = new_axes(4.6, 3.5, "class", "test accuracy, %")
    for name, entry in main_sets(figures).items():
        shares, own = numbers(entry, "per_class"), look(entry)
        if 0 < len(shares) <= MOST_CLASSES and np.isfinite(shares).any():
            style: dict[str, Any] = {"markersize": 5.5, "markeredgewidth": 0, "alpha": 0.85, "linestyle": ""}
            axes.plot(np.arange(len(shares)), shares, own.marker, color=own.colour, label=name, **style)
    if not axes.lines:
        return None
    in_percent(axes)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return finished(axes)
