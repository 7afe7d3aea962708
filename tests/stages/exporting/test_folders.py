"""Exported networks with their cards: they load as the card says, and their scores are those of the evaluation."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import yaml
from sampled_artifacts import sampled_artifact
from smoke import Done

from stages.artifacts.export import exportable
from stages.datasets import load_test
from stages.errors import UsageError
from stages.evaluation.figures import read_figures
from stages.exporting.folders import export_files, export_hub
from stages.nets.registry import build, example_input
from stages.params.dataset import Table
from stages.params.network import CNN, MLP, Model, Network, ResNet
from stages.reporting import sentences
from stages.store.checkpoints import load_tensors

TIMM = Model(model="timm:test_resnet", kwargs={"num_classes": 3, "in_chans": 1}, input=(1, 32, 32))
NETWORKS: dict[str, Network] = {
    "mlp": MLP(widths=(4, 3, 2)),
    "cnn": CNN(widths=(2,), channels=1, size=8, classes=3),
    "resnet": ResNet(blocks=(1,), width=2, channels=1, size=8, classes=3),
    "timm": TIMM,
    "torchvision": Model(model="torchvision:squeezenet1_1", kwargs={"num_classes": 3}, input=(3, 32, 32)),
    "own": Model(model="foreign_checkpoints:convnet", input=(1, 8, 8)),
}


def code(card: Path) -> str:
    """The card's Python."""
    found = re.search(r"```python\n(.*?)```", card.read_text(), re.DOTALL)
    assert found
    return found[1]


def front_matter(card: Path) -> dict[str, Any]:
    return yaml.safe_load(card.read_text().split("---\n")[1])


@pytest.mark.parametrize("hub", [False, True], ids=["files", "hub"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_card_s_code_loads_the_network(name: str, hub: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    network = NETWORKS[name]
    path = sampled_artifact(tmp_path / "root", network)
    names = ["n1"]
    assert (export_hub if hub else export_files)(path, tmp_path / "out", names) == 1
    monkeypatch.chdir(tmp_path / "out")
    loaded: dict[str, Any] = {}
    exec(code(tmp_path / "out" / "README.md"), loaded)
    inputs = example_input(network)
    with torch.no_grad():
        assert torch.equal(loaded["net"](inputs), build(network, 1).eval()(inputs))
        assert not torch.equal(loaded["net"](inputs), build(network, 0).eval()(inputs))


def test_only_libraries_are_needed_for_networks_of_libraries(tmp_path: Path):
    for name in ("mlp", "cnn", "timm", "torchvision"):
        export_files(sampled_artifact(tmp_path / name, NETWORKS[name]), tmp_path / f"{name}-out")
        assert "stages" not in code(tmp_path / f"{name}-out" / "README.md")


def test_timm_reads_an_exported_file_and_a_hub_s_folder(tmp_path: Path):
    cifar = {"name": "cifar10", "channels": 3}
    network = Model(model="timm:test_resnet", kwargs={"num_classes": 10}, input=(3, 32, 32))
    path = sampled_artifact(tmp_path / "root", network, dataset=cifar)
    export_files(path, tmp_path / "files")
    export_hub(path, tmp_path / "hub")
    inputs = example_input(network)
    by_file = timm.create_model(
        "test_resnet", checkpoint_path=str(tmp_path / "files" / "n1.safetensors"), num_classes=10
    )
    by_folder = timm.create_model(f"local-dir:{tmp_path / 'hub' / 'n1'}", pretrained=True)
    expected = build(network, 1).eval()(inputs)
    for net in (by_file, by_folder):
        assert torch.equal(net.eval()(inputs), expected)
    assert by_folder.pretrained_cfg["mean"] == [0.4914, 0.4822, 0.4465]
    assert by_folder.pretrained_cfg["input_size"] == [3, 32, 32]


def test_scores_are_the_evaluation_s(finished: tuple[Path, Done], tmp_path: Path):
    sampled, evaluated = (finished[1][stage][0].path for stage in ("sample", "evaluate"))
    assert export_files(sampled, tmp_path / "out") == 8
    facts = load_tensors(tmp_path / "out" / "generated-00002.safetensors")[1]
    figures = read_figures(evaluated)
    assert facts["scores"]["test_score"] == figures.sets["generated"].points["score"][2]
    with (tmp_path / "out" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["test_score"]) for row in rows] == figures.sets["generated"].points["score"]
    loaded: dict[str, Any] = {}
    exec(code(tmp_path / "out" / "README.md").replace('"generated-00000', f'"{tmp_path}/out/generated-00002'), loaded)
    test = load_test(Table(name="iris"), Path())
    right = (loaded["net"](test.inputs).argmax(1) == test.targets).double().mean()
    assert float(right) == pytest.approx(facts["scores"]["test_score"])


def test_the_card_says_what_the_report_does(finished: tuple[Path, Done], tmp_path: Path):
    sampled, evaluated = (finished[1][stage][0].path for stage in ("sample", "evaluate"))
    figures = read_figures(evaluated)
    export_files(sampled, tmp_path / "all")
    card = (tmp_path / "all" / "README.md").read_text()
    assert sentences.verdict(figures) in card
    assert "(x - [6, 3, 4, 1]) / [1, 0.5, 2, 1]" in card
    assert all(f"\n| {name} |" in card for name in figures.sets)
    result = front_matter(tmp_path / "all" / "README.md")["model-index"][0]["results"][0]
    assert result["metrics"] == [{"type": "accuracy", "value": sentences.score.of(figures.sets["generated"]).mean}]
    export_hub(sampled, tmp_path / "one", ["generated-00003"])
    result = front_matter(tmp_path / "one" / "README.md")["model-index"][0]["results"][0]
    assert result["metrics"][0]["value"] == figures.sets["generated"].points["score"][3], "its own, not the set's mean"


@pytest.mark.parametrize(("fitted", "says"), [(True, "drawn from a flow"), (False, "of another generator")])
def test_what_was_not_evaluated_or_not_drawn_here_is_said_to_be(fitted: bool, says: str, tmp_path: Path):
    export_files(sampled_artifact(tmp_path / "root", NETWORKS["mlp"], fitted=fitted), tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "were not evaluated" in card
    assert says in card
    assert "metrics" not in front_matter(tmp_path / "out" / "README.md")
    assert not (tmp_path / "out" / "scores.csv").exists()
    assert "scores" not in load_tensors(tmp_path / "out" / "n0.safetensors")[1]


def test_members_have_what_their_zoo_recorded_and_no_test_scores(finished: tuple[Path, Done], tmp_path: Path):
    export_files(finished[1]["pack"][0].path, tmp_path / "out", ["member-00003"])
    scores = load_tensors(tmp_path / "out" / "member-00003.safetensors")[1]["scores"]
    assert 0 < scores["validation_score"] <= 1
    assert "test_score" not in scores
    assert "of a zoo of trained networks" in (tmp_path / "out" / "README.md").read_text()


def test_an_unknown_network_is_named_with_the_nearest(tmp_path: Path):
    path = sampled_artifact(tmp_path / "root", NETWORKS["mlp"])
    with pytest.raises(UsageError, match=r"n7: no network of .*; there are n0 to n1"):
        export_hub(path, tmp_path / "out", ["n7"])
    assert not (tmp_path / "out").exists()


def test_a_hub_has_a_folder_for_each_of_several(tmp_path: Path):
    path = sampled_artifact(tmp_path / "root", NETWORKS["mlp"])
    assert export_hub(path, tmp_path / "hub") == 2
    for name in exportable(path).store.names:
        assert {file.name for file in (tmp_path / "hub" / name).iterdir()} == {
            "README.md",
            "config.json",
            "model.safetensors",
        }
        assert json.loads((tmp_path / "hub" / name / "config.json").read_text())["name"] == name
