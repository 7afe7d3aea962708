"""The report's page: complete, self-contained, deterministic, and readable at 360 pixels."""

import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from made_up_figures import RUN, made_up

from stages.evaluation import modules_in
from stages.evaluation.figure_parts import Filters, Histograms
from stages.evaluation.figures import Figures, SetFigures, Summary, Verdict, read_figures
from stages.evaluation.metrics.performance import ensemble_curve, score
from stages.params.dataset import Images
from stages.report import summary_of
from stages.reporting.drawing import Plot
from stages.reporting.lineage import Run
from stages.reporting.page import write_page
from stages.reporting.plots import PLOTS

BY_NAME = {plot.name: plot for plot in PLOTS}


def written(folder: Path, figures: Figures, run: Run = RUN) -> str:
    write_page(folder / "report.html", figures, run)
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def figures() -> Figures:
    return made_up()


@pytest.fixture(scope="module")
def page(figures, tmp_path_factory) -> str:
    return written(tmp_path_factory.mktemp("report"), figures)


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


def test_every_plot_of_the_folder_has_a_place_on_the_page_and_a_name_of_its_own():
    modules = modules_in("stages.reporting.plots")
    assert {v for module in modules for v in vars(module).values() if isinstance(v, Plot)} == set(PLOTS)
    assert len(BY_NAME) == len(PLOTS)


def test_page_needs_nothing_but_itself(page):
    reader = _Reader(page)
    assert "script" not in reader.tags
    assert "http" not in re.sub('http-equiv="', "", page)
    for name, value in reader.attributes:
        if name in ("href", "src", "xlink:href"):
            assert value.startswith(("#", "data:"))
    assert len(page.encode()) < 2_000_000


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


def test_figures_read_from_json_give_an_equal_page(page, figures, tmp_path):
    text = json.dumps(figures.model_dump(mode="json", by_alias=True), allow_nan=False)
    assert written(tmp_path, Figures.model_validate(json.loads(text))) == page


def test_main_table_has_the_figures(page, figures):
    row = re.search(r"<tbody class=\"generated\">.*?</tbody>", page, flags=re.DOTALL)
    scores = score.of(figures.sets["generated"])
    assert row
    assert scores
    assert f"{100 * scores.mean:.2f} ± {100 * scores.std:.2f}" in row[0]
    assert "can&#39;t be said" in page


OF_SETS = {
    "novelty",
    "mistakes",
    "nearest_scores",
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
        ({"sets": {}}, OF_SETS),
        (
            {"curves": None, "spectrum": None, "alignment": None, "watched": None},
            {"loss", "dispersion", "spectrum", "alignment", "samples"},
        ),
        ({"finetuning": None, "transfer": []}, {"finetuning", "transfer"}),
        ({"canonicalization": None}, {"round_trip"}),
        ({"frontier": None, "gain_over_baselines": None}, set()),
        ({"histograms": None, "filters": None}, {"histograms", "filters"}),
        ({"bar": None, "tau": None, "verdict": Verdict(), "network": None}, set()),
    ],
)
def test_what_is_absent_is_not_drawn(absent, left_out):
    figures = made_up(5).model_copy(update=absent)
    assert {plot.name for plot in PLOTS if plot.draw(figures) is None} == left_out


def test_headings_without_anything_below_are_left_out(tmp_path):
    page = written(tmp_path, Figures(frontier=made_up(5).frontier), Run(networks_per_minute=7))
    assert re.findall("<h2>(.*?)</h2>", page) == ["In use", "What was run"]


def test_the_frontier_is_a_line_of_the_plane():
    figures = made_up(5)
    without = BY_NAME["novelty"].svg(figures.model_copy(update={"frontier": None}))
    assert without
    assert "best baseline" not in without
    assert "best baseline" in (BY_NAME["novelty"].svg(figures) or "")


def test_kernels_fill_as_many_lines_as_they_need():
    kernels = [[0.1 * i] * 27 for i in range(16)]
    filters = Filters(side=3, tensor="conv.weight", members=kernels, generated=kernels[:8])
    figure = BY_NAME["filters"].draw(Figures(filters=filters))
    assert figure
    assert [len(axes.images) for axes in figure.axes] == [1] * 24
    assert [axes.get_title(loc="left") for axes in figure.axes[::8]] == ["members", "", "generated"]


def test_findings_are_in_their_sections(page):
    sections = re.split("<h2>", page)
    texts = {section.split("</h2>")[0]: section for section in sections[1:]}
    assert "worse than the best baseline that gets as far, noise, by 0.12 points" in texts["How good and how new"]
    assert "2 of 100 generated networks lie within 0.01 τ of an earlier one" in texts["Like trained networks, as a set"]
    assert "1,234 networks were generated per minute" in texts["In use"]
    assert "aten.sort: no rule for this operation" in texts["The members and their relabelling"]


def test_relabelling_is_tabulated_before_after_and_undone(page):
    table = re.search(r'aria-label="Members relabelled".*?</table>', page, flags=re.DOTALL)
    assert table
    cells = [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>.*?</tr>", table[0])]
    assert ["96.31", "96.31", "96.30"] in cells
    assert ["1.830", "0.410", "–"] in cells


def test_stages_report_in_words(page):
    assert "2 groups of units that can be relabelled, in 10^71 ways, relabelled 9.1 % nearer to the reference" in page
    assert "distance gain" not in page


def test_a_page_of_nothing_is_written_without_a_drawing(tmp_path):
    page = written(tmp_path, Figures(), Run())
    assert "<svg" not in page
    assert "<table" not in page


@pytest.mark.parametrize("accuracy", [0.0, 0.1, 0.9667, 1.0])
@pytest.mark.parametrize("distance", [0.0, 1e-7, 1.0, 300.0])
def test_sets_of_one_network_can_be_drawn(accuracy, distance):
    points = {"score": [accuracy], "distance_in_tau": [distance]}
    entry = SetFigures(role="baseline", family="mystery", networks=1, points=points)
    figures = Figures(sets={"new family": entry})
    assert [plot.name for plot in PLOTS if plot.svg(figures)] == ["novelty"]


def test_pictures_are_written_of_what_there_is(figures, tmp_path):
    assert BY_NAME["samples"].svg(figures, tmp_path)
    assert (tmp_path / "samples.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "samples.png").unlink()
    assert not BY_NAME["samples"].svg(Figures(), tmp_path)
    assert not (tmp_path / "samples.png").exists()


def test_hostile_words_are_escaped(tmp_path):
    hostile = '<script>alert("x")</script> & $\\frac'
    figures = made_up(5)
    assert figures.alignment
    assert figures.histograms
    assert figures.gain_over_baselines
    sets = {hostile if name == "soup 4" else name: entry for name, entry in figures.sets.items()}
    densities = next(iter(figures.histograms.members.values()))
    edges = next(iter(figures.histograms.edges.values()))
    update = {
        "sets": sets,
        "histograms": Histograms(edges={hostile: edges}, members={hostile: densities}, generated={hostile: densities}),
        "gain_over_baselines": figures.gain_over_baselines.model_copy(update={"rival": hostile}),
        "alignment": figures.alignment.model_copy(update={"unpermuted": [hostile]}),
        "transfer": [run.model_copy(update={"dataset": hostile}) for run in figures.transfer],
    }
    run = replace(RUN, experiment=hostile, config=hostile, hardware={hostile: hostile})
    page = written(tmp_path, figures.model_copy(update=update), run)
    assert "script" not in _Reader(page).tags
    assert page.count("&lt;script&gt;") >= 12


def changed(entry: SetFigures, **values: Any) -> SetFigures:
    """The set with other facts or metrics; None: not measured."""
    return entry.model_copy(update=values)


def test_a_regression_has_its_own_words(tmp_path):
    figures = made_up(5)
    sets = {}
    for name, entry in figures.sets.items():
        curve = ensemble_curve.of(entry)
        curve = curve and curve.model_copy(update={"ece": None})
        sets[name] = changed(entry, ece=None, per_class=None, ensemble_curve=curve)
    constant = Summary(mean=0.777, std=0, min=0.777, max=0.777, p10=0.777, p50=0.777, p90=0.777)
    sets["generated"] = changed(sets["generated"], r2=constant)
    page = written(tmp_path, figures.model_copy(update={"score": "spearman", "tolerance": 0.25, "sets": sets}))
    assert "Spearman × 100" in page
    assert "0.777" in page
    assert "off by more than 0.25" in page
    assert "accuracy" not in page.lower().replace("accuracy 0.9631", "")


def test_columns_that_nothing_was_measured_for_are_left_out(page, tmp_path):
    assert "Copied statistics" not in page
    assert "R²" not in page
    copied = Summary(mean=0.5123, std=0.1, min=0.4, max=0.6, p10=0.4, p50=0.5, p90=0.6)
    members = made_up(5).sets["members"]
    sets = {"members": members, "generated": changed(members, role="generated", with_reference_statistics=copied)}
    with_column = written(tmp_path, Figures(score="accuracy", sets=sets))
    assert "Copied statistics" in with_column
    assert "51.23 ± 10.00" in with_column


def test_indistinguishable_networks_are_a_badge_of_their_own(tmp_path):
    page = written(tmp_path, Figures(verdict=Verdict(indistinguishable=True)))
    assert "Not told from held-out members by a classifier: <b>yes</b>" in page


def test_without_data_the_page_says_so_and_keeps_the_weights(tmp_path):
    figures = made_up(5)
    kept = ("distance", "distance_in_tau", "nearest_members_hit", "dispersion")
    sets = {}
    for name, entry in figures.sets.items():
        metrics = {metric: (entry.model_extra or {})[metric] for metric in kept}
        points = {"distance_in_tau": entry.points["distance_in_tau"]}
        facts = {"role": entry.role, "family": entry.family, "networks": entry.networks, "points": points}
        sets[name] = SetFigures(**facts, **metrics)
    page = written(tmp_path, Figures(tau=figures.tau, zoo=figures.zoo, spectrum=figures.spectrum, sets=sets))
    assert "Without test data, metrics of outputs are left out." in page
    assert "Distance, τ" in page
    assert '<figure id="distances"' in page
    assert "Max IoU" not in page
    assert '<figure id="novelty"' not in page


def test_warnings_stand_above_the_verdict_and_without_any_there_is_no_box(page, figures, tmp_path):
    warned = figures.model_copy(update={"warnings": ("members lie in <clusters>",)})
    assert "Warnings" not in page
    text = written(tmp_path, warned)
    assert text.index("<li>members lie in &lt;clusters&gt;</li>") < text.index('<p class="verdict">')
    assert summary_of(warned, RUN).warnings == ["members lie in <clusters>"]


def test_figures_from_before_there_were_warnings_can_be_read(tmp_path):
    (tmp_path / "figures.json").write_text('{"schema": 5, "tau": 1.5}')
    figures = read_figures(tmp_path)
    assert (figures.tau, figures.warnings, figures.inputs, figures.imported) == (1.5, (), None, False)


def test_the_data_are_told_beside_the_first_table(tmp_path):
    page = written(tmp_path, made_up(5).model_copy(update={"inputs": "(x - 5) / 6", "imported": True}))
    scale = re.search(r'<p class="scale">(.*?)</p>', page)
    assert scale
    assert "Test data: 10,000 examples of mnist" in scale[1]
    assert "Inputs: (x - 5) / 6." in scale[1]
    assert "be known" in scale[1]


def test_a_subset_of_the_training_data_is_stated(page, tmp_path):
    assert "a subset of 6,000 training examples" in written(
        tmp_path, Figures(dataset=Images(name="mnist", train=6000)), Run()
    )
    assert "subset" not in page
