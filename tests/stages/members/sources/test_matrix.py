"""A zoo in one matrix: rows by their metrics, columns in Keras's order, nothing read that isn't needed."""

import gzip
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up_zoos import Epoch, write_matrix

from pipeline.keys import key_of
from stages import matrix_files
from stages.context import Context
from stages.errors import Damaged, DwfError, LayoutMismatch, UsageError
from stages.nets.public_zoos import small_cnn
from stages.params.matrix import MatrixZoo
from stages.store.weights import Shards
from stages.zoo import zoo

STEPS = (0, 20, 86)
FINAL = ["step == 86"]


def epochs(runs: int = 8) -> list[Epoch]:
    found = []
    for run in range(runs):
        torch.manual_seed(run)
        state = small_cnn(width=3, depth=2, classes=4).state_dict()
        found += [
            Epoch(
                run, step, {name: tensor * (1 + step / 10) for name, tensor in state.items()}, 0.1 * run + step / 1000
            )
            for step in STEPS
        ]
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_matrix(tmp_path / "zoo", epochs())
    return tmp_path / "zoo"


def params(folder: Path, **changes) -> MatrixZoo:
    values = {
        "source": "matrix",
        "folder": str(folder),
        "model": "stages.nets.public_zoos:small_cnn",
        "kwargs": {"width": 3, "depth": 2, "classes": 4},
        "input": [1, 8, 8],
        "heldout": 2,
        "where": FINAL,
    }
    return MatrixZoo.model_validate(values | changes)


def made(folder: Path, out: Path, **changes) -> tuple[dict, Shards]:
    summary = zoo(params(folder, **changes), Context(out=out, threads=1))
    return summary, Shards(sorted((out / "shards").glob("*.zarr")))


def test_rows_become_the_networks_they_were(folder, tmp_path):
    summary, store = made(folder, tmp_path / "out", shard_size=3)
    every = epochs()
    assert (len(store), summary["left_out"]) == (8, {"by zoo.where": 16})
    for row, file in zip(store.rows(0, 8), store.facts("file"), strict=True):
        original = every[int(str(file).rpartition(":")[2])]
        assert original.step == 86
        assert all(torch.equal(t, original.state[name]) for name, t in store.layout.unflatten(row).items())


def test_metrics_are_typed_facts(folder, tmp_path):
    _, store = made(folder, tmp_path / "out")
    runs = [int(str(name).rpartition("/")[2]) for name in store.facts("modeldir")]
    assert sorted(runs) == list(range(8))
    assert store.facts("test_accuracy") == pytest.approx([0.1 * run + 0.086 for run in runs])
    assert [str(value) for value in store.facts("config.activation")] == [["relu", "tanh"][run % 2] for run in runs]
    assert np.isnan(store.facts("reported_train_loss")).tolist() == [run == 2 for run in runs]


def test_rows_are_chosen_by_columns(folder, tmp_path):
    summary, store = made(folder, tmp_path / "out", where=[*FINAL, "config.activation == relu"])
    assert set(map(str, store.facts("config.activation"))) == {"relu"}
    assert summary["left_out"] == {"by zoo.where": 20}
    with pytest.raises(UsageError, match=r"no line of \S*metrics\.csv\.gz has step == 7"):
        made(folder, tmp_path / "none", where=["step == 7"])
    with pytest.raises(
        UsageError, match=r"no member has a fact 'config\.activaton'; did you mean 'config\.activation'"
    ):
        made(folder, tmp_path / "none", where=["config.activaton == relu"])


def test_several_epochs_of_one_run_are_refused(folder, tmp_path):
    with pytest.raises(
        UsageError, match=r"leaves 3 rows of one run \(modeldir gs://runs/0\); choose one of its epochs"
    ):
        made(folder, tmp_path / "out", where=[])


def test_or_all_of_them_are_on_one_side(folder, tmp_path):
    _, store = made(folder, tmp_path / "out", where=[], group="modeldir", heldout=4)
    sides = {
        side: set(map(str, store.facts("modeldir")[store.facts("split") == side])) for side in ("train", "held-out")
    }
    assert (len(store.facts("split")), store.attrs["group"]) == (18 + 4, "modeldir")
    assert (len(sides["train"]), len(sides["held-out"])) == (6, 2)
    assert not sides["train"] & sides["held-out"]


def test_rows_with_nan_are_left_out_and_counted(folder, tmp_path):
    values = np.load(folder / "weights.npy")
    values[[5, 8]] = np.nan  # of step 86, alike
    values[0, 0] = np.inf  # of another
    np.save(folder / "weights.npy", values)
    summary, store = made(folder, tmp_path / "out")
    assert summary["left_out"] == {"by zoo.where": 16, "NaN or Inf among their weights": 2}
    assert len(store) == 6


def test_the_same_row_twice_is_refused_by_both_numbers(folder, tmp_path):
    values = np.load(folder / "weights.npy")
    values[8] = values[5]
    np.save(folder / "weights.npy", values)
    with pytest.raises(UsageError, match=r"weights\.npy:000005 and weights\.npy:000008 hold the same network"):
        made(folder, tmp_path / "out")


def test_only_rows_in_question_are_read_and_hashed_once(folder, monkeypatch):
    read = []

    class Watched:
        def __init__(self, path: Path) -> None:
            self.values = np.load(path, mmap_mode="r")
            self.shape = self.values.shape

        def __len__(self) -> int:
            return len(self.values)

        def __getitem__(self, index):
            read.append(index)
            return self.values[index]

    monkeypatch.setattr(matrix_files, "open_matrix", Watched)
    first = key_of("zoo", params(folder), {})
    assert key_of("zoo", params(folder), {}) == first
    assert read == [[2, 5, 8, 11, 14, 17, 20, 23]]


def test_the_key_depends_on_the_rows_in_question_alone(folder, tmp_path):
    before = key_of("zoo", params(folder), {})
    values = np.load(folder / "weights.npy")
    values[0] += 1  # of another step
    np.save(folder / "weights.npy", values)
    moved = folder.rename(tmp_path / "elsewhere")
    assert key_of("zoo", params(moved), {}) == before
    values[2] += 1
    np.save(moved / "weights.npy", values)
    changed = key_of("zoo", params(moved), {})
    assert changed != before
    text = gzip.decompress((moved / "metrics.csv.gz").read_bytes()).replace(b"0.086", b"0.087")
    (moved / "metrics.csv.gz").write_bytes(gzip.compress(text))
    assert key_of("zoo", params(moved), {}) != changed


def _pickled(values: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([values], dtype=object), allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("file", "content", "kind", "said"),
    [
        ("weights.npy", _pickled({"a": 1}), Damaged, "not a whole matrix of numbers"),
        ("weights.npy", pickle.dumps([1, 2]), Damaged, "not a whole matrix of numbers"),
        ("weights.npy", b"", Damaged, "not a whole matrix of numbers"),
        ("layout.csv", b"varname,start_idx,end_idx\n", Damaged, "has no column 'shape'"),
        (
            "layout.csv",
            b"varname,start_idx,end_idx,shape\na/kernel:0,zero,9,(9)\n",
            Damaged,
            "not a table of variables",
        ),
        (
            "metrics.csv.gz",
            gzip.compress(b"step,modeldir\n86,a\n", mtime=0),
            UsageError,
            "has 1 lines, but weights.npy 24 rows",
        ),
        ("metrics.csv.gz", b"PK", Damaged, "not a whole table"),
    ],
)
def test_every_failure_is_one_line_with_the_file_s_name(folder, tmp_path, file, content, kind, said):
    (folder / file).write_bytes(content)
    with pytest.raises(kind, match=said) as caught:
        made(folder, tmp_path / "out")
    assert file in str(caught.value)
    assert isinstance(caught.value, DwfError)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_and_another_network_are_named(folder, tmp_path):
    with pytest.raises(
        LayoutMismatch, match=r"layout\.csv: sequential/conv2d/bias:0 has shape \(3,\) in torch, but '0\.bias'"
    ):
        made(folder, tmp_path / "out", kwargs={"width": 4, "depth": 2, "classes": 4})
    (folder / "layout.csv").unlink()
    with pytest.raises(UsageError, match=r"has no layout\.csv; unpack the zoo and name its folder"):
        made(folder, tmp_path / "out")
