"""Configurations are found by path or by name, and their paths mean the user's folders wherever `dwf` is installed."""

import sys
from pathlib import Path

import pytest
from smoke import PROJECT, SMOKE, Dwf

from pipeline.config import Experiment, load
from pipeline.configurations import DEFAULT, find, importable, name_of, names
from pipeline.sweep.spec import read_sweep
from stages.errors import UsageError
from stages.params.checkpoints import ImportedZoo


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which isn't the checkout, and whatever is made importable forgotten in the end."""
    (here := tmp_path / "here").mkdir()
    monkeypatch.chdir(here)
    monkeypatch.delenv("DWF_DATA_ROOT", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return here


def own(file: Path, *lines: str) -> Path:
    """A configuration of the user's in a folder that is there or not."""
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join([SMOKE.read_text(), *lines]))
    return file


@pytest.mark.parametrize("name", ["smoke", "smoke.yaml", "conf/smoke.yaml", str(SMOKE)])
def test_a_built_in_one_is_found_from_any_folder(here: Path, name: str):
    assert find(name) == SMOKE


def test_every_built_in_one_is_found_by_its_name():
    assert {find(name) for name in names()} == set((PROJECT / "conf").rglob("*.yaml"))
    assert {DEFAULT, "sweeps/mnist_pca", "public/model_j"} <= {*names()}
    assert [name_of(find(name)) for name in names()] == names()


@pytest.mark.parametrize("name", ["smoke", "smoke.yaml"])
def test_a_file_of_one_s_own_comes_first(here: Path, name: str):
    file = own(here / "smoke.yaml", "name: mine")
    assert load(name).name == "mine"
    assert name_of(find(name)) == "smoke.yaml"
    file.unlink()
    assert load(name).name == "smoke"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("smok", "smoke"), ("conf/smok.yaml", "smoke"), ("mnist_pca", "sweeps/mnist_pca"), ("sub/min", "sub/mine")],
)
def test_an_unknown_name_suggests_the_nearest(here: Path, name: str, nearest: str):
    own(here / "sub" / "mine.yaml")
    with pytest.raises(UsageError, match=f"{name}: no such configuration; .*smoke.*did you mean '{nearest}'"):
        load(name)


def roots(experiment: Experiment) -> tuple[Path, Path]:
    return experiment.store_root, experiment.data_root


@pytest.mark.parametrize("file", ["../there/mine.yaml", "smoke"])
def test_the_store_is_data_of_the_current_folder(here: Path, file: str):
    own(here.parent / "there" / "mine.yaml")
    assert roots(load(file)) == (here / "data", here / "data" / "0_raw")


def test_roots_in_a_file_are_relative_to_it_and_options_to_the_current_folder(here: Path):
    there = here.parent / "there"
    own(there / "mine.yaml", "store_root: out", "data_root: sets")
    assert roots(load("../there/mine.yaml")) == (there / "out", there / "sets")
    assert roots(load("../there/mine.yaml", store=Path("s"), data=Path("d"))) == (here / "s", here / "d")


def files_of(experiment: Experiment) -> str:
    assert isinstance(experiment.zoo, ImportedZoo)
    return experiment.zoo.files


def test_files_are_relative_to_the_configuration_and_to_the_current_folder_for_one_that_is_built_in(here: Path):
    there = here.parent / "there"
    there.mkdir()
    (there / "mine.yaml").write_text((PROJECT / "conf" / "own_checkpoints.yaml").read_text())
    assert files_of(load("../there/mine.yaml")) == f"{there}/runs/*.safetensors"
    assert files_of(load("own_checkpoints")) == f"{here}/runs/*.safetensors"


def test_a_sweep_s_base_is_beside_it_or_built_in(here: Path):
    there = here.parent / "there"
    there.mkdir()
    (there / "sweep.yaml").write_text("base: smoke\ngrid: {fit.seed: [0, 1]}\n")
    own(here / "smoke.yaml")
    assert read_sweep(Path("../there/sweep.yaml")).base == SMOKE
    (there / "smoke.yaml").write_text((there / "sweep.yaml").read_text())
    assert read_sweep(Path("../there/smoke.yaml")).base == SMOKE
    beside = own(there / "smoke.yaml")
    assert read_sweep(Path("../there/sweep.yaml")).base.resolve() == beside


def test_modules_beside_a_configuration_can_be_imported_and_hide_nothing(here: Path):
    there = here.parent / "there"
    own(there / "mine.yaml")
    before = [*sys.path]
    load("../there/mine.yaml")
    importable(there)
    assert sys.path == [*before, str(there)]


def test_init_copies_a_configuration_once(here: Path, dwf: Dwf):
    code, out, _ = dwf("init", "smoke")
    assert (code, "dwf run smoke.yaml" in out) == (0, True)
    assert (here / "smoke.yaml").read_text() == SMOKE.read_text()
    own(here / "smoke.yaml", "name: mine")
    code, _, err = dwf("init", "smoke")
    assert (code, "--force" in err, load("smoke").name) == (2, True, "mine")
    assert dwf("init", "smoke", "--force")[0] == 0
    assert load("smoke").name == "smoke"


def test_init_names_what_there_is(here: Path, dwf: Dwf):
    code, out, _ = dwf("init")
    assert code == 0
    assert all(name in out for name in names())
    code, _, err = dwf("init", "smok")
    assert (code, "did you mean 'smoke'" in err, "sweeps/mnist_pca" in err) == (2, True, True)
    assert list(here.iterdir()) == []
