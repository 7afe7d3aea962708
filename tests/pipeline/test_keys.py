"""Keys change with what a result depends on, and with nothing else."""

import shutil
from pathlib import Path

import pytest

from pipeline import keys
from pipeline.config import PROJECT, load

SMOKE = load(PROJECT / "conf" / "smoke.yaml")


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A copy of the sources that may be edited."""
    shutil.copytree(PROJECT / "stages", tmp_path / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(keys, "PACKAGES", tmp_path)
    keys.sources.cache_clear()
    yield tmp_path
    keys.sources.cache_clear()


def test_a_key_depends_on_params_and_upstream():
    key = keys.key_of("fit", SMOKE.fit, {"packed": "a"})
    assert key == keys.key_of("fit", SMOKE.fit, {"packed": "a"})
    assert key != keys.key_of("fit", SMOKE.fit, {"packed": "b"})
    assert key != keys.key_of("fit", SMOKE.fit.model_copy(update={"steps": 61}), {"packed": "a"})


def test_where_and_how_fast_a_run_goes_is_no_part_of_any_key():
    elsewhere = load(PROJECT / "conf" / "smoke.yaml", ["device=cpu", "threads=7", "store_root=/x", "name=other"])
    for stage in ("zoo", "fit", "evaluate"):
        assert keys.key_of(stage, SMOKE.params(stage), {}) == keys.key_of(stage, elsewhere.params(stage), {})


@pytest.mark.parametrize(
    ("edited", "changed"),
    [
        ("stages/fit.py", {"fit"}),
        ("stages/zoo.py", {"zoo"}),
        ("stages/params/fit.py", {"fit"}),
        ("stages/flow/ode.py", {"fit", "sample"}),
        ("stages/symmetry/rebasin.py", {"canonicalize", "evaluate"}),
        ("stages/audit/report.html.jinja", {"evaluate"}),
        ("stages/store/layout.py", {"zoo", "canonicalize", "pack", "fit", "sample", "evaluate"}),
    ],
)
def test_an_edit_changes_the_sources_of_exactly_the_stages_that_use_the_file(
    copied: Path, edited: str, changed: set[str]
):
    stages = ("zoo", "canonicalize", "pack", "fit", "sample", "evaluate")
    before = {stage: keys.sources(stage) for stage in stages}
    with (copied / edited).open("a") as file:
        file.write("\n# one more line\n")
    keys.sources.cache_clear()
    assert {stage for stage in stages if keys.sources(stage) != before[stage]} == changed


def test_imports_inside_functions_count(copied: Path):
    with (copied / "stages" / "pack.py").open("a") as file:
        file.write("\ndef late():\n    from stages.flow import ode\n    return ode\n")
    keys.sources.cache_clear()
    assert "stages/flow/ode.py" in keys.sources("pack")


def test_differences_name_the_nested_key_and_both_values():
    assert list(keys.differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4})) == [
        "a.c 2 -> 3",
        "d null -> 4",
    ]
