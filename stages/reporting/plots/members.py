"""Plots of the members: their spectrum, their alignment, and what few directions keep of them."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from stages.evaluation.figures import Figures
from stages.evaluation.metrics.performance import score
from stages.reporting.drawing import (
    MOST_POINTS,
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
from stages.reporting.looks import HELD_OUT, MEMBERS, OPEN, Look
from stages.reporting.wording import score_text

MOST_MEMBERS = 240
"""Members drawn one by one."""


def _two_states(look: Look) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Networks of one kind as trained, with open marks, and relabelled, with filled ones: label and style of each."""
    style = {"marker": look.marker, "color": look.colour, "markersize": 4, "markeredgewidth": 0.8}
    return ("as trained", {**style, "markerfacecolor": OPEN}), ("relabelled", style)


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
    axes.plot(thin(x, MOST_POINTS), thin(y, MOST_POINTS), ".-", markersize=3.5, linewidth=0.8, color=MEMBERS.colour)
    powers_of_ten(axes)
    rule(axes, rank, f"effective rank {rank:.4g}", across=False)
    return with_legend(axes)


@plot(
    "Distance to the reference",
    "Each member's L2 distance to the reference network, one of the members or their mean, as trained and relabelled. "
    "The largest change of an output is relative to the largest output: relabelling may change no more than rounding "
    "does.",
)
def alignment(figures: Figures) -> Figure | None:
    """Distance to the reference before and after alignment, per member."""
    if figures.alignment is None:
        return None
    before, after = pairs(numbers(figures.alignment.distance_before), numbers(figures.alignment.distance_after))
    if not len(before):
        return None
    order = np.argsort(before, kind="stable")
    shown = thin(np.arange(len(order)), MOST_MEMBERS)
    axes = new_axes(4.6, 3.5, "member, by its distance before", "L2 distance")
    for values, (label, style) in zip((before, after), _two_states(MEMBERS), strict=True):
        axes.plot(shown + 1, values[order][shown], linestyle="", label=label, **style)
    axes.set_ylim(bottom=0)
    gap = f"largest change of an output: {figures.alignment.largest_output_gap:.0e}"
    axes.set_title(gap, fontsize=8, alpha=0.75, loc="right")
    return with_legend(axes)


@plot(
    "Rebuilt from few directions",
    "Mean test score of a few held-out members (members, where none are held out) rebuilt from the first k principal "
    "directions of at most 200 members, as trained and relabelled, on at most 1,000 test examples. The dashed line is "
    "the mean of all measured held-out members on all test examples.",
)
def round_trip(figures: Figures) -> Figure | None:
    """Score of members after a round trip through k principal codes, as trained and aligned."""
    rebuilt = figures.canonicalization.pca_round_trip if figures.canonicalization else None
    if rebuilt is None or not rebuilt.k:
        return None
    axes = new_axes(4.6, 3.5, "directions kept, k", f"test {score_text(figures).heading}")
    for scores, (label, style) in zip((rebuilt.raw, rebuilt.aligned), _two_states(HELD_OUT), strict=True):
        axes.plot(rebuilt.k, scores, label=label, **style)
    heldout = score.of(figures.sets.get("held-out"))
    own, scores = heldout.mean if heldout else None, [*rebuilt.raw, *rebuilt.aligned]
    stretch_score(axes, min(scores), max(*scores, own or 0.0))
    rule(axes, own, "held-out", across=True)
    return with_legend(axes)
