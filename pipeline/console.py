"""The terminal's view of a run: a live line per stage, the final table, the plan."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from pipeline.runner import Planned
from stages.progress import Throttle
from stages.reporting.summary import ReportSummary, read_summary
from stages.store.artifact import read_manifest
from stages.store.refs import Ref

LINE_SECONDS = 10.0
"""Least time between two progress lines where there is no terminal to redraw."""


class StageLines:
    """One line per stage, redrawn on a terminal and printed now and then elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(24),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self.tasks: dict[str, TaskID] = {}
        self.pause = Throttle(LINE_SECONDS)

    def __enter__(self) -> "StageLines":
        self.progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    def watch(self, stage: str, share: float, note: str) -> None:
        """Show how far a stage is."""
        self.progress.update(self._task(stage), completed=share, note=note)
        if not self.console.is_terminal and self.pause.due():
            self.console.print(f"{stage:<12} {share:>4.0%}  {note}")

    def done(self, stage: str, ref: Ref, reused: bool) -> None:
        """Show that a stage is finished."""
        words = f"reused {ref.key}" if reused else f"done {ref.key} in {read_manifest(ref.path).seconds:.1f} s"
        self.progress.update(self._task(stage), completed=1, note=words)
        self.progress.stop_task(self._task(stage))
        if not self.console.is_terminal:
            self.console.print(f"{stage:<12} {words}")

    def _task(self, stage: str) -> TaskID:
        if stage not in self.tasks:
            self.tasks[stage] = self.progress.add_task(stage, total=1, note="")
        return self.tasks[stage]


def plan_table(planned: Sequence[Planned]) -> Table:
    """Per stage its key, what would happen and why, where it lies, and its size."""
    table = Table("stage", "key", "", "why", "where", "size", box=None, pad_edge=False)
    for step in planned:
        verb = "reuse" if step.ref else "run"
        size = human_size(sum(f.stat().st_size for f in step.path.rglob("*") if f.is_file())) if step.ref else ""
        table.add_row(step.stage, step.key, verb, "" if step.ref else step.why, str(step.path.parent), size)
    return table


def human_size(size: float) -> str:
    """A size in bytes with its unit, such as 1.2 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def results_table(summary: ReportSummary) -> Table:
    """Members, held-out members, generated networks and baselines, side by side; without test data, their weights."""
    table = Table("", *summary.columns, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in summary.rows:
        table.add_row(row.name, *row.cells, style="bold" if row.role == "generated" else None)
    return table


def show_results(console: Console, report: Path) -> None:
    """Warnings, the table, the verdict, further findings, and where the report lies."""
    summary = read_summary(report)
    for warning in summary.warnings:
        console.print(f"Warning: {warning}", style="yellow", highlight=False, markup=False, soft_wrap=True)
    console.print(results_table(summary))
    console.print("\n".join(["", summary.verdict, *summary.findings]), highlight=False, markup=False)
    console.print(f"Report: {report / 'report.html'}", soft_wrap=True)
