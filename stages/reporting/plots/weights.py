"""Plots of the weights themselves, members' beside generated ones."""

import numpy as np
from matplotlib.figure import Figure

from stages.evaluation.figures import Figures
from stages.reporting.drawing import plot, with_legend
from stages.reporting.looks import GENERATED, MEMBERS

MOST_TENSORS = 8
ACROSS = 8
"""Images in a row."""
PINK_AND_GREEN = (0.773, 0.106, 0.490), (0.302, 0.573, 0.129)
"""Of weights above and below zero: colours that no set of networks has."""


@plot(
    "Weights by tensor",
    "How often each weight value occurs, in members (filled) and in generated networks (line), for up to eight "
    "tensors, over the range of the members' values. Where the two differ, so do the distributions; that they coincide "
    "doesn't make them equal.",
    wide=True,
)
def histograms(figures: Figures) -> Figure | None:
    """Weight histograms of members and generated networks as small multiples."""
    densities = figures.histograms
    if densities is None or not densities.edges:
        return None
    tensors = list(densities.edges)[:MOST_TENSORS]
    rows = -(-len(tensors) // 2)
    figure = Figure(figsize=(5.0, 1.2 * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes, name in zip(grid, tensors, strict=False):
        axes.set_title(name)
        axes.set_yticks([])
        axes.spines.left.set_visible(False)
        axes.locator_params(axis="x", nbins=5)
        edges = densities.edges[name]
        axes.stairs(densities.members[name], edges, fill=True, color=MEMBERS.colour, alpha=0.4, label="members")
        axes.stairs(densities.generated[name], edges, color=GENERATED.colour, linewidth=1.2, label="generated")
    for axes in grid[len(tensors) :]:
        axes.set_axis_off()
    return with_legend(grid[0])


def _two_colours(values: np.ndarray, most: float) -> np.ndarray:
    """Pink above zero, green below and transparent at zero, so that zero is the page in light and in dark."""
    rgba = np.empty((*values.shape, 4))
    rgba[..., :3] = np.where(values[..., None] > 0, *PINK_AND_GREEN)
    rgba[..., 3] = np.clip(np.abs(values) / most, 0, 1)
    return rgba


@plot(
    "First-layer weights as images",
    "Incoming weights of first-layer units, in one member and in one generated network: weights above zero are pink, "
    "below zero green, zero is clear. They are the first of each set, not a pair that belongs together.",
    wide=True,
)
def filters(figures: Figures) -> Figure | None:
    """Incoming weights of first-layer units, or convolutions' kernels, as images; colour channels are averaged."""
    if figures.filters is None:
        return None
    side, units = figures.filters.side, {}
    for name, rows in (("members", figures.filters.members), ("generated", figures.filters.generated)):
        units[name] = np.array(rows, dtype=float)
    most = max(float(np.quantile(np.abs(np.concatenate(list(units.values()))), 0.99)), 1e-12)
    lines = [(name, rows[i : i + ACROSS], i) for name, rows in units.items() for i in range(0, len(rows), ACROSS)]
    figure = Figure(figsize=(5.0, 0.75 * len(lines) + 0.1), layout="constrained")
    grid = figure.subplots(len(lines), ACROSS, squeeze=False)
    for cells, (name, rows, first) in zip(grid, lines, strict=True):
        for cell in cells:
            cell.set_axis_off()
        if first == 0:
            cells[0].set_title(name, loc="left", pad=3)
        for cell, row in zip(cells, rows, strict=False):
            cell.imshow(_two_colours(row.reshape(-1, side, side).mean(0), most), interpolation="none")
    return figure
