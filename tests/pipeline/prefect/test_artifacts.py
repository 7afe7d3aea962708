"""What Prefect's page and the terminal say of a report."""

import base64
import io
import json

from made_up_figures import made_up
from rich.console import Console

from pipeline.console import show_results
from pipeline.prefect import artifacts as page


def test_findings_are_short_markdown_with_the_verdict_first(tmp_path):
    figures = made_up(5)
    text = page.findings(figures, tmp_path)
    assert text.startswith(figures["verdict"]["text"])
    assert "\n- At 0.02 τ from the members generated networks do worse than the best baseline, noise" in text
    assert f"`{tmp_path / 'report.html'}`" in text
    assert len(text) < 1500


def test_a_report_of_an_older_schema_has_a_verdict_and_nothing_beyond(tmp_path):
    text = page.findings({"verdict": {"text": "New: no."}}, tmp_path)
    assert text.split("\n\n") == ["New: no.", f"Report: `{tmp_path / 'report.html'}`"]


def test_only_small_pictures_are_inlined(tmp_path):
    (tmp_path / "small.png").write_bytes(b"12")
    (tmp_path / "large.png").write_bytes(bytes(page.PICTURE_BYTES + 1))
    text = page.findings({"verdict": {"text": "New: no."}}, tmp_path)
    assert f"![small](data:image/png;base64,{base64.b64encode(b'12').decode()})" in text
    assert "large" not in text


def test_the_terminal_shows_the_same_findings_and_every_set(tmp_path):
    figures = made_up(5)
    (tmp_path / "figures.json").write_text(json.dumps(figures))
    console = Console(width=200, record=True, file=io.StringIO())
    show_results(console, tmp_path)
    text = console.export_text()
    assert "by 0.12 points" in text
    assert all(name in text for name in figures["sets"])
