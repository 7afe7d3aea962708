"""The page of the library runs as it stands, block after block, on the smoke configuration."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from smoke import PROJECT, Done

import dwf

PAGE = (PROJECT / "pipeline" / "library" / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
STAND_INS = {', fit={"steps": 500}, device="cpu"': "", '"iris_mlp"': '"smoke"'}


@pytest.fixture(scope="module")
def names(finished: tuple[Path, Done], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page's code leaves behind."""
    folder, found = tmp_path_factory.mktemp("page"), {"__name__": "page"}
    shutil.copytree(finished[0], folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for block in BLOCKS:
            for shown, real in STAND_INS.items():
                block = block.replace(shown, real)
            exec(block, found)
        found["files"] = {str(path.relative_to(folder)) for path in folder.rglob("*.safetensors")}
    return found


def test_what_stands_in_is_shown():
    assert all(shown in "".join(BLOCKS) for shown in STAND_INS)
    assert len(BLOCKS) == 8


def test_networks_are_sampled_and_saved(names: dict[str, Any]):
    assert len(names["nets"]) == 16
    assert {"networks/generated-00000/model.safetensors", "files/generated-00015.safetensors"} <= names["files"]


def test_networks_are_evaluated_on_own_data(names: dict[str, Any]):
    assert names["scored"].figures.test_examples == len(names["run"].validation.targets)


def test_relabelled_networks_come_back(names: dict[str, Any]):
    assert isinstance(names["found"], dwf.NetworkSymmetry)
    assert not torch.equal(names["moved"][0].weight, names["net_a"][0].weight)
    assert torch.equal(names["back"][0].weight, names["net_a"][0].weight)
