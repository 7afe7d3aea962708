"""Plots of how good networks are against how far they are from the members."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.evaluation.figures import Figures, SetFigures
from stages.evaluation.metric import Metric
from stages.evaluation.metrics.novelty import distance_in_tau, max_iou, nearest_member_score
from stages.evaluation.metrics.novelty import novel_and_performant as shares_by_margin
from stages.evaluation.metrics.performance import score
from stages.reporting.copying import inheritance
from stages.reporting.drawing import (
    in_percent,
    log_scale_with_ticks,
    new_axes,
    numbers,
    pairs,
    plot,
    rule,
    stretch_distance,
    stretch_score,
    thin,
    with_legend,
)
from stages.reporting.looks import INK, kind, look
from stages.reporting.sentences import shared_mistakes
from stages.reporting.wording import score_text

MOST_OF_A_BASELINE = 60
"""Networks drawn of one baseline; of other sets four times as many."""
MOST_BASELINES = 3
"""Families of baselines in the plot of novel and performant networks."""


def points(entry: SetFigures, metric: Metric[Any]) -> np.ndarray:
    """A metric's values of a set's networks; empty where it wasn't measured."""
    return numbers(entry.points.get(metric.points)) if metric.points else numbers(None)


def _sets_with(figures: Figures, metric: Metric[Any]) -> list[SetFigures]:
    """Sets of which some network has both a score and this metric."""
    return [e for e in figures.sets.values() if len(pairs(points(e, metric), points(e, score))[0])]


def _score_against(
    metric: Metric[Any], figures: Figures, entries: Sequence[SetFigures], x: str, size: tuple[float, float]
) -> Axes:
    """Scores against a metric: the networks of every set, and the centres of the sets over them."""
    axes = new_axes(*size, x, f"test {score_text(figures).heading}")
    by_kind: dict[str, list[SetFigures]] = {}
    for entry in entries:
        _draw_networks(axes, entry, metric)
        by_kind.setdefault(kind(entry), []).append(entry)
    for levels in by_kind.values():
        _draw_centres(axes, levels, metric)
    scores = np.concatenate([points(entry, score) for entry in entries])
    shown = [*scores[np.isfinite(scores)], *([] if figures.bar is None else [figures.bar])]
    stretch_score(axes, float(min(shown)), float(max(shown)))
    rule(axes, figures.bar, "bar", across=True)
    return axes


def _draw_networks(axes: Axes, entry: SetFigures, metric: Metric[Any]) -> None:
    """A set's networks as faint marks; fewer and smaller ones for a baseline."""
    x, y = pairs(points(entry, metric), points(entry, score))
    baseline, mark = entry.role == "baseline", look(entry)
    most = MOST_OF_A_BASELINE if baseline else 4 * MOST_OF_A_BASELINE
    size = {"markersize": 3.2 if baseline else 3.8, "markeredgewidth": 0, "linestyle": ""}
    order = 2.2 if entry.role == "generated" else 1.8 if baseline else 2
    axes.plot(thin(x, most), thin(y, most), mark.marker, color=mark.colour, alpha=0.45, zorder=order, **size)


def _draw_centres(axes: Axes, entries: Sequence[SetFigures], metric: Metric[Any]) -> None:
    """The centres of sets of one kind, joined in order of strength."""
    mark = look(entries[0])
    x, y = pairs(*np.array([[metric.number(entry), score.number(entry)] for entry in entries], dtype=float).T)
    if len(x):
        style: dict[str, Any] = {"markersize": 7, "markeredgecolor": INK, "markeredgewidth": 0.7, "linewidth": 1}
        style |= {"linestyle": "-" if len(x) > 1 else "", "zorder": 3.2 if mark.label == "generated" else 3}
        axes.plot(x, y, marker=mark.marker, color=mark.colour, label=mark.label, **style)


def _draw_frontier(axes: Axes, figures: Figures) -> None:
    """The best baseline at each distance."""
    if figures.frontier is None:
        return
    x, y = pairs(numbers(figures.frontier.distance), numbers(figures.frontier.score))
    if len(x):
        order = np.argsort(x, kind="stable")
        style: dict[str, Any] = {"color": INK, "linewidth": 1.1, "alpha": 0.8, "zorder": 2.6}
        axes.plot(x[order], y[order], label="best baseline", **style)


@plot(
    "Score and novelty",
    "Small marks are networks, large ones the centres of their sets, joined along a baseline's levels. In the shaded "
    "corner a network reaches the bar and lies at least 1 τ from every member. The thin line is the best mean score of "
    "the baselines in the table at a distance, noise and interpolation being read between their levels.",
    wide=True,
)
def novelty(figures: Figures) -> Figure | None:
    """Test score against the distance to the nearest member."""
    entries = _sets_with(figures, distance_in_tau)
    if not entries:
        return None
    label = "distance to the nearest member, in τ"
    axes = _score_against(distance_in_tau, figures, entries, label, (5.0, 4.3))
    distances = np.concatenate([points(entry, distance_in_tau) for entry in entries])
    stretch_distance(axes, distances[np.isfinite(distances)])
    _draw_frontier(axes, figures)
    rule(axes, 1.0, "1 τ", across=False)
    if figures.bar is not None:
        right, heights = axes.get_xlim()[1], axes.get_ylim()
        axes.fill_between([1.0, right], figures.bar, heights[1], color=INK, alpha=0.07, linewidth=0, zorder=1)
        axes.set(xlim=(None, right), ylim=heights)
    return with_legend(axes)


@plot(
    "Score and shared mistakes",
    "The largest overlap (intersection over union) of a network's mistakes on test examples with those of one member. "
    "A network that errs more than members do lies further left for that alone: compare at equal score.",
    beside=shared_mistakes,
)
def mistakes(figures: Figures) -> Figure | None:
    """Test score against max-IoU of the wrongly classified examples."""
    if not (entries := _sets_with(figures, max_iou)):
        return None
    label = "mistakes shared with a member (max-IoU)"
    return with_legend(_score_against(max_iou, figures, entries, label, (4.6, 4.0)))


@plot(
    "Score and the nearest member's",
    "Each network's score against that of the member it is nearest to, a member's nearest being another one; on the "
    "dashed line both are equal. Where scores are inherited from members, networks lie along it.",
    beside=inheritance,
)
def nearest_scores(figures: Figures) -> Figure | None:
    """Test score against the nearest member's."""
    entries = [entry for entry in _sets_with(figures, nearest_member_score) if entry.role != "baseline"]
    if not entries:
        return None
    words = score_text(figures).heading
    axes = new_axes(4.6, 4.0, f"nearest member's {words}", f"test {words}")
    for entry in entries:
        _draw_networks(axes, entry, nearest_member_score)
        _draw_centres(axes, [entry], nearest_member_score)
    low, high = axes.get_xlim()
    axes.plot([low, high], [low, high], color=INK, alpha=0.55, linestyle=(0, (4, 3)), linewidth=0.8, zorder=1.5)
    axes.set_xlim(low, high)
    in_percent(axes)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}")
    return with_legend(axes)


def _by_margin(entry: SetFigures) -> tuple[np.ndarray, np.ndarray]:
    """Margins in tau, ascending, and the share of networks that are performant and at least so far away."""
    shares = sorted((float(margin), share) for margin, share in (shares_by_margin.of(entry) or {}).items())
    return pairs(*np.array(shares, dtype=float).reshape(-1, 2).T)


def _best_baselines(figures: Figures) -> dict[str, SetFigures]:
    """Of each family the level with the largest shares, and of these the best few."""
    best: dict[str, tuple[float, str]] = {}
    for name, entry in figures.sets.items():
        shares = _by_margin(entry)[1]
        if entry.role == "baseline" and shares.any():
            best[kind(entry)] = max(best.get(kind(entry), (-1.0, "")), (float(shares.mean()), name))
    return {name: figures.sets[name] for _, name in sorted(best.values(), reverse=True)[:MOST_BASELINES]}


@plot(
    "Novel and performant",
    "The share of networks that reach the bar and are farther than a margin from every member. Held-out members "
    "are what to reach; dashed are the three baselines with the largest shares on average over the margins, if any "
    "have a share.",
)
def novel_and_performant(figures: Figures) -> Figure | None:
    """N&P by margin for generated and held-out networks and the best baselines."""
    trained = {name: e for name, e in figures.sets.items() if e.role in ("held-out", "generated")}
    lines = {n: e for n, e in {**trained, **_best_baselines(figures)}.items() if len(_by_margin(e)[0])}
    if not lines:
        return None
    axes = new_axes(4.6, 4.0, "margin, in τ", "networks, %")
    for name, entry in lines.items():
        mark, line = look(entry), "-" if name in trained else (0, (3, 2))
        axes.plot(*_by_margin(entry), marker=mark.marker, markersize=5, linestyle=line, color=mark.colour, label=name)
    in_percent(axes)
    log_scale_with_ticks(axes, {margin for entry in lines.values() for margin in _by_margin(entry)[0]})
    axes.set_ylim(-0.04, 1.04)
    return with_legend(axes)
