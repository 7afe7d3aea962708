"""What Prefect's page shows of a run: progress bars, the result table, the verdict."""

import base64
import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping
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

from stages.reporting.sentences import highlights
from stages.reporting.wording import table_rows
from stages.store.refs import Ref

LOG_SECONDS, UPDATE_SECONDS = 10.0, 1.0
"""Least time between two log lines of a stage, and between two moves of its bar on Prefect's page."""
PICTURE_BYTES = 200_000
"""Larger pictures make Prefect's page slow."""

log = logging.getLogger(__name__)


class Progress:
    """Tells Prefect's log and page how far each stage is, seldom enough to cost nothing."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.logged: dict[str, float] = {}
        self.moved: dict[str, float] = {}
        self.bars: dict[str, UUID] = {}

    def watch(self, stage: str, share: float, note: str) -> None:
        """Log a line or move the stage's bar, if the last time is long enough ago."""
        now = time.monotonic()
        with self.lock:
            if now - self.logged.setdefault(stage, now) >= LOG_SECONDS:
                self.logged[stage] = now
                get_run_logger().info("%s %.0f %%  %s", stage, 100 * share, note)
            if now - self.moved.setdefault(stage, now) >= UPDATE_SECONDS:
                self.moved[stage] = now
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
                made = create_progress_artifact(percent, key=f"dwf-{stage}", description=stage)
                self.bars[stage] = cast("UUID", made)


@contextmanager
def _optional() -> Iterator[None]:
    """What only adorns Prefect's page doesn't end a run."""
    try:
        yield
    except httpx.HTTPError as error:
        log.warning("Prefect's server didn't take an artifact: %s", error)


def show_figures(report: Ref) -> None:
    """The report's table and verdict as artifacts on Prefect's page."""
    file = report.path / "figures.json"
    if not file.is_file():
        return
    figures = json.loads(file.read_text())
    rows, verdict = cast("list[list[Any]]", table_rows(figures)), figures["verdict"]["text"]
    with _optional():
        create_table_artifact(rows, "dwf-figures", verdict)
        create_markdown_artifact(findings(figures, report.path), "dwf-report", "What came out, and where the report is")


def findings(figures: Mapping[str, Any], folder: Path) -> str:
    """The verdict, what there is to say beyond it, where the report is, and small pictures beside it, as Markdown."""
    further = "\n".join(f"- {sentence}" for sentence in highlights(figures))
    parts = [figures["verdict"]["text"], further, f"Report: `{folder / 'report.html'}`", *_pictures(folder)]
    return "\n\n".join(part for part in parts if part)


def _pictures(folder: Path) -> Iterator[str]:
    """Small pictures that lie beside a report, inlined: Prefect's page can't open local files."""
    for file in sorted(folder.glob("*.png")):
        if file.stat().st_size <= PICTURE_BYTES:
            yield f"![{file.stem}](data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()})"
