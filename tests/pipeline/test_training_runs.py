"""Several checkpoints of each training run: told apart by `zoo.group`, and warned of where they aren't."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from buffered_networks import IRIS
from foreign_checkpoints import perceptron, save
from torch.nn.functional import cross_entropy

from pipeline.config import load
from pipeline.runner import Runner, run_directly
from stages.artifacts.members import open_zoo
from stages.datasets import load_fitting
from stages.evaluation.figures import Figures, read_figures
from stages.store.refs import Ref
from stages.store.weights import Shards

QUICK = {
    "fit": {"velocity": {"hidden": 16, "time_dim": 8, "dropout": 0.0}, "steps": 10, "batch": 4},
    "sample": {"networks": 3, "method": "euler", "steps": 2},
    "evaluate": {"baseline_networks": 3, "noise_levels": [0.1], "interpolation_fractions": [0.5], "soup_sizes": [2]},
}


def write_runs(folder: Path, runs: int = 6) -> None:
    data, _ = load_fitting(IRIS, Path("/nonexistent"))
    for run in range(runs):
        torch.manual_seed(run)
        network = perceptron()
        optimizer = torch.optim.Adam(network.parameters(), 0.02)
        for step in range(1, 121):
            optimizer.zero_grad()
            cross_entropy(network(data.inputs), data.targets).backward()
            optimizer.step()
            if step in (100, 110, 120):
                save(folder / f"run_{run}" / f"epoch_{step}.pt", network.state_dict())


def evaluated(folder: Path, **zoo: Any) -> tuple[Shards, Figures]:
    network = {"model": "foreign_checkpoints:perceptron", "input": [4], "dataset": "iris"}
    files = {"source": "checkpoints", "files": str(folder / "runs/run_*/epoch_*.pt"), "heldout": 4}
    config = folder / "own.yaml"
    config.write_text(yaml.safe_dump({"zoo": {**files, **network, **zoo}, **QUICK}))
    made: dict[str, Ref] = {}
    run_directly(Runner(load(config, store=folder / "data")), lambda stage, ref, _: made.update({stage: ref}))
    return open_zoo(made["zoo"]), read_figures(made["evaluate"].path)


@pytest.mark.slow
def test_runs_are_held_out_whole_and_are_the_unit_of_novelty(tmp_path):
    write_runs(tmp_path / "runs")
    _, plain = evaluated(tmp_path)
    zoo, grouped = evaluated(tmp_path, facts="run_{run}/epoch_{epoch}.pt", group="run")
    runs, train = zoo.facts("run").astype(str), zoo.facts("split") == "train"
    assert not set(runs[train]) & set(runs[~train])
    assert (train.sum(), (~train).sum()) == (12, 4)
    assert grouped.tau is not None
    assert plain.tau is not None
    assert grouped.tau > 5 * plain.tau
    assert grouped.warnings == ()
    assert any("zoo.group" in line for line in plain.warnings)
    assert np.isclose(grouped.sets["members"].distance_in_tau, 1)
