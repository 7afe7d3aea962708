"""Processes killed at random moments of every stage: nothing lost, nothing different, nothing left behind.

`KILLS=200 SEED=0 uv run pytest -n0 -m survey tests/pipeline/test_kills.py` kills 200; a case that is skipped had ended
before its kill.
"""

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from processes import (
    PATIENCE,
    alive,
    digests,
    finished_units,
    leftovers,
    run_to_the_end,
    servers,
    serving,
    started,
    store_up_to,
    unfinished_records,
    wait_until,
)
from smoke import SMOKE

from pipeline.dag import STAGES
from stages.store.artifact import FOLDERS
from stages.store.manifest import read_manifest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
KILLS, SEED = int(os.environ.get("KILLS", "200")), os.environ.get("SEED", "0")
VICTIMS = ("direct", "run", "server", "direct", "run", "worker")
"""A run without Prefect, one with it, only its server, and only the process of a deployment's run."""
MOMENTS = ("start", *STAGES)
START_SECONDS = 12.0
"""What a run does before its first stage, which includes the making of Prefect's database."""


class Kill(NamedTuple):
    """Which process is killed when: at a random moment of a stage, or before the first one in a fresh store."""

    number: int

    @property
    def victim(self) -> str:
        return VICTIMS[self.number % len(VICTIMS)]

    @property
    def stage(self) -> str:
        return MOMENTS[self.number // len(VICTIMS) % len(MOMENTS)]

    def __str__(self) -> str:
        return f"{self.number}-{self.victim}-{self.stage}"

    def delay(self, undisturbed: Path) -> float:
        """Seconds after the stage began, by how long it took undisturbed."""
        seconds = START_SECONDS
        if self.stage != "start":
            [manifest] = (undisturbed / FOLDERS[self.stage]).glob("*/manifest.json")
            seconds = read_manifest(manifest.parent).seconds
        return random.Random(f"{SEED} {self.number}").uniform(0, seconds)


@pytest.mark.slow
def test_a_kill_in_the_middle(undisturbed: Path, tmp_path: Path) -> None:
    survives(Kill(6), undisturbed, tmp_path)


@pytest.mark.survey
@pytest.mark.parametrize("kill", [Kill(number) for number in range(KILLS)], ids=str)
def test_a_kill_at_any_moment(kill: Kill, undisturbed: Path, tmp_path: Path) -> None:
    survives(kill, undisturbed, tmp_path)


def survives(kill: Kill, undisturbed: Path, tmp_path: Path) -> None:
    """Kill once, run to the end, and compare with what an undisturbed run left."""
    store = store_up_to(kill.stage, undisturbed, tmp_path / "store")
    log, delay = tmp_path / "log", kill.delay(undisturbed)
    if kill.victim == "worker":
        with serving(store, tmp_path / "up.log") as deployment:
            deployment.start()
            hit = killed(kill, store, deployment.worker(), delay)
            wait_until(lambda: not unfinished_records(store))
            kept = finished_units(store)
            deployment.start()
            wait_until(lambda: not unfinished_records(store), often=1)
            assert deployment.last_state() == "COMPLETED", (tmp_path / "up.log").read_text()
    else:
        mode = ["--direct"] if kill.victim == "direct" else []
        with started(store, "run", SMOKE, *mode, log=log) as process:
            hit = killed(kill, store, process.pid, delay)
            code = process.wait(PATIENCE)
        if kill.victim == "server" and code:
            assert explained(log.read_text())
        wait_until(lambda: not servers(store), 20)
        if kill.victim != "direct" and not [*store.glob("*/*.partial")]:  # with nothing to do it would close no records
            shutil.rmtree(store / FOLDERS["report"], ignore_errors=True)
        kept = finished_units(store)
        code, said = run_to_the_end(store, *mode, log=log)
        assert code == 0, said
    assert digests(store) == digests(undisturbed)
    assert kept.items() <= finished_units(store).items(), "finished work was done again"
    assert leftovers(store) == []
    if not hit:
        pytest.skip("had ended before")


def killed(kill: Kill, store: Path, process: int, delay: float) -> bool:
    """Kill the victim once its stage has begun and `delay` seconds have passed; False if it had ended by then."""
    stage = store / FOLDERS.get(kill.stage, "")
    wait_until(lambda: kill.stage == "start" or [*stage.glob("*.partial"), *stage.glob("*/manifest.json")], often=0.002)
    victims = [process]
    if kill.victim == "server":
        wait_until(lambda: servers(store) or not alive(process))
        victims = servers(store)
    time.sleep(delay)
    return sum(_kill(victim) for victim in victims) > 0


def _kill(process: int) -> bool:
    if not alive(process):
        return False
    os.kill(process, signal.SIGKILL)
    return True


def explained(said: str) -> bool:
    """Whether a command ended in one line for people."""
    return "Traceback" not in said and said.splitlines()[-1].startswith("dwf: ") and "unexpected" not in said
