from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_checkpoints import perceptron, prefixed, save, trained
from torch import nn
from torch.func import functional_call

from stages.context import Context
from stages.datasets import load_fitting
from stages.errors import DwfError, LayoutMismatch, UsageError
from stages.members import external, imported
from stages.members.imported import chosen_members
from stages.params.checkpoints import ImportedZoo
from stages.store.weights import Shards
from stages.zoo import make_shard, shards, zoo

CONVNET = {"kind": "model", "model": "foreign_checkpoints:convnet", "input": [1, 8, 8]}
MLP = {"kind": "mlp", "widths": [4, 6, 3]}


def params(folder: Path, pattern: str = "*", **changes) -> ImportedZoo:
    values = {"source": "checkpoints", "files": str(folder / pattern), "network": CONVNET, "heldout": 2}
    return ImportedZoo.model_validate(values | changes)


def context(out: Path) -> Context:
    return Context(out=out, data_root=Path("/nonexistent"), threads=1)


def opened(out: Path) -> Shards:
    return Shards(sorted((out / "shards").glob("*.zarr")))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Twelve networks, each saved in another way that people save them in."""
    states = [trained(seed).state_dict() for seed in range(12)]
    wrapped = torch.optim.swa_utils.AveragedModel(nn.Sequential())  # only for its shape: `module.` and a counter
    assert list(wrapped.state_dict()) == ["n_averaged"]
    kinds = {
        "safetensors": states[0],
        "pt": states[1],
        "pth": {"state_dict": prefixed(states[2], "module."), "epoch": 9},
        "bin": prefixed(states[3], "_orig_mod."),
        "ckpt": {"state_dict": prefixed(states[4], "model."), "callbacks": {}},
    }
    for i, (ending, content) in enumerate(kinds.items()):
        save(tmp_path / "runs" / f"net{i}.{ending}", dict(content))
    save(tmp_path / "runs" / "net5.pt", {"model": states[5], "ema": states[0], "optimizer": {"state": {}}})
    save(tmp_path / "runs" / "net6.pt", {n: t.double() if t.is_floating_point() else t for n, t in states[6].items()})
    for i in range(7, 12):
        save(tmp_path / "runs" / f"net{i}.safetensors", prefixed(states[i], "module."))
    return tmp_path / "runs"


def test_checkpoints_of_every_kind_become_the_networks_they_were(runs, tmp_path):
    summary = zoo(params(runs), context(tmp_path / "out"))
    store = opened(tmp_path / "out")
    assert summary["networks"] == len(store) == 12
    inputs = torch.randn(5, 1, 8, 8)
    for row, file in zip(store.rows(0, 12), store.facts("file"), strict=True):
        original = trained(int("".join(filter(str.isdigit, str(file))))).eval()
        again = functional_call(trained(99).eval(), store.layout.unflatten(row), (inputs,))
        assert torch.equal(again, original(inputs)), file


def test_what_was_done_to_whom_is_stored_and_summed_up(runs, tmp_path):
    summary = zoo(params(runs), context(tmp_path / "out"))
    store = opened(tmp_path / "out")
    said = dict(zip(store.facts("file"), store.facts("notes"), strict=True))
    assert said["net0.safetensors"] == ""
    assert said["net2.pth"] == "taken from 'state_dict'; prefix 'module.' dropped"
    assert said["net6.pt"] == "float64 converted to float32"
    assert summary["notes"]["prefix 'module.' dropped"] == 6
    assert summary["notes"]["moving average under 'ema' left aside (zoo.ema: true takes it)"] == 1
    assert summary["files_left_out"] == 0


def test_the_split_is_a_seed_s_choice_held_out_last_and_in_natural_order(runs, tmp_path):
    zoo(params(runs, heldout=3, shard_size=5), context(tmp_path / "out"))
    store = opened(tmp_path / "out")
    assert [len(part) for part in store.parts] == [5, 5, 2]
    assert list(store.facts("split")) == ["train"] * 9 + ["held-out"] * 3
    numbers = [int("".join(filter(str.isdigit, str(file)))) for file in store.facts("file")]
    assert numbers[:9] == sorted(numbers[:9])
    assert numbers[9:] == sorted(numbers[9:])
    assert sorted(numbers) == list(range(12))
    assert store.names == [f"member-{i:05d}" for i in range(12)]
    chosen = {tuple(chosen_members(params(runs, seed=seed))[-2:]) for seed in range(6)}
    assert len(chosen) > 1


def test_fewer_members_than_files_are_a_random_choice_and_said(runs, tmp_path):
    summary = zoo(params(runs, members=4), context(tmp_path / "out"))
    assert (summary["networks"], summary["files_left_out"]) == (6, 6)
    first = [m.name for m in chosen_members(params(runs, members=4))]
    other = [m.name for m in chosen_members(params(runs, members=4, seed=1))]
    assert set(first) != set(other)


def test_without_data_its_figures_are_unknown(runs, tmp_path):
    summary = zoo(params(runs), context(tmp_path / "out"))
    store = opened(tmp_path / "out")
    assert store.attrs["dataset"] is None
    assert np.isnan(store.facts("validation_score")).all()
    assert not any("validation" in name for name in summary)


def save_perceptrons(folder: Path, count: int = 4) -> None:
    for seed in range(count):
        torch.manual_seed(seed)
        save(folder / f"run{seed}.pt", perceptron().state_dict())


def test_with_data_members_are_scored(tmp_path):
    save_perceptrons(tmp_path / "runs")
    summary = zoo(params(tmp_path / "runs", network=MLP, dataset="iris"), context(tmp_path / "out"))
    store = opened(tmp_path / "out")
    p = params(tmp_path, network=MLP, dataset="iris")
    assert p.dataset is not None
    train, validation = load_fitting(p.dataset, Path("/nonexistent"))
    for data, name in [(train, "train"), (validation, "validation")]:
        for row, score in zip(store.rows(0, 4), store.facts(f"{name}_score"), strict=True):
            logits = functional_call(perceptron(), store.layout.unflatten(row), (data.inputs,))
            assert float((logits.argmax(1) == data.targets).float().mean()) == pytest.approx(float(score))
    assert summary["validation_accuracy"] == pytest.approx(float(store.facts("validation_score").mean()))
    assert store.attrs["dataset"]["name"] == "iris"


def test_a_network_that_does_not_take_the_data_is_refused(tmp_path):
    save_perceptrons(tmp_path / "runs")
    with pytest.raises(UsageError, match=r"zoo.network doesn't take digits's inputs"):
        zoo(params(tmp_path / "runs", network=MLP, dataset="digits"), context(tmp_path / "out"))


@pytest.mark.parametrize(
    ("count", "members", "said"),
    [
        (0, None, r"no such files \(looked for /"),
        (1, None, r"matches 1 checkpoint, expected at least 4: 2 to learn from and 2 held out"),
        (3, None, r"matches 3 checkpoints, expected at least 4"),
        (4, 5, r"matches 4 checkpoints, expected at least 7: 5 to learn from and 2 held out"),
    ],
)
def test_too_few_files_are_counted(tmp_path, count, members, said):
    save_perceptrons(tmp_path / "runs", count)
    with pytest.raises(UsageError, match=said) as caught:
        shards(params(tmp_path / "runs", network=MLP, members=members))
    assert "\n" not in str(caught.value)


def test_a_folder_in_the_place_of_a_pattern_is_pointed_out(tmp_path):
    with pytest.raises(UsageError, match=r"it is a folder: write .*/\*\.safetensors"):
        shards(params(tmp_path, "."))


def test_a_file_that_is_there_twice_is_refused_by_both_names(tmp_path):
    save_perceptrons(tmp_path / "runs", 5)
    (tmp_path / "runs" / "again.pt").write_bytes((tmp_path / "runs" / "run3.pt").read_bytes())
    with pytest.raises(UsageError, match=r"again\.pt and \S*run3\.pt hold the same network"):
        zoo(params(tmp_path / "runs", network=MLP), context(tmp_path / "out"))


def test_so_is_the_same_network_in_another_format(tmp_path):
    save_perceptrons(tmp_path / "runs", 5)
    state = torch.load(tmp_path / "runs" / "run3.pt")
    save(tmp_path / "runs" / "again.safetensors", prefixed(state, "module."))
    with pytest.raises(UsageError, match=r"(again\S+ and run3\S+|run3\S+ and again\S+) hold the same network"):
        zoo(params(tmp_path / "runs", network=MLP, shard_size=1), context(tmp_path / "out"))


def test_one_wrong_file_is_named_and_its_shard_isn_t_stored(tmp_path):
    save_perceptrons(tmp_path / "runs", 5)
    save(tmp_path / "runs" / "run2.pt", nn.Sequential(nn.Flatten(), nn.Linear(4, 7), nn.ReLU()).state_dict())
    with pytest.raises(LayoutMismatch, match=r"run2\.pt: tensor '3\.weight' \(3, 6\) of zoo.network is missing"):
        zoo(params(tmp_path / "runs", network=MLP), context(tmp_path / "out"))
    assert not list((tmp_path / "out").rglob("*.zarr"))


def test_the_moving_average_is_taken_when_asked_for(tmp_path):
    for seed in range(4):
        states = [trained(seed + shift).state_dict() for shift in (0, 100)]
        save(tmp_path / "runs" / f"{seed}.pt", {"state_dict": states[0], "state_dict_ema": states[1]})
    zoo(params(tmp_path / "runs", ema=True), context(tmp_path / "out"))
    store = opened(tmp_path / "out")
    seeds = [int(str(file)[0]) for file in store.facts("file")]
    expected = [trained(seed + 100).state_dict()["5.weight"] for seed in seeds]
    assert torch.equal(store.layout.unflatten(store.rows(0, 4))["5.weight"], torch.stack(expected))


class Killed(Exception):
    pass


def test_a_killed_import_reads_only_what_is_missing(tmp_path, monkeypatch):
    save_perceptrons(tmp_path / "runs", 6)
    p, read, real = params(tmp_path / "runs", network=MLP, shard_size=2), [], imported.read_checkpoints
    order = [member.name for member in chosen_members(p)]

    def dies_once(path, *how):
        read.append(path.name)
        if len(read) == 4:
            raise Killed
        return real(path, *how)

    monkeypatch.setattr(imported, "read_checkpoints", dies_once)
    with pytest.raises(Killed):
        zoo(p, context(tmp_path / "out"))
    zoo(p, context(tmp_path / "out"))
    assert read == order[:4] + order[2:]
    zoo(p, context(tmp_path / "whole"))
    assert [s.digest for s in opened(tmp_path / "out").parts] == [s.digest for s in opened(tmp_path / "whole").parts]
    assert make_shard(p, shards(p)[0], context(tmp_path / "out")) is False


def test_small_files_share_a_shard_and_large_ones_do_not(tmp_path, monkeypatch):
    save_perceptrons(tmp_path / "runs", 6)
    assert len(shards(params(tmp_path / "runs", network=MLP))) == 1
    size = (tmp_path / "runs" / "run0.pt").stat().st_size
    monkeypatch.setattr(external, "GIGABYTE", 2 * size + 99)
    assert len(shards(params(tmp_path / "runs", network=MLP))) == 3
    monkeypatch.setattr(external, "GIGABYTE", 1)
    assert len(shards(params(tmp_path / "runs", network=MLP))) == 6


@pytest.mark.parametrize("harm", ["", "module", "nan", "pickle", "torn"])
def test_every_failure_is_one_line_with_the_file_s_name(tmp_path, harm):
    save_perceptrons(tmp_path / "runs", 4)
    bad = tmp_path / "runs" / "run2.pt"
    content = {
        "": {},
        "module": {"w": torch.ones(2)},
        "pickle": perceptron(),
        "torn": perceptron().state_dict(),
        "nan": perceptron().state_dict() | {"1.bias": torch.full((6,), float("nan"))},
    }[harm]
    save(bad, content)
    if harm == "torn":
        bad.write_bytes(bad.read_bytes()[:-40])
    with pytest.raises(DwfError) as caught:
        zoo(params(tmp_path / "runs", network=MLP), context(tmp_path / "out"))
    assert "run2.pt" in str(caught.value)
    assert "\n" not in str(caught.value)
