"""Which flow runs are alive: each holds an operating system's lock, so that a killed one is found out and closed."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from filelock import FileLock, Timeout
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from pipeline.prefect.discovery import require_writable


@contextmanager
def registered(home: Path, run: UUID) -> Iterator[None]:
    """Hold the run's lock for the length of the block, after closing the books on runs whose process died.

    Raises DwfError if `home` isn't writable.
    """
    require_writable(home)
    mine = FileLock(home / "runs" / f"{run}.lock")
    with books(home):  # else a run that starts just now could take this one for dead
        mine.acquire()
        mark_dead(home)
    try:
        yield
    finally:
        with books(home):
            Path(mine.lock_file).unlink(missing_ok=True)
            mine.release()


@contextmanager
def books(home: Path) -> Iterator[None]:
    """Hold the one lock under which records of runs are made and removed."""
    (home / "runs").mkdir(exist_ok=True)
    with FileLock(home / "runs" / "all"):
        yield


def mark_dead(home: Path) -> None:
    """Whoever held a lock that is free now has died: tell the server."""
    for file in (home / "runs").glob("*.lock"):
        with suppress(Timeout), FileLock(file).acquire(timeout=0):
            _mark_crashed(UUID(file.stem))
            file.unlink()


def _mark_crashed(run: UUID) -> None:
    """Set a flow run that can't go on, and its task runs, to Crashed; one that this server doesn't know is left alone."""
    crashed = Crashed(message="its process ended without a word; finished work is kept")
    with get_client(sync_client=True) as client, suppress(ObjectNotFound):
        for begun in task_runs(client, run):
            if not is_final(begun.state):
                client.set_task_run_state(begun.id, crashed, force=True)
        if not is_final(client.read_flow_run(run).state):
            client.set_flow_run_state(run, crashed, force=True)


def task_runs(client: SyncPrefectClient, run: UUID) -> list[TaskRun]:
    """What the server knows of a flow run's tasks."""
    return client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run])))


def is_final(state: State[Any] | None) -> bool:
    """Whether a run can't change any more."""
    return state is not None and state.is_final()
