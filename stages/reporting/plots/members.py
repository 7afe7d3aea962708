"""What the members are to each other, as trained and relabelled."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from stages.reporting.drawing import (
    BLUE,
    GREY,
    MOST_POINTS,
    dig,
    finished,
    new_axes,
    numbers,
    pairs,
    plot,
    powers_of_ten,
    rule,
    thin,
)
from stages.reporting.plots.scales import stretch_score
from stages.reporting.wording import score_of

MOST_MEMBERS = 240
"""Members drawn one by one."""


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
        shown = thin(np.arange(len(order)), MOST_MEMBERS)
        axes.plot(shown + 1, values[order][shown], marker, markersize=3.5, color=colour, markeredgewidth=0, label=label)
    axes.set_ylim(bottom=0)
    if (gap := dig(figures, "alignment", "largest_output_gap")) is not None:
        axes.set_title(f"largest change of an output: {gap:.0e}", fontsize=8, alpha=0.75, loc="right")
    return finished(axes)


@plot(
    "Rebuilt from few directions",
    "Mean test score of held-out members rebuilt from the members' first k principal directions, as trained and "
    "relabelled: what stays below their own score is lost to any flow on so many codes.",
)
def round_trip(figures: dict[str, Any]) -> Figure | None:
    """Score of members after a round trip through k principal codes, raw and aligned."""
    k = numbers(figures, "canonicalization", "pca_round_trip", "k")
    axes = new_axes(4.6, 3.5, "directions kept, k", f"test {score_of(figures).heading}")
    for how, label, marker, colour in (("raw", "as trained", "D", GREY), ("aligned", "relabelled", "o", BLUE)):
        x, y = pairs(k, numbers(figures, "canonicalization", "pca_round_trip", how))
        if len(x):
            axes.plot(x, y, marker=marker, markersize=4.5, markeredgewidth=0, color=colour, label=label)
    if not axes.lines:
        return None
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
    own = dig(figures, "sets", "held-out", "score", "mean")
    stretch_score(axes, float(values.min()), max(float(values.max()), own or 0.0))
    rule(axes, own, "as they are", across=True)
    return finished(axes)
