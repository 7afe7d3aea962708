"""The plots of the report, one small function each."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.audit.drawing import (
    BLUE,
    GREY,
    INK,
    MOST_POINTS,
    VERMILLION,
    Plot,
    curve,
    dig,
    finished,
    in_percent,
    kind,
    look,
    new_axes,
    numbers,
    pairs,
    plot,
    powers_of_ten,
    rule,
    sets,
    thin,
)
from stages.audit.words import score_of

FEW = 60
"""Networks drawn of one baseline; of other sets four times as many."""


def _stretch_score(axes: Axes, lowest: float, highest: float) -> None:
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


def _stretch_distance(axes: Axes, distances: np.ndarray) -> None:
    """Show distances by powers of ten when they span more than a factor of twenty; 1 and zero keep their place."""
    away, end = distances[distances > 0], max(1.0, float(distances.max()))
    if not len(away) or away.max() < 20 * away.min():
        axes.set_xlim(-0.03 * end, 1.1 * end)
        return
    first = max(-3, int(np.floor(np.log10(away.min()))))
    axes.set_xscale("symlog", linthresh=10.0**first, linscale=0.4)
    axes.set_xlim(-0.15 * 10.0**first, 1.3 * end)
    axes.set_xticks([0, *(10.0**p for p in range(first, int(np.floor(np.log10(end))) + 1))])
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


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
    _stretch_score(axes, float(min(seen)), float(max(seen)))
    rule(axes, bar, "bar", across=True)
    return axes, values[np.isfinite(values)]


@plot(
    "Score and novelty",
    "Small marks are networks, large ones the centres of their sets, joined along a baseline's levels: in the shaded "
    "corner a network is as good as members and as far from every member as members are from each other.",
    wide=True,
)
def novelty(figures: dict[str, Any]) -> Figure | None:
    """Test score against the distance to the nearest member."""
    label = "distance to the nearest member, in τ"
    found = _plane(figures, "distance_in_tau", ("distance_in_tau",), label, (5.0, 4.3))
    if found is None:
        return None
    axes, distances = found
    _stretch_distance(axes, distances)
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


def _margins(entry: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Margins in tau, ascending, and the share of networks that are performant and at least so far away."""
    found = sorted((float(m), np.nan if s is None else s) for m, s in (entry.get("novel_and_performant") or {}).items())
    return pairs(*np.array(found, dtype=float).reshape(-1, 2).T)


def _best_baselines(figures: dict[str, Any], most: int = 3) -> dict[str, dict[str, Any]]:
    """Of each family the level with the largest shares, and of these the best few."""
    best: dict[str, tuple[float, str]] = {}
    for name, entry in sets(figures).items():
        shares = _margins(entry)[1]
        if entry.get("role") == "baseline" and shares.any():
            best[kind(entry)] = max(best.get(kind(entry), (-1.0, "")), (float(shares.mean()), name))
    return {name: sets(figures)[name] for _, name in sorted(best.values(), reverse=True)[:most]}


@plot(
    "Novel and performant",
    "The share of networks above the bar that are also farther than a margin from every member; held-out "
    "networks, trained but never shown to the flow, are what to reach; dashed are the best baselines, if one reaches any.",
)
def novel_and_performant(figures: dict[str, Any]) -> Figure | None:
    """N&P by margin for generated and held-out networks and the best baselines."""
    trained = {name: e for name, e in sets(figures).items() if e.get("role") in ("held-out", "generated")}
    lines = {n: e for n, e in {**trained, **_best_baselines(figures)}.items() if len(_margins(e)[0])}
    if not lines:
        return None
    axes = new_axes(4.6, 4.0, "margin, in τ", "networks, %")
    for name, entry in lines.items():
        own = look(entry)
        style = "-" if name in trained else (0, (3, 2))
        axes.plot(*_margins(entry), marker=own.marker, markersize=5, linestyle=style, color=own.colour, label=name)
    in_percent(axes)
    ticks = sorted({margin for e in lines.values() for margin in _margins(e)[0]})
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.set_xticks([], minor=True)
    axes.set_ylim(-0.04, 1.04)
    return finished(axes)


@plot(
    "Loss of the flow",
    "Held-out members should be fitted as well as those the flow was trained on; a gap that widens is memorization.",
)
def loss(figures: dict[str, Any]) -> Figure | None:
    """Flow matching loss by step, training and held-out."""
    step = numbers(figures, "curves", "step")
    axes = new_axes(4.6, 3.5, "step", "loss")
    curve(axes, step, numbers(figures, "curves", "loss"), "training", BLUE)
    curve(axes, step, numbers(figures, "curves", "heldout_loss"), "held-out", VERMILLION)
    if not axes.lines:
        return None
    powers_of_ten(axes)
    axes.locator_params(axis="x", nbins=6)
    return finished(axes)


@plot(
    "Dispersion of what is generated",
    "How widely generated codes are spread while the flow learns: 1 is as widely as the members', less is collapse.",
)
def dispersion(figures: dict[str, Any]) -> Figure | None:
    """Dispersion of generated codes, relative to the members', by step."""
    axes = new_axes(4.6, 3.5, "step", "dispersion")
    curve(axes, numbers(figures, "curves", "step"), numbers(figures, "curves", "dispersion"), "", VERMILLION)
    if not axes.lines:
        return None
    rule(axes, 1.0, "members", across=True)
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", nbins=6)
    return finished(axes)


@plot(
    "Spectrum of the members",
    "Variance along the members' principal directions: the flatter, the less a few directions say about the rest.",
)
def spectrum(figures: dict[str, Any]) -> Figure | None:
    """Variances along principal directions, and how many directions they amount to."""
    variance = numbers(figures, "spectrum", "variance")
    x, y = pairs(np.arange(1.0, len(variance) + 1), np.where(variance > 0, variance, np.nan))
    if not len(x):
        return None
    axes = new_axes(4.6, 3.5, "principal direction", "variance")
    axes.plot(thin(x, MOST_POINTS), thin(y, MOST_POINTS), ".-", markersize=3.5, linewidth=0.8, color=BLUE)
    powers_of_ten(axes)
    if (rank := dig(figures, "spectrum", "effective_rank")) is not None:
        rule(axes, rank, f"effective rank {rank:.4g}", across=False)
    return finished(axes)


@plot(
    "Distance to the reference",
    "Each member's distance to the reference network as it was trained and with its units relabelled: lower is better "
    "aligned, while what the member computes stays the same.",
)
def alignment(figures: dict[str, Any]) -> Figure | None:
    """Distance to the reference before and after alignment, per member."""
    before, after = pairs(*(numbers(figures, "alignment", f"distance_{when}") for when in ("before", "after")))
    if not len(before):
        return None
    order = np.argsort(before, kind="stable")
    axes = new_axes(4.6, 3.5, "member, by its distance before", "L2 distance")
    for values, label, marker, colour in ((before, "as trained", "D", GREY), (after, "relabelled", "o", BLUE)):
        shown = thin(np.arange(len(order)), 4 * FEW)
        axes.plot(shown + 1, values[order][shown], marker, markersize=3.5, color=colour, markeredgewidth=0, label=label)
    axes.set_ylim(bottom=0)
    if (gap := dig(figures, "alignment", "largest_output_gap")) is not None:
        axes.set_title(f"largest change of an output: {gap:.0e}", fontsize=8, alpha=0.75, loc="right")
    return finished(axes)


def _tensors(figures: dict[str, Any], most: int = 8) -> list[str]:
    """Tensors whose histogram can be drawn for members or for generated networks."""
    names = list(dig(figures, "histograms", "edges") or {})
    return [name for name in names if any(_bars(figures, who, name) for who in ("members", "generated"))][:most]


def _bars(figures: dict[str, Any], who: str, tensor: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Densities and edges of one histogram, if they belong together."""
    edges, densities = (numbers(figures, "histograms", part, tensor) for part in ("edges", who))
    complete = len(densities) > 0 and len(edges) == len(densities) + 1
    return (densities, edges) if complete and np.isfinite(edges).all() and np.isfinite(densities).all() else None


@plot(
    "Weights by tensor",
    "How often each weight value occurs, in members (filled) and in generated networks (line), for up to eight tensors: "
    "the two should coincide.",
    wide=True,
)
def histograms(figures: dict[str, Any]) -> Figure | None:
    """Weight histograms of members and generated networks as small multiples."""
    names = _tensors(figures)
    if not names:
        return None
    rows = -(-len(names) // 2)
    figure = Figure(figsize=(5.0, 1.2 * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes, name in zip(grid, names, strict=False):
        axes.set_title(name)
        axes.set_yticks([])
        axes.spines.left.set_visible(False)
        axes.locator_params(axis="x", nbins=5)
        if bars := _bars(figures, "members", name):
            axes.stairs(*bars, fill=True, color=BLUE, alpha=0.4, label="members")
        if bars := _bars(figures, "generated", name):
            axes.stairs(*bars, color=VERMILLION, linewidth=1.2, label="generated")
    for axes in grid[len(names) :]:
        axes.set_axis_off()
    return finished(grid[0])


def _two_colours(values: np.ndarray, most: float) -> np.ndarray:
    """Orange above zero, blue below and transparent at zero, so that zero is the page in light and in dark."""
    rgba = np.empty((*values.shape, 4))
    rgba[..., :3] = np.where(values[..., None] > 0, (0.902, 0.51, 0.0), (0.0, 0.478, 0.761))
    rgba[..., 3] = np.clip(np.abs(values) / most, 0, 1)
    return rgba


@plot(
    "First-layer weights as images",
    "What the first hidden units look at, in a member and in a generated network: weights above zero are orange, below "
    "zero blue, zero is clear.",
    wide=True,
)
def filters(figures: dict[str, Any]) -> Figure | None:
    """Incoming weights of first-layer units as images; colour channels are averaged."""
    side = dig(figures, "filters", "side")
    rows = {who: numbers(figures, "filters", who) for who in ("members", "generated")}
    rows = {who: r for who, r in rows.items() if side and r.ndim == 2 and r.shape[1] and r.shape[1] % side**2 == 0}
    if not rows:
        return None
    most = max(float(np.nanquantile(np.abs(np.concatenate(list(rows.values()))), 0.99)), 1e-12)
    figure = Figure(figsize=(5.0, 0.8 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), 8, squeeze=False)
    for cells, (who, values) in zip(grid, rows.items(), strict=True):
        cells[0].set_ylabel(who)
        for cell in cells:
            cell.set(xticks=[], yticks=[])
            cell.spines[:].set_visible(False)
        for cell, row in zip(cells, values, strict=False):
            image = np.nan_to_num(row).reshape(-1, int(side), int(side)).mean(0)
            cell.imshow(_two_colours(image, most), interpolation="none")
    return figure


SECTIONS: tuple[tuple[str, tuple[Plot, ...]], ...] = (
    ("How good and how new", (novelty, mistakes, novel_and_performant)),
    ("How the flow was fitted", (loss, dispersion)),
    ("The members", (spectrum, alignment)),
    ("Inside the networks", (histograms, filters)),
)
"""Every plot in the order of the page, under its headings."""
PLOTS = tuple(plot for _, plots in SECTIONS for plot in plots)
