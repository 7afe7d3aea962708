"""The dag on real input: reuse, why a stage runs, resumption, and equal digests however it got there."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from smoke import PROJECT, SMOKE, run_smoke

from pipeline import keys, plan_reasons
from pipeline.config import load
from pipeline.dag import STAGES, dag
from pipeline.runner import Runner, run_directly
from stages.errors import DwfError, Interrupted, NotComplete
from stages.store.artifact import FOLDERS, find
from stages.store.manifest import Manifest, read_manifest
from stages.store.refs import Ref

MANY = ["sample.networks=8000", "sample.steps=1"]
"""Three rows of chunks to sample, so that there is a middle to be killed in."""


class Killed(BaseException):
    """Stands for a kill: nothing in the code catches it."""


run = run_smoke


def ran(done: dict[str, tuple[Ref, bool]]) -> set[str]:
    return {stage for stage, (_, reused) in done.items() if not reused}


def digests(done: dict[str, tuple[Ref, bool]]) -> dict[str, str]:
    """Of the six stages: the report here has no plots."""
    return {stage: ref.digest for stage, (ref, _) in done.items() if stage != "report"}


def test_the_dag_calls_every_stage_once_and_hands_on_what_it_needs():
    calls: dict[str, dict[str, str]] = {}

    def call(stage: str, /, **upstream: str) -> str:
        calls[stage] = upstream
        return f"made by {stage}"

    assert dag(call) == "made by report"
    assert tuple(calls) == STAGES
    assert calls["sample"] == {"packed": "made by pack", "fitted": "made by fit"}


def test_a_first_run_runs_all_stages_and_a_second_reuses_all(finished, store: Path):
    assert ran(finished[1]) == set(STAGES)
    again = run(store)
    assert ran(again) == set()
    assert digests(again) == digests(finished[1])


def test_the_plan_says_reused_then_never_run(finished, tmp_path: Path):
    assert all(step.ref for step in Runner(load(SMOKE, (), finished[0])).plan())
    assert {step.why for step in Runner(load(SMOKE, (), tmp_path)).plan()} == {"never run"}


def test_new_params_rerun_the_stage_and_those_after_it(store: Path):
    planned = {step.stage: step for step in Runner(load(SMOKE, ["fit.steps=40"], store)).plan()}
    assert planned["fit"].why == "new params: steps 60 -> 40"
    assert "upstream changed: fitted" in planned["sample"].why
    assert ran(run(store, "fit.steps=40")) == {"fit", "sample", "evaluate", "report"}


def test_edited_code_reruns_the_stage_and_those_after_it(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(PROJECT / "stages", tmp_path / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "stages" / "fit.py").open("a") as file:
        file.write("MORE = 1\n")
    monkeypatch.setattr(keys, "PACKAGES", tmp_path)
    keys.sources.cache_clear()
    try:
        planned = {step.stage: step for step in Runner(load(SMOKE, (), store)).plan()}
        again = run(store)
    finally:
        keys.sources.cache_clear()
    assert planned["fit"].why == "code changed: stages/fit.py"
    assert ran(again) == {"fit", "sample", "evaluate", "report"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_deleted_artifact_is_made_again_with_the_same_digest_and_nothing_else_is(finished, store: Path, stage: str):
    ref = finished[1][stage][0]
    shutil.rmtree(store / ref.path.relative_to(finished[0]))
    planned = {step.stage: step.why for step in Runner(load(SMOKE, (), store)).plan()}
    assert planned[stage] == "artifact gone"
    again = run(store)
    assert ran(again) == {stage}
    assert digests(again) == digests(finished[1])


def test_a_missing_file_makes_the_stage_run_again(finished, store: Path):
    ref = finished[1]["fit"][0]
    (store / ref.path.relative_to(finished[0]) / "velocity.safetensors").unlink()
    assert ran(run(store)) == {"fit"}


def kill_when(condition: Callable[[str, float, str], bool]) -> Callable[[str, float, str], None]:
    def watch(stage: str, share: float, note: str) -> None:
        if condition(stage, share, note):
            raise Killed

    return watch


@pytest.mark.parametrize(
    ("stage", "condition"),
    [
        pytest.param(
            "zoo", lambda stage, share, note: stage == "zoo" and note.startswith("unit"), marks=pytest.mark.slow
        ),
        pytest.param(
            "canonicalize", lambda stage, share, note: stage == "canonicalize" and share > 0, marks=pytest.mark.slow
        ),
        ("evaluate", lambda stage, share, note: stage == "evaluate" and note == "noise 0.1"),
    ],
)
def test_a_killed_run_goes_on_and_ends_with_the_digest_of_an_undisturbed_one(
    finished, tmp_path: Path, stage: str, condition: Callable[..., bool]
):
    with pytest.raises(Killed):
        run(tmp_path, watch=kill_when(condition))
    half_done = {step.stage: step.why for step in Runner(load(SMOKE, (), tmp_path)).plan()}
    assert half_done[stage] == "half done: goes on where it stopped"
    units = {"zoo": "shards/0000.zarr", "canonicalize": "passes/*.zarr", "evaluate": "sets/generated.json"}
    assert list((tmp_path / FOLDERS[stage]).glob(f"*.partial/{units[stage]}")), "finished units are there"
    assert digests(run(tmp_path)) == digests(finished[1])


def test_a_killed_sampling_goes_on_at_the_next_row_of_chunks(store: Path, tmp_path: Path):
    undisturbed = run(store, *MANY, last="sample")["sample"][0].digest
    ref = find(store, "sample", run(store, *MANY, last="sample")["sample"][0].key)
    assert ref is not None
    shutil.rmtree(ref.path)
    half_way = kill_when(lambda stage, share, note: stage == "sample" and 0 < share < 1)
    with pytest.raises(Killed):
        run(store, *MANY, watch=half_way, last="sample")
    notes: list[str] = []
    again = run(store, *MANY, watch=lambda stage, share, note: notes.append(note) if share else None, last="sample")
    assert again["sample"][0].digest == undisturbed
    assert len(notes) == 2, "one of three rows of chunks was done before the kill"


def test_a_fit_killed_between_checkpoints_equals_an_undisturbed_one(
    finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from stages import fit

    check, calls = fit._Trainer._check, []

    def killing(*args: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise Killed
        check(*args)

    monkeypatch.setattr(fit._Trainer, "_check", killing)
    with pytest.raises(Killed):
        run(tmp_path, last="fit")
    monkeypatch.setattr(fit._Trainer, "_check", check)
    steps: list[int] = []
    block = fit._Trainer._block
    monkeypatch.setattr(fit._Trainer, "_block", lambda self, state: (steps.append(state.step), block(self, state))[1])
    assert run(tmp_path, last="fit")["fit"][0].digest == finished[1]["fit"][0].digest
    assert steps == [20, 40], "the first block was done before the kill"


def test_a_stopped_runner_ends_with_a_clear_word(tmp_path: Path):
    runner = Runner(load(SMOKE, (), tmp_path))
    runner.stop.set()
    with pytest.raises(Interrupted, match="run the same command"):
        run_directly(runner, lambda *_: None)


def test_only_what_is_asked_for_is_run(tmp_path: Path):
    done: list[str] = []
    run_directly(Runner(load(SMOKE, (), tmp_path)), lambda stage, ref, reused: done.append(stage), "pack")
    assert done == ["zoo", "canonicalize", "pack"]


def test_a_store_root_that_is_no_folder_is_one_clear_line(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DwfError, match="can't write here") as error:
        run(tmp_path / "file")
    assert "--store" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_full_disk_is_one_clear_line_and_the_work_goes_on_later(
    finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from stages import pack

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path))

    monkeypatch.setattr(pack, "statistics", full)
    with pytest.raises(DwfError, match="No space left on device"):
        run(tmp_path, last="pack")
    monkeypatch.undo()
    assert run(tmp_path, last="pack")["pack"][0].digest == finished[1]["pack"][0].digest


def test_an_artifact_of_another_format_version_is_named_and_not_read(finished, store: Path):
    manifest = store / finished[1]["pack"][0].path.relative_to(finished[0]) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format_version": 1', '"format_version": 99', 1))
    with pytest.raises(NotComplete, match="found format version 99, expected 1"):
        read_manifest(manifest.parent)
    planned = {step.stage: step for step in Runner(load(SMOKE, (), store)).plan()}
    assert planned["pack"].ref is None
    assert "format version 99" in planned["pack"].why


def release_0_1(root: Path, stage: str, key: str) -> Path:
    """An artifact's manifest as release 0.1 wrote it: keyed by the bytes of sources, evaluate's in 6_report."""
    folder = root / {"pack": "3_packed", "evaluate": "6_report"}[stage] / key
    folder.mkdir(parents=True)
    (folder.parent / "latest").write_text(f"2026-11-26T18:05:40Z  smoke  {key}\n")
    (folder / "manifest.json").write_text(RELEASE_0_1.replace('"pack"', f'"{stage}"').replace("d4a4", key))
    return folder


RELEASE_0_1 = """{
 "format_version": 1,
 "stage": "pack",
 "key": "d4a4",
 "experiment": "smoke",
 "params": {"compression": null},
 "upstream": {"zoo": "3188633caf74efb8", "canonical": "8691c11d60adc160"},
 "code": {"stages/pack.py": "c7c77a3559623e7d"},
 "versions": {"python": "3.11.7", "torch": "2.15.0", "zarr": "3.1.6", "dwf": "0.1.0"},
 "created": "2026-11-26T18:05:40Z",
 "seconds": 0.409,
 "device": "x86_64",
 "threads": 2,
 "peak_memory_mb": 1157.5,
 "summary": {"networks": 16},
 "digest": "193215f73998b27616204fd255d27ed4e774ca230c79ce012bc05f14b8962f86",
 "files": {"notes.json": {"size": 2, "sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}},
 "seal": "6cd1cd8848c9c1a7ef2f6b17bc9e4c119a500b89576e7946a7d8961dd1e7895f"
}"""


def test_a_manifest_of_release_0_1_is_read_with_its_seal(tmp_path: Path):
    folder = release_0_1(tmp_path, "pack", "d4a4")
    assert read_manifest(folder).key_format == 1
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"threads": 2', '"threads": 3'))
    with pytest.raises(NotComplete, match="changed since it was written"):
        read_manifest(folder)


@pytest.mark.parametrize(("stage", "folder"), [("pack", "3_packed"), ("evaluate", "6_report")])
def test_the_plan_names_an_artifact_of_an_older_key_format(tmp_path: Path, stage: str, folder: str):
    path = release_0_1(tmp_path, stage, "d4a4")
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["seal"]
    seal = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest | {"seal": seal}))
    planned = {step.stage: step for step in Runner(load(SMOKE, (), tmp_path)).plan()}
    assert planned[stage].why == f"{folder}/d4a4 is of an older key format (1, now 2); made anew"
    assert {step.why for step in planned.values() if step.stage != stage} == {"never run"}


def test_a_manifest_says_its_key_format_and_another_one_is_made_anew(
    finished, store: Path, monkeypatch: pytest.MonkeyPatch
):
    assert read_manifest(finished[1]["fit"][0].path).key_format == 2
    for module in (keys, plan_reasons):
        monkeypatch.setattr(module, "KEY_FORMAT", 3)
    planned = Runner(load(SMOKE, (), store)).plan()
    assert all("is of an older key format (2, now 3)" in step.why for step in planned)


def test_manifests_hold_the_lineage(finished):
    root, done = finished
    manifests: dict[str, Manifest] = {stage: read_manifest(ref.path) for stage, (ref, _) in done.items()}
    assert manifests["sample"].upstream == {"packed": done["pack"][0].key, "fitted": done["fit"][0].key}
    assert (root / "1_zoo" / "latest").read_text().split()[1:] == ["smoke", done["zoo"][0].key]
