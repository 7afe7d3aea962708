"""Files within the page: they hold what the artifact holds, and run the same again."""

import base64
import csv
import json
from io import StringIO
from pathlib import Path

import pytest
import yaml
from made_up_figures import RUN, made_up
from sampled_artifacts import sampled_artifact
from smoke import PROJECT, Done

from pipeline.config import load
from stages.evaluation.figures import Figures, read_figures
from stages.params.network import MLP
from stages.reporting.downloads import downloads
from stages.reporting.lineage import Run, run_of


def content(figures: Figures, run: Run) -> dict[str, str]:
    """The files by name."""
    files = downloads(figures, run)
    assert all(file.url.startswith("data:") for file in files)
    return {file.name: base64.b64decode(file.url.partition(",")[2]).decode() for file in files}


def test_the_figures_are_whole():
    figures = made_up(5)
    files = content(figures, RUN)
    assert list(files) == ["figures.csv", "figures.json", "mnist_mlp.yaml"]
    assert Figures.model_validate(json.loads(files["figures.json"])).model_dump() == figures.model_dump()
    rows = list(csv.DictReader(StringIO(files["figures.csv"])))
    assert [row["set"] for row in rows] == list(figures.sets)
    assert float(rows[2]["distance_in_tau"]) == figures.sets["generated"].distance_in_tau


def test_without_a_run_there_is_no_configuration():
    assert list(content(Figures(), Run())) == ["figures.csv", "figures.json"]


def test_the_table_is_the_artifact_s(finished: tuple[Path, Done]):
    evaluated, reported = (finished[1][stage][0].path for stage in ("evaluate", "report"))
    files = content(read_figures(evaluated), run_of(evaluated))
    assert files["figures.csv"].encode() == (reported / "figures.csv").read_bytes()


def test_the_configuration_gives_the_same_keys(finished: tuple[Path, Done], tmp_path: Path):
    run = run_of(finished[1]["evaluate"][0].path)
    (tmp_path / run.file).write_text(content(Figures(), run)[run.file])
    again, before = load(tmp_path / run.file), load(PROJECT / "conf" / "smoke.yaml")
    for stage in ("zoo", "canonicalize", "pack", "fit", "sample", "evaluate"):
        assert again.params(stage) == before.params(stage)
    assert again.name == before.name
    assert not run.by_content
    assert set(run.seeds.values()) == {0}
    assert {"zoo.seed", "fit.seed", "sample.seed", "evaluate.seed"} <= run.seeds.keys()


def test_seeds_are_found_wherever_they_are_and_so_are_hashes_of_files(tmp_path: Path):
    params = {"seed": 3, "inner": {"seed": 7, "files": {"a.pt": "0123456789abcdef"}}, "name": "deadbeef"}
    network = MLP(widths=(2, 2))
    run = run_of(sampled_artifact(tmp_path / "some", network, params=params))
    assert run.seeds == {"sample.seed": 3, "sample.inner.seed": 7}
    assert run.by_content
    assert not run_of(sampled_artifact(tmp_path / "none", network, params={"name": "deadbeef"})).by_content


@pytest.mark.parametrize("name", ["mnist_mlp", "fashion_vit", "digits_cnn", "digits_two", "reviews_bert"])
def test_configurations_of_every_kind_can_be_loaded_from_what_manifests_hold(name: str, tmp_path: Path):
    experiment = load(PROJECT / "conf" / f"{name}.yaml")
    stages = ("zoo", "canonicalize", "pack", "fit", "sample", "evaluate")
    manifests = {stage: json.loads(json.dumps(experiment.params(stage).fingerprint())) for stage in stages}
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(manifests))
    again = load(tmp_path / "again.yaml")
    assert [again.params(s).fingerprint() for s in stages] == [experiment.params(s).fingerprint() for s in stages]
