"""What generated networks are worth to somebody who uses them: averaged, trained on, moved to other data."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stages.reporting.drawing import LOOKS, Look, dig, finished, in_percent, look, new_axes, numbers, pairs, plot, sets
from stages.reporting.plots.scales import stretch_score, told_powers
from stages.reporting.wording import score_of

STARTS = {"generated": LOOKS["generated"], "members": LOOKS["members"], "soup": LOOKS["soup"], "fresh": LOOKS["fresh"]}
WIDE = 0.2
"""Scores that span more are spread near 1."""


def _marked(axes: Axes, x: np.ndarray, y: np.ndarray, own: Look, label: str) -> None:
    """A curve of few points, each marked."""
    x, y = pairs(x, y)
    if len(x):
        axes.plot(x, y, color=own.colour, marker=own.marker, markersize=5, markeredgewidth=0, label=label)


def _sizes(axes: Axes) -> None:
    """A logarithmic axis of ensembles' sizes."""
    told_powers(axes, {float(x) for line in axes.lines for x in np.asarray(line.get_xdata())})


def _ensemble(axes: Axes, figures: dict[str, Any], quantity: str) -> None:
    """A quantity of every set's ensembles against their size."""
    for name, entry in sets(figures).items():
        size, value = (numbers(entry, "ensemble_curve", part) for part in ("sizes", quantity))
        _marked(axes, size, value, look(entry), name)


@plot(
    "Ensembles",
    "Test score of averaged predictions against how many networks are averaged: a generator of new networks gains as "
    "much from size as members do, one of copies stops early.",
)
def ensembles(figures: dict[str, Any]) -> Figure | None:
    """Score of ensembles against size."""
    axes = new_axes(4.6, 3.5, "networks averaged", f"test {score_of(figures).heading}")
    _ensemble(axes, figures, "score")
    if not axes.lines:
        return None
    _sizes(axes)
    _stretched(axes)
    return finished(axes)


def _stretched(axes: Axes) -> None:
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
    if np.ptp(values) > WIDE:
        stretch_score(axes, float(values.min()), float(values.max()))
    in_percent(axes)


@plot(
    "Ensembles' loss and calibration",
    "Loss of averaged predictions and, for classes, their expected calibration error (ECE), the gap between how sure and "
    "how right they are: lower is better for both.",
)
def calibration(figures: dict[str, Any]) -> Figure | None:
    """Loss and calibration error of ensembles against size, one above the other."""
    wanted = {"loss": "loss", "ece": "calibration error"}
    there = [q for q in wanted if any(_measured(entry, q) for entry in sets(figures).values())]
    if not there:
        return None
    figure = Figure(figsize=(4.6, 0.7 + 1.75 * len(there)), layout="constrained")
    rows = figure.subplots(len(there), 1, sharex=True, squeeze=False)[:, 0]
    for axes, quantity in zip(rows, there, strict=True):
        _ensemble(axes, figures, quantity)
        axes.set_ylabel(wanted[quantity])
        axes.set_axisbelow(True)
        axes.locator_params(axis="y", nbins=5)
    _sizes(rows[-1])
    rows[-1].set_xlabel("networks averaged")
    return finished(rows[0])


def _measured(entry: dict[str, Any], quantity: str) -> bool:
    return len(pairs(*(numbers(entry, "ensemble_curve", part) for part in ("sizes", quantity)))[0]) > 0


def _starts(axes: Axes, x: np.ndarray, found: dict[str, Any]) -> None:
    """Mean score from each kind of start, with its spread."""
    for name, entry in found.items():
        own, mean, std = STARTS.get(name, LOOKS["fresh"]), numbers(entry, "mean"), numbers(entry, "std")
        _marked(axes, x, mean, own, name)
        if len(std) == len(mean) == len(x) and np.isfinite(mean + std).all():
            axes.fill_between(x, mean - std, np.minimum(mean + std, 1.0), color=own.colour, alpha=0.15, linewidth=0)


@plot(
    "Does training on help?",
    "Mean test score (band: ± one standard deviation) after steps of ordinary training from each kind of start: a "
    "generated network that is finished has as little to gain as a member.",
)
def finetuning(figures: dict[str, Any]) -> Figure | None:
    """Score against steps of further training."""
    steps = numbers(figures, "finetuning", "steps")
    axes = new_axes(4.6, 3.5, "training steps", f"test {score_of(figures).heading}")
    _starts(axes, steps, dig(figures, "finetuning", "sets") or {})
    if not axes.lines:
        return None
    first = min((s for s in steps if s > 0), default=1.0)
    axes.set_xscale("symlog", linthresh=float(first), linscale=0.6)
    axes.set_xticks(steps, [f"{s:g}" for s in steps])
    axes.set_xticks([], minor=True)
    _stretched(axes)
    return finished(axes, columns=4)


@plot(
    "Moved to other data",
    "Test score on another data set by epochs of training on it, 0 being without any; the output layer is new where "
    "classes differ. A useful start stays above a fresh one.",
)
def transfer(figures: dict[str, Any]) -> Figure | None:
    """Score on other data sets by epochs, one below the other."""
    others = [other for other in figures.get("transfer") or [] if _moved(other)]
    if not others:
        return None
    figure = Figure(figsize=(4.6, 0.7 + 2.6 * len(others)), layout="constrained")
    for axes, other in zip(figure.subplots(len(others), 1, squeeze=False)[:, 0], others, strict=True):
        _starts(axes, numbers(other, "epochs"), other["sets"])
        axes.set(xlabel="epochs", ylabel=f"test {score_of(figures).heading}")
        axes.set_title(str(other.get("dataset") or "other data"), loc="left")
        axes.set_axisbelow(True)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _stretched(axes)
    return finished(figure.axes[0], columns=4)


def _moved(other: Any) -> bool:
    """Whether anything was measured on another data set."""
    epochs, found = numbers(other, "epochs"), dig(other, "sets") or {}
    return any(len(pairs(epochs, numbers(entry, "mean"))[0]) for entry in found.values())
