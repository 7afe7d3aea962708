"""Processes killed at random moments of every stage: nothing lost, nothing different, nothing left behind.

`KILLS=200 SEED=0 uv run pytest -n0 -m survey tests/pipeline/test_kills.py` kills 200; a case that is skipped had ended
before its kill.
"""

import os
import random
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any, NamedTuple

import httpx
import pytest
from processes import (
    PATIENCE,
    alive,
    children,
    digests,
    finished_units,
    leftovers,
    run_to_the_end,
    servers,
    started,
    unfinished_records,
    wait_until,
)
from smoke import SMOKE

from pipeline.dag import STAGES
from pipeline.prefect.discovery import UpRecord, home_of
from stages.store.artifact import FOLDERS, read_manifest

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


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that a run without Prefect filled, by processes like those that are killed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    code, said = run_to_the_end(folder / "store", "--direct", log=folder / "log")
    assert code == 0, said
    return folder / "store"


def store_up_to(stage: str, undisturbed: Path, store: Path) -> Path:
    """A copy of the finished store without a stage and those after it; at the start there is nothing."""
    store.mkdir()
    for name in STAGES[: STAGES.index(stage)] if stage != "start" else ():
        shutil.copytree(undisturbed / FOLDERS[name], store / FOLDERS[name])
    return store


@pytest.mark.slow
@pytest.mark.parametrize("kill", [Kill(6), Kill(31)], ids=str)
def test_a_kill_in_the_middle(kill: Kill, undisturbed: Path, tmp_path: Path) -> None:
    survives(kill, undisturbed, tmp_path)


@pytest.mark.survey
@pytest.mark.parametrize("kill", [Kill(number) for number in range(KILLS)], ids=str)
def test_a_kill_at_any_moment(kill: Kill, undisturbed: Path, tmp_path: Path) -> None:
    survives(kill, undisturbed, tmp_path)


def survives(kill: Kill, undisturbed: Path, tmp_path: Path) -> None:
    """Kill once, run to the end, and compare with what an undisturbed run left."""
    store = store_up_to(kill.stage, undisturbed, tmp_path / "store")
    log, delay = tmp_path / "log", kill.delay(undisturbed)
    if kill.victim == "worker":
        with served(store, tmp_path / "up.log") as deployment:
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


class Deployment(NamedTuple):
    """What `dwf up` serves."""

    up: Popen[bytes]
    store: Path
    url: str

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """An answer of Prefect's API."""
        method = "GET" if body is None else "POST"
        return httpx.request(method, self.url + path, json=body, timeout=60).raise_for_status().json()

    def start(self) -> None:
        """Start a run."""
        deployment = self.ask("/deployments/name/dwf/full")["id"]
        self.ask(f"/deployments/{deployment}/create_flow_run", {"parameters": {"config": "smoke"}})

    def worker(self) -> int:
        """The process that carries out the run, once it is there: the child of `dwf up` that is no server."""
        wait_until(self._workers, often=0.01)
        return self._workers()[0]

    def _workers(self) -> list[int]:
        return sorted(set(children(self.up.pid)) - set(servers(self.store)))

    def last_state(self) -> str:
        """How the latest run stands."""
        return self.ask("/flow_runs/filter", {"sort": "EXPECTED_START_TIME_DESC", "limit": 1})[0]["state_type"]


@contextmanager
def served(store: Path, log: Path) -> Iterator[Deployment]:
    """`dwf up` on a store for the length of the block, ended by Ctrl-C."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with started(store, "up", "--port", port, log=log) as up:
        wait_until(lambda: "is served" in log.read_text() or up.poll() is not None)
        record = UpRecord.read(home_of(store))
        assert record, log.read_text()
        yield Deployment(up, store, record.url)
        up.send_signal(signal.SIGINT)
        assert up.wait(60) in (0, 130), log.read_text()
        assert "Traceback" not in log.read_text()
