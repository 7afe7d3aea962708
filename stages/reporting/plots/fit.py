"""How the flow was fitted."""

from typing import Any

from matplotlib.figure import Figure

from stages.reporting.drawing import BLUE, VERMILLION, curve, finished, new_axes, numbers, plot, powers_of_ten, rule


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
    "Samples while the flow was fitted",
    "A few networks, drawn now and then: their score on validation data, and how many are both good and new.",
)
def samples(figures: dict[str, Any]) -> Figure | None:
    """Mean validation score of samples by step, and their share that is novel and performant."""
    axes, step = new_axes(4.6, 3.5, "step", "validation score, N&P"), numbers(figures, "watched", "step")
    curve(axes, step, numbers(figures, "watched", "score"), "score", BLUE)
    curve(axes, step, numbers(figures, "watched", "novel_and_performant"), "N&P", VERMILLION)
    if not axes.lines:
        return None
    axes.set_ylim(-0.02, 1.02)
    axes.locator_params(axis="x", nbins=6)
    return finished(axes)
