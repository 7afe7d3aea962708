"""Commands of `dwf` in processes of their own, to be killed or run side by side, and what they leave in a store."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from smoke import PROJECT, SMOKE

from pipeline.prefect.discovery import home_of
from pipeline.prefect.server import MARK
from stages.store.artifact import FOLDERS, MANIFEST, read_manifest

PATIENCE = 100.0
"""Seconds that anything may take while ten runs share two cores."""


@contextmanager
def started(store: Path, *arguments: object, log: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command on a store; what it says goes to `log`, and it is killed if the block ends before it does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")} | variables
    command = [sys.executable, "-m", "pipeline", *map(str, arguments), "--store", str(store)]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=output, stderr=output) as process,
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
