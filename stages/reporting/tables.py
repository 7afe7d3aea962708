"""Tables of sets of networks, of every metric that has a column, and of members before and after relabelling."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stages.columns import SCORE, TAU, Column
from stages.evaluation.figures import Figures, SetFigures, Summary
from stages.evaluation.metric import Metric
from stages.evaluation.metrics import COLUMNS
from stages.evaluation.metrics.performance import score
from stages.reporting.looks import INK, look
from stages.reporting.wording import ScoreText, score_text

NONE = "–"
"""Stands where a figure wasn't measured."""
ROLES = ("members", "held-out", "generated", "baseline")


@dataclass(frozen=True)
class Row:
    """A row of a table: its name, the colour of its kind (None: none), and its cells as text."""

    name: str
    role: str
    colour: str | None
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """What is printed: columns as (heading, meaning), and rows."""

    label: str
    first: str
    columns: list[tuple[str, str]]
    rows: list[Row]

    @property
    def groups(self) -> list[tuple[str, list[Row]]]:
        """Rows by role, in the order of the report."""
        by_role = [(role, [row for row in self.rows if row.role == role]) for role in ROLES]
        return [(role, rows) for role, rows in by_role if rows]


def sets_table(figures: Figures, brief: bool = False) -> Table | None:
    """Every set's main figures; `brief` columns fit a terminal."""
    wanted = [m for m in COLUMNS if m.column and (m.column.brief if brief else m.column.table == "main")]
    return _table("Sets of networks", figures, wanted, with_count=True)


def distribution_table(figures: Figures) -> Table | None:
    """How like the members' each set's distribution is."""
    wanted = [m for m in COLUMNS if m.column and m.column.table == "distribution"]
    return _table("Sets as distributions", figures, wanted)


def relabelling_table(figures: Figures) -> Table | None:
    """Members as trained, relabelled, and put back."""
    effects, name = figures.canonicalization, score_text(figures).name
    if effects is None:
        return None
    scores = (effects.score_before, effects.score_after, effects.score_undone)
    barriers = (effects.barrier_before, effects.barrier_after)
    lines = {
        f"{name[0].upper()}{name[1:]}": tuple(NONE if value is None else SCORE.text(value) for value in scores),
        "Loss barrier": (*(NONE if value is None else f"{value:.3f}" for value in barriers), NONE),
    }
    rows = [Row(label, "members", None, cells) for label, cells in lines.items() if {*cells} != {NONE}]
    columns = [
        ("As trained", "a few members as they were trained or imported, scored on at most 1,000 test examples"),
        ("Relabelled", "the same in canonical form, their units in the order that fits the reference best"),
        ("Put back", "the same after that was undone"),
    ]
    return Table("Members relabelled", "", columns, rows) if rows else None


def _table(label: str, figures: Figures, metrics: Sequence[Metric[Any]], with_count: bool = False) -> Table | None:
    """A table of all sets; a metric that no set has is left out."""
    words, entries = score_text(figures), figures.sets
    shown = [metric for metric in metrics if any(metric.of(entry) is not None for entry in entries.values())]
    if not shown:
        return None
    columns = [(heading(metric, words), metric.meaning) for metric in shown]
    rows = []
    for name, entry in entries.items():
        cells = tuple(cell(metric, entry) for metric in shown)
        if {*cells} != {NONE}:
            count = (f"{entry.networks:,}",) if with_count else ()
            rows.append(Row(name, entry.role, look(entry).colour.replace(INK, "currentColor"), (*count, *cells)))
    if with_count:
        columns = [("Networks", "how many were measured"), *columns]
    return Table(label, "Set", columns, rows)


def heading(metric: Metric[Any], words: ScoreText) -> str:
    """A metric's heading with its unit; scores are called what they are."""
    assert metric.column is not None
    if metric is score:
        return words.heading[0].upper() + words.heading[1:]
    unit = metric.column.unit
    symbol = ("%" if words.percent else "× 100") if unit is SCORE else unit.symbol
    return f"{metric.heading}, {symbol}" if symbol else metric.heading


def cell(metric: Metric[Any], entry: SetFigures) -> str:
    """A set's figure as a table shows it."""
    value, column = metric.of(entry), metric.column
    assert column is not None
    if value is None:
        return NONE
    if isinstance(value, Summary) and column.show == "quantiles":
        return " · ".join(f"{quantile:.3g}" for quantile in (value.p10, value.p50, value.p90))
    number = metric.number(entry)
    if number is None:
        return NONE
    if isinstance(value, Summary) and column.show == "spread" and entry.networks > 1:
        return f"{column.unit.text(number)} ± {column.unit.text(value.std)}"
    return number_text(number, column)


def number_text(number: float, column: Column) -> str:
    """A figure's one number; of a tiny distance what remains significant of it."""
    if column.unit is TAU and 0 < number < 0.01:
        return f"{number:.1g}"
    return column.unit.text(number)
