"""Plots of generated networks in use: averaged, trained further, and transferred to other data."""

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stages.evaluation.figure_parts import ScoreCurve
from stages.evaluation.figures import Figures
from stages.evaluation.metrics.performance import EnsembleCurve, ensemble_curve
from stages.reporting.drawing import (
    in_percent,
    log_scale_with_ticks,
    new_axes,
    numbers,
    pairs,
    plot,
    stretch_score,
    with_legend,
)
from stages.reporting.looks import LOOKS, Look, look
from stages.reporting.wording import score_text

WIDE_SPAN = 0.2
"""Scores that span more are spread near 1."""

Quantity = Callable[[EnsembleCurve], list[float] | None]


def _draw_curve(axes: Axes, x: np.ndarray, y: np.ndarray, mark: Look, label: str) -> None:
    """A curve of few points, each marked."""
    x, y = pairs(x, y)
    if len(x):
        axes.plot(x, y, color=mark.colour, marker=mark.marker, markersize=5, markeredgewidth=0, label=label)


def _draw_ensembles(axes: Axes, figures: Figures, quantity: Quantity) -> None:
    """A quantity of ensembles against their size, of every set but baselines, which the table has."""
    for name, entry in figures.sets.items():
        if entry.role != "baseline" and (by_size := ensemble_curve.of(entry)):
            _draw_curve(axes, numbers(by_size.sizes), numbers(quantity(by_size)), look(entry), name)


def _scale_sizes(axes: Axes) -> None:
    """A logarithmic axis of ensembles' sizes."""
    log_scale_with_ticks(axes, {float(x) for line in axes.lines for x in np.asarray(line.get_xdata())})


def _scale_scores(axes: Axes) -> None:
    """Scores in per cent, spread near 1 if they span much."""
    scores = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
    if np.ptp(scores) > WIDE_SPAN:
        stretch_score(axes, float(scores.min()), float(scores.max()))
    in_percent(axes)


@plot(
    "Ensembles",
    "Mean test score of averaged predictions against how many networks of a set are averaged. What averaging gains "
    "grows with how differently the networks err: compare with what it gains held-out members.",
)
def ensembles(figures: Figures) -> Figure | None:
    """Score of ensembles against size."""
    axes = new_axes(4.6, 3.5, "networks averaged", f"test {score_text(figures).heading}")
    _draw_ensembles(axes, figures, lambda by_size: by_size.score)
    if not axes.lines:
        return None
    _scale_sizes(axes)
    _scale_scores(axes)
    return with_legend(axes)


@plot(
    "Ensembles' loss and calibration",
    "Mean test loss of averaged predictions and, for classes, their expected calibration error (ECE), the gap between "
    "how sure and how right they are: lower is better for both.",
)
def calibration(figures: Figures) -> Figure | None:
    """Loss and calibration error of ensembles against size, one above the other."""
    quantities: dict[str, Quantity] = {"loss": lambda c: c.loss, "calibration error": lambda c: c.ece}
    curves = [by_size for entry in figures.sets.values() if (by_size := ensemble_curve.of(entry))]
    shown = {label: quantity for label, quantity in quantities.items() if any(map(quantity, curves))}
    if not shown:
        return None
    figure = Figure(figsize=(4.6, 0.7 + 1.75 * len(shown)), layout="constrained")
    rows = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (label, quantity) in zip(rows, shown.items(), strict=True):
        _draw_ensembles(axes, figures, quantity)
        axes.set_ylabel(label)
        axes.set_axisbelow(True)
        axes.locator_params(axis="y", nbins=5)
    _scale_sizes(rows[-1])
    rows[-1].set_xlabel("networks averaged")
    return with_legend(rows[0])


def _draw_training(axes: Axes, x: np.ndarray, sets: Mapping[str, ScoreCurve]) -> None:
    """Mean score along training from each kind of start, with its spread."""
    for name, scores in sets.items():
        mark, mean, std = LOOKS.get(name, LOOKS["fresh"]), numbers(scores.mean), numbers(scores.std)
        _draw_curve(axes, x, mean, mark, name)
        if len(std) == len(mean) == len(x) and np.isfinite(mean + std).all():
            axes.fill_between(x, mean - std, np.minimum(mean + std, 1.0), color=mark.colour, alpha=0.15, linewidth=0)


@plot(
    "Further training",
    "Mean test score (band: ± one standard deviation) after steps of further training from each kind of start, at a "
    "constant learning rate: compare what generated networks gain with what members gain.",
)
def finetuning(figures: Figures) -> Figure | None:
    """Score against steps of further training."""
    if figures.finetuning is None:
        return None
    steps = numbers(figures.finetuning.steps)
    axes = new_axes(4.6, 3.5, "training steps", f"test {score_text(figures).heading}")
    _draw_training(axes, steps, figures.finetuning.sets)
    if not axes.lines:
        return None
    first = min((s for s in steps if s > 0), default=1.0)
    axes.set_xscale("symlog", linthresh=float(first), linscale=0.6)
    axes.set_xticks(steps, [f"{s:g}" for s in steps])
    axes.set_xticks([], minor=True)
    _scale_scores(axes)
    return with_legend(axes, columns=4)


@plot(
    "Transfer to other data",
    "Mean test score (band: ± one standard deviation) on another data set by epochs of training on it, 0 being without "
    "any; the output layer is new where classes differ in number. A start is of use where it is above a fresh one.",
)
def transfer(figures: Figures) -> Figure | None:
    """Score on other data sets by epochs, one below the other."""
    runs = [run for run in figures.transfer if run.epochs and run.sets]
    if not runs:
        return None
    figure = Figure(figsize=(4.6, 0.7 + 2.6 * len(runs)), layout="constrained")
    for axes, run in zip(figure.subplots(len(runs), 1, squeeze=False)[:, 0], runs, strict=True):
        _draw_training(axes, numbers(run.epochs), run.sets)
        axes.set(xlabel="epochs", ylabel=f"test {score_text(figures).heading}")
        axes.set_title(run.dataset, loc="left")
        axes.set_axisbelow(True)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _scale_scores(axes)
    return with_legend(figure.axes[0], columns=4)
