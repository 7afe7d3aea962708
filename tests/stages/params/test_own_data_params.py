"""Descriptions of own data: told apart by kind, keyed by what files hold, the same wherever they lie."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from stages.errors import UsageError
from stages.params.dataset import Dataset, Table, dataset_from
from stages.params.own_kinds import Arrays, Hub
from stages.params.zoo import ZooParams

ZOO = {"network": {"kind": "mlp", "widths": [2, 2]}, "members": 4, "heldout": 2}
RECIPE = {"lr": 0.1, "batch": 1, "epochs": 1}


def zoo(dataset: object, recipe: object = RECIPE) -> ZooParams:
    return ZooParams.model_validate({**ZOO, "dataset": dataset, "recipe": recipe})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (folder := tmp_path / "project" / "data").mkdir(parents=True)
    np.savez(folder / "x.npz", x=np.eye(2), y=[0, 1])
    return folder.parent


def test_built_in_data_sets_are_as_they_were():
    assert isinstance(zoo("iris").dataset, Table)
    assert zoo("iris").fingerprint() == zoo({"name": "iris"}).model_dump(mode="json")
    assert zoo("iris").below(Path("/elsewhere")) == zoo("iris")


def test_paths_are_taken_from_a_folder_and_the_content_enters_the_key(project: Path, tmp_path: Path):
    params = zoo({"kind": "arrays", "train": "data/x.npz"}).below(project)
    assert params.dataset.train == str(project / "data/x.npz")
    shutil.copytree(project, tmp_path / "moved")
    moved = zoo({"kind": "arrays", "train": "data/x.npz"}).below(tmp_path / "moved")
    assert moved.fingerprint() == params.fingerprint()
    assert str(tmp_path) not in str(params.fingerprint())
    np.savez(tmp_path / "moved/data/x.npz", x=np.eye(2), y=[1, 1])
    assert moved.fingerprint() != params.fingerprint()


def test_other_data_sets_have_their_paths_and_contents_too(project: Path):
    other = {"kind": "arrays", "train": "data/x.npz"}
    values = {**ZOO, "heldout": 4, "dataset": "iris", "other_datasets": [other], "recipe": RECIPE}
    params = ZooParams.model_validate(values).below(project)
    assert params.other_datasets[0].train == str(project / "data/x.npz")
    assert params.fingerprint()["other_datasets"][0]["train"] is None
    assert list(params.datasets) == ["iris", "x"]


def test_a_folder_is_known_by_names_and_contents_of_all_its_files(tmp_path: Path):
    (folder := tmp_path / "f" / "a").mkdir(parents=True)
    (folder / "1.png").write_bytes(b"1")

    def key() -> object:
        return dataset_from({"kind": "folder", "train": str(tmp_path / "f")}).fingerprint()["contents"]

    seen = [key()]
    (folder / ".hidden").write_bytes(b"")
    assert key() == seen[0]
    (folder / "2.png").write_bytes(b"2")
    seen.append(key())
    (folder / "2.png").rename(folder / "3.png")
    seen.append(key())
    assert len({str(k) for k in seen}) == 3


def test_a_missing_file_is_named_with_its_key(tmp_path: Path):
    with pytest.raises(UsageError, match=r"zoo\.dataset\.test: .*no\.npz: no such file or folder"):
        Arrays(kind="arrays", train=str(tmp_path), test=str(tmp_path / "no.npz")).fingerprint()


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"kind": "csv", "train": "a/wine red.csv", "target": "y"}, "wine-red"),
        ({"kind": "folder", "train": "pets/train"}, "pets"),
        ({"kind": "arrays", "train": ["x.npy", "y.npy"]}, "x"),
        ({"kind": "hub", "path": "ylecun/mnist"}, "mnist"),
        ({"kind": "hub", "name": "ylecun/mnist"}, "mnist"),
        ({"kind": "factory", "make": "mine.data:make"}, "data"),
        ({"kind": "csv", "train": "a.csv", "target": "y", "name": "b"}, "b"),
    ],
)
def test_every_data_set_has_a_name(values: dict[str, object], name: str):
    assert dataset_from(values).name == name


def test_a_name_on_the_hub_is_no_file():
    dataset = dataset_from({"kind": "hub", "name": "ylecun/mnist"})
    assert isinstance(dataset, Hub)
    assert dataset.path == "ylecun/mnist"
    assert dataset.below(Path("/somewhere")) == dataset
    assert dataset.fingerprint()["path"] == "ylecun/mnist"


def test_functions_have_their_modules_in_the_key():
    data = {"kind": "factory", "make": "mine.data:make", "kwargs": {"n": 3}}
    params = zoo(data, {"kind": "factory", "train": "mine.train:train", "kwargs": {"steps": 3}})
    assert {"mine.data", "mine.train", "stages.datasets.factory"} <= set(params.modules())
    assert hash(params)
    assert zoo({**data, "version": 2}).fingerprint() != zoo(data).fingerprint()


def test_what_is_stored_says_nothing_of_folders_where_it_should_not(project: Path):
    known = zoo({"kind": "arrays", "train": "data/x.npz"}).below(project).dataset.known()
    assert known.placeless().train == "x.npz"
    assert known.placeless().contents == known.contents
    again: Dataset = dataset_from(known.model_dump(mode="json"))
    assert again == known
    assert again.fingerprint() == known.fingerprint()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("wine.csv", "no built-in data set; one's own has a kind"),
        ({"kind": "factory", "make": "mine"}, "names no function"),
        ({"kind": "factory", "make": "a:b", "validation": "v.npz"}, "a fraction of the training examples"),
    ],
)
def test_what_is_wrong_is_said(values: object, message: str):
    with pytest.raises(ValidationError, match=message):
        zoo(values)
