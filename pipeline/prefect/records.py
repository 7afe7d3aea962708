"""Records of flow runs: each holds a lock of the operating system, by which one that was killed is found and closed."""

import atexit
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


def register(home: Path, run: UUID) -> FileLock:
    """Take the run's lock, after marking runs whose process died; `end` it once the run's last state is recorded.

    Raises DwfError if `home` isn't writable.
    """
    require_writable(home)
    mine = FileLock(home / "runs" / f"{run}.lock")
    with records_lock(home):  # else a run that starts just now could take this one for dead
        mine.acquire()
        mark_dead(home)
    atexit.register(mine.release)  # a lock that nothing refers to is released; Prefect records the end after the flow
    return mine


def end(mine: FileLock) -> None:
    """Release a run's lock and remove its file; left to the next run where the server can't say how the run ended.

    Raises httpx.HTTPError then.
    """
    atexit.unregister(mine.release)
    mine.release()
    home = Path(mine.lock_file).parents[1]
    with records_lock(home):
        mark_dead(home)


@contextmanager
def records_lock(home: Path) -> Iterator[None]:
    """Hold the one lock under which records of runs are made and removed."""
    (home / "runs").mkdir(exist_ok=True)
    with FileLock(home / "runs" / "all"):
        yield


def mark_dead(home: Path) -> None:
    """Mark runs whose lock is free as crashed, at the server that a run reports to: their process has died."""
    for file in (home / "runs").glob("*.lock"):
        with suppress(Timeout), FileLock(file).acquire(timeout=0):
            _mark_crashed(UUID(file.stem))
            file.unlink()


def _mark_crashed(run: UUID) -> None:
    """Set a flow run without an end, and its unfinished task runs, to Crashed.

    One that has an end, or that this server doesn't know, is left alone.
    """
    crashed = Crashed(message="its process was killed; finished work is kept")
    with get_client(sync_client=True) as client, suppress(ObjectNotFound):
        if is_final(client.read_flow_run(run).state):
            return
        for task_run in task_runs(client, run):
            if not is_final(task_run.state):
                client.set_task_run_state(task_run.id, crashed, force=True)
        client.set_flow_run_state(run, crashed, force=True)


def task_runs(client: SyncPrefectClient, run: UUID) -> list[TaskRun]:
    """A flow run's task runs as the server has recorded them."""
    return client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run])))


def is_final(state: State[Any] | None) -> bool:
    """Whether a run can't change any more."""
    return state is not None and state.is_final()
