"""Suspicions about imported zoos, each against a zoo that gives no reason for it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.members.warnings import share_of_near_copies, suspicions
from stages.store.layout import Layout
from stages.store.weights import Shards, write_weights

LAYOUT = Layout.of({"weight": torch.zeros(20, 3)})


def zoo(folder: Path, rows: torch.Tensor, score: float = 0.9, chance: float = 0.3, **facts: np.ndarray) -> Shards:
    attrs = {"score": "accuracy", "chance": chance, "facts": list(facts), "group": "run" if "run" in facts else None}
    columns = {"validation_score": np.full(len(rows), score), **facts}
    names = [f"net{i}" for i in range(len(rows))]
    write_weights(folder / "zoo.zarr", LAYOUT, names, rows, columns, attrs)
    return Shards([folder / "zoo.zarr"])


def runs_of_checkpoints(runs: int, each: int, step: float, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    starts = torch.randn(runs, LAYOUT.size, generator=draw).repeat_interleave(each, 0)
    return starts + step * torch.randn(len(starts), LAYOUT.size, generator=draw)


@given(st.integers(4, 30), st.integers(0, 1000), st.floats(0, 0.2))
@settings(max_examples=20)
def test_checkpoints_of_one_run_are_found_near_and_independent_networks_are_not(tmp_path_factory, runs, seed, step):
    epochs = zoo(tmp_path_factory.mktemp("epochs"), runs_of_checkpoints(runs, 3, step, seed))
    assert share_of_near_copies(epochs) == 1
    assert share_of_near_copies(epochs, torch.arange(runs).repeat_interleave(3)) == 0
    assert share_of_near_copies(zoo(tmp_path_factory.mktemp("runs"), runs_of_checkpoints(runs, 1, step, seed))) == 0


def test_fine_tuned_networks_are_no_copies_for_being_all_alike(tmp_path):
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(LAYOUT.size, generator=draw) + 1e-3 * torch.randn(12, LAYOUT.size, generator=draw)
    assert share_of_near_copies(zoo(tmp_path, rows)) == 0


def test_the_line_names_the_way_out_until_runs_are_told_apart(tmp_path):
    rows = runs_of_checkpoints(5, 3, 0.05)
    (line,) = suspicions(zoo(tmp_path / "plain", rows), None)
    assert line.startswith("100% of the networks are nearer to one than a third of the median distance")
    assert "zoo.group" in line
    right = torch.arange(5).repeat_interleave(3)
    grouped = zoo(tmp_path / "right", rows, run=right.numpy().astype(str).astype(object))
    assert list(suspicions(grouped, right)) == []
    wrong = right.roll(1)
    (line,) = suspicions(zoo(tmp_path / "wrong", rows, run=wrong.numpy().astype(str).astype(object)), wrong)
    assert "nearer to one with another run than" in line


@pytest.mark.parametrize(("score", "chance", "said"), [(0.33, 0.3, True), (0.5, 0.3, False), (0.9, 0.88, True)])
def test_scores_near_chance_are_suspicious(tmp_path, score, chance, said):
    lines = list(suspicions(zoo(tmp_path, runs_of_checkpoints(8, 1, 0), score, chance), None))
    assert bool(lines) is said
    assert all("inputs scaled otherwise" in line and f"{chance:.1%}" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("test_accuracy", [0.97] * 8, True),
        ("test_acc", [97.0] * 8, True),
        ("val_acc", [0.97, np.nan] * 4, True),
        ("test_accuracy", [0.82] * 8, False),
        ("optim.lr", [0.97] * 8, False),
        ("accumulate", [0.97] * 8, False),
        ("test_accuracy", [np.nan] * 8, False),
        ("test_acc", ["unknown"] * 8, False),
    ],
)
def test_scores_far_below_the_zoo_s_own_are_suspicious(tmp_path, name, values, said):
    column = np.array(values) if isinstance(values[0], float) else np.array(values, dtype=object)
    lines = list(suspicions(zoo(tmp_path, runs_of_checkpoints(8, 1, 0), 0.79, **{name: column}), None))
    assert bool(lines) is said
    assert all("79.0%" in line and "97.0%" in line and "zoo.dataset.normalize" in line for line in lines)
