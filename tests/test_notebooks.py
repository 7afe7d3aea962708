"""The notebooks run from the first cell to the last, and what is stored of them is fit to be read anywhere."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from smoke import PROJECT, Done

NOTEBOOKS = sorted((PROJECT / "conf" / "notebooks").glob("*.ipynb"))
STAND_INS = {
    '"iris_mlp", zoo={"members": 60, "heldout": 15}, fit={"steps": 1500}': '"smoke"',
    '"steps": 400': '"steps": 40',
}
"""What takes long -> what is run in its place; the smoke run is there already."""


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture
def folder(finished: tuple[Path, Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder, and nothing written outside of it."""
    shutil.copytree(finished[0], tmp_path / "data")
    for variable in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    return tmp_path


@pytest.mark.filterwarnings("default")  # of the libraries that run notebooks
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_runs(file: Path, folder: Path):
    notebook = nbformat.read(file, as_version=4)
    for cell in code(notebook):
        for shown, real in STAND_INS.items():
            cell.source = cell.source.replace(shown, real)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    shown = [output for cell in code(notebook) for output in cell.get("outputs", [])]
    assert any("held-out" in output.get("data", {}).get("text/html", "") for output in shown)


def test_what_stands_in_is_shown():
    sources = "".join(cell.source for file in NOTEBOOKS for cell in code(nbformat.read(file, as_version=4)))
    assert [shown for shown in STAND_INS if shown not in sources] == []


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_stored_outputs_are_whole_small_and_of_no_machine(file: Path):
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    assert re.findall(r"/(?:tmp|home|root|work|usr)/", file.read_text()) == []
    assert all(output.output_type != "error" for cell in code(notebook) for output in cell.outputs)
    assert file.stat().st_size < 100_000
