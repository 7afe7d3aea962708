"""The public module: light to import, from anywhere, and all of it there."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from smoke import PROJECT

import dwf


def python(code: str, folder: Path) -> str:
    """What a program prints that is run in another folder."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder)
    return done.stdout.strip()


def test_importing_it_elsewhere_takes_next_to_nothing(tmp_path: Path):
    heavy = "{'torch', 'numpy', 'pandas', 'pydantic', 'rich', 'yaml'}"
    assert python(f"import sys, dwf; print(sorted({heavy} & {{*sys.modules}}))", tmp_path) == "[]"


def test_every_name_is_there_and_typed():
    """Those that are public, those that are loaded when used, and those that type checkers see."""
    tree = ast.parse((PROJECT / "dwf.py").read_text())
    (typed,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {a.asname or a.name for node in typed.body if isinstance(node, ast.ImportFrom) for a in node.names}
    assert {*dwf.__all__} == seen <= {*dir(dwf)}
    assert all(getattr(dwf, name).__doc__ for name in dwf.__all__)


def test_another_name_is_answered_with_those_there_are():
    with pytest.raises(AttributeError, match=r"no attribute 'opne'; it has .*open"):
        getattr(dwf, "opne")  # noqa: B009 - as a program would misspell it


def test_nothing_below_imports_it():
    sources = [path for package in ("stages", "pipeline") for path in (PROJECT / package).rglob("*.py")]
    assert [path for path in sources if "\nimport dwf" in path.read_text() or "\nfrom dwf" in path.read_text()] == []
