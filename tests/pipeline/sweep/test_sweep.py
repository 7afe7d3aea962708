"""A sweep makes what points share once, goes on after a kill, survives failing points, and ends with table and page."""

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from smoke import SMOKE, Done, Dwf

from pipeline.sweep.points import Point, points_of
from pipeline.sweep.report import sweep_key, sweep_results, write_sweep
from pipeline.sweep.run import Results, run_points, workers
from pipeline.sweep.spec import read_sweep
from stages.evaluation.figures import json_of, read_figures
from stages.reporting.sweep_results import SweepResults
from stages.store.artifact import find
from stages.store.manifest import read_manifest
from stages.store.verify import require_sound

AXES = ["sample.seed=0,1"]
"""One of the two points is the finished store's."""


class Killed(BaseException):
    """Stands for a kill: nothing in the code catches it."""


def silent(stage: str, share: float, note: str) -> None:
    """Nobody watches."""


def points(root: Path, axes: list[str] = AXES, *overrides: str) -> list[Point]:
    return points_of(read_sweep(SMOKE, axes), overrides, root)


def count(results: Results, among: list[Point]) -> str:
    return results.count(among).partition(": ")[2]


def page_of(root: Path, axes: list[str], results: Results) -> tuple[Path, SweepResults]:
    sweep = sweep_results(read_sweep(SMOKE, axes), points(root, axes), results)
    return write_sweep(root, sweep), sweep


@pytest.mark.slow
def test_what_points_share_is_made_once(tmp_path: Path):
    found = points(tmp_path)
    assert run_points(found, 1, silent).count(found) == "2 points, 14 stage results: 10 computed, 4 shared"
    assert (
        run_points(found, 1, silent).count(found)
        == "2 points, 14 stage results: 0 computed, 4 shared, 10 there already"
    )
    assert len([f for f in (tmp_path / "1_zoo").iterdir() if f.is_dir()]) == 1


def test_what_a_run_left_is_used_and_what_is_gone_is_made_again(finished: tuple[Path, Done], store: Path):
    found = points(store)
    assert count(run_points(found, 1, silent), found) == "3 computed, 4 shared, 7 there already"
    shutil.rmtree(store / finished[1]["sample"][0].path.relative_to(finished[0]))
    again = run_points(found, 1, silent)
    assert count(again, found) == "1 computed, 4 shared, 9 there already"
    assert again.refs[found[0].steps["sample"].key].digest == finished[1]["sample"][0].digest


@pytest.mark.slow
def test_a_killed_sweep_goes_on(store: Path):
    def kill(stage: str, share: float, note: str) -> None:
        if stage == "sample" and note == "1 of 2":
            raise Killed

    found = points(store, ["sample.seed=1,2"])
    with pytest.raises(Killed):
        run_points(found, 1, kill)
    made = sum(bool(list((store / "5_sampled").glob(f"{p.steps['sample'].key}/manifest.json"))) for p in found)
    assert made >= 1, "what was finished before the kill is there"
    assert count(run_points(found, 1, silent), found).startswith(f"{6 - made} computed")


@pytest.mark.slow
def test_processes_make_what_one_makes(store: Path, tmp_path: Path):
    """Sampling alone: what it makes takes a moment, the processes' start takes longer."""
    shutil.copytree(store, tmp_path / "other")
    digests: list[list[str]] = []
    for jobs, root in ((1, store), (2, tmp_path / "other")):
        found = points(root, ["sample.seed=1,2"])
        there = {stage: ref for stage in ("pack", "fit") if (ref := find(root, stage, found[0].steps[stage].key))}
        upstream = {"packed": there["pack"], "fitted": there["fit"]}
        with workers(jobs, silent) as submit:
            made = [submit(point.named("sample", 1), "sample", upstream) for point in found]
            digests.append([future.result().digest for future in made])
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == 2


FAILING = ["fit.optimizer.lr=0.001,1e30"]


def test_a_failing_point_costs_the_others_nothing(store: Path):
    found = points(store, FAILING)
    results = run_points(found, 1, silent)
    assert results.failure(found[0]) is None
    assert "lower fit.optimizer.lr" in (results.failure(found[1]) or "")
    assert count(results, found) == "0 computed, 3 shared, 7 there already, 4 not made"
    folder, sweep = page_of(store, FAILING, results)
    assert [bool(point.failed) for point in sweep.points] == [False, True]
    assert len(sweep.rows) == 1
    assert "lower fit.optimizer.lr" in (folder / "report.html").read_text()


@pytest.mark.slow
def test_an_unforeseen_error_costs_its_own_point_alone(store: Path, monkeypatch: pytest.MonkeyPatch):
    from stages import sample

    original = sample.sample

    def exhausted(packed: Any, fitted: Any, params: Any, ctx: Any) -> Any:
        if params.seed == 2:
            raise RuntimeError("out of memory")
        return original(packed, fitted, params, ctx)

    monkeypatch.setattr(sample, "sample", exhausted)
    found = points(store, ["sample.seed=1,2"])
    results = run_points(found, 1, silent)
    assert [results.failure(point) for point in found] == [None, "sample: unexpected RuntimeError: out of memory"]


def test_the_artifact_holds_lineage_a_table_and_a_page(store: Path):
    results = run_points(points(store), 1, silent)
    folder, sweep = page_of(store, AXES, results)
    manifest = read_manifest(folder)
    keys = [point.steps["evaluate"].key for point in points(store)]
    assert manifest.upstream == {"point 0": keys[0], "point 1": keys[1]}
    assert manifest.params["points"][1]["keys"]["zoo"] == points(store)[0].steps["zoo"].key
    assert require_sound(folder).stage == "sweep"
    assert json.loads((folder / "sweep.json").read_text()) == json_of(sweep)
    with (folder / "table.csv").open() as file:
        table = list(csv.DictReader(file))
    for point, line in zip(points(store), table, strict=True):
        figures = read_figures(results.refs[point.steps["evaluate"].key].path)
        assert line["sample.seed"] == str(point.values["sample.seed"])
        assert float(line["score"]) == figures.sets["generated"].score["mean"]
        assert float(line["velocity_calls"]) == 5  # Euler, five steps


def test_the_page_has_its_figures_and_needs_no_network(store: Path):
    folder, _ = page_of(store, AXES, run_points(points(store), 1, silent))
    page = (folder / "report.html").read_text()
    assert len(re.findall(r"<figure id=\"(?:score|novelty)\">\s*<h3>[^<]+</h3>\s*<svg", page)) == 2
    assert "<script" not in page
    links = set(re.findall(r'(?:src|href)\s*=\s*"([^"]*)"|url\(([^)]*)\)', page))
    assert links
    assert all(a.startswith(("#", "data:", "../../7_report/")) or b.startswith("#") for a, b in links)
    assert set(re.findall(r"https?://[^\"'<> ]+", page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_the_page_leads_to_every_point_s_report(store: Path):
    results = run_points(points(store), 1, silent)
    folder, _ = page_of(store, AXES, results)
    links = re.findall(r'<a href="([^"]+)">', (folder / "report.html").read_text())
    reports = {results.refs[point.steps["report"].key].path / "report.html" for point in points(store)}
    assert {(folder / link).resolve() for link in links} == {report.resolve() for report in reports}
    assert all(report.is_file() for report in reports)


@pytest.mark.slow
def test_a_page_that_is_there_stays_and_other_points_have_another(store: Path):
    results = run_points(points(store), 1, silent)
    folder, sweep = page_of(store, AXES, results)
    before = (folder / "manifest.json").stat().st_mtime_ns
    assert write_sweep(store, sweep) == folder
    assert (folder / "manifest.json").stat().st_mtime_ns == before
    failed = sweep.model_copy(
        update={"points": [sweep.points[0], sweep.points[1].model_copy(update={"failed": "why"})]}
    )
    assert sweep_key(failed) != folder.name


def test_the_command_takes_several_axes_after_one_grid_and_ends_with_a_table(dwf: Dwf, store: Path):
    code, out, err = dwf(
        "sweep", SMOKE, "--grid", "sample.seed=0,1", "sample.method=euler", "--store", store, "--jobs", "1"
    )
    assert code == 0, err
    assert "2 points, 14 stage results: 3 computed, 4 shared, 7 there already" in out
    rows = [line.split()[:2] for line in out.splitlines() if "±" in line]
    assert rows == [["euler", "2"]], "two seeds are runs of the same"
    report = re.search(r"Report: (\S+)", out)
    assert report
    assert Path(report[1]).parent.parent == store / "8_sweeps"
    assert "sound" in dwf("verify", "sweep", "--store", store)[1]


def test_the_command_fails_at_the_end_if_a_point_did(dwf: Dwf, store: Path):
    code, out, err = dwf("sweep", SMOKE, "--grid", *FAILING, "--store", store, "--jobs", "1")
    assert code == 1
    assert "failed  lr " in out
    assert "1 of 2 points failed" in err
    assert len(err.strip().splitlines()) == 1
    assert "Report: " in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([SMOKE], "nothing varies"),
        ([SMOKE, "--grid", "fit.stesp=1,2"], "did you mean 'steps'"),
        (["--grid", "fit.seed=1,2"], "missing argument"),
        ([SMOKE, SMOKE, "--grid", "fit.seed=1,2"], "expected one configuration"),
        (["conf/sweeps/smok.yaml"], "did you mean 'sweeps/smoke'"),
    ],
)
def test_wrong_usage_is_code_2_and_nothing_runs(dwf: Dwf, tmp_path: Path, arguments: list[object], says: str):
    code, _, err = dwf("sweep", *arguments, "--store", tmp_path)
    assert code == 2
    assert says in err
    assert not list(tmp_path.iterdir())


def test_all_points_failing_is_an_error_and_no_page(dwf: Dwf, store: Path):
    code, _, err = dwf("sweep", SMOKE, "--grid", "fit.optimizer.lr=1e30,1e31", "--store", store, "--jobs", "1")
    assert code == 1
    assert "2 of 2 points failed" in err
    assert not (store / "8_sweeps").exists()
