"""What a sweep's page compares: runs of several seeds as one row, and every figure where it belongs."""

import re
from pathlib import Path
from typing import Any

import pytest
from figure_builders import figures_of, set_figures

from stages.evaluation.figure_parts import Gain
from stages.reporting import sweep_page as page
from stages.reporting.sweep_results import (
    MEASURES,
    OverRuns,
    PointResults,
    SweepResults,
    columns,
    measured,
    replicated,
    rows,
    value_text,
)
from stages.reporting.wording import SCORE_TEXTS


def point(values: dict[str, Any], **figures: float) -> PointResults:
    return PointResults(values=values, keys={"zoo": "a", "evaluate": "b", "report": "c"}, figures=figures)


def failed_point(values: dict[str, Any], why: str) -> PointResults:
    return PointResults(values=values, keys={"zoo": "a"}, failed=why)


def sweep_of(points: list[PointResults], score: str | None = "accuracy") -> SweepResults:
    varied = list(points[0].values)
    facts = {"name": "some", "about": "", "base": "conf/x.yaml", "set": [], "varied": varied, "score": score}
    names = {key: key.split(".")[-1] for key in varied}
    counts = {"stage_results": 12, "distinct_results": 8}
    return SweepResults.model_validate(
        {**facts, **counts, "names": names, "points": points, "rows": rows(varied, points)}
    )


def written(tmp_path: Path, sweep: SweepResults) -> str:
    page.write_page(tmp_path / "report.html", sweep, "now", {"dwf": "1", "torch": "2"})
    return (tmp_path / "report.html").read_text()


def test_figures_of_generated_networks_are_found_and_what_is_missing_is_left_out():
    generated = set_figures("generated", 0.9, 1.5, std=0.1, lowest_score=0.5, duplicates=2)
    figures = figures_of({"generated": generated, "held-out": set_figures("held-out")})
    assert measured(figures, 396) == {
        "score": 0.9,
        "score_std": 0.1,
        "lowest_score": 0.5,
        "distance_in_tau": 1.5,
        "duplicates": 2,
        "velocity_calls": 396,
    }
    gained = figures_of({"held-out": set_figures("held-out", 0.8)}, gain_over_baselines=Gain(at=1.0, gain=-0.1))
    assert measured(gained, None) == {"held-out score": 0.8, "gain": -0.1}


def test_every_measure_has_a_name_of_its_own():
    names = [measure.name for measure in MEASURES]
    assert len(set(names)) == len(names)
    assert all(measure.meaning and measure.heading(SCORE_TEXTS["accuracy"]) for measure in MEASURES)


def test_seeds_are_repetitions_unless_nothing_else_varies():
    assert replicated(["fit.seed", "fit.steps", "sample.seed"]) == ["fit.seed", "sample.seed"]
    assert replicated(["fit.seed"]) == []


def test_runs_of_several_seeds_are_a_row_with_their_mean_and_deviation():
    runs = [point({"a.b": 1, "fit.seed": seed}, score=s, score_std=9.0) for seed, s in enumerate((0.1, 0.2, 0.6))]
    single = point({"a.b": 2, "fit.seed": 0}, score=0.4, score_std=0.05, distance_in_tau=1.0)
    failed = failed_point({"a.b": 3, "fit.seed": 0}, "why")
    first, second = rows(["a.b", "fit.seed"], [*runs, single, failed])
    assert (first.values, first.runs) == ({"a.b": 1}, 3)
    assert first.figures["score"].mean == pytest.approx(0.3)
    assert first.figures["score"].std == pytest.approx(0.07**0.5)  # (0.04 + 0.01 + 0.09) / 2
    assert second.figures == {"score": OverRuns(mean=0.4, std=0.05), "distance_in_tau": OverRuns(mean=1.0)}


def test_columns_are_what_some_row_has_and_are_printed_in_hundredths():
    sweep = sweep_of([point({"a.b": 1}, score=0.5, score_std=0.25), point({"a.b": 2}, score=0.5, distance_in_tau=1.5)])
    assert [heading for heading, _ in columns(sweep)] == ["Accuracy, %", "Distance, τ"]
    score, distance = (measure for _, measure in columns(sweep))
    assert [score.cell(row.figures) for row in sweep.rows] == ["50.00 ± 25.00", "50.00"]
    assert [distance.cell(row.figures) for row in sweep.rows] == ["", "1.50"]


@pytest.mark.parametrize(
    ("values", "title", "places"),
    [
        ([{"a.width": 8, "a.kind": "x"}, {"a.width": 64, "a.kind": "x"}], "a.width", [8, 64]),
        ([{"a.kind": "x"}, {"a.kind": "y"}], "a.kind", [0, 1]),
        ([{"a.k": 5}, {"a.k": None}], "a.k", [0, 1]),
        ([{"a.on": False}, {"a.on": True}], "a.on", [0, 1]),
        (
            [{"sample.method": "euler", "sample.steps": 8}, {"sample.method": "rk4", "sample.steps": 4}],
            "calls of the velocity network",
            [8, 16],
        ),
    ],
)
def test_the_axis_shows_costs_numbers_or_names(values: list[dict[str, Any]], title: str, places: list[float]):
    calls = {"euler": 1, "rk4": 4}
    steps = [value.get("sample.steps", 0) * calls.get(value.get("sample.method", ""), 0) for value in values]
    sweep = sweep_of([point(v, score=0.5, velocity_calls=c) for v, c in zip(values, steps, strict=True)])
    _, heading, place = page._horizontal(sweep)
    assert heading == title
    assert [place(row) for row in sweep.rows] == places


def test_there_is_a_line_for_every_combination_of_the_others(tmp_path: Path):
    grid = [{"c.method": m, "f.hidden": h} for m in ("none", "rebasin") for h in (64, 512)]
    figure = page.score.draw(sweep_of([point(v, score=0.5 + i / 10, distance_in_tau=0.1) for i, v in enumerate(grid)]))
    assert figure
    axes = figure.axes[0]
    assert axes.get_legend_handles_labels()[1] == ["method none", "method rebasin"]
    assert axes.get_xscale() == "log"
    drawn = [list(bars.lines[0].get_ydata()) for bars in axes.containers]
    assert drawn == [[0.5, 0.6], [0.7, pytest.approx(0.8)]]


def test_without_test_data_only_the_distance_is_drawn(tmp_path: Path):
    text = written(
        tmp_path, sweep_of([point({"a.b": 1}, distance_in_tau=0.5), point({"a.b": 2}, distance_in_tau=0.7)], None)
    )
    assert re.findall(r'<figure id="(\w+)"', text) == ["novelty"]


def test_members_are_in_view_however_far_the_generated_are(tmp_path: Path):
    figure = page.score.draw(
        sweep_of([point({"a.b": i}, score=0.1 + i / 100, **{"members score": 0.9}) for i in (0, 1)])
    )
    assert figure
    low, high = figure.axes[0].get_ylim()
    assert low < 0.1 < 0.9 < high


def test_many_lines_stay_apart(tmp_path: Path):
    sweep = sweep_of(
        [point({"a.kind": f"k{i}", "a.n": n}, score=0.5, distance_in_tau=1.0) for i in range(20) for n in (1, 2)]
    )
    figure = page.score.draw(sweep)
    assert figure
    looks = {
        (bars.lines[0].get_color(), bars.lines[0].get_marker(), bars.lines[0].get_linestyle())
        for bars in figure.axes[0].containers
    }
    assert len(looks) == 20


def test_names_and_failures_are_escaped(tmp_path: Path):
    failed = failed_point({"a.b": "<i>"}, "x < y & z")
    text = written(tmp_path, sweep_of([point({"a.b": 1}, score=0.5), failed]))
    assert "&lt;i&gt;" in text
    assert "x &lt; y &amp; z" in text
    assert "<i>" not in text


def test_values_are_said_as_people_write_them():
    assert [value_text(value) for value in ("none", 0.5, None, [1, 2])] == ["none", "0.5", "null", "[1, 2]"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("rebasin", "rebasin"),
        (0.5, "0.5"),
        ([1, 2], "[1, 2]"),
        (None, "null"),
        ({"kind": "mlp", "hidden": 512}, "mlp hidden 512"),
        ({"std": 0.1, "law": "uniform"}, "std 0.1 law uniform"),
    ],
)
def test_swept_values_are_told_in_words(value: object, words: str):
    assert value_text(value) == words
