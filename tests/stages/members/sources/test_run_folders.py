"""A zoo with a folder per training run: which checkpoint stands for a run, and what its files say of it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_checkpoints import perceptron
from made_up_zoos import State, write_run_folders

from pipeline.keys import key_of
from stages.context import Context
from stages.errors import Damaged, DwfError, LayoutMismatch, UsageError
from stages.params.run_folders import RunFoldersZoo
from stages.store.weights import UNKNOWN, Shards
from stages.zoo import zoo

ACCURACIES = [0.1 * i for i in range(1, 9)]


def states(count: int = 8) -> list[State]:
    found = []
    for seed in range(count):
        torch.manual_seed(seed)
        found.append(perceptron().state_dict())
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_run_folders(tmp_path / "zoo", states(), ACCURACIES)
    return tmp_path / "zoo"


def params(folder: Path, **changes) -> RunFoldersZoo:
    network = {"kind": "mlp", "widths": [4, 6, 3]}
    values = {"source": "run_folders", "folder": str(folder), "network": network, "heldout": 2}
    return RunFoldersZoo.model_validate(values | changes)


def made(folder: Path, out: Path, **changes) -> tuple[dict, Shards]:
    summary = zoo(params(folder, **changes), Context(out=out, threads=1))
    return summary, Shards(sorted((out / "shards").glob("*.zarr")))


def numbers(store: Shards) -> list[int]:
    """The runs' numbers."""
    return [int(str(name)[-5:]) for name in store.facts("run")]


@pytest.mark.parametrize(("epoch", "scale"), [("last", 1.0), (50, 1.0), (0, 0.5)])
def test_the_checkpoint_of_the_epoch_stands_for_its_run(folder, tmp_path, epoch, scale):
    summary, store = made(folder, tmp_path / "out", epoch=epoch)
    assert (len(store), summary["epochs"]) == (8, {str(50 if epoch == "last" else epoch): 8})
    originals = states()
    for number, row in zip(numbers(store), store.rows(0, 8), strict=True):
        tensors = store.layout.unflatten(row)
        assert all(torch.equal(tensor, scale * originals[number][name]) for name, tensor in tensors.items())


def test_hyper_parameters_and_the_results_of_the_epoch_are_facts(folder, tmp_path):
    _, store = made(folder, tmp_path / "out")
    runs = numbers(store)
    assert store.facts("test_acc") == pytest.approx([ACCURACIES[i] for i in runs])
    assert store.facts("optim.lr") == pytest.approx([0.001 * (i + 1) for i in runs])
    assert set(store.facts("model.type")) == {"CNN"}
    assert store.attrs["facts"] == ["epoch", "model.type", "optim.lr", "run", "test_acc", "training_iteration"]


def test_results_are_found_by_their_iteration_and_not_by_their_line(folder, tmp_path):
    run = folder / "NN_tune_trainable_00003"
    lines = [{"training_iteration": epoch, "test_acc": epoch / 100} for epoch in (49, 50, 51)]
    (run / "result.json").write_text("\n".join(map(json.dumps, lines)) + '\n{"training_it')  # killed while it wrote
    _, store = made(folder, tmp_path / "out")
    assert store.facts("test_acc")[numbers(store).index(3)] == 0.5


def test_facts_that_some_runs_lack_are_counted_and_marked(folder, tmp_path):
    (folder / "NN_tune_trainable_00001" / "result.json").unlink()
    (folder / "NN_tune_trainable_00004" / "params.json").unlink()
    summary, store = made(folder, tmp_path / "out", shard_size=3)
    runs = numbers(store)
    assert summary["unknown_facts"] == {"model.type": 1, "optim.lr": 1, "test_acc": 1, "training_iteration": 1}
    assert np.isnan(store.facts("test_acc")).tolist() == [i == 1 for i in runs]
    assert [str(value) == UNKNOWN for value in store.facts("model.type")] == [i == 4 for i in runs]


def test_a_description_may_be_named_config(folder, tmp_path):
    for run in folder.glob("NN_*"):
        (run / "params.json").rename(run / "config.json")
    assert set(made(folder, tmp_path / "out")[1].facts("model.type")) == {"CNN"}


def test_fine_tuned_runs_a_level_deeper_are_runs(folder, tmp_path):
    write_run_folders(
        folder / "NN_tune_trainable_00002" / "finetuned", [{n: t + 1 for n, t in states(1)[0].items()}], [0.5]
    )
    _, store = made(folder, tmp_path / "out")
    assert "NN_tune_trainable_00002/finetuned/NN_tune_trainable_00000" in set(map(str, store.facts("run")))


def test_networks_with_nan_are_left_out_and_counted(folder, tmp_path):
    for i, value in ((2, float("nan")), (5, float("inf"))):
        path = folder / f"NN_tune_trainable_{i:05d}" / "checkpoint_000050" / "checkpoints"
        state = torch.load(path)
        state["1.bias"][0] = value
        torch.save(state, path)
    summary, store = made(folder, tmp_path / "out")
    assert summary["left_out"] == {"NaN or Inf among their weights": 2}
    assert sorted(numbers(store)) == [0, 1, 3, 4, 6, 7]


def test_runs_without_the_epoch_are_left_out_and_counted(folder, tmp_path):
    path = folder / "NN_tune_trainable_00006" / "checkpoint_000050"
    path.rename(path.with_name("checkpoint_000049"))
    summary, store = made(folder, tmp_path / "out", epoch=50)
    assert (summary["left_out"], 6 in numbers(store)) == ({"no checkpoint of the epoch": 1}, False)
    assert made(folder, tmp_path / "last")[0]["epochs"] == {"50": 7, "49": 1}
    with pytest.raises(
        UsageError, match=r"zoo\.epoch: no run has a checkpoint of epoch 7; NN_tune_trainable_00000 has 0, 50"
    ):
        made(folder, tmp_path / "none", epoch=7)


def test_members_are_chosen_by_their_facts(folder, tmp_path):
    summary, store = made(folder, tmp_path / "out", where=["test_acc > 0.25", "run != NN_tune_trainable_00007"])
    assert sorted(numbers(store)) == [2, 3, 4, 5, 6]
    assert summary["left_out"] == {"by zoo.where": 3}
    with pytest.raises(UsageError, match=r"zoo\.where: no member is left with test_acc > 2; found 0\.1"):
        made(folder, tmp_path / "none", where=["test_acc > 2"])
    with pytest.raises(UsageError, match=r"no member has a fact 'test_accuracy'; did you mean 'test_acc'"):
        made(folder, tmp_path / "none", where=["test_accuracy > 2"])


def test_a_pickled_data_set_in_the_place_of_the_folder_is_refused_with_the_way_out(folder, tmp_path):
    for name, said in [
        ("dataset_cnn.pt", r"a pickled data set, refused, .* take the zoo's zip .*, unzip it and name its folder"),
        ("zoo.zip", r"a packed zoo; unzip it and name its folder, e\.g\. \S*zoo"),
        ("nowhere", r"no such folder \(looked for /"),
    ]:
        if "." in name:
            (tmp_path / name).write_bytes(b"x")
        with pytest.raises(UsageError, match=said):
            made(tmp_path / name, tmp_path / "out")
    (tmp_path / "only").mkdir()
    torch.save({}, tmp_path / "only" / "dataset_cnn.pt")
    with pytest.raises(UsageError, match=r"no <run>/checkpoint_<epoch>/checkpoints below .*dataset\*\.pt are pickled"):
        made(tmp_path / "only", tmp_path / "out")


def test_the_same_weights_twice_are_refused_by_both_names(folder, tmp_path):
    source, copy = (folder / f"NN_tune_trainable_0000{i}" / "checkpoint_000050" / "checkpoints" for i in (1, 3))
    copy.write_bytes(source.read_bytes())
    with pytest.raises(UsageError, match=r"NN_tune_trainable_00001\S* and NN_tune_trainable_00003\S* hold the same"):
        made(folder, tmp_path / "out")


@pytest.mark.parametrize("harm", ["width", "torn", "params"])
def test_every_failure_is_one_line_with_the_file_s_name(folder, tmp_path, harm):
    run = folder / "NN_tune_trainable_00004"
    weights = run / "checkpoint_000050" / "checkpoints"
    kind, name = {
        "width": (LayoutMismatch, weights),
        "torn": (Damaged, weights),
        "params": (Damaged, run / "params.json"),
    }[harm]
    if harm == "width":
        torch.save(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 9)).state_dict(), weights)
    else:
        name.write_bytes(name.read_bytes()[:-9])
    with pytest.raises(kind) as caught:
        made(folder, tmp_path / "out")
    assert str(name) in str(caught.value)
    assert isinstance(caught.value, DwfError)
    assert "\n" not in str(caught.value)


def test_the_key_depends_on_what_is_read_and_not_on_where_it_lies(folder, tmp_path):
    before = key_of("zoo", params(folder), {})
    moved = folder.rename(tmp_path / "elsewhere")
    assert key_of("zoo", params(moved), {}) == before
    other = key_of("zoo", params(moved, epoch=0), {})
    run = moved / "NN_tune_trainable_00004"
    state = torch.load(run / "checkpoint_000000" / "checkpoints")
    torch.save({name: 2 * tensor for name, tensor in state.items()}, run / "checkpoint_000000" / "checkpoints")
    assert key_of("zoo", params(moved), {}) == before, "another epoch's weights aren't read"
    assert key_of("zoo", params(moved, epoch=0), {}) != other
    (run / "params.json").write_text("{}")
    assert key_of("zoo", params(moved), {}) != before
