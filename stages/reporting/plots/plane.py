"""The accuracy-novelty plane: how good networks are against how far they are from the members."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.reporting.drawing import INK, dig, finished, kind, look, new_axes, numbers, pairs, plot, rule, sets, thin
from stages.reporting.plots.scales import stretch_distance, stretch_score
from stages.reporting.wording import score_of

FEW = 60
"""Networks drawn of one baseline; of other sets four times as many."""


def _cloud(axes: Axes, entry: dict[str, Any], quantity: str) -> None:
    """A set's networks, faint; fewer of a baseline."""
    x, y = pairs(numbers(entry, "points", quantity), numbers(entry, "points", "score"))
    own, baseline = look(entry), entry.get("role") == "baseline"
    size = {"markersize": 3.2 if baseline else 3.8, "markeredgewidth": 0, "linestyle": ""}
    order = 2.2 if entry.get("role") == "generated" else 2 if not baseline else 1.8
    few = FEW if baseline else 4 * FEW
    axes.plot(thin(x, few), thin(y, few), own.marker, color=own.colour, alpha=0.45, zorder=order, **size)


def _centres(axes: Axes, entries: list[dict[str, Any]], centre: tuple[str, ...]) -> None:
    """The centres of sets of one kind, joined in order of strength."""
    own = look(entries[0])
    places = np.array([[dig(e, *centre), dig(e, "score", "mean")] for e in entries], dtype=float).T
    x, y = pairs(*places)
    if len(x):
        edge: dict[str, Any] = {"markersize": 7, "markeredgecolor": INK, "markeredgewidth": 0.7, "linewidth": 1}
        edge |= {"linestyle": "-" if len(x) > 1 else "", "zorder": 3.2 if own.label == "generated" else 3}
        axes.plot(x, y, marker=own.marker, color=own.colour, label=own.label, **edge)


def _plane(
    figures: dict[str, Any], quantity: str, centre: tuple[str, ...], x: str, size: tuple[float, float]
) -> tuple[Axes, np.ndarray] | None:
    """Score against a quantity for every set, and all values of that quantity."""
    shown = [
        e for e in sets(figures).values() if len(pairs(*(numbers(e, "points", q) for q in (quantity, "score")))[0])
    ]
    if not shown:
        return None
    axes = new_axes(*size, x, f"test {score_of(figures).heading}")
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for entry in shown:
        _cloud(axes, entry, quantity)
        by_kind.setdefault(kind(entry), []).append(entry)
    for entries in by_kind.values():
        _centres(axes, entries, centre)
    scores, values = (np.concatenate([numbers(e, "points", q) for e in shown]) for q in ("score", quantity))
    bar = figures.get("bar")
    seen = [*scores[np.isfinite(scores)], *([] if bar is None else [bar])]
    stretch_score(axes, float(min(seen)), float(max(seen)))
    rule(axes, bar, "bar", across=True)
    return axes, values[np.isfinite(values)]


def _frontier(axes: Axes, figures: dict[str, Any]) -> None:
    """The best baseline at each distance."""
    x, y = pairs(*(numbers(figures, "frontier", part) for part in ("distance", "score")))
    if len(x):
        order = np.argsort(x, kind="stable")
        line: dict[str, Any] = {"color": INK, "linewidth": 1.1, "alpha": 0.8, "zorder": 2.6}
        axes.plot(x[order], y[order], label="best baseline", **line)


@plot(
    "Score and novelty",
    "Small marks are networks, large ones the centres of their sets, joined along a baseline's levels: in the shaded "
    "corner a network is as good as members and as far from every member as members are from each other. The thin line "
    "is the best that any baseline achieves at a distance: what is above it could not be had without a generator.",
    wide=True,
)
def novelty(figures: dict[str, Any]) -> Figure | None:
    """Test score against the distance to the nearest member."""
    label = "distance to the nearest member, in τ"
    found = _plane(figures, "distance_in_tau", ("distance_in_tau",), label, (5.0, 4.3))
    if found is None:
        return None
    axes, distances = found
    stretch_distance(axes, distances)
    _frontier(axes, figures)
    rule(axes, 1.0, "1 τ", across=False)
    if (bar := figures.get("bar")) is not None:
        ends = axes.get_xlim()[1], axes.get_ylim()
        axes.fill_between([1.0, ends[0]], bar, ends[1][1], color=INK, alpha=0.07, linewidth=0, zorder=1)
        axes.set(xlim=(None, ends[0]), ylim=ends[1])
    return finished(axes)


@plot(
    "Score and shared mistakes",
    "Further left is newer: the largest share of its mistakes on test examples that a network has in common with a "
    "member.",
)
def mistakes(figures: dict[str, Any]) -> Figure | None:
    """Test score against max-IoU of the wrongly classified examples."""
    label = "mistakes shared with a member (max-IoU)"
    found = _plane(figures, "max_iou", ("max_iou", "mean"), label, (4.6, 4.0))
    return None if found is None else finished(found[0])
