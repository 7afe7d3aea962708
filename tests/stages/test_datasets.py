import ast
import gzip
import socket
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.datasets import SCALES, SOURCES, load_fitting, load_test
from stages.errors import DataMissing
from stages.params.dataset import Dataset, dataset_from

ROOT = Path(__file__).parents[2]
NOWHERE = Path("/nonexistent")  # iris and digits come with scikit-learn


def given(name: str, validation: float = 0.1) -> Dataset:
    return dataset_from({"name": name, "validation": validation})


def rows(data) -> set[bytes]:
    """Inputs and targets as comparable values."""
    return {x.numpy().tobytes() + bytes([int(y)]) for x, y in zip(data.inputs, data.targets, strict=True)}


@pytest.mark.parametrize(("name", "sizes"), [("iris", (95, 10, 45)), ("digits", (1212, 135, 450))])
def test_splits_have_their_sizes_and_cover_the_data(name, sizes):
    train, validation = load_fitting(given(name, 0.1), NOWHERE)
    test = load_test(given(name), NOWHERE)
    assert tuple(len(part.targets) for part in (train, validation, test)) == sizes
    for part in (train, validation, test):
        assert len(part.inputs) == len(part.targets)
        assert (part.inputs.dtype, part.targets.dtype) == (torch.float32, torch.int64)
    assert {type(part).__name__ for part in (train, validation, test)} == {"Train", "Validation", "Test"}


def test_splits_are_disjoint():
    train, validation = load_fitting(given("digits", 0.3), NOWHERE)
    test = load_test(given("digits"), NOWHERE)
    assert len(rows(train) | rows(validation) | rows(test)) == 1797  # no two digits are equal
    assert len(train.targets) + len(validation.targets) + len(test.targets) == 1797


@pytest.mark.parametrize("name", ["iris", "digits"])
def test_splits_are_the_same_every_time(name):
    for first, second in zip(
        load_fitting(given(name, 0.2), NOWHERE), load_fitting(given(name, 0.2), NOWHERE), strict=True
    ):
        assert torch.equal(first.inputs, second.inputs)
        assert torch.equal(first.targets, second.targets)
    assert torch.equal(load_test(given(name), NOWHERE).inputs, load_test(given(name), NOWHERE).inputs)


@pytest.mark.parametrize("name", ["iris", "digits"])
def test_the_test_split_holds_every_class_in_proportion(name):
    train, validation = load_fitting(given(name, 0.1), NOWHERE)
    test = load_test(given(name), NOWHERE)
    fitting = torch.cat([train.targets, validation.targets])
    share = [t.bincount() / len(t) for t in (fitting, test.targets)]
    assert float((share[0] - share[1]).abs().max()) < 0.01


def test_the_test_split_does_not_depend_on_the_share_of_validation():
    seen = [rows(part) for share in (0.1, 0.5) for part in load_fitting(given("iris", share), NOWHERE)]
    assert seen[0] | seen[1] == seen[2] | seen[3]
    assert len(seen[3]) > len(seen[1])


@pytest.mark.parametrize("name", ["iris", "digits"])
def test_inputs_are_scaled_to_about_unit_size(name):
    train, _ = load_fitting(given(name, 0.1), NOWHERE)
    assert abs(float(train.inputs.mean())) < 0.3
    assert 0.5 < float(train.inputs.std()) < 1.5


def test_iris_is_scaled_by_feature_with_the_stated_numbers():
    raw, _ = SOURCES["iris"](NOWHERE, False)
    mean, std = SCALES["iris"]
    expected = (raw - np.array(mean)) / np.array(std)
    assert np.allclose(load_test(given("iris"), NOWHERE).inputs.numpy(), expected, atol=1e-6)


def write_idx(path: Path, values: np.ndarray) -> None:
    """MNIST's own format: a magic number with type and rank, the shape, the bytes."""
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    path.write_bytes(header + values.astype(np.uint8).tobytes())


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """An MNIST of 20 training and 6 test images: image i is all of value 10 i, its label i mod 10."""
    monkeypatch.setenv("DWF_OFFLINE", "1")
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for prefix, count in [("train", 20), ("t10k", 6)]:
        numbers = np.arange(count)
        write_idx(folder / f"{prefix}-images-idx3-ubyte", np.broadcast_to(10 * numbers[:, None, None], (count, 28, 28)))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", numbers % 10)
    return tmp_path


def test_mnist_is_read_from_its_files_and_scaled(made_up):
    train, validation = load_fitting(given("mnist", 0.25), made_up)
    assert (len(train.targets), len(validation.targets)) == (15, 5)
    assert train.inputs.shape == (15, 1, 28, 28)
    for part in (train, validation):
        values = part.inputs[:, 0, 0, 0] * 0.3081 + 0.1307
        assert torch.equal((values * 255 / 10).round() % 10, part.targets.float())
    both = torch.cat([train.inputs, validation.inputs])[:, 0, 0, 0]
    assert len(both.unique()) == 20
    test = load_test(given("mnist"), made_up)
    assert test.targets.tolist() == [0, 1, 2, 3, 4, 5]
    assert torch.allclose(test.inputs[:, 0, 3, 4], (torch.arange(6) * 10 / 255 - 0.1307) / 0.3081, atol=1e-6)


def test_compressed_files_alone_are_not_taken_for_data(made_up):
    file = made_up / "MNIST" / "raw" / "train-images-idx3-ubyte"
    with gzip.open(f"{file}.gz", "wb") as packed:
        packed.write(file.read_bytes())
    file.unlink()
    with pytest.raises(DataMissing):
        load_fitting(given("mnist", 0.1), made_up)


@pytest.mark.parametrize(
    "load", [lambda root: load_fitting(given("mnist", 0.1), root), lambda root: load_test(given("mnist"), root)]
)
def test_missing_data_names_the_folder_and_what_belongs_there(tmp_path, monkeypatch, load):
    monkeypatch.setenv("DWF_OFFLINE", "1")
    with pytest.raises(DataMissing) as caught:
        load(tmp_path)
    text = str(caught.value)
    assert str(tmp_path / "MNIST" / "raw") in text
    assert "train-images-idx3-ubyte" in text
    assert "--data-root" in text
    assert "\n" not in text


def test_fashion_mnist_has_a_folder_of_its_own(made_up):
    with pytest.raises(DataMissing, match="FashionMNIST/raw"):
        load_fitting(given("fashion_mnist", 0.1), made_up)


def test_offline_nothing_is_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("DWF_OFFLINE", "1")
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was tried"))
    with pytest.raises(DataMissing):
        load_fitting(given("mnist", 0.1), tmp_path)


@pytest.mark.parametrize("offline", ["0", "1"])
def test_a_root_that_is_no_folder_is_missing_data(tmp_path, monkeypatch, offline):
    monkeypatch.setenv("DWF_OFFLINE", offline)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was tried"))
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataMissing, match="file/MNIST/raw"):
        load_fitting(given("mnist", 0.1), tmp_path / "file")


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_a_damaged_file_is_missing_data(made_up, keep):
    file = made_up / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DataMissing, match="MNIST/raw"):
        load_fitting(given("mnist", 0.1), made_up)


def mentions(path: Path, name: str) -> bool:
    """Whether a module uses a name, imports it, or reaches it as an attribute."""
    tree = ast.parse(path.read_text())
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    found |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    found |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return name in found


@pytest.mark.parametrize("name", ["load_test", "SOURCES"])
def test_only_evaluate_touches_the_test_split(name):
    allowed = {
        "load_test": {ROOT / "stages/datasets.py", ROOT / "stages/evaluate.py"},
        "SOURCES": {ROOT / "stages/datasets.py"},
    }
    users = {path for part in ("stages", "pipeline") for path in (ROOT / part).rglob("*.py") if mentions(path, name)}
    assert users <= allowed[name]
    assert ROOT / "stages/evaluate.py" in users or name == "SOURCES"
