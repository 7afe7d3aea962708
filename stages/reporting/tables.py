"""The report's tables: sets of networks side by side, and members before and after relabelling."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from stages.reporting.columns import LIKENESS, Column, Entry, main_columns, number, share
from stages.reporting.drawing import INK, dig, look, sets
from stages.reporting.lineage import NONE
from stages.reporting.wording import score_of

ROLES = ("members", "held-out", "generated", "baseline")


@dataclass(frozen=True)
class Table:
    """What the page prints: columns as (heading, meaning), rows with a name, a colour and cells, by role."""

    label: str
    first: str
    columns: list[tuple[str, str]]
    groups: list[tuple[str, list[dict[str, Any]]]]


def sets_table(figures: Entry) -> Table | None:
    """Every set's main figures."""
    return _of_sets("Sets of networks", main_columns(score_of(figures)), sets(figures))


def likeness_table(figures: Entry) -> Table | None:
    """How like the members' each set's distribution is."""
    table = _of_sets("Sets as distributions", LIKENESS, sets(figures))
    return table if table and len(table.columns) > 1 else None


def relabelling_table(figures: Entry) -> Table | None:
    """Members as trained, relabelled, and put back."""
    name = score_of(figures).name
    rows = {
        f"{name[0].upper()}{name[1:]}": [
            share(_mean(dig(figures, "canonicalization", f"score_{when}")), 2) for when in ("before", "after", "undone")
        ],
        "Loss barrier": [
            *(number(_mean(dig(figures, "canonicalization", f"barrier_{when}")), 3) for when in ("before", "after")),
            NONE,
        ],
    }
    shown = [{"name": name, "colour": None, "cells": cells} for name, cells in rows.items() if {*cells} != {NONE}]
    columns = [
        ("As trained", "the members as they were trained or imported"),
        ("Relabelled", "after their units were brought into the reference's order"),
        ("Put back", "after that was undone: nothing may change"),
    ]
    return Table("Members relabelled", "", columns, [("members", shown)]) if shown else None


def _mean(value: Any) -> float | None:
    """A figure, or the mean of a summary."""
    return value.get("mean") if isinstance(value, dict) else value


def _of_sets(label: str, columns: Iterable[Column], entries: dict[str, Entry]) -> Table | None:
    """A table of sets by role; a column that no set has an entry for is left out."""
    shown = [column for column in columns if any(column.cell(entry) != NONE for entry in entries.values())]
    rows: dict[str, list[dict[str, Any]]] = {role: [] for role in ROLES}
    for name, entry in entries.items():
        cells = [column.cell(entry) for column in shown]
        if {*cells} != {NONE}:
            row = {"name": name, "colour": look(entry).colour.replace(INK, "currentColor"), "cells": cells}
            rows.setdefault(entry.get("role") or "baseline", []).append(row)
    groups = [(role, group) for role, group in rows.items() if group]
    return Table(label, "Set", [(column.heading, column.meaning) for column in shown], groups) if groups else None
