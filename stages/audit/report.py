"""The page that shows an evaluation's figures: one self-contained file, without scripts and without the network."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stages.audit.drawing import INK, dig, look, sets
from stages.audit.plots import SECTIONS
from stages.audit.words import Score, score_of

NONE = "–"
"""Stands where a figure wasn't measured."""
QUESTIONS = {"accurate": "Accurate", "new": "New", "better_than_baselines": "Better than the baselines"}
ROLES = ("members", "held-out", "generated", "baseline")


@dataclass(frozen=True)
class Column:
    """A column of the main table: its heading, what it means, and a set's entry in it."""

    heading: str
    meaning: str
    cell: Callable[[dict[str, Any]], str]


def write_report(path: Path, figures: dict[str, Any], about: dict[str, Any]) -> None:
    """Write the page; what `figures` and `about` lack is left out, and equal arguments give equal bytes."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.jinja").render(
        title=about.get("experiment") or dig(figures, "dataset", "name") or "Report",
        subtitle=_subtitle(figures, about),
        verdict=dig(figures, "verdict", "text"),
        badges=_badges(figures),
        columns=_columns(figures),
        groups=_groups(figures),
        scale=_scale(figures),
        sections=_sections(figures),
        lineage=[_stage(entry) for entry in about.get("lineage") or []],
        facts={title: _facts(about.get(title.lower())) for title in ("Hardware", "Versions")},
        config=about.get("config"),
    )
    path.write_text(page, encoding="utf-8")


def _subtitle(figures: dict[str, Any], about: dict[str, Any]) -> list[str]:
    """What was generated, from what, and when."""
    parameters, examples, subset = (
        figures.get("parameters"),
        figures.get("test_examples"),
        dig(figures, "dataset", "train"),
    )
    created = about.get("created")
    found = (
        _network(figures.get("network") or {}),
        f"{parameters:,.0f} parameters" if parameters is not None else "",
        dig(figures, "dataset", "name") or "",
        f"a subset of {subset:,.0f} training examples" if subset is not None else "",
        f"{examples:,.0f} test examples" if examples is not None else "",
        str(created).replace("T", " ").replace("Z", " UTC") if created else "",
    )
    return [part for part in found if part]


def _network(network: dict[str, Any]) -> str:
    widths = "–".join(str(width) for width in network.get("widths") or [])
    return f"{network.get('model') or network.get('kind') or ''} {widths}".strip()


def _badges(figures: dict[str, Any]) -> list[dict[str, str]]:
    """The three questions with an answer each; null is its own answer."""
    answers = {True: "yes", False: "no", None: "not measured"}
    return [{"question": q, "answer": answers[dig(figures, "verdict", key)]} for key, q in QUESTIONS.items()]


def _groups(figures: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The main table's rows by role."""
    rows: dict[str, list[dict[str, Any]]] = {role: [] for role in ROLES}
    columns = _columns(figures)
    for name, entry in sets(figures).items():
        colour = look(entry).colour.replace(INK, "currentColor")
        row = {"name": name, "colour": colour, "cells": [column.cell(entry) for column in columns]}
        rows.setdefault(entry.get("role") or "baseline", []).append(row)
    return [(role, group) for role, group in rows.items() if group]


def _scale(figures: dict[str, Any]) -> str:
    """What the bar and τ are in this evaluation."""
    bar, tau, reached = figures.get("bar"), figures.get("tau"), 1 - (figures.get("bar_quantile") or 0.05)
    score, tolerance = score_of(figures), figures.get("tolerance")
    found = (
        f"The bar is {score.say(bar)}, which {100 * reached:.0f} % of the members reach." if bar is not None else "",
        f"τ is {tau:.4g}, the median L2 distance of a member to the nearest other one." if tau is not None else "",
        f"A prediction counts as a mistake when it is off by more than {tolerance:.4g}, the members' median."
        if tolerance
        else "",
        "Without test data, figures of what networks compute are left out." if figures.get("score", "") is None else "",
    )
    return " ".join(part for part in found if part)


def _sections(figures: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The plots that can be drawn, under their headings; a heading without plots is left out."""
    drawn = []
    for heading, plots in SECTIONS:
        shown = [{"plot": plot, "svg": svg} for plot in plots if (svg := plot(figures))]
        if shown:
            drawn.append((heading, shown))
    return drawn


def _stage(entry: dict[str, Any]) -> dict[str, str]:
    """A row of the lineage table."""
    return {
        "stage": str(entry.get("stage") or NONE),
        "key": str(entry.get("key") or NONE),
        "seconds": _number(entry.get("seconds"), 1),
        "summary": ", ".join(f"{k} {v}" for k, v in _facts(entry.get("summary")).items()),
    }


def _facts(source: dict[str, Any] | None) -> dict[str, str]:
    """Single values of a mapping as words; nested ones don't fit a line and are left out."""
    single = {k: v for k, v in (source or {}).items() if v is not None and not isinstance(v, dict | list | tuple)}
    return {k.replace("_", " "): f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in single.items()}


def _number(value: float | int | None, places: int) -> str:
    return NONE if value is None else f"{value:,.{places}f}"


def _share(value: float | int | None, places: int) -> str:
    return NONE if value is None else f"{100 * value:.{places}f}"


def _spread(entry: dict[str, Any], *figure: str) -> str:
    """Mean ± standard deviation in hundredths; a set of one has no spread to tell."""
    mean, std = dig(entry, *figure, "mean"), dig(entry, *figure, "std")
    return _share(mean, 2) if std is None or entry.get("networks") == 1 else f"{_share(mean, 2)} ± {_share(std, 2)}"


def _distance(entry: dict[str, Any]) -> str:
    """Two decimals, or what remains significant of a distance that these would hide."""
    value = entry.get("distance_in_tau")
    return f"{value:.1g}" if value is not None and 0 < value < 0.01 else _number(value, 2)


def _beyond_one_tau(entry: dict[str, Any]) -> float | int | None:
    """N&P at a margin of 1, however its key is spelled."""
    shares = entry.get("novel_and_performant") or {}
    return next((share for margin, share in shares.items() if float(margin) == 1), None)


def _columns(figures: dict[str, Any]) -> list[Column]:
    """The main table's columns; one that no set has an entry for is left out."""
    return [c for c in _every_column(score_of(figures)) if any(c.cell(e) != NONE for e in sets(figures).values())]


def _every_column(score: Score) -> tuple[Column, ...]:
    return (
        Column("Networks", "how many there are in the set", lambda e: _number(e.get("networks"), 0)),
        Column(
            score.heading[0].upper() + score.heading[1:],
            "of the networks on the test examples, mean ± standard deviation",
            lambda e: _spread(e, "score"),
        ),
        Column("Lowest", f"{score.name} of the set's worst network", lambda e: _share(dig(e, "score", "min"), 2)),
        Column("R²", "share of variance explained, mean", lambda e: _number(dig(e, "further", "r2", "mean"), 3)),
        Column("Error", "mean absolute error", lambda e: _number(dig(e, "further", "mae", "mean"), 3)),
        Column(
            "Copied statistics",
            f"{score.name} if BatchNorm's statistics were the reference member's instead of measured anew",
            lambda e: _spread(e, "with_reference_statistics"),
        ),
        Column(
            "Max-IoU",
            "largest overlap of a network's mistakes with those of one member, mean; 1 is a copy",
            lambda e: _number(dig(e, "max_iou", "mean"), 2),
        ),
        Column("Distance, τ", "to the nearest member, median; 1 τ is what it is for a member itself", _distance),
        Column(
            "N&P, %",
            "novel and performant: above the bar and farther than 1 τ from every member",
            lambda e: _share(_beyond_one_tau(e), 0),
        ),
        Column(
            "Nearest",
            "how many different members are the nearest one to some network of the set",
            lambda e: _number(e.get("nearest_members_hit"), 0),
        ),
        Column(
            "Ensemble", f"{score.name} of the set's averaged predictions", lambda e: _share(e.get("ensemble_score"), 2)
        ),
    )
