"""A run on Prefect's pages: progress bars, the table of results, the verdict, the report."""

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
    create_image_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from pipeline.prefect.discovery import UpRecord, home_of
from pipeline.prefect.logs import log_scores
from pipeline.prefect.report_server import FILE as REPORT
from pipeline.prefect.report_server import address_of
from stages.progress import Throttle
from stages.reporting.summary import FILE as SUMMARY
from stages.reporting.summary import ReportSummary, read_summary
from stages.store.refs import Ref

LOG_SECONDS, UPDATE_SECONDS = 10.0, 1.0
"""Least time between two log lines of a stage, and between two moves of its bar on Prefect's page."""
FRONTIER = "novelty"
"""The report's plot of score against novelty, with the best baseline at each distance."""
PICTURE_BYTES = 200_000
"""A larger picture makes Prefect's page slow."""

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
        del ref, reused
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


def show_report(report: Path) -> None:
    """Log a report's scores; show its table, verdict and frontier, and a link to it, as artifacts on Prefect's page."""
    if not (report / SUMMARY).is_file():
        return
    summary = read_summary(report)
    log_scores(summary)
    cells = [dict(zip(("set", *summary.columns), (row.name, *row.cells), strict=True)) for row in summary.rows]
    with _optional():
        create_table_artifact(cast("list[dict[str, Any]]", cells), "dwf-figures", description(summary))
        create_markdown_artifact(findings(summary, report), "dwf-report", "Verdict, findings and the report")
        if picture := frontier(report):
            create_image_artifact(picture, "dwf-frontier", "Score against novelty; the line is the best baseline")


def description(summary: ReportSummary) -> str:
    """What stands above the table: warnings, one a paragraph, and the verdict."""
    return "\n\n".join([*(f"**Warning:** {warning}" for warning in summary.warnings), summary.verdict])


def findings(summary: ReportSummary, folder: Path) -> str:
    """Warnings, the verdict, a report's link and further findings, as Markdown."""
    further = "\n".join(f"- {sentence}" for sentence in summary.findings)
    return "\n\n".join(part for part in (description(summary), link(folder), further) if part)


def link(report: Path) -> str:
    """A link that opens a report where `dwf up` serves its store, else the report's path."""
    path = f"`{report / REPORT}`"
    up = UpRecord.read(home_of(report.parents[1]))
    return f"[Open the report]({address_of(report, up.reports)}) ({path})" if up and up.reports else f"Report: {path}"


def frontier(report: Path) -> str | None:
    """A report's frontier as an address that holds the picture itself, so that it shows wherever Prefect's pages do.

    None if there is none, or if it is too large.
    """
    file = report / f"{FRONTIER}.png"
    if not file.is_file() or file.stat().st_size > PICTURE_BYTES:
        return None
    return f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"
