"""A report's findings on Prefect's page and in the terminal."""

import base64
import io
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.console import show_results
from pipeline.prefect import artifacts as page
from pipeline.prefect.discovery import UpRecord, home_of
from stages.reporting.plots import PLOTS
from stages.reporting.summary import ReportSummary, SummaryRow

SUMMARY = ReportSummary(
    title="made up",
    verdict="New: no.",
    findings=["At 0.02 τ from the members generated networks do worse than noise, by 0.12 points."],
    columns=["networks"],
    rows=[SummaryRow(name=name, role=name, cells=["8"]) for name in ("members", "held-out", "generated")],
)


REPORT = Path("7_report", "3f2a91c0")


def test_findings_are_short_markdown_with_the_verdict_first(tmp_path):
    text = page.findings(SUMMARY, tmp_path / REPORT)
    path = tmp_path / REPORT / "report.html"
    assert text.split("\n\n") == ["New: no.", f"Report: `{path}`", f"- {SUMMARY.findings[0]}"]


def test_a_report_without_findings_has_a_verdict_and_nothing_beyond(tmp_path):
    text = page.findings(SUMMARY.model_copy(update={"findings": []}), tmp_path / REPORT)
    assert text.split("\n\n") == ["New: no.", f"Report: `{tmp_path / REPORT / 'report.html'}`"]


@pytest.mark.parametrize("living", [True, False])
def test_a_report_is_a_link_while_dwf_up_serves_its_store(tmp_path, monkeypatch, living):
    monkeypatch.setattr("pipeline.prefect.discovery.healthy", lambda url: living)
    home = home_of(tmp_path)
    home.mkdir()
    UpRecord(url="http://127.0.0.1:4200/api", pid=1, reports="http://127.0.0.1:4201").write(home)
    text = page.link(tmp_path / REPORT)
    assert ("](http://127.0.0.1:4201/7_report/3f2a91c0/report.html)" in text) == living
    assert str(tmp_path / REPORT) in text
    assert "](" not in page.link(tmp_path / "another store" / REPORT)


def test_warnings_stand_before_everything_else_in_the_terminal_and_on_prefects_pages(tmp_path):
    warned = SUMMARY.model_copy(update={"warnings": ["members lie in clusters", "scores are near chance"]})
    warned.write(tmp_path)
    paragraphs = ["**Warning:** members lie in clusters", "**Warning:** scores are near chance", "New: no."]
    assert page.description(warned).split("\n\n") == paragraphs
    assert page.findings(warned, tmp_path / REPORT).split("\n\n")[:3] == paragraphs
    console = Console(width=200, record=True, file=io.StringIO())
    show_results(console, tmp_path)
    lines = console.export_text().splitlines()
    assert lines[:2] == ["Warning: members lie in clusters", "Warning: scores are near chance"]


def test_the_frontier_is_inlined_unless_it_is_too_large(tmp_path):
    assert page.frontier(tmp_path) is None
    picture = tmp_path / f"{page.FRONTIER}.png"
    picture.write_bytes(b"12")
    assert page.frontier(tmp_path) == f"data:image/png;base64,{base64.b64encode(b'12').decode()}"
    picture.write_bytes(bytes(page.PICTURE_BYTES + 1))
    assert page.frontier(tmp_path) is None


def test_the_frontier_is_a_plot_of_the_report():
    assert page.FRONTIER in {plot.name for plot in PLOTS}


def test_the_terminal_shows_the_same_findings_and_every_set(tmp_path):
    SUMMARY.write(tmp_path)
    console = Console(width=200, record=True, file=io.StringIO())
    show_results(console, tmp_path)
    text = console.export_text()
    assert "by 0.12 points" in text
    assert all(row.name in text for row in SUMMARY.rows)
