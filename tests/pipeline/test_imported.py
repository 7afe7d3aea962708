"""Somebody else's checkpoints through the whole dag, with and without data to judge them by."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from foreign_checkpoints import convnet, perceptron, prefixed, save, trained
from safetensors.torch import load_file

from pipeline.config import load
from pipeline.runner import Runner, run_directly
from stages.artifacts.export import export_networks
from stages.evaluation.figures import read_figures
from stages.reporting.lineage import Run
from stages.reporting.page import write_page
from stages.reporting.summary import read_summary
from stages.store.refs import Ref

QUICK = {
    "fit": {
        "velocity": {"hidden": 32, "time_dim": 8, "dropout": 0.0},
        "steps": 40,
        "batch": 8,
        "check_every_steps": 20,
    },
    "sample": {"networks": 5, "method": "euler", "steps": 4},
    "evaluate": {"baseline_networks": 4, "noise_levels": [0.1], "interpolation_fractions": [0.5], "soup_sizes": [2]},
}


def run(folder: Path, **zoo: Any) -> tuple[dict[str, Ref], dict[str, Any]]:
    """Every stage on a configuration with this zoo; what they made, and the figures."""
    config = folder / "own.yaml"
    config.write_text(yaml.safe_dump({"zoo": {"source": "checkpoints", "heldout": 3, **zoo}, **QUICK}))
    made: dict[str, Ref] = {}
    run_directly(Runner(load(config, store=folder / "data")), lambda stage, ref, _: made.update({stage: ref}))
    return made, json.loads((made["evaluate"].path / "figures.json").read_text())


@pytest.fixture(scope="module")
def unjudged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Ref], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("convnets")
    for seed in range(10):
        save(folder / "runs" / f"run{seed}.pt", {"state_dict": prefixed(trained(seed).state_dict(), "module.")})
    return folder, *run(folder, files=str(folder / "runs/*.pt"), model="foreign_checkpoints:convnet", input=[1, 8, 8])


def test_checkpoints_alone_become_new_networks(unjudged: tuple[Path, dict[str, Ref], dict[str, Any]]):
    folder, made, _ = unjudged
    assert export_networks(made["sample"].path, folder / "new") == 5
    for file in sorted((folder / "new").glob("*.safetensors")):
        net = convnet()
        net.load_state_dict(load_file(file))
        assert bool(torch.isfinite(net.eval()(torch.randn(3, 1, 8, 8))).all())


def test_what_needs_data_is_left_out_and_said_so(unjudged: tuple[Path, dict[str, Ref], dict[str, Any]], tmp_path: Path):
    _, made, figures = unjudged
    assert figures["dataset"] is None
    assert "score" not in figures["sets"]["generated"]
    assert figures["sets"]["generated"]["distance_in_tau"] > 0
    assert figures["imported"] is True
    assert figures["relabelled"] is True
    assert figures["verdict"]["accurate"] is None
    assert "without test data" in read_summary(made["report"].path).verdict
    write_page(tmp_path / "report.html", read_figures(made["evaluate"].path), Run())
    assert "without test data" in (tmp_path / "report.html").read_text().lower()


def test_channels_are_aligned_though_nobody_typed_a_table(unjudged: tuple[Path, dict[str, Ref], dict[str, Any]]):
    _, made, _ = unjudged
    summary = json.loads((made["canonicalize"].path / "manifest.json").read_text())["summary"]
    assert summary["groups"] == 1
    assert summary["distance_gain"] > 0


@pytest.mark.slow
def test_with_a_data_set_they_are_judged(tmp_path: Path):
    for seed in range(8):
        torch.manual_seed(seed)
        save(tmp_path / "runs" / f"{seed}.safetensors", perceptron().state_dict())
    zoo = {
        "files": str(tmp_path / "runs/*.safetensors"),
        "model": "foreign_checkpoints:perceptron",
        "input": [4],
        "dataset": "iris",
    }
    _, figures = run(tmp_path, **zoo)
    assert 0 <= figures["sets"]["members"]["score"]["mean"] <= 1
    assert figures["sets"]["generated"]["networks"] == 5
