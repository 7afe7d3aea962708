"""Plots of the fit: losses, dispersion, and samples along its steps."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.evaluation.figures import Figures
from stages.reporting.drawing import BLUE, VERMILLION, curve, new_axes, numbers, plot, powers_of_ten, rule, with_legend


def _by_step(y: str) -> Axes:
    return new_axes(4.6, 3.5, "step", y)


@plot(
    "Loss of the flow",
    "Held-out members should be fitted as well as those the flow was trained on; a gap that widens is memorization.",
)
def loss(figures: Figures) -> Figure | None:
    """Flow-matching loss by step, training and held-out."""
    if figures.curves is None:
        return None
    axes, step = _by_step("loss"), numbers(figures.curves.step)
    curve(axes, step, numbers(figures.curves.loss), "training", BLUE)
    curve(axes, step, numbers(figures.curves.heldout_loss), "held-out", VERMILLION)
    if not axes.lines:
        return None
    powers_of_ten(axes)
    axes.locator_params(axis="x", nbins=6)
    return with_legend(axes)


@plot(
    "Dispersion of generated networks",
    "How widely generated codes are spread while the flow learns: 1 is as widely as the members', less is collapse.",
)
def dispersion(figures: Figures) -> Figure | None:
    """Dispersion of generated codes, relative to the members', by step."""
    if figures.curves is None:
        return None
    axes = _by_step("dispersion")
    curve(axes, numbers(figures.curves.step), numbers(figures.curves.dispersion), "", VERMILLION)
    if not axes.lines:
        return None
    rule(axes, 1.0, "members", across=True)
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", nbins=6)
    return with_legend(axes)


@plot(
    "Samples during the fit",
    "A few networks drawn at intervals: their score on validation data, and the share that is both good and new (N&P).",
)
def samples(figures: Figures) -> Figure | None:
    """Mean validation score of samples by step, and their share that is novel and performant."""
    if figures.watched is None:
        return None
    axes, step = _by_step("validation score, N&P"), numbers(figures.watched.step)
    curve(axes, step, numbers(figures.watched.score), "score", BLUE)
    curve(axes, step, numbers(figures.watched.novel_and_performant), "N&P", VERMILLION)
    if not axes.lines:
        return None
    axes.set_ylim(-0.02, 1.02)
    axes.locator_params(axis="x", nbins=6)
    return with_legend(axes)
