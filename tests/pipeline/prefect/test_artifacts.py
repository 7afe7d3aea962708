"""A report's findings on Prefect's page and in the terminal."""

import base64
import io

from rich.console import Console

from pipeline.console import show_results
from pipeline.prefect import artifacts as page
from stages.reporting.summary import ReportSummary, SummaryRow

SUMMARY = ReportSummary(
    title="made up",
    verdict="New: no.",
    findings=["At 0.02 τ from the members generated networks do worse than noise, by 0.12 points."],
    columns=["networks"],
    rows=[SummaryRow(name=name, role=name, cells=["8"]) for name in ("members", "held-out", "generated")],
)


def test_findings_are_short_markdown_with_the_verdict_first(tmp_path):
    text = page.findings(SUMMARY, tmp_path)
    assert text.split("\n\n") == ["New: no.", f"- {SUMMARY.findings[0]}", f"Report: `{tmp_path / 'report.html'}`"]


def test_a_report_without_findings_has_a_verdict_and_nothing_beyond(tmp_path):
    text = page.findings(SUMMARY.model_copy(update={"findings": []}), tmp_path)
    assert text.split("\n\n") == ["New: no.", f"Report: `{tmp_path / 'report.html'}`"]


def test_warnings_stand_before_everything_else_in_the_terminal_and_on_prefects_pages(tmp_path):
    warned = SUMMARY.model_copy(update={"warnings": ["members lie in clusters", "scores are near chance"]})
    warned.write(tmp_path)
    paragraphs = ["**Warning:** members lie in clusters", "**Warning:** scores are near chance", "New: no."]
    assert page.description(warned).split("\n\n") == paragraphs
    assert page.findings(warned, tmp_path).split("\n\n")[:3] == paragraphs
    console = Console(width=200, record=True, file=io.StringIO())
    show_results(console, tmp_path)
    lines = console.export_text().splitlines()
    assert lines[:2] == ["Warning: members lie in clusters", "Warning: scores are near chance"]


def test_only_small_pictures_are_inlined(tmp_path):
    small, large = page.PICTURES
    (tmp_path / f"{small}.png").write_bytes(b"12")
    (tmp_path / f"{large}.png").write_bytes(bytes(page.PICTURE_BYTES + 1))
    text = page.findings(SUMMARY, tmp_path)
    assert f"![{small}](data:image/png;base64,{base64.b64encode(b'12').decode()})" in text
    assert f"![{large}]" not in text


def test_the_terminal_shows_the_same_findings_and_every_set(tmp_path):
    SUMMARY.write(tmp_path)
    console = Console(width=200, record=True, file=io.StringIO())
    show_results(console, tmp_path)
    text = console.export_text()
    assert "by 0.12 points" in text
    assert all(row.name in text for row in SUMMARY.rows)
