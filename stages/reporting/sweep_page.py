"""The page of a sweep: one table and two plots, in one file, without scripts and without the network."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.evaluation.metrics.novelty import distance_in_tau
from stages.evaluation.metrics.performance import score as score_metric
from stages.reporting.drawing import in_percent, new_axes, plot, rule, with_legend
from stages.reporting.looks import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, VERMILLION
from stages.reporting.page import template
from stages.reporting.sweep_results import (
    CALLS,
    OverRuns,
    PointResults,
    SweepResults,
    SweepRow,
    columns,
    replicated,
    value_text,
)
from stages.reporting.sweep_verdict import best, verdict
from stages.store.artifact import FOLDERS

COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, GREY, INK)
"""Of settings: all lines are of generated networks, so that on this page no colour means a kind of set."""
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "h")
LINES = ("-", "--", ":")
"""Distinguish lines once all colours are taken."""
WIDE = 8.0
"""A numeric axis that spans this factor is logarithmic."""


def write_page(path: Path, sweep: SweepResults, created: str, versions: Mapping[str, str]) -> None:
    """Write the page; equal arguments give equal bytes."""
    headed = columns(sweep)
    page = template("sweep_page.html.jinja").render(
        sweep=sweep,
        created=created,
        versions=versions,
        value_text=value_text,
        verdict=verdict(sweep),
        best=best(sweep),
        report_of=report_of,
        seeds=[sweep.names[seed] for seed in replicated(sweep.varied)],
        reports=[reports(sweep, row) for row in sweep.rows],
        kept=list(sweep.rows[0].values),
        several=any(row.runs > 1 for row in sweep.rows),
        headings=[heading for heading, _ in headed],
        meanings=[(heading, measure.meaning) for heading, measure in headed],
        # the figure of merit with its spread, the others' means: more doesn't fit a page, and sweep.json has it
        table=[
            (row, [m.cell(row.figures) if m.name == score_metric.name else m.mean(row.figures) for _, m in headed])
            for row in sweep.rows
        ],
        plots=[(each, svg) for each in PLOTS if (svg := each.svg(sweep))],
        failed=[point for point in sweep.points if point.failed],
    )
    path.write_text(page, encoding="utf-8")


def report_of(point: PointResults) -> str:
    """Where a point's own report lies, from the page's folder on; both move with the store."""
    return f"../../{FOLDERS['report']}/{point.keys['report']}/report.html"


def reports(sweep: SweepResults, row: SweepRow) -> list[tuple[str, str]]:
    """The reports of a row's runs: what each is called, its seeds where these vary, and where it lies."""
    found = [p for p in sweep.points if not p.failed and all(p.values[key] == v for key, v in row.values.items())]
    seeds = replicated(sweep.varied)
    names = [" ".join(value_text(point.values[seed]) for seed in seeds) for point in found]
    return [(name or "report", report_of(point)) for name, point in zip(names, found, strict=True)]


@plot(
    "Score",
    "Test score of generated networks, mean ± standard deviation over seeds, or over networks where there is one seed. "
    "The dashed line is the members' mean, where all points share it.",
)
def score(sweep: SweepResults) -> Figure | None:
    """The score against what varies."""
    if not any(score_metric.name in row.figures for row in sweep.rows):
        return None
    axes = _against(sweep, score_metric.name, f"test {sweep.words.heading}")
    in_percent(axes)
    members = {row.figures["members score"].mean for row in sweep.rows if "members score" in row.figures}
    # means of equal numbers differ in the last bit
    shared = max(members, default=1.0) - min(members, default=0.0) < 1e-9
    rule(axes, members.pop() if shared else None, "members", across=True)
    axes.set_ylim(top=min(axes.get_ylim()[1], 1.004))  # a deviation may reach beyond what is possible
    return with_legend(axes, 2)


@plot(
    "Novelty",
    "Median distance of generated networks to the nearest member: at 0 they are copies, at 1 it is the members' own "
    "median to the nearest other member.",
)
def novelty(sweep: SweepResults) -> Figure | None:
    """The distance to the nearest member against what varies."""
    if not any(distance_in_tau.name in row.figures for row in sweep.rows):
        return None
    axes = _against(sweep, distance_in_tau.name, "to the nearest member, in τ")
    rule(axes, 1.0, "1 τ", across=True)
    axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
    return with_legend(axes, 2)


PLOTS = (score, novelty)


def _against(sweep: SweepResults, figure: str, label: str) -> Axes:
    """One line per combination of all that varies but what the horizontal axis shows."""
    key, title, place = _horizontal(sweep)
    axes = new_axes(4.4, 3.5, title, label)
    lines: dict[str, list[SweepRow]] = {}
    for row in sweep.rows:
        others = (f"{sweep.names[k]} {value_text(v)}" for k, v in row.values.items() if k != key)
        lines.setdefault(", ".join(others), []).append(row)
    for number, (legend, group) in enumerate(lines.items()):
        points = [(place(row), row.figures[figure]) for row in group if figure in row.figures]
        _line(axes, number, legend, sorted(points, key=lambda point: point[0]))
    _ticks(axes, sorted({place(row) for row in sweep.rows}), _words(sweep, key))
    return axes


def _line(axes: Axes, number: int, legend: str, points: Sequence[tuple[float, OverRuns]]) -> None:
    """Means with their deviations; earlier lines have larger marks, to be seen where later ones cover them."""
    x, y = [at for at, _ in points], [figure.mean for _, figure in points]
    colour, turn = COLOURS[number % len(COLOURS)], number // len(COLOURS)
    marker = MARKERS[(number + turn) % len(MARKERS)]
    drawn = axes.errorbar(
        x,
        y,
        [figure.std or 0.0 for _, figure in points],
        color=colour,
        marker=marker,
        markersize=max(7.5 - 1.5 * number, 4.0),
        linestyle=LINES[turn % len(LINES)],
        elinewidth=0.8,
        capsize=2.5,
        label=legend or None,
    )
    for part in (*drawn.lines[1], *drawn.lines[2]):
        part.set_alpha(0.5)


def _horizontal(sweep: SweepResults) -> tuple[str, str, Callable[[SweepRow], float]]:
    """The key that the axis shows, its title, and a row's place on it.

    Solvers are compared by what they cost; else it is the number with most values, else the first key, in its order.
    """
    values = {key: _different(sweep, key) for key in sweep.rows[0].values}
    if {"sample.method", "sample.steps"} <= values.keys():
        return "sample.steps", "calls of the velocity network", lambda row: row.figures[CALLS.name].mean
    numeric = [key for key, different in values.items() if all(_is_number(value) for value in different)]
    if numeric:
        key = max(numeric, key=lambda key: len(values[key]))
        return key, key, lambda row: float(str(row.values[key]))
    key = next(iter(values))
    return key, key, lambda row: float(values[key].index(row.values[key]))


def _different(sweep: SweepResults, key: str) -> list[Any]:
    different: list[Any] = []
    for row in sweep.rows:
        if row.values[key] not in different:
            different.append(row.values[key])
    return different


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _words(sweep: SweepResults, key: str) -> list[str] | None:
    """What stands at the places 0, 1, ... of an axis that shows no numbers."""
    different = _different(sweep, key)
    return None if all(_is_number(value) for value in different) else [value_text(value) for value in different]


def _ticks(axes: Axes, places: Sequence[float], words: Sequence[str] | None) -> None:
    """Words as they are; numbers where points lie, by their logarithms if they span much."""
    if words is not None:
        axes.set_xticks(range(len(words)), words)
        axes.set_xlim(-0.4, len(words) - 0.6)
        return
    if places[0] > 0 and places[-1] >= WIDE * places[0]:
        axes.set_xscale("log")
        axes.set_xticks([], minor=True)
    apart = np.unique(np.linspace(0, len(places) - 1, min(len(places), 7)).round().astype(int))
    axes.set_xticks([places[i] for i in apart], [f"{places[i]:g}" for i in apart])
