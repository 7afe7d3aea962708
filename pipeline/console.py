"""Tables for the terminal: the plan, the artifacts there are, the results."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.config import Experiment
from pipeline.listing import UNNAMED, Listed
from stages.params.sample import SampleParams
from stages.params.zoo import ZooParams
from stages.reporting.summary import ReportSummary, read_summary

GAP = 2
"""Cells between two columns."""
YEAR = 31_557_600
"""Seconds of a year."""


def sizes_of(experiment: Experiment) -> dict[str, tuple[int, str]]:
    """How many things the stages make whose progress is even, for the rates at which they are made."""
    sizes = {}
    if experiment.fit:
        sizes["fit"] = (experiment.fit.steps, "steps")
    if isinstance(experiment.sample, SampleParams):  # how many are imported is found out by reading them
        sizes["sample"] = (experiment.sample.networks, "networks")
    if isinstance(experiment.zoo, ZooParams):
        sizes["zoo"] = (experiment.zoo.members + experiment.zoo.heldout, "networks")
    return sizes


def listing_tables(groups: Mapping[str, Sequence[Listed]]) -> Iterator[Text | Table]:
    """For each experiment a heading and a row per artifact."""
    at = datetime.now(UTC)
    for name, artifacts in groups.items():
        times = [artifact.created for artifact in artifacts if artifact.created]
        size = human_size(sum(artifact.size for artifact in artifacts))
        yield Text(f"{name or 'of no known experiment'}  {age(max(times), at) if times else ''}  {size}", "bold")
        table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
        for column in ("", "stage", "key", "age", "size", "state"):
            table.add_column(
                column, justify="right" if column in ("age", "size") else "left", no_wrap=column != "state"
            )
        for artifact in artifacts:
            made = age(artifact.created, at) if artifact.created else ""
            cells = (artifact.stage, artifact.key, made, human_size(artifact.size), _state(artifact, name))
            table.add_row("", *cells, style=None if artifact.complete else "yellow")
        yield table


def _state(artifact: Listed, experiment: str) -> str:
    """What there is to say of an artifact within its experiment."""
    latest = "latest" if experiment in artifact.latest_of else ""
    shared = f"made by {artifact.experiment}" if artifact.experiment not in (experiment, UNNAMED) else ""
    return ", ".join(filter(None, (latest, shared, artifact.problem)))


def age(created: str, at: datetime) -> str:
    """How long ago a time in ISO format was, in its largest unit."""
    return human_time(max(0.0, (at - datetime.fromisoformat(created)).total_seconds()))


def human_time(seconds: float) -> str:
    """A length of time in its largest unit, such as 3 min."""
    for unit, size in (("y", YEAR), ("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}" if seconds < 1000 * YEAR else "over 1000 y"
    return f"{seconds:.0f} s"


def human_size(size: float) -> str:
    """A size in bytes with its unit, such as 1.2 MB."""
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} EB" if size < 1000 else "over 1000 EB"


def results_table(summary: ReportSummary, width: int | None = None) -> tuple[Table, list[str]]:
    """Members, held-out members, generated networks and baselines, side by side; without test data, their weights.

    Also the headings of the columns that a terminal of this width has no room for.
    """
    rows = {row.name: row.cells for row in summary.rows}
    table, left_out = figures_table(summary.columns, rows, width)
    for i, row in enumerate(summary.rows):
        table.rows[i].style = "bold" if row.role == "generated" else None
    return table, left_out


def figures_table(
    headings: Sequence[str], rows: Mapping[str, Sequence[str]], width: int | None = None
) -> tuple[Table, list[str]]:
    """A table of named rows whose columns are never squeezed, and the headings of those that don't fit the width."""
    room = None if width is None else width - max(map(cell_len, rows), default=0)
    kept = fitting(headings, list(rows.values()), room)
    table = Table("", box=None, padding=(0, GAP // 2), pad_edge=False)
    for i in kept:
        table.add_column(headings[i], justify="right", no_wrap=True)
    for name, cells in rows.items():
        table.add_row(name, *(cells[i] for i in kept))
    return table, [heading for i, heading in enumerate(headings) if i not in kept]


def fitting(headings: Sequence[str], rows: Sequence[Sequence[str]], room: int | None) -> list[int]:
    """Positions of the columns for which there is room, in cells.

    The number of networks goes first, then what stands on the right.
    """
    columns = [max(map(cell_len, (heading, *cells))) for heading, *cells in zip(headings, *rows, strict=True)]
    taken, kept = 0, list[int]()
    for i in sorted(range(len(headings)), key=lambda i: (headings[i] == "Networks", i)):
        taken += GAP + columns[i]
        if room is not None and taken > room:
            break
        kept.append(i)
    return sorted(kept)


def show_results(console: Console, report: Path) -> None:
    """Warnings, the table, the verdict, further findings, and where the report lies."""
    summary = read_summary(report)
    for warning in summary.warnings:
        console.print(f"Warning: {warning}", style="yellow", highlight=False, markup=False, soft_wrap=True)
    table, left_out = results_table(summary, console.width)
    console.print(table)
    if left_out:
        console.print(f"(no room here for {', '.join(left_out)}; the report has all)", style="dim", markup=False)
    console.print("\n".join(["", summary.verdict, *summary.findings]), highlight=False, markup=False)
    console.print(f"Report: {report / 'report.html'}", soft_wrap=True)
