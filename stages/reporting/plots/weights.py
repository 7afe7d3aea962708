"""The weights themselves, members' beside generated ones."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from stages.reporting.drawing import BLUE, VERMILLION, dig, finished, numbers, plot

ACROSS = 8
"""Images in a line."""


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
    "What units of the first layer look at, in a member and in a generated network: weights above zero are orange, below "
    "zero blue, zero is clear. A generator that has learned draws the same kinds of pattern, not the same patterns.",
    wide=True,
)
def filters(figures: dict[str, Any]) -> Figure | None:
    """Incoming weights of first-layer units, or convolutions' kernels, as images; colour channels are averaged."""
    side = dig(figures, "filters", "side")
    found = {who: numbers(figures, "filters", who) for who in ("members", "generated")}
    found = {who: r for who, r in found.items() if side and r.ndim == 2 and r.shape[1] and r.shape[1] % side**2 == 0}
    if not found:
        return None
    most = max(float(np.nanquantile(np.abs(np.concatenate(list(found.values()))), 0.99)), 1e-12)
    lines = [(who, row[i : i + ACROSS]) for who, row in found.items() for i in range(0, len(row), ACROSS)]
    figure = Figure(figsize=(5.0, 0.75 * len(lines) + 0.1), layout="constrained")
    grid = figure.subplots(len(lines), ACROSS, squeeze=False)
    for number, (cells, (who, values)) in enumerate(zip(grid, lines, strict=True)):
        for cell in cells:
            cell.set_axis_off()
        if number == 0 or lines[number - 1][0] != who:
            cells[0].set_title(who, loc="left", pad=3)
        for cell, row in zip(cells, values, strict=False):
            image = np.nan_to_num(row).reshape(-1, int(side), int(side)).mean(0)
            cell.imshow(_two_colours(image, most), interpolation="none")
    return figure
