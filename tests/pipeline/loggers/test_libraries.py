"""MLflow and W&B themselves, offline: a finished run is found in them again."""

import json
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient
from smoke import SMOKE, Done, Dwf

from stages.evaluation.figures import read_figures


@pytest.mark.slow
def test_a_run_is_found_in_mlflow_and_told_once(
    dwf: Dwf, finished: tuple[Path, Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    for _ in range(2):
        code, _, err = dwf("run", "--direct", SMOKE, "--set", "logger=mlflow", "--store", finished[0])
        assert code == 0, err
    client = MlflowClient()
    experiment = client.get_experiment_by_name("dwf")
    assert experiment
    (run,) = client.search_runs([experiment.experiment_id])
    figures = read_figures(finished[1]["evaluate"][0].path)
    assert run.info.run_name == "smoke"
    assert run.info.status == "FINISHED"
    assert run.data.params["fit.steps"] == "60"
    assert run.data.metrics["generated/distance_in_tau"] == figures.sets["generated"].distance_in_tau
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "fit/loss")] == [20, 40, 60]
    assert "report.html" in {file.path for file in client.list_artifacts(run.info.run_id)}


@pytest.mark.slow
def test_a_run_is_found_among_the_files_of_wandb(
    dwf: Dwf, finished: tuple[Path, Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    for folder in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"WANDB_{folder}_DIR", str(tmp_path / folder))
    code, _, err = dwf("run", "--direct", SMOKE, "--set", "logger=wandb", "--store", finished[0])
    assert code == 0, err
    key = finished[1]["report"][0].key
    (record,) = (tmp_path / "wandb").glob(f"offline-run-*-{key}/run-{key}.wandb")
    content = record.read_bytes()
    for told in (b"generated/distance_in_tau", b"fit/heldout_loss", b"fit.steps", f"report-{key}".encode()):
        assert told in content, told
    assert json.dumps(60).encode() in content
