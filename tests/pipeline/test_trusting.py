"""--trust: said on the command line or in Python, by no file, and carried into every thread and process."""

import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
from smoke import Dwf

import dwf as library
from pipeline.config import Experiment, load
from pipeline.sweep.run import workers
from stages.errors import DwfError, UsageError
from stages.trust import trusting

NETWORK = '{kind: model, model: "installed_nets:make", input: [4]}'
SET = f"zoo.network={NETWORK}"


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of somebody else's that makes networks."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "installed_nets.py").write_text("from torch import nn\ndef make(): return nn.Linear(4, 3)\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "installed_nets", raising=False)


def experiment(store: Path) -> Experiment:
    with trusting(["installed_nets"]):
        return load("smoke", [SET, "threads=2"], store)


@pytest.mark.parametrize(
    "arguments",
    [
        *(["run", "smoke"], ["plan", "smoke"], ["stage", "zoo", "smoke"], ["sweep", "smoke", "fit.seed=0,1"]),
        ["compare", "smoke", "theirs=nets/*.pt"],
    ],
)
def test_an_installed_package_is_not_called_unless_trusted(dwf: Dwf, tmp_path: Path, arguments: list[str]) -> None:
    code, _, err = dwf(*arguments, "--set", SET, "--store", tmp_path / "store")
    assert code == 2
    assert "installed_nets isn't called" in err
    assert err.endswith("--trust installed_nets\n")
    assert "installed_nets" not in sys.modules


def test_it_is_if_it_is_in_all_threads_and_of_what_it_made_networks_are_built(dwf: Dwf, tmp_path: Path) -> None:
    store = tmp_path / "store"
    trust = ["--trust", "xml", "--trust", "installed_nets"]
    code, _, err = dwf("stage", "pack", "smoke", "--set", SET, "--store", store, "--threads", 2, *trust)
    assert (code, err) == (0, "")
    with pytest.raises(UsageError, match=r"--trust installed_nets$"):
        _ = library.open(store).members[0]
    assert library.open(store, trust=["installed_nets"]).members[:2][0].module.out_features == 3


def test_symmetry_takes_it_too(dwf: Dwf) -> None:
    assert dwf("symmetry", "installed_nets:make", "--input", "4")[0] == 2
    assert dwf("symmetry", "installed_nets:make", "--input", "4", "--trust", "installed_nets")[0] == 0


def test_no_file_can_say_it(tmp_path: Path) -> None:
    for name in ("trust", "_trust"):
        with pytest.raises(UsageError, match=rf"{name}: unknown key"):
            load("smoke", [SET, f"{name}=[installed_nets]"], tmp_path)


def test_an_experiment_keeps_it_wherever_it_goes_and_its_keys_do_not_change(tmp_path: Path) -> None:
    trusting_one = experiment(tmp_path)
    copies: list[Any] = [trusting_one.model_copy(update={"name": "b"}), pickle.loads(pickle.dumps(trusting_one))]
    copies += [library.experiment(trusting_one), library.experiment("smoke", trust=["installed_nets"])]
    assert [copy.trust for copy in copies] == [("installed_nets",)] * len(copies)
    assert load("smoke", [], tmp_path).trust == ()
    assert "trust" not in trusting_one.model_dump_json()


@pytest.mark.slow
def test_processes_of_a_sweep_have_it(tmp_path: Path) -> None:
    with workers(2, lambda *progress: None) as submit:
        assert submit(experiment(tmp_path), "zoo", {}).result().stage == "zoo"
        with trusting(["installed_nets"]):
            refused = load("smoke", [SET], tmp_path / "other")
        refused._trust = ()
        with pytest.raises(DwfError, match=r"--trust installed_nets$"):
            submit(refused, "zoo", {}).result()
