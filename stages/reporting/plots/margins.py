"""How far generated networks are from the members, as shares of them."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from stages.reporting.drawing import finished, in_percent, kind, look, new_axes, pairs, plot, sets
from stages.reporting.plots.scales import told_powers


def _margins(entry: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Margins in tau, ascending, and the share of networks that are performant and at least so far away."""
    found = sorted((float(m), np.nan if s is None else s) for m, s in (entry.get("novel_and_performant") or {}).items())
    return pairs(*np.array(found, dtype=float).reshape(-1, 2).T)


def _best_baselines(figures: dict[str, Any], most: int = 3) -> dict[str, dict[str, Any]]:
    """Of each family the level with the largest shares, and of these the best few."""
    best: dict[str, tuple[float, str]] = {}
    for name, entry in sets(figures).items():
        shares = _margins(entry)[1]
        if entry.get("role") == "baseline" and shares.any():
            best[kind(entry)] = max(best.get(kind(entry), (-1.0, "")), (float(shares.mean()), name))
    return {name: sets(figures)[name] for _, name in sorted(best.values(), reverse=True)[:most]}


@plot(
    "Novel and performant",
    "The share of networks above the bar that are also farther than a margin from every member; held-out "
    "networks, trained but never shown to the flow, are what to reach; dashed are the best baselines, if one reaches any.",
)
def novel_and_performant(figures: dict[str, Any]) -> Figure | None:
    """N&P by margin for generated and held-out networks and the best baselines."""
    trained = {name: e for name, e in sets(figures).items() if e.get("role") in ("held-out", "generated")}
    lines = {n: e for n, e in {**trained, **_best_baselines(figures)}.items() if len(_margins(e)[0])}
    if not lines:
        return None
    axes = new_axes(4.6, 4.0, "margin, in τ", "networks, %")
    for name, entry in lines.items():
        own = look(entry)
        style = "-" if name in trained else (0, (3, 2))
        axes.plot(*_margins(entry), marker=own.marker, markersize=5, linestyle=style, color=own.colour, label=name)
    in_percent(axes)
    told_powers(axes, {margin for e in lines.values() for margin in _margins(e)[0]})
    axes.set_ylim(-0.04, 1.04)
    return finished(axes)
