"""The report's page: complete, self-contained, deterministic, and readable at 360 pixels."""

import copy
import html
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from made_up_figures import ABOUT, made_up

from stages.reporting.page import write_report
from stages.reporting.plots import PLOTS


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    return made_up()


@pytest.fixture(scope="module")
def page(figures, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, figures, ABOUT)
    return path.read_text(encoding="utf-8")


class _Reader(HTMLParser):
    """Collects what the tests ask about, and fails on tags that don't nest."""

    VOID = ("meta", "link")

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_every_plot_is_on_the_page_with_its_caption(page):
    for plot in PLOTS:
        assert f'<figure id="{plot.name}"' in page
        assert html.escape(plot.caption, quote=False).replace("'", "&#39;") in page
    assert page.count("<svg") == page.count('role="img"') == len(PLOTS) >= 9


def test_page_needs_nothing_but_itself(page):
    reader = _Reader(page)
    assert "script" not in reader.tags
    assert "http" not in re.sub('http-equiv="', "", page)
    for name, value in reader.attributes:
        if name in ("href", "src", "xlink:href"):
            assert value.startswith(("#", "data:"))
    assert len(page.encode()) < 1_000_000


def test_ids_are_unique_and_all_references_resolve(page):
    attributes = _Reader(page).attributes
    ids = [value for name, value in attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = {value[1:] for name, value in attributes if name == "href" and value.startswith("#")}
    assert used | set(re.findall(r"url\(#([^)]+)\)", page)) <= set(ids)


def test_plots_take_the_ink_of_the_page(page):
    drawings = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert "currentColor" in drawings
    assert "#000000" not in drawings
    assert "#ffffff" not in drawings
    assert "#010203" not in drawings


def test_two_writes_are_equal(page, figures, tmp_path):
    write_report(tmp_path / "again.html", copy.deepcopy(figures), ABOUT)
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_main_table_says_the_figures(page, figures):
    row = re.search(r"<tbody class=\"generated\">.*?</tbody>", page, flags=re.DOTALL)
    assert row
    accuracy = figures["sets"]["generated"]["score"]
    assert f"{100 * accuracy['mean']:.2f} ± {100 * accuracy['std']:.2f}" in row[0]
    assert "not measured" in page


OF_SETS = {
    "novelty",
    "mistakes",
    "novel_and_performant",
    "distances",
    "directions",
    "two_sample",
    "classes",
    "ensembles",
    "calibration",
}


@pytest.mark.parametrize(
    ("absent", "left_out"),
    [
        ({"sets"}, OF_SETS),
        ({"curves", "spectrum", "alignment"}, {"loss", "dispersion", "spectrum", "alignment"}),
        ({"finetuning", "transfer"}, {"finetuning", "transfer"}),
        ({"canonicalization"}, {"round_trip"}),
        ({"frontier", "gain_over_baselines", "networks_per_minute"}, set()),
        ({"histograms", "filters"}, {"histograms", "filters"}),
        ({"bar", "tau", "verdict", "network"}, set()),
    ],
)
def test_what_is_absent_is_not_drawn(absent, left_out):
    figures = {key: value for key, value in made_up(5).items() if key not in absent}
    assert {plot.name for plot in PLOTS if plot.draw(figures) is None} == left_out


def test_headings_without_anything_below_are_left_out(tmp_path):
    write_report(tmp_path / "report.html", {"frontier": made_up(5)["frontier"], "networks_per_minute": 7}, ABOUT)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert re.findall("<h2>(.*?)</h2>", page) == ["In use", "What was run"]


def test_the_frontier_is_a_line_of_the_plane():
    figures = made_up(5)
    plane = {plot.name: plot for plot in PLOTS}["novelty"]
    without = plane({key: value for key, value in figures.items() if key != "frontier"})
    assert without
    assert "best baseline" not in without
    assert "best baseline" in (plane(figures) or "")


def test_kernels_fill_as_many_lines_as_they_need():
    kernels = [[0.1 * i] * 27 for i in range(16)]
    plot = {plot.name: plot for plot in PLOTS}["filters"]
    figure = plot.draw({"filters": {"side": 3, "members": kernels, "generated": kernels[:8]}})
    assert figure
    assert [len(axes.images) for axes in figure.axes] == [1] * 24
    assert [axes.get_title(loc="left") for axes in figure.axes[::8]] == ["members", "", "generated"]


def test_findings_are_told_in_their_sections(page):
    sections = re.split("<h2>", page)
    told = {section.split("</h2>")[0]: section for section in sections[1:]}
    assert "worse than the best baseline, noise, by 0.12 points" in told["How good and how new"]
    assert "2 of 100 generated networks repeat an earlier one" in told["Like trained networks, as a set"]
    assert "1,234 networks are generated per minute" in told["In use"]
    assert "aten.sort: no rule for this operation" in told["The members and their relabelling"]


def test_relabelling_is_tabulated_before_after_and_undone(page):
    table = re.search(r'aria-label="Members relabelled".*?</table>', page, flags=re.DOTALL)
    assert table
    cells = [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>.*?</tr>", table[0])]
    assert ["96.31", "96.31", "96.30"] in cells
    assert ["1.830", "0.410", "–"] in cells


def test_stages_report_in_words(page):
    assert "2 groups of units that can be relabelled, in 10^71 ways, relabelled 9.1 % nearer to the reference" in page
    assert "distance gain" not in page


def _nulls(value: Any) -> Any:
    return {key: _nulls(inner) for key, inner in value.items()} if isinstance(value, dict) else None


def test_a_page_of_nulls_and_an_empty_one_are_written(tmp_path):
    for i, (figures, about) in enumerate([({}, {}), (_nulls(made_up(5)), _nulls(ABOUT))]):
        write_report(tmp_path / f"{i}.html", figures, about)
        assert "<svg" not in (tmp_path / f"{i}.html").read_text("utf-8")


@pytest.mark.parametrize("accuracy", [0.0, 0.1, 0.9667, 1.0])
@pytest.mark.parametrize("distance", [0.0, 1e-7, 1.0, 300.0])
def test_sets_of_one_network_can_be_drawn(accuracy, distance):
    points = {"score": [accuracy], "distance_in_tau": [distance], "max_iou": [None]}
    figures = {"sets": {"new family": {"role": "baseline", "family": "mystery", "points": points}}}
    assert [p.name for p in PLOTS if p(figures)] == ["novelty"]


def test_hostile_words_are_escaped(tmp_path):
    hostile = '<script>alert("x")</script> & $\\frac'
    figures = made_up(5)
    figures["sets"][hostile] = figures["sets"].pop("soup 4")
    figures["histograms"] = {part: {hostile: next(iter(v.values()))} for part, v in figures["histograms"].items()}
    figures["verdict"]["text"] = figures["dataset"]["name"] = hostile
    write_report(
        tmp_path / "report.html",
        figures,
        {**ABOUT, "experiment": hostile, "config": hostile, "hardware": {hostile: hostile}},
    )
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "script" not in _Reader(page).tags
    assert page.count("&lt;script&gt;") >= 6


def test_a_regression_is_told_in_its_own_words(tmp_path):
    figures = made_up(5) | {"score": "spearman", "tolerance": 0.25}
    for entry in figures["sets"].values():
        del entry["ece"], entry["per_class"]
        entry.get("ensemble_curve", {}).pop("ece", None)
    figures["sets"]["generated"]["further"] = {"r2": {"mean": 0.777}, "mae": {"mean": 0.111}}
    write_report(tmp_path / "report.html", figures, ABOUT)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Spearman × 100" in page
    assert "0.777" in page
    assert "off by more than 0.25" in page
    assert "accuracy" not in page.lower().replace("validation_accuracy", "").replace("accuracy 0.9631", "")


def test_columns_that_nothing_was_measured_for_are_left_out(page, tmp_path):
    assert "Copied statistics" not in page
    assert "R²" not in page
    figures = made_up(5)
    for name in ("members", "generated"):
        figures["sets"][name]["with_reference_statistics"] = {"mean": 0.5123, "std": 0.1}
    write_report(tmp_path / "report.html", figures, ABOUT)
    told = (tmp_path / "report.html").read_text("utf-8")
    assert "Copied statistics" in told
    assert "51.23 ± 10.00" in told


def test_what_cannot_be_told_apart_is_a_badge_of_its_own(tmp_path):
    figures = {"verdict": {"indistinguishable": True}}
    write_report(tmp_path / "report.html", figures, ABOUT)
    assert "Indistinguishable from held-out members: <b>yes</b>" in (tmp_path / "report.html").read_text("utf-8")


def test_without_data_the_page_says_so_and_keeps_the_weights(tmp_path):
    figures: dict[str, Any] = made_up(5) | {"score": None, "bar": None, "test_examples": None}
    kept = ("role", "family", "networks", "distance", "distance_in_tau", "nearest_members_hit", "dispersion")
    figures["sets"] = {name: {k: entry[k] for k in kept} for name, entry in figures["sets"].items()}
    write_report(tmp_path / "report.html", figures, ABOUT)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Without test data, figures of what networks compute are left out." in page
    assert "Distance, τ" in page
    assert "Max-IoU" not in page


def test_a_subset_of_the_training_data_is_stated(page, tmp_path):
    figures = {"dataset": {"name": "mnist", "train": 6000}}
    write_report(tmp_path / "report.html", figures, {})
    assert "a subset of 6,000 training examples" in (tmp_path / "report.html").read_text()
    assert "subset" not in page
