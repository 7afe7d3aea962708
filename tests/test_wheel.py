"""The wheel in an environment of its own: a user's project folder is all that it reads and writes."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from smoke import PROJECT, SMOKE

pytestmark = pytest.mark.slow
FONTS = ".cache/matplotlib"
"""Where matplotlib keeps its list of the machine's fonts, for all programs."""
MODEL = """import torch
from layers import hidden

def make(width):
    return torch.nn.Sequential(*hidden(width), torch.nn.Linear(width, 3))
"""
LAYERS = "from torch import nn\n\ndef hidden(width):\n    return nn.Linear(4, width), nn.ReLU()\n"
TABLE = "a,b,c,d,kind\n" + "".join(f"{i},{i * i % 7},{i % 5},{i % 3},{'xyz'[i % 3]}\n" for i in range(60))
ZOO = {
    "dataset": {"kind": "csv", "train": "own.csv", "target": "kind"},
    "network": {"kind": "model", "model": "my_model:make", "kwargs": {"width": 8}, "input": [4]},
    "recipe": {"optimizer": "adam", "lr": 0.02, "batch": 32, "epochs": 1},
    "members": 4,
    "heldout": 2,
}
FEW = {"steps": 4, "check_every_steps": 2}
NOT_OURS = "raise RuntimeError('imported')\n"
"""A source of the user's that bears the name of one of our packages."""
Run = Callable[..., str]
"""A folder, a program of the environment and its arguments to its output."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, and with the libraries of this one but not its checkout."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(build, cwd=PROJECT, check=True, capture_output=True)
    environment = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text(str(Path(torch.__file__).parents[1]))
    (wheel,) = folder.glob("*.whl")
    install = ["uv", "pip", "install", "--offline", "--no-deps", "--python", environment / "bin" / "python", wheel]
    subprocess.run(install, check=True, capture_output=True)
    return environment


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a configuration, a model in two files, data, and files whose names are those of our packages."""
    folder = tmp_path_factory.mktemp("project")
    values = yaml.safe_load(SMOKE.read_text())
    values |= {"zoo": ZOO, "fit": values["fit"] | FEW}
    (folder / "mine.yaml").write_text(yaml.safe_dump(values))
    (folder / "my_model.py").write_text(MODEL)
    (folder / "layers.py").write_text(LAYERS)
    (folder / "own.csv").write_text(TABLE)
    (folder / "pipeline.py").write_text(NOT_OURS)
    (folder / "stages").mkdir()
    (folder / "stages" / "__init__.py").write_text(NOT_OURS)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that is empty at first."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def run(installed: Path, home: Path) -> Run:
    """Run a program of the environment in a folder."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR")}
    settings = {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", "DWF_OFFLINE": "1", "OMP_NUM_THREADS": "1"}

    def call(folder: Path, program: str, *arguments: str) -> str:
        command = [installed / "bin" / program, *arguments]
        done = subprocess.run(command, cwd=folder, env=kept | settings, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    return call


def files(folder: Path) -> dict[str, int]:
    """Every file below a folder, with the time of its last change."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_one_s_own_experiment_runs_and_writes_nothing_outside_its_folder(
    installed: Path, project: Path, home: Path, run: Run
):
    before, checkout, own = files(installed), files(PROJECT / "data"), {path.name for path in project.iterdir()}
    assert f"Report: {project}/data" in run(project, "dwf", "run", "--direct", "mine.yaml")
    run(project, "dwf", "export", "sample", "networks")
    assert files(installed) == before
    assert files(PROJECT / "data") == checkout
    assert [name for name in files(home) if not name.startswith(FONTS)] == []
    assert {path.name for path in project.iterdir()} == own | {"data", "networks"}
    generated = load_file(project / "networks" / "generated-00000.safetensors")
    assert generated["0.weight"].shape == (8, 4)


def test_the_file_that_changed_is_one_beside_the_model(project: Path, run: Run):
    (project / "layers.py").write_text(LAYERS.replace("nn.ReLU()", "nn.Tanh()"))
    assert "code changed: layers.py" in run(project, "dwf", "plan", "mine.yaml")


def test_as_a_module_it_doesn_t_take_a_user_s_stages_for_its_own(project: Path, run: Run, tmp_path: Path):
    shutil.copytree(project / "stages", tmp_path / "stages")
    assert run(tmp_path, "python", "-m", "pipeline", "plan", "smoke").count("never run") == 7
