"""The page's contents, links and colours, without a browser; and how it says to run the same again."""

import html
import re
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_figures import RUN, made_up

from stages.evaluation.figures import Figures
from stages.reporting.drawing import Plot
from stages.reporting.lineage import Run
from stages.reporting.page import command, write_page

GROUNDS = {"ink": ("paper", "wash", "own"), "soft": ("paper", "own")}
"""Colours of text -> backgrounds that it stands on, where that isn't the page alone."""


def written(folder: Path, figures: Figures, run: Run = RUN) -> str:
    write_page(folder / "report.html", figures, run)
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Plot, "svg", lambda *_: "<svg></svg>")
        return written(tmp_path_factory.mktemp("contents"), made_up(5))


def test_the_contents_are_the_headings_in_order_and_lead_to_them(page: str):
    contents = re.search(r'<nav class="contents".*?</nav>', page, re.DOTALL)
    assert contents
    linked = re.findall(r'<a href="#([^"]+)">([^<]+)</a>', contents[0])
    headed = re.findall(r'<section id="([^"]+)">\s*<h2>([^<]+)</h2>', page)
    assert linked == headed
    assert len(linked) == 8


def test_a_page_of_little_has_contents_of_little(tmp_path: Path):
    page = written(tmp_path, Figures(), Run())
    assert re.findall(r'<a href="#([^"]+)">', page) == ["run"]
    assert "The same again" not in page


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, as WCAG defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_measure_of_contrast_knows_its_ends():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") < 4.5 < contrast("#767676", "#ffffff")


@pytest.mark.parametrize("template", ["page.html.jinja", "sweep_page.html.jinja"])
def test_text_stands_out_in_light_and_in_dark(template: str):
    source = (Path(__file__).parents[3] / "stages" / "reporting" / template).read_text()
    roots = re.findall(r":root \{([^}]*)\}", source)
    assert len(roots) == 2
    for colours in (dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", root)) for root in roots):
        texts = colours.keys() & {"ink", "soft", "yes", "no", "link"}
        pairs = [(text, on) for text in texts for on in GROUNDS.get(text, ("paper",)) if on in colours]
        assert len(pairs) >= 5
        assert [pair for pair in pairs if contrast(*(colours[name] for name in pair)) < 4.5] == []


def test_the_command_is_of_the_commit_that_measured(page: str):
    assert '<pre id="command">git checkout 6aa7ae36f9ab\ndwf run mnist_mlp.yaml</pre>' in page
    assert "fit.seed</dt> <dd>3</dd>" in page


@pytest.mark.parametrize(
    ("versions", "first"),
    [
        ({"dwf": "0.1.0"}, "# dwf 0.1.0"),
        ({"dwf": "0.1.0", "commit": "6aa7ae36f9ab"}, "git checkout 6aa7ae36f9ab"),
        ({"commit": "6aa7ae36f9ab and changes"}, "git checkout 6aa7ae36f9ab  # and changes that no commit has"),
    ],
)
def test_changes_that_no_commit_has_are_told(versions: dict[str, str], first: str):
    assert command(Run(experiment="x", versions=versions)).splitlines() == [first, "dwf run x.yaml"]


def test_files_named_by_what_they_hold_are_told(tmp_path: Path):
    said = "Where it says what files hold, put where they are."
    assert said in html.unescape(written(tmp_path, Figures(), replace(RUN, by_content=True)))
    assert said not in html.unescape(written(tmp_path, Figures(), RUN))
