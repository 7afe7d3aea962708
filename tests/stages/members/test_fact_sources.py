"""Facts about checkpoints in names, tables and headers, through the zoo that they are imported to."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_checkpoints import perceptron, save
from made_up_zoos import State, write_hub_cache
from pydantic import ValidationError

from pipeline.keys import key_of
from stages.context import Context
from stages.errors import UsageError
from stages.params.checkpoints import ImportedZoo
from stages.store.weights import UNKNOWN, Shards
from stages.zoo import zoo


def states(count: int = 6) -> list[State]:
    found = []
    for seed in range(count):
        torch.manual_seed(seed)
        found.append(perceptron().state_dict())
    return found


def params(files: Path | str, **changes) -> ImportedZoo:
    network = {"kind": "mlp", "widths": [4, 6, 3]}
    values = {"source": "checkpoints", "files": str(files), "network": network, "heldout": 2}
    return ImportedZoo.model_validate(values | changes)


def made(parameters: ImportedZoo, out: Path) -> tuple[dict, Shards]:
    summary = zoo(parameters, Context(out=out, threads=1))
    return summary, Shards(sorted((out / "shards").glob("*.zarr")))


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """As the INR zoos name their folders."""
    for i, state in enumerate(states()):
        split = "training" if i < 5 else "testing"
        save(tmp_path / f"mnist_png_{split}_{i % 3}_{i}" / "checkpoints" / "model_final.pth", state)
    return tmp_path / "mnist_png_*/**/*.pth"


PATTERN = "mnist_png_{split}_{label}_{index}"


def test_fields_of_names_are_facts(named, tmp_path):
    _, store = made(params(named, facts=PATTERN, categories=["label"]), tmp_path / "out")
    index = store.facts("index")
    assert sorted(index) == [0, 1, 2, 3, 4, 5]
    assert [str(label) for label in store.facts("label")] == [str(int(i) % 3) for i in index]
    assert store.attrs["facts"] == ["index", "label", "reported_split"]


def test_members_are_chosen_by_them(named, tmp_path):
    summary, store = made(params(named, facts=PATTERN, where=["reported_split == training"]), tmp_path / "out")
    assert sorted(store.facts("index")) == [0, 1, 2, 3, 4]
    assert summary["files_left_out"] == 1


def test_a_pattern_that_fits_no_file_or_has_no_field_is_refused(named, tmp_path):
    with pytest.raises(
        UsageError, match=r"zoo\.facts: cifar_\{label\} says nothing about any of the 6 files, e\.g\. mnist_png"
    ):
        made(params(named, facts="cifar_{label}"), tmp_path / "out")
    with pytest.raises(ValidationError, match="has no field"):
        params(named, facts="mnist")


def write_table(folder: Path, *lines: str) -> Path:
    for i, state in enumerate(states()):
        save(folder / "mnist" / f"run{i}_75_0.{i}.pt", state)
    (folder / "metadata").mkdir()
    (folder / "metadata" / "mnist.csv").write_text("ckpt_file,ckpt_epoch,test_accuracy\n" + "".join(lines))
    return folder / "mnist" / "*.pt"


def table(folder: Path, file: str = "ckpt_file") -> dict[str, str]:
    return {"table": str(folder / "metadata" / "mnist.csv"), "file": file}


def test_lines_of_a_table_are_facts_and_files_without_one_are_counted(tmp_path):
    lines = [f"mnist/run{i}_75_0.{i}.pt,75,0.{i}\n" for i in range(5)]
    files = write_table(tmp_path, "other/run1_75_0.1.pt,75,0.9\n", *lines)
    summary, store = made(params(files, facts=table(tmp_path)), tmp_path / "out")
    by_file = dict(zip(map(str, store.facts("file")), store.facts("test_accuracy"), strict=True))
    assert {f"run{i}_75_0.{i}.pt": by_file[f"run{i}_75_0.{i}.pt"] for i in range(5)} == {
        f"run{i}_75_0.{i}.pt": i / 10 for i in range(5)
    }
    assert np.isnan(by_file["run5_75_0.5.pt"])
    assert summary["unknown_facts"] == {"ckpt_epoch": 1, "ckpt_file": 1, "test_accuracy": 1}
    assert [str(f) == UNKNOWN for f in store.facts("ckpt_file")] == np.isnan(store.facts("test_accuracy")).tolist()


def test_a_name_alone_finds_its_file_too(tmp_path):
    files = write_table(tmp_path, *(f"run{i}_75_0.{i}.pt,75,0.{i}\n" for i in range(6)))
    assert made(params(files, facts=table(tmp_path)), tmp_path / "out")[0]["unknown_facts"] == {}


def test_the_line_that_names_most_of_a_path_is_a_file_s(tmp_path):
    whole = [f"mnist/run{i}_75_0.{i}.pt,75,0.{i}\n" for i in range(6)]
    files = write_table(tmp_path, *whole, *(line.removeprefix("mnist/").replace(",75,", ",80,") for line in whole))
    _, store = made(params(files, facts=table(tmp_path)), tmp_path / "out")
    assert store.facts("ckpt_epoch").tolist() == [75] * 6


@pytest.mark.parametrize(
    ("lines", "column", "said"),
    [
        (["mnist/run1_75_0.1.pt,75,0.1\n"] * 2, "ckpt_file", r"mnist\.csv has two lines for mnist/run1_75_0\.1\.pt"),
        (["/home/x/run1.pt,75,0.1\n"], "ckpt_file", r"says nothing about any of the 6 files"),
        (["a,75,0.1\n"], "file", r"has no column 'file'; there are ckpt_file, ckpt_epoch, test_accuracy"),
    ],
)
def test_a_table_that_does_not_fit_is_named(tmp_path, lines, column, said):
    files = write_table(tmp_path, *lines)
    with pytest.raises(UsageError, match=said):
        made(params(files, facts=table(tmp_path, column)), tmp_path / "out")


def test_the_key_depends_on_the_table_s_content(tmp_path):
    files = write_table(tmp_path, *(f"run{i}_75_0.{i}.pt,75,0.{i}\n" for i in range(6)))
    before = key_of("zoo", params(files, facts=table(tmp_path)), {})
    path = tmp_path / "metadata" / "mnist.csv"
    moved = path.rename(tmp_path / "moved.csv")
    assert key_of("zoo", params(files, facts={"table": str(moved), "file": "ckpt_file"}), {}) == before
    moved.write_text(moved.read_text().replace("75", "80"))
    assert key_of("zoo", params(files, facts={"table": str(moved), "file": "ckpt_file"}), {}) != before
    assert key_of("zoo", params(files), {}) != before


def test_headers_of_safetensors_in_a_hub_s_cache_are_facts(tmp_path):
    write_hub_cache(tmp_path / "hub", states(), [0.1 * i for i in range(6)])
    files = tmp_path / "hub" / "models--*" / "snapshots" / "*" / "model.safetensors"
    _, store = made(params(files, facts="metadata", categories=["classes"]), tmp_path / "out")
    originals = states()
    for file, row, score, rate, classes in zip(
        store.facts("file"),
        store.rows(0, 6),
        store.facts("test_accuracy"),
        store.facts("config.lr"),
        store.facts("classes"),
        strict=True,
    ):
        number = int(str(file).partition("/")[0].rpartition("-")[2])
        assert (float(score), float(rate)) == pytest.approx((0.1 * number, 0.001 * (number + 1)))
        assert str(classes) == str(number % 3)
        assert all(torch.equal(t, originals[number][name]) for name, t in store.layout.unflatten(row).items())


def test_a_header_is_data_and_never_code(tmp_path):
    for i, state in enumerate(states()):
        from safetensors.torch import save_file

        save_file(
            state, tmp_path / f"{i}.safetensors", metadata={"note": "__import__('os').abort()", "list": json.dumps([i])}
        )
    _, store = made(params(tmp_path / "*.safetensors", facts="metadata"), tmp_path / "out")
    assert set(map(str, store.facts("note"))) == {"__import__('os').abort()"}
