"""Plots of the members: their spectrum, their alignment, and what few directions keep of them."""

import numpy as np
from matplotlib.figure import Figure

from stages.evaluation.figures import Figures
from stages.evaluation.metrics.performance import score
from stages.reporting.drawing import (
    BLUE,
    GREY,
    MOST_POINTS,
    Look,
    new_axes,
    numbers,
    pairs,
    plot,
    powers_of_ten,
    rule,
    stretch_score,
    thin,
    with_legend,
)
from stages.reporting.wording import score_text

MOST_MEMBERS = 240
"""Members drawn one by one."""
AS_TRAINED, RELABELLED = Look("as trained", GREY, "D"), Look("relabelled", BLUE, "o")


@plot(
    "Spectrum of the members",
    "Variance along the members' principal directions: the flatter, the less a few directions say about the rest.",
)
def spectrum(figures: Figures) -> Figure | None:
    """Variances along principal directions, and how many directions they amount to."""
    if figures.spectrum is None:
        return None
    variance, rank = numbers(figures.spectrum.variance), figures.spectrum.effective_rank
    x, y = pairs(np.arange(1.0, len(variance) + 1), np.where(variance > 0, variance, np.nan))
    if not len(x):
        return None
    axes = new_axes(4.6, 3.5, "principal direction", "variance")
    axes.plot(thin(x, MOST_POINTS), thin(y, MOST_POINTS), ".-", markersize=3.5, linewidth=0.8, color=BLUE)
    powers_of_ten(axes)
    rule(axes, rank, f"effective rank {rank:.4g}", across=False)
    return with_legend(axes)


@plot(
    "Distance to the reference",
    "Each member's distance to the reference network as it was trained and with its units relabelled: lower is better "
    "aligned, while what the member computes stays the same.",
)
def alignment(figures: Figures) -> Figure | None:
    """Distance to the reference before and after alignment, per member."""
    if figures.alignment is None:
        return None
    before, after = pairs(numbers(figures.alignment.distance_before), numbers(figures.alignment.distance_after))
    if not len(before):
        return None
    order, style = np.argsort(before, kind="stable"), {"markersize": 3.5, "markeredgewidth": 0}
    shown = thin(np.arange(len(order)), MOST_MEMBERS)
    axes = new_axes(4.6, 3.5, "member, by its distance before", "L2 distance")
    for values, mark in ((before, AS_TRAINED), (after, RELABELLED)):
        axes.plot(shown + 1, values[order][shown], mark.marker, color=mark.colour, label=mark.label, **style)
    axes.set_ylim(bottom=0)
    gap = f"largest change of an output: {figures.alignment.largest_output_gap:.0e}"
    axes.set_title(gap, fontsize=8, alpha=0.75, loc="right")
    return with_legend(axes)


@plot(
    "Rebuilt from few directions",
    "Mean test score of held-out members rebuilt from the members' first k principal directions, as trained and "
    "relabelled: what stays below their own score is lost to any flow on so many codes.",
)
def round_trip(figures: Figures) -> Figure | None:
    """Score of members after a round trip through k principal codes, as trained and aligned."""
    rebuilt = figures.canonicalization.pca_round_trip if figures.canonicalization else None
    if rebuilt is None or not rebuilt.k:
        return None
    axes = new_axes(4.6, 3.5, "directions kept, k", f"test {score_text(figures).heading}")
    for scores, mark in ((rebuilt.raw, AS_TRAINED), (rebuilt.aligned, RELABELLED)):
        style = {"marker": mark.marker, "markersize": 4.5, "markeredgewidth": 0}
        axes.plot(rebuilt.k, scores, color=mark.colour, label=mark.label, **style)
    heldout = score.of(figures.sets.get("held-out"))
    own, scores = heldout.mean if heldout else None, [*rebuilt.raw, *rebuilt.aligned]
    stretch_score(axes, min(scores), max(*scores, own or 0.0))
    rule(axes, own, "own score", across=True)
    return with_legend(axes)
