"""Scales of axes that give room to what matters: scores near 1, distances near a member, few values on a log axis."""

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes

from stages.reporting.drawing import in_percent

SPAN = 20
"""Factor between the smallest and the largest distance beyond which they are shown by powers of ten."""


def stretch_score(axes: Axes, lowest: float, highest: float) -> None:
    """Spread scores near 1 as their errors' logarithms would, when they share the axis with poor networks."""
    if lowest < 0.85:
        near = 1.005  # beyond 1, so that a faultless network has a place
        stretch = (lambda a: -np.log(np.maximum(near - a, 1e-9)), lambda s: near - np.exp(-s))
        axes.set_yscale("function", functions=stretch)
        ticks = (0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1)
        axes.set_yticks([t for t in ticks if lowest - 0.1 <= t <= max(highest, 0.5)])
        low, high = (float(stretch[0](a)) for a in (lowest, highest))
        pad = 0.06 * (high - low) + 0.05
        axes.set_ylim(*(float(stretch[1](edge)) for edge in (low - pad, high + pad)))
    in_percent(axes)


def stretch_distance(axes: Axes, distances: np.ndarray) -> None:
    """Show distances by powers of ten when they span a large factor; 1 and zero keep their place."""
    away, end = distances[distances > 0], max(1.0, float(distances.max()))
    if not len(away) or away.max() < SPAN * away.min():
        axes.set_xlim(-0.03 * end, 1.1 * end)
        return
    first = max(-3, int(np.floor(np.log10(away.min()))))
    axes.set_xscale("symlog", linthresh=10.0**first, linscale=0.4)
    axes.set_xlim(-0.15 * 10.0**first, 1.3 * end)
    axes.set_xticks([0, *(10.0**p for p in range(first, int(np.floor(np.log10(end))) + 1))])
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def log_scale_with_ticks(axes: Axes, values: Iterable[float], apart: float = 1.45) -> None:
    """A logarithmic axis with its ticks at the values themselves, leaving out those less than this factor apart."""
    ticks: list[float] = []
    for value in sorted(set(values)):
        if not ticks or value >= apart * ticks[-1]:
            ticks.append(value)
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.set_xticks([], minor=True)
