"""Runs from Python: made, opened, sampled from, and shown."""

import shutil
from pathlib import Path

import pytest
import torch
from smoke import SMOKE, Done, run_smoke

import dwf
from pipeline.dag import STAGES
from pipeline.library.runs import open_run


def test_a_finished_run_is_run_again_by_reusing_it(run: dwf.Run):
    seen = []
    store = run.where.store_root
    again = dwf.run(SMOKE, store=store, device="cpu", progress=lambda stage, share, note: seen.append(stage))
    assert again.stages == run.stages
    assert again.report.exists()
    assert seen == []
    assert again.experiment == dwf.experiment(SMOKE, store=store, device="cpu")


def test_progress_goes_to_the_standard_error_stream_or_nowhere(run: dwf.Run, capsys: pytest.CaptureFixture[str]):
    dwf.run(SMOKE, store=run.where.store_root)
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split()[0] for line in err.splitlines()] == list(STAGES)
    dwf.run(SMOKE, store=run.where.store_root, progress=False)
    assert capsys.readouterr() == ("", "")


def test_samples_are_those_of_the_stage_with_the_same_parameters(
    run: dwf.Run, finished: tuple[Path, Done], tmp_path: Path
):
    """In a store of its own, so that nothing is just read again."""
    shutil.copytree(finished[0], tmp_path / "store")
    done = run_smoke(tmp_path / "store", "sample.networks=3", "sample.seed=1", "sample.temperature=0.9", last="sample")
    sampled, reused = done["sample"]
    networks = run.sample(3, seed=1, temperature=0.9)
    assert not reused
    assert (networks.ref.key, networks.ref.digest) == (sampled.key, sampled.digest)
    assert networks.ref.path != sampled.path
    assert not torch.equal(networks.weights, run.sample(3, seed=2, temperature=0.9).weights)
    assert not torch.equal(networks.weights, run.sample(3, seed=1).weights)


def test_a_sample_without_parameters_is_the_run_s_own(run: dwf.Run):
    assert run.sample().ref == run.stage("sample")


def test_a_wrong_parameter_of_sample_is_named(run: dwf.Run):
    with pytest.raises(dwf.UsageError, match=r"sample\.temprature: Extra inputs"):
        run.sample(3, temprature=0.9)
    with pytest.raises(dwf.UsageError, match=r"sample\.networks: Input should be greater than 0"):
        run.sample(0)


def test_a_run_has_its_experiment_figures_and_report(run: dwf.Run):
    assert (run.experiment.name, run.experiment.fit.steps) == ("smoke", 60)
    assert run.experiment.zoo == dwf.experiment(SMOKE).zoo
    assert {"members", "held-out", "generated"} <= run.figures.sets.keys()
    assert run.report.name == "report.html"
    assert run.stage("pack").path.parent.name == "3_packed"


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_is_opened_by_path_or_key_with_what_came_before(run: dwf.Run, stage: str):
    ref, store = run.stage(stage), run.where.store_root
    for named in (ref.path, str(ref.path), ref.key, ref.key[:8]):
        opened = dwf.open(named, store=store)
        assert opened.stages == {s: run.stage(s) for s in STAGES if s in opened.stages}
        assert list(opened.stages)[-1] == stage


def test_a_run_is_opened_by_its_experiment_or_its_store(run: dwf.Run, monkeypatch: pytest.MonkeyPatch):
    assert dwf.open(run.where.store_root).stages == run.stages
    monkeypatch.chdir(run.where.store_root.parent)
    assert dwf.open("smoke").stages == run.stages  # in ./data


def test_what_isn_t_there_is_told_with_what_is(run: dwf.Run, tmp_path: Path):
    store = run.where.store_root
    with pytest.raises(dwf.UsageError, match=r"smok: neither .*; did you mean 'smoke'"):
        dwf.open("smok", store=store)
    with pytest.raises(dwf.UsageError, match="smoke: neither a path nor one of the stages"):
        dwf.open("smoke", store=tmp_path)
    key = run.stage("sample").key
    shutil.copytree(run.stage("sample").path.parent, tmp_path / "5_sampled")
    with pytest.raises(dwf.DwfError, match=r"was made from pack \w+, which isn't below .*run it again"):
        dwf.open(key, store=tmp_path)
    (tmp_path / "5_sampled" / key).rename(tmp_path / "5_sampled" / "abcd1")
    shutil.copytree(tmp_path / "5_sampled" / "abcd1", tmp_path / "5_sampled" / "abcd2")
    with pytest.raises(dwf.UsageError, match="abcd: the beginning of 2 keys"):
        dwf.open("abcd", store=tmp_path)


def test_a_run_that_ended_early_says_what_it_lacks(run: dwf.Run):
    fitted = dwf.open(run.stage("fit").path)
    assert len(fitted.sample(2, method="euler", steps=2)) == 2
    with pytest.raises(dwf.UsageError, match="evaluate: this run has no such artifact; it has those of zoo, canonical"):
        _ = fitted.figures
    assert repr(fitted) == f"<run of smoke up to fit {fitted.stages['fit'].key}>"
    assert str(fitted) == repr(fitted)
    assert "&lt;run of smoke up to fit" in fitted._repr_html_()


def test_a_run_prints_and_renders_its_table_and_verdict(run: dwf.Run):
    assert "generated" in str(run)
    assert "As accurate as held-out members" in str(run)
    html = run._repr_html_()
    assert "<th>noise 0.1</th>" in html
    assert "<p>As accurate as held-out members" in html


def test_it_is_named_as_the_public_module_has_it():
    assert dwf.open is open_run
