"""A run on Prefect's pages: progress bars, the table of results, the verdict."""

import base64
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from stages.progress import Throttle
from stages.reporting.summary import FILE as SUMMARY
from stages.reporting.summary import ReportSummary, read_summary
from stages.store.refs import Ref

LOG_SECONDS, UPDATE_SECONDS = 10.0, 1.0
"""Least time between two log lines of a stage, and between two moves of its bar on Prefect's page."""
PICTURES = ("novelty", "distances")
"""Plots of the report that Prefect's page shows."""
PICTURE_BYTES = 200_000
"""Larger pictures make Prefect's page slow."""

log = logging.getLogger(__name__)


class Progress:
    """The progress of each stage in Prefect's log and on its page, seldom enough to cost nothing."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.logs: dict[str, Throttle] = {}
        self.moves: dict[str, Throttle] = {}
        self.bars: dict[str, UUID] = {}

    def watch(self, stage: str, share: float, note: str) -> None:
        """Log a line or move the stage's bar, if the last time is long enough ago."""
        with self.lock:
            if self.logs.setdefault(stage, Throttle(LOG_SECONDS)).due():
                get_run_logger().info("%s %.0f %%  %s", stage, 100 * share, note)
            if self.moves.setdefault(stage, Throttle(UPDATE_SECONDS)).due():
                self._move(stage, 100 * share)

    def done(self, stage: str, ref: Ref, reused: bool) -> None:
        """Complete the stage's bar, if it took long enough to have one."""
        get_run_logger().info("%s %s: %s", stage, "reused" if reused else "done", ref.path)
        if stage in self.bars:
            self._move(stage, 100)

    def _move(self, stage: str, percent: float) -> None:
        with _optional():
            if stage in self.bars:
                update_progress_artifact(self.bars[stage], percent)
            else:
                bar = create_progress_artifact(percent, key=f"dwf-{stage}", description=stage)
                self.bars[stage] = cast("UUID", bar)


@contextmanager
def _optional() -> Iterator[None]:
    """A block whose failure at Prefect's server is logged and doesn't end the run."""
    try:
        yield
    except httpx.HTTPError as error:
        log.warning("Prefect's server didn't take an artifact: %s", error)


def show_summary(report: Path) -> None:
    """A report's table, its verdict and where it lies, as artifacts on Prefect's page."""
    if not (report / SUMMARY).is_file():
        return
    summary = read_summary(report)
    rows = [dict(zip(("set", *summary.columns), (row.name, *row.cells), strict=True)) for row in summary.rows]
    with _optional():
        create_table_artifact(cast("list[dict[str, Any]]", rows), "dwf-figures", description(summary))
        create_markdown_artifact(findings(summary, report), "dwf-report", "Verdict, findings and pictures")


def description(summary: ReportSummary) -> str:
    """What stands above the table: warnings, one a paragraph, and the verdict."""
    return "\n\n".join([*(f"**Warning:** {warning}" for warning in summary.warnings), summary.verdict])


def findings(summary: ReportSummary, folder: Path) -> str:
    """Warnings, the verdict, further findings, and a report's path with a few pictures of it, as Markdown."""
    further = "\n".join(f"- {sentence}" for sentence in summary.findings)
    parts = [description(summary), further, f"Report: `{folder / 'report.html'}`", *_pictures(folder)]
    return "\n\n".join(part for part in parts if part)


def _pictures(folder: Path) -> Iterator[str]:
    """Pictures of a report, inlined, unless they are too large: Prefect's page can't open local files."""
    for name in PICTURES:
        file = folder / f"{name}.png"
        if file.is_file() and file.stat().st_size <= PICTURE_BYTES:
            yield f"![{name}](data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()})"
