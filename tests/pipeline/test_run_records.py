"""Records of runs: what they say, who writes them, and what happens to those that nobody can read."""

import json
import shutil
from pathlib import Path

import pytest
from smoke import SMOKE, Done, run_smoke

from pipeline import run_records
from pipeline.config import load
from pipeline.configurations import BUILT_IN
from pipeline.library.runs import open_run
from pipeline.run_records import RUNS, RecordedRun, RunRecord, recorded, records, write
from pipeline.runner import Runner
from stages.errors import UsageError
from stages.locks import LOCKS


def keys_of(done: Done) -> dict[str, str]:
    return {stage: ref.key for stage, (ref, _) in done.items()}


def test_a_run_leaves_a_record_that_rebuilds_its_experiment(finished: tuple[Path, Done]):
    root, done = finished
    (record,) = records(root)
    assert [run.keys for run in record.runs] == [keys_of(done)]
    experiment = record.runs[0].experiment(root)
    assert experiment == load(SMOKE, (), root)
    assert {step.stage: step.key for step in Runner(experiment).plan()} == keys_of(done)


@pytest.mark.parametrize("file", sorted(BUILT_IN.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_built_in_configuration_survives_being_recorded(file: Path, tmp_path: Path):
    experiment = load(file, (), tmp_path)
    record = RecordedRun.model_validate_json(RecordedRun.of(experiment, {}).model_dump_json())
    assert record.experiment(tmp_path) == experiment


def test_a_rerun_replaces_its_own_record_and_another_run_adds_one(store: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_records, "now", lambda: "2999-01-01T00:00:00Z")
    run_smoke(store)
    assert [record.used for record in records(store)] == ["2999-01-01T00:00:00Z"]
    monkeypatch.setattr(run_records, "now", lambda: "2999-01-02T00:00:00Z")
    run_smoke(store, "fit.steps=40", last="pack")
    newest, oldest = records(store)
    assert (newest.used, oldest.used) == ("2999-01-02T00:00:00Z", "2999-01-01T00:00:00Z")
    assert newest.runs[0].values["fit"]["steps"] == 40


def test_the_record_is_there_before_any_stage_begins(tmp_path: Path):
    seen: list[int] = []
    run_smoke(tmp_path, watch=lambda *_: seen.append(len(records(tmp_path))), last="zoo")
    assert seen
    assert set(seen) == {1}


def test_a_run_holds_a_lock_while_it_lasts_and_leaves_none(tmp_path: Path):
    with recorded(tmp_path, [RecordedRun(values={}, keys={"zoo": "k1"})]):
        assert len(list((tmp_path / LOCKS).glob("run.*.lock"))) == 1
    assert not list((tmp_path / LOCKS).glob("run.*.lock"))


def test_networks_sampled_from_python_are_recorded(store: Path):
    networks = open_run(store, threads=1).sample(3)
    assert any(("sample", networks.ref.key) in record.keys for record in records(store))


@pytest.mark.parametrize("change", ["", "{", "[]", '{"used": 1}', "seal"])
def test_what_is_not_readable_as_a_record_is_passed_over(tmp_path: Path, change: str):
    for day in ("01", "02"):
        write(tmp_path, RunRecord(used=f"2026-01-{day}T00:00:00Z", runs=(RecordedRun(values={}, keys={"zoo": day}),)))
    file = tmp_path / RUNS / f"{records(tmp_path)[0].name}.json"
    file.write_text(file.read_text().replace('"02"', '"03"') if change == "seal" else change)
    assert [record.used for record in records(tmp_path)] == ["2026-01-01T00:00:00Z"]


def test_a_record_of_another_release_names_what_it_cannot_read(tmp_path: Path):
    values = json.loads(RecordedRun.of(load(SMOKE, (), tmp_path), {}).model_dump_json())["values"]
    with pytest.raises(UsageError, match=r"smoke: its record isn't readable: zoo.*novelty"):
        RecordedRun(values=values | {"zoo": values["zoo"] | {"novelty": 1}}, keys={}).experiment(tmp_path)


def test_a_record_knows_where_own_modules_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "recorded_model.py").write_text("def make(): ...\n")
    overrides = ["zoo.network={kind: model, model: 'recorded_model:make', input: [4]}"]
    experiment = load(SMOKE, overrides, tmp_path)
    assert RecordedRun.of(experiment, {}).folders == (tmp_path,)
    assert RecordedRun.of(load(SMOKE, (), tmp_path), {}).folders == ()


def test_a_store_that_cannot_be_written_is_reused_all_the_same(store: Path):
    before = records(store)
    shutil.rmtree(store / LOCKS)
    (store / LOCKS).write_text("in the way")
    assert all(reused for _, reused in run_smoke(store).values())
    assert records(store) == before


def test_nothing_is_kept_where_locks_cannot_be_made(tmp_path: Path):
    (tmp_path / LOCKS).write_text("in the way")
    with recorded(tmp_path, [RecordedRun(values={}, keys={})]):
        assert records(tmp_path) == []
