"""`dwf run`, `stage`, `sweep`: hardware by options, and what would happen without it happening."""

from pathlib import Path

import pytest
from smoke import SMOKE, Done, Dwf

from pipeline.commands.options import with_hardware
from pipeline.config import load
from pipeline.dag import STAGES


def test_hardware_is_laid_over_everything_else():
    overrides = with_hardware(["device=auto", "fit.steps=5"], "cpu", 3)
    experiment = load(SMOKE, overrides)
    assert (experiment.device, experiment.threads, experiment.fit.steps) == ("cpu", 3, 5)
    assert with_hardware(None, None, None) == []


@pytest.mark.parametrize("command", [["run", SMOKE], ["stage", "fit", SMOKE], ["sweep", SMOKE, "fit.seed=0,1"]])
def test_a_wrong_device_is_named_by_every_command(dwf: Dwf, command: list[object], tmp_path: Path):
    code, _, err = dwf(*command, "--device", "tpu", "--store", tmp_path)
    assert code == 2
    assert "device" in err
    assert "'tpu'" in err


@pytest.mark.parametrize(
    ("command", "stages"), [(["run", SMOKE], STAGES), (["stage", "pack", SMOKE], STAGES[:3]), (["plan", SMOKE], STAGES)]
)
def test_a_dry_run_is_the_plan_and_makes_nothing(
    dwf: Dwf, command: list[object], stages: tuple[str, ...], tmp_path: Path
):
    flag = [] if command[0] == "plan" else ["--dry-run"]
    code, out, _ = dwf(*command, *flag, "--store", tmp_path)
    assert code == 0
    assert tuple(line.split()[0] for line in out.splitlines() if line.startswith(STAGES)) == stages
    assert list(tmp_path.iterdir()) == []


def test_a_dry_sweep_counts_what_would_be_shared_and_made(dwf: Dwf, finished: tuple[Path, Done]):
    code, out, _ = dwf("sweep", SMOKE, "sample.seed=0,1", "--dry-run", "--store", finished[0])
    assert code == 0
    counts = {line.split()[0]: line.split()[1:] for line in out.splitlines()[2:]}
    assert counts["fit"] == ["1", "1", "0"]
    assert counts["sample"] == ["2", "1", "1"]


def test_a_finished_run_says_what_to_do_next(dwf: Dwf, finished: tuple[Path, Done]):
    out = dwf("run", SMOKE, "--store", finished[0])[1]
    assert f"dwf open --store {finished[0]}" in out
    assert "dwf export smoke:sample networks/" in out
    assert "Finished in" in out


def test_an_unfinished_run_goes_through_all_stages_and_says_how_long_each_took(dwf: Dwf, store: Path):
    code, out, _ = dwf("run", SMOKE, "--direct", "--set", "sample.seed=3", "--store", store)
    assert code == 0
    states = [line.split()[1] for line in out.splitlines() if line.split()[:1] and line.split()[0] in STAGES]
    assert [state for state in states if state in ("reused", "done")] == ["reused"] * 4 + ["done"] * 3
