"""The commit of the sources: with changes, without, and where there is none to tell."""

import subprocess
from pathlib import Path

import pytest

from pipeline import provenance
from pipeline.provenance import commit
from pipeline.runner import versions


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    return subprocess.run(
        ["git", "-C", folder, *who, *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "fit.py").write_text("steps = 1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    commit.cache_clear()
    return tmp_path


def test_a_clean_tree_is_its_commit_and_a_changed_one_says_so(tree: Path):
    name = git(tree, "rev-parse", "HEAD")[:12]
    (tree / "notes").write_text("of nobody's interest")
    assert commit(tree) == name
    commit.cache_clear()
    (tree / "stages" / "fit.py").write_text("steps = 2\n")
    assert commit(tree) == f"{name} and changes"


def test_a_package_within_another_project_s_tree_has_no_commit(tree: Path):
    assert commit(tree / "stages") is None


def test_without_a_tree_or_without_git_there_is_none(tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch):
    bare = tmp_path.parent / f"{tmp_path.name}-bare"
    bare.mkdir()
    assert commit(bare) is None
    monkeypatch.setenv("PATH", "")
    assert commit(tree) is None


def test_manifests_have_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.provenance.commit", lambda: "6aa7ae36f9ab")
    assert versions()["commit"] == "6aa7ae36f9ab"
    monkeypatch.setattr("pipeline.provenance.commit", lambda: None)
    assert "commit" not in versions()
    assert provenance.HERE.joinpath("pipeline").is_dir()
