"""What a sweep's page compares: runs of several seeds as one row, and every figure where it belongs."""

import re
from pathlib import Path
from typing import Any

import pytest

from stages.reporting import sweep_page as page
from stages.reporting.sweep_table import columns, measured, replicated, rows, said


def point(values: dict[str, Any], **figures: float) -> dict[str, Any]:
    return {"values": values, "keys": {"zoo": "a", "evaluate": "b"}, "failed": None, "figures": figures}


def swept(points: list[dict[str, Any]], score: str | None = "accuracy") -> dict[str, Any]:
    varied = list(points[0]["values"])
    return {
        "name": "some",
        "about": "",
        "base": "conf/x.yaml",
        "set": [],
        "varied": varied,
        "score": score,
        "names": {key: key.split(".")[-1] for key in varied},
        "results": {"all": 12, "distinct": 8},
        "points": points,
        "rows": rows(varied, points),
    }


def written(tmp_path: Path, sweep: dict[str, Any]) -> str:
    page.write_page(tmp_path / "report.html", sweep, {"created": "now", "versions": {"dwf": "1", "torch": "2"}})
    return (tmp_path / "report.html").read_text()


def test_figures_are_found_and_what_is_missing_is_left_out():
    generated = {"score": {"mean": 0.9, "std": 0.1, "min": 0.5}, "distance_in_tau": 1.5, "dispersion": None}
    found = measured(
        {"sets": {"generated": generated, "held-out": {}}, "velocity_calls": 396, "gain_over_baselines": None}
    )
    assert found == {"score": 0.9, "spread": 0.1, "lowest": 0.5, "distance": 1.5, "calls": 396}


def test_seeds_are_repetitions_unless_nothing_else_varies():
    assert replicated(["fit.seed", "fit.steps", "sample.seed"]) == ["fit.seed", "sample.seed"]
    assert replicated(["fit.seed"]) == []


def test_runs_of_several_seeds_are_a_row_with_their_mean_and_deviation():
    runs = [point({"a.b": 1, "fit.seed": seed}, score=s, spread=9.0) for seed, s in enumerate((0.1, 0.2, 0.6))]
    single = point({"a.b": 2, "fit.seed": 0}, score=0.4, spread=0.05, distance=1.0)
    failed = point({"a.b": 3, "fit.seed": 0}) | {"failed": "why", "figures": None}
    first, second = rows(["a.b", "fit.seed"], [*runs, single, failed])
    assert (first["values"], first["runs"]) == ({"a.b": 1}, 3)
    assert first["figures"]["score"]["mean"] == pytest.approx(0.3)
    assert first["figures"]["score"]["std"] == pytest.approx(0.07**0.5)  # (0.04 + 0.01 + 0.09) / 2
    assert second["figures"] == {"score": {"mean": 0.4, "std": 0.05}, "distance": {"mean": 1.0, "std": None}}


def test_columns_are_what_some_row_has_and_are_printed_in_hundredths():
    sweep = swept([point({"a.b": 1}, score=0.5, spread=0.25), point({"a.b": 2}, score=0.5, distance=1.5)])
    assert [heading for heading, _ in columns(sweep)] == ["accuracy, %", "distance, τ"]
    score, distance = (measure for _, measure in columns(sweep))
    assert [score.cell(row["figures"]) for row in sweep["rows"]] == ["50.00 ± 25.00", "50.00"]
    assert [distance.cell(row["figures"]) for row in sweep["rows"]] == ["", "1.50"]


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
    sweep = swept([point(v, score=0.5, calls=c) for v, c in zip(values, steps, strict=True)])
    _, found, place = page._horizontal(sweep)
    assert found == title
    assert [place(row) for row in sweep["rows"]] == places


def test_there_is_a_line_for_every_combination_of_the_others(tmp_path: Path):
    grid = [{"c.method": m, "f.hidden": h} for m in ("none", "rebasin") for h in (64, 512)]
    figure = page.score.draw(swept([point(v, score=0.5 + i / 10, distance=0.1) for i, v in enumerate(grid)]))
    assert figure
    axes = figure.axes[0]
    assert axes.get_legend_handles_labels()[1] == ["method none", "method rebasin"]
    assert axes.get_xscale() == "log"
    drawn = [list(bars.lines[0].get_ydata()) for bars in axes.containers]
    assert drawn == [[0.5, 0.6], [0.7, pytest.approx(0.8)]]


def test_without_test_data_only_the_distance_is_drawn(tmp_path: Path):
    text = written(tmp_path, swept([point({"a.b": 1}, distance=0.5), point({"a.b": 2}, distance=0.7)], None))
    assert re.findall(r'<figure id="(\w+)"', text) == ["novelty"]


def test_members_are_in_view_however_far_the_generated_are(tmp_path: Path):
    figure = page.score.draw(swept([point({"a.b": i}, score=0.1 + i / 100, members=0.9) for i in (0, 1)]))
    assert figure
    low, high = figure.axes[0].get_ylim()
    assert low < 0.1 < 0.9 < high


def test_many_lines_stay_apart(tmp_path: Path):
    sweep = swept([point({"a.kind": f"k{i}", "a.n": n}, score=0.5, distance=1.0) for i in range(20) for n in (1, 2)])
    figure = page.score.draw(sweep)
    assert figure
    looks = {
        (bars.lines[0].get_color(), bars.lines[0].get_marker(), bars.lines[0].get_linestyle())
        for bars in figure.axes[0].containers
    }
    assert len(looks) == 20


def test_names_and_failures_are_escaped(tmp_path: Path):
    failed = point({"a.b": "<i>"}) | {"failed": "x < y & z", "figures": None}
    text = written(tmp_path, swept([point({"a.b": 1}, score=0.5), failed]))
    assert "&lt;i&gt;" in text
    assert "x &lt; y &amp; z" in text
    assert "<i>" not in text


def test_values_are_said_as_people_write_them():
    assert [said(value) for value in ("none", 0.5, None, [1, 2])] == ["none", "0.5", "null", "[1, 2]"]


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
    assert said(value) == words
