"""Times of stages: by earlier runs in the store where these are near, else by rates."""

from pathlib import Path

import pytest
from smoke import SMOKE, Done, Dwf

from pipeline.config import load
from pipeline.estimates.check import estimates
from pipeline.estimates.times import Seconds
from pipeline.runner import Runner
from stages.store.artifact import FOLDERS
from stages.store.manifest import read_manifest


def times(store: Path, *overrides: str) -> dict[str, Seconds]:
    experiment = load(SMOKE, ["fit.seed=1", *overrides], store)
    found = estimates(experiment, Runner(experiment).plan())
    return {estimate.stage: estimate.time for estimate in found if estimate.time}


def test_without_earlier_runs_times_are_by_built_in_rates(tmp_path: Path):
    found = times(tmp_path)
    assert not any(time.measured for time in found.values())
    assert all(0 < time.seconds < 60 for time in found.values())


def test_a_run_like_an_earlier_one_takes_as_long(finished: tuple[Path, Done]):
    found, (root, _) = times(finished[0]), finished
    for stage in ("fit", "sample", "evaluate"):
        (folder,) = (path.parent for path in (root / FOLDERS[stage]).glob("*/manifest.json"))
        assert found[stage].measured
        assert found[stage].seconds == pytest.approx(read_manifest(folder).seconds, rel=0.01)


def test_more_work_takes_longer_and_far_more_is_no_likeness(finished: tuple[Path, Done]):
    same, more, far = (times(finished[0], f"fit.steps={steps}")["fit"] for steps in (60, 3000, 300_000))
    assert same.seconds <= more.seconds < far.seconds
    assert (more.measured, far.measured) == (True, False)


def test_a_damaged_manifest_tells_nothing(store: Path):
    for path in (store / FOLDERS["fit"]).glob("*/manifest.json"):
        path.write_text(path.read_text().replace('"seconds"', '"minutes"'))
    assert not times(store)["fit"].measured


def test_the_plan_shows_what_a_run_needs(dwf: Dwf, finished: tuple[Path, Done], tmp_path: Path):
    code, out, _ = dwf("plan", SMOKE, "--store", tmp_path)
    assert code == 0
    assert out.splitlines()[0].split()[-3:] == ["size", "memory", "time"]
    assert "To run: about" in out.splitlines()[-1]
    assert "built-in rates" in out.splitlines()[-1]
    assert "To run" not in dwf("plan", SMOKE, "--store", finished[0])[1]
