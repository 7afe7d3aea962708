"""Commands of `dwf` in processes of their own, to be killed or run side by side, and what they leave in a store."""

import os
import shutil
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any, NamedTuple

import httpx
from smoke import PROJECT, SMOKE

from pipeline.dag import STAGES
from pipeline.prefect.discovery import UpRecord, auth_of, home_of
from pipeline.prefect.server import MARK
from stages.store.artifact import FOLDERS
from stages.store.manifest import MANIFEST, read_manifest

PATIENCE = 600.0
"""Seconds that anything may take while ten runs share two cores."""


@contextmanager
def started(store: Path, *arguments: object, log: Path, **variables: str) -> Iterator[Popen[bytes]]:
    """A command on a store; what it says goes to `log`, and it is killed if the block ends before it does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")} | variables
    command = [sys.executable, "-m", "pipeline", *map(str, arguments), "--store", str(store)]
    with (
        log.open("wb") as output,
        Popen(command, cwd=PROJECT, env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def run_to_the_end(store: Path, *arguments: object, log: Path, **variables: str) -> tuple[int, str]:
    """A run of the smoke configuration: its exit code and what it said."""
    with started(store, "run", SMOKE, *arguments, log=log, **variables) as process:
        code = process.wait(PATIENCE)
    return code, log.read_text()


def wait_until(true: Callable[[], object], seconds: float = PATIENCE, often: float = 0.05) -> None:
    """Return once something holds; fail if it doesn't in time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(often)


def digests(store: Path) -> dict[str, str]:
    """The digests of a store's artifacts, by stage and key."""
    manifests = (read_manifest(file.parent) for file in store.glob(f"[0-9]_*/*/{MANIFEST}"))
    return {f"{made.stage} {made.key}": made.digest for made in manifests}


def finished_units(store: Path) -> dict[str, int]:
    """What must outlive a kill: complete artifacts and shards of the zoo, by name, with the inode that tells a copy."""
    files = [*store.glob(f"[0-9]_*/*[!l]/{MANIFEST}"), *store.glob(f"{FOLDERS['zoo']}/*/shards/*.zarr/zarr.json")]
    return {str(file.relative_to(store)).replace(".partial", ""): file.stat().st_ino for file in files}


def leftovers(store: Path) -> list[str]:
    """What nobody needs once every run has ended: unfinished folders, files and records, and servers."""
    patterns = ("**/*.partial", "**/*.tmp*", ".prefect/runs/*.lock", ".prefect/servers/*", ".prefect/server.json")
    files = [str(path.relative_to(store)) for pattern in patterns for path in store.glob(pattern)]
    return [*files, *map(str, unfinished_records(store)), *(f"server {pid}" for pid in servers(store))]


def servers(store: Path) -> list[int]:
    """The processes of a store's Prefect servers (Linux)."""
    return [pid for pid in _processes() if _serves(pid, home_of(store))]


def children(process: int) -> list[int]:
    """The processes that a process started and that go on."""
    return [pid for pid in _processes() if _state(pid)[1] == process and alive(pid)]


def alive(process: int) -> bool:
    """Whether a process goes on; one that has ended and that nobody has waited for doesn't."""
    return _state(process)[0] not in "ZX"


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _state(process: int) -> tuple[str, int]:
    """A process's state, X if there is none, and its parent."""
    try:
        state, parent = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return "X", 0
    return state, int(parent)


def _serves(process: int, home: Path) -> bool:
    try:
        command = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        return MARK.encode() in command and Path(f"/proc/{process}/cwd").samefile(home)
    except OSError:  # ended meanwhile
        return False


def unfinished_records(store: Path) -> list[tuple[str, str]]:
    """Flow runs in Prefect's database that have no end, by name and state."""
    if not (database := home_of(store) / "prefect.db").exists():
        return []
    with closing(sqlite3.connect(database)) as connection:
        final = "('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')"
        return connection.execute(f"SELECT name, state_type FROM flow_run WHERE state_type NOT IN {final}").fetchall()


def store_up_to(stage: str, undisturbed: Path, store: Path) -> Path:
    """A copy of the finished store without a stage and those after it; at the start there is nothing."""
    store.mkdir()
    for name in STAGES[: STAGES.index(stage)] if stage != "start" else ():
        shutil.copytree(undisturbed / FOLDERS[name], store / FOLDERS[name])
    return store


class Deployment(NamedTuple):
    """What `dwf up` serves."""

    up: Popen[bytes]
    store: Path
    url: str

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """An answer of Prefect's API."""
        method, (user, _, password) = "GET" if body is None else "POST", auth_of(home_of(self.store)).partition(":")
        answer = httpx.request(method, self.url + path, json=body, timeout=60, auth=(user, password))
        return answer.raise_for_status().json()

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
def serving(store: Path, log: Path) -> Iterator[Deployment]:
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
