"""Plots of the fit: losses, dispersion, and samples along its steps."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.evaluation.figures import Figures
from stages.reporting.drawing import curve, new_axes, numbers, plot, powers_of_ten, rule, with_legend
from stages.reporting.looks import GENERATED, HELD_OUT, MEMBERS


def _by_step(y: str) -> Axes:
    return new_axes(4.6, 3.5, "step", y)


@plot(
    "Loss of the flow",
    "Flow-matching loss on the members that the flow is trained on, and on held-out ones, which a flow that has "
    "learned the distribution fits as well. Where theirs rises while the members' falls, the flow overfits.",
)
def loss(figures: Figures) -> Figure | None:
    """Flow-matching loss by step, training and held-out."""
    if figures.curves is None:
        return None
    axes, step = _by_step("loss"), numbers(figures.curves.step)
    curve(axes, step, numbers(figures.curves.loss), "members", MEMBERS.colour)
    curve(axes, step, numbers(figures.curves.heldout_loss), "held-out", HELD_OUT.colour)
    if not axes.lines:
        return None
    powers_of_ten(axes)
    axes.locator_params(axis="x", nbins=6)
    return with_legend(axes)


@plot(
    "Dispersion of generated networks",
    "How widely generated points are spread in the flow's space while it learns, over how widely the members' are, "
    "which is 1: far below it the flow collapses.",
)
def dispersion(figures: Figures) -> Figure | None:
    """Dispersion of generated codes, relative to the members', by step."""
    if figures.curves is None:
        return None
    axes = _by_step("dispersion")
    curve(axes, numbers(figures.curves.step), numbers(figures.curves.dispersion), "", GENERATED.colour)
    if not axes.lines:
        return None
    rule(axes, 1.0, "members", across=True)
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", nbins=6)
    return with_legend(axes)


@plot(
    "Samples during the fit",
    "A few networks drawn at intervals: their mean score on validation data, and the share that reaches the members' "
    "5 % quantile there and lies at least as far from every member as the median member from the nearest other one "
    "(N&P). Distances are between each tensor's sorted values here, which no relabelling changes.",
)
def samples(figures: Figures) -> Figure | None:
    """Mean validation score of samples by step, and their share that is novel and performant."""
    if figures.watched is None:
        return None
    axes, step = _by_step("validation score, N&P"), numbers(figures.watched.step)
    curve(axes, step, numbers(figures.watched.score), "score", GENERATED.colour)
    curve(axes, step, numbers(figures.watched.novel_and_performant), "N&P", GENERATED.colour, "--")
    if not axes.lines:
        return None
    axes.set_ylim(-0.02, 1.02)
    axes.locator_params(axis="x", nbins=6)
    return with_legend(axes)
