"""The weights themselves, members' beside generated ones."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from stages.audit.drawing import (
    BLUE,
    VERMILLION,
    dig,
    finished,
    numbers,
    plot,
)


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
    "What the first hidden units look at, in a member and in a generated network: weights above zero are orange, below "
    "zero blue, zero is clear.",
    wide=True,
)
def filters(figures: dict[str, Any]) -> Figure | None:
    """Incoming weights of first-layer units as images; colour channels are averaged."""
    side = dig(figures, "filters", "side")
    rows = {who: numbers(figures, "filters", who) for who in ("members", "generated")}
    rows = {who: r for who, r in rows.items() if side and r.ndim == 2 and r.shape[1] and r.shape[1] % side**2 == 0}
    if not rows:
        return None
    most = max(float(np.nanquantile(np.abs(np.concatenate(list(rows.values()))), 0.99)), 1e-12)
    figure = Figure(figsize=(5.0, 0.8 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), 8, squeeze=False)
    for cells, (who, values) in zip(grid, rows.items(), strict=True):
        cells[0].set_ylabel(who)
        for cell in cells:
            cell.set(xticks=[], yticks=[])
            cell.spines[:].set_visible(False)
        for cell, row in zip(cells, values, strict=False):
            image = np.nan_to_num(row).reshape(-1, int(side), int(side)).mean(0)
            cell.imshow(_two_colours(image, most), interpolation="none")
    return figure
