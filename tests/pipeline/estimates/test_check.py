"""What a run needs, against what it took; and the refusal of what is more than there is, before anything runs."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smoke import SMOKE, Done, Dwf

from pipeline.config import load
from pipeline.estimates import check as module
from pipeline.estimates.check import Estimate, check, estimates
from pipeline.runner import Runner
from stages.errors import UsageError
from stages.store.artifact import FOLDERS
from stages.store.files import size_on_disk

Usage = namedtuple("Usage", "total used free")
GB = 10**9


@pytest.fixture(autouse=True)
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same disk and memory on every machine, and no GPU."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(200 * GB, 100 * GB, 100 * GB))
    monkeypatch.setattr(module, "available_memory", lambda: 16 * GB)
    monkeypatch.setattr(module, "NVIDIA", Path("/nonexistent"))


def of(store: Path, *overrides: str) -> list[Estimate]:
    experiment = load(SMOKE, overrides, store)
    return estimates(experiment, Runner(experiment).plan())


def test_a_smoke_run_takes_about_as_much_disk_as_estimated(finished: tuple[Path, Done], tmp_path: Path):
    for estimate in of(tmp_path):
        if estimate.stage != "report":  # it has no pictures here
            taken = size_on_disk(finished[0] / FOLDERS[estimate.stage])
            assert taken / 3 < estimate.disk.size < 3 * taken, estimate.stage


def test_rows_of_weights_are_counted_to_the_byte(tmp_path: Path):
    large, small = ({e.stage: e.disk.size for e in of(tmp_path, f"zoo.members={n}")} for n in (100_012, 12))
    assert large["pack"] - small["pack"] == pytest.approx(100_000 * (67 * 4 + 100), rel=0.01)


def test_the_memory_of_a_wide_batch_is_about_what_was_measured(tmp_path: Path):
    """4.6 GB: a million points of 67 weights, a flow of 32 hidden units."""
    found = {e.stage: e for e in of(tmp_path, "fit.space={kind: raw}", "fit.batch=1000000")}
    assert 2.3e9 < found["fit"].memory.size < 9.2e9


@pytest.mark.parametrize(
    ("override", "causes"),
    [
        ("zoo.members=100000000000", {"zoo.members"}),
        ("sample.networks=1000000000000", {"sample.networks"}),
        ("fit.batch=100000000000", {"fit.batch"}),
        ("fit.velocity.hidden=10000000", {"fit.velocity.hidden"}),
        ("zoo.network={kind: mlp, widths: [4, 10000000, 10000000, 3]}", {"zoo.network"}),
        ("sample.keep_fraction=1e-300", {"sample.keep_fraction"}),
        ("evaluate.baseline_networks=1000000", {"evaluate.baseline_networks"}),
    ],
)
def test_what_is_too_much_is_refused_by_the_parameter_to_blame(tmp_path: Path, override: str, causes: set[str]):
    found = of(tmp_path, override)
    with pytest.raises(UsageError) as error:
        check(found, tmp_path)
    lines = str(error.value).splitlines()
    assert {line.partition(":")[0] for line in lines} == causes
    assert all("are free" in line and "--force" in line for line in lines)
    assert check(found, tmp_path, force=True)  # as warnings


def test_what_fits_is_neither_refused_nor_warned_of(tmp_path: Path):
    assert check(of(tmp_path), tmp_path) == []


def test_memory_is_refused_only_beyond_doubt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = of(tmp_path)
    largest = max(estimate.memory.size for estimate in found)
    monkeypatch.setattr(module, "available_memory", lambda: int(largest / 1.5))
    assert "too much for memory" in check(found, tmp_path)[0]
    monkeypatch.setattr(module, "available_memory", lambda: int(largest / 2.5))
    with pytest.raises(UsageError, match="too much for memory"):
        check(found, tmp_path)
    monkeypatch.setattr(module, "available_memory", lambda: None)
    assert check(found, tmp_path) == []


def test_what_an_interrupted_run_has_written_is_not_needed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    experiment = load(SMOKE, ["zoo.members=100000"], tmp_path)
    step = Runner(experiment).plan()[0]
    needed = sum(e.disk.size for e in of(tmp_path, "zoo.members=100000"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(GB, GB, int(needed) - 10**6))
    with pytest.raises(UsageError, match=r"zoo\.members: too much for the disk"):
        check(of(tmp_path, "zoo.members=100000"), tmp_path)
    half_done = step.path.with_name(f"{step.key}.partial")
    half_done.mkdir(parents=True)
    (half_done / "shard").write_bytes(bytes(2 * 10**6))
    assert check(of(tmp_path, "zoo.members=100000"), tmp_path) == []


@given(
    st.sampled_from(
        ["zoo.members", "zoo.shard_size", "fit.batch", "fit.steps", "sample.networks", "zoo.recipe.epochs"]
    ),
    st.integers(2, 10**39),
)
def test_no_number_is_too_large_to_be_judged(tmp_path_factory: pytest.TempPathFactory, key: str, value: int):
    for estimate in of(tmp_path_factory.getbasetemp(), f"{key}={value}"):
        assert estimate.disk.size < float("inf")
        assert estimate.memory.size < float("inf")
        assert estimate.time is not None


@pytest.mark.parametrize("command", [["run"], ["stage", "zoo"], ["sweep"]])
def test_every_command_refuses_before_anything_is_made(dwf: Dwf, command: list[str], tmp_path: Path):
    axis = ["fit.seed=0,1"] if command == ["sweep"] else []
    code, _, err = dwf(*command, SMOKE, *axis, "--set", "zoo.members=100000000000", "--store", tmp_path)
    assert code == 2
    assert "zoo.members: too much for the disk" in err
    assert list(tmp_path.iterdir()) == []


def test_the_library_refuses_too(tmp_path: Path):
    import dwf

    with pytest.raises(UsageError, match=r"sample\.networks: too much for the disk"):
        dwf.run(SMOKE, store=tmp_path, sample={"networks": 10**12}, progress=False)
    assert list(tmp_path.iterdir()) == []
