"""The README says what is true: its files exist, its commands parse, its code runs."""

import re
import shlex
from pathlib import Path

import pytest
import torch
import typer.main
from smoke import run_smoke

from pipeline.cli import app
from pipeline.config import PROJECT
from stages.artifacts.export import export_networks

README = (PROJECT / "README.md").read_text()
COMMANDS = sorted(set(re.findall(r"dwf ((?:run|stage|sweep|plan|show|verify|export|schema|up)\b[^`\n#|(]*)", README)))


def test_every_path_that_is_named_exists():
    named = re.findall(r"\]\(([^)#h][^)#]*)[^)]*\)|\b(conf/[\w/]+\.yaml)\b", README)
    paths = {a or b for a, b in named} - {"conf/x.yaml"}
    assert paths
    assert [path for path in paths if not (PROJECT / path).exists()] == []


@pytest.mark.parametrize("text", COMMANDS)
def test_every_command_parses(text: str):
    name, *arguments = shlex.split(text)
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    assert command.make_context(name, arguments, resilient_parsing=False).info_name == name


def test_exported_networks_load_in_plain_torch_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    snippet = next(block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "load_file" in block)
    made = run_smoke(tmp_path, "zoo.network.widths=[4, 16, 3]", last="sample")
    export_networks(made["sample"][0].path, tmp_path / "networks")
    monkeypatch.chdir(tmp_path)
    names: dict[str, torch.nn.Module] = {}
    exec(snippet, names)
    assert names["net"](torch.zeros(2, 4)).shape == (2, 3)
