"""The dag as a Prefect flow: every stage a task, the units of a long stage side by side.

No `from __future__ import annotations` here: Prefect reads the flow's annotations to check and show its parameters.
"""

import asyncio
import base64
import json
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx
from filelock import FileLock, Timeout
from prefect import flow, get_client, get_run_logger, task
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import State, TaskRun
from prefect.deployments.runner import EntrypointType
from prefect.events.worker import EventsWorker
from prefect.exceptions import ObjectNotFound
from prefect.futures import PrefectFuture, as_completed
from prefect.logging.handlers import APILogWorker
from prefect.runner import Runner as DeploymentRunner
from prefect.runtime import flow_run, task_run
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Completed, Crashed, Failed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.annotations import quote  # what Prefect should hand on without looking into it

from pipeline.config import PROJECT, flat_overrides, load
from pipeline.dag import dag
from pipeline.runner import Runner
from pipeline.server import Listener, home_of, require_writable
from stages.errors import DwfError
from stages.store.refs import Ref

ABOUT = "From seeds to evaluated new networks; finished work is reused."
POLL_SECONDS = 2
"""How often a served deployment looks for new runs."""
SETTLE_SECONDS = 5.0
"""How long a finished run waits for the server to have recorded all of it."""
LOG_SECONDS, UPDATE_SECONDS = 10.0, 1.0
"""Least time between two log lines of a stage, and between two moves of its bar on Prefect's page."""
PICTURE_BYTES = 200_000
"""Larger pictures make Prefect's page slow."""

log = logging.getLogger(__name__)


@dataclass
class Observed:
    """A run of the flow as its own process sees it: who listens, which flow run it is, which task runs began."""

    listener: Listener
    flow_run: UUID | None = None
    tasks: set[str] = field(default_factory=set)


observed: ContextVar[Observed | None] = ContextVar("observed", default=None)
"""Flow parameters are JSON, so `dwf run` leaves its listener here; the run of a deployment finds none."""


@flow(name="dwf", flow_run_name="{config}", description=ABOUT)
def dwf(
    config: str = "conf/iris_mlp.yaml",
    overrides: dict[str, Any] | None = None,
    store: str | None = None,
    data_root: str | None = None,
) -> Any:
    """From seeds to evaluated new networks; the result is the report's folder, or the DwfError that ended a stage.

    Prefect shows this on its page:

    Args:
        config: Configuration: a path, absolute or below the project.
        overrides: Values laid over the configuration, e.g. {"fit.steps": 500}.
        store: Folder of all artifacts, instead of the one in the configuration.
        data_root: Folder of the data sets, instead of the one in the configuration.
    """
    folders = (Path(folder) if folder else None for folder in (store, data_root))
    run = observed.get() or Observed(Progress())
    run.flow_run = UUID(flow_run.id)
    try:
        experiment = load(Path(config), flat_overrides(overrides or {}), *folders)
        with registered(home_of(experiment.store_root), run.flow_run):
            return Completed(data=str(run_dag(Runner(experiment, run.listener.watch), run).path))
    except DwfError as error:
        return _explained(error)


def run_dag(runner: Runner, run: Observed) -> Ref:
    """The dag with every stage a task; whatever ends it early stops the tasks in other threads too."""
    from stages.context import keep_freed_memory  # loads torch, which serving the flow doesn't need

    def call(stage: str, /, **upstream: Ref) -> Ref:
        units = runner.units(stage, upstream)
        done = _side_by_side(runner, run, stage, units, upstream) if len(units) > 1 else []
        named = run_stage.with_options(**OPTIONS.get(stage, {}), name=stage, task_run_name=stage)
        return named(quote(runner), quote(run), stage, upstream, return_state=True, wait_for=done).result()

    keep_freed_memory()
    try:
        return dag(call)
    except BaseException:
        runner.stop.set()
        raise


def _side_by_side(
    runner: Runner, run: Observed, stage: str, units: Sequence[Any], upstream: dict[str, Ref]
) -> list[PrefectFuture[Any]]:
    """Do all units of a stage, as many at once as there are threads; raises the first failure."""
    work = run_unit.with_options(name=f"{stage} shard", task_run_name=stage + " shard {unit.index}")
    shared = {"runner": quote(runner), "run": quote(run), "stage": stage, "total": len(units), "upstream": upstream}
    with ThreadPoolTaskRunner(max_workers=runner.experiment.threads) as pool:
        futures: list[PrefectFuture[Any]] = [pool.submit(work, shared | {"unit": unit}) for unit in units]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            runner.stop.set()
            raise
    return futures


@task(cache_policy=NO_CACHE, persist_result=False)
def run_unit(runner: Runner, run: Observed, stage: str, unit: Any, total: int, upstream: dict[str, Ref]) -> Any:
    """One unit of a stage; its state is named Cached if it was done before."""
    run.tasks.add(str(task_run.id))
    try:
        did = runner.run_unit(stage, unit, total, upstream)
    except DwfError as error:
        return _explained(error)
    return Completed(name="Completed" if did else "Cached")


@task(cache_policy=NO_CACHE, persist_result=False)
def run_stage(runner: Runner, run: Observed, stage: str, upstream: dict[str, Ref]) -> Any:
    """One stage's artifact; its state is named Cached if it was there before."""
    run.tasks.add(str(task_run.id))
    try:
        ref, reused = runner.run(stage, upstream)
    except DwfError as error:
        return _explained(error)
    run.listener.done(stage, ref, reused)
    if stage == "evaluate":
        show_figures(ref)
    return Completed(name="Cached" if reused else "Completed", message=str(ref.path), data=ref)


def _explained(error: DwfError) -> State[Any]:
    """A failure that needs no traceback in Prefect's log and no second try; `.result()` raises it."""
    return Failed(message=str(error), data=error)


def _may_pass(task: Any, task_run: Any, state: State[Any]) -> bool:
    """Whether trying again may help."""
    from torch import OutOfMemoryError

    del task, task_run
    return isinstance(state.result(raise_on_failure=False), OSError | OutOfMemoryError)


OPTIONS: dict[str, dict[str, Any]] = {
    "fit": {"retries": 2, "retry_delay_seconds": 5, "retry_condition_fn": _may_pass},
}
"""What is particular to a stage's task."""


class Progress:
    """Tells Prefect's log and page how far each stage is, seldom enough to cost nothing."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.logged: dict[str, float] = {}
        self.moved: dict[str, float] = {}
        self.bars: dict[str, UUID] = {}

    def watch(self, stage: str, share: float, note: str) -> None:
        """Log a line or move the stage's bar, if the last time is long enough ago."""
        now = time.monotonic()
        with self.lock:
            if now - self.logged.setdefault(stage, now) >= LOG_SECONDS:
                self.logged[stage] = now
                get_run_logger().info("%s %.0f %%  %s", stage, 100 * share, note)
            if now - self.moved.setdefault(stage, now) >= UPDATE_SECONDS:
                self.moved[stage] = now
                self._move(stage, 100 * share)

    def done(self, stage: str, ref: Ref, reused: bool) -> None:
        """Complete the stage's bar, if it took long enough to have one."""
        get_run_logger().info("%s %s: %s", stage, "reused" if reused else "done", ref.path)
        if stage in self.bars:
            self._move(stage, 100)

    def _move(self, stage: str, percent: float) -> None:
        with _optional():
            if stage in self.bars:
                update_progress_artifact(self.bars[stage], percent)
            else:
                made = create_progress_artifact(percent, key=f"dwf-{stage}", description=stage)
                self.bars[stage] = cast("UUID", made)


@contextmanager
def _optional() -> Iterator[None]:
    """What only adorns Prefect's page doesn't end a run."""
    try:
        yield
    except httpx.HTTPError as error:
        log.warning("Prefect's server didn't take an artifact: %s", error)


def show_figures(report: Ref) -> None:
    """The report's table and verdict as artifacts on Prefect's page."""
    file = report.path / "figures.json"
    if not file.is_file():
        return
    figures = json.loads(file.read_text())
    verdict = figures["verdict"]["text"]
    text = "\n\n".join([verdict, f"Report: `{report.path / 'report.html'}`", *_pictures(report.path)])
    with _optional():
        create_table_artifact([_row(*entry) for entry in figures["sets"].items()], "dwf-figures", verdict)
        create_markdown_artifact(text, "dwf-report", "What came out, and where the report is")


def _row(name: str, s: dict[str, Any]) -> dict[str, Any]:
    """One set of networks in the table."""
    accuracy = s["accuracy"]
    return {
        "set": name,
        "networks": s["networks"],
        "accuracy %": f"{100 * accuracy['mean']:.2f} ± {100 * accuracy['std']:.2f}",
        "min %": f"{100 * accuracy['min']:.2f}",
        "max IoU": f"{s['max_iou']['mean']:.2f}",
        "distance / tau": f"{s['distance_in_tau']:.2f}",
        "N&P@1": f"{s['novel_and_performant'].get('1.0', math.nan):.2f}",
        "ensemble %": f"{100 * s['ensemble_accuracy']:.2f}",
    }


def _pictures(folder: Path) -> Iterator[str]:
    """Small pictures that lie beside a report, inlined: Prefect's page can't open local files."""
    for file in sorted(folder.glob("*.png")):
        if file.stat().st_size <= PICTURE_BYTES:
            yield f"![{file.stem}](data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()})"


@contextmanager
def registered(home: Path, run: UUID) -> Iterator[None]:
    """Hold the run's lock for the length of the block, after closing the books on runs whose process died.

    Raises DwfError if `home` isn't writable.
    """
    require_writable(home)
    mine = FileLock(home / "runs" / f"{run}.lock")
    with _books(home):  # else a run that starts just now could take this one for dead
        mine.acquire()
        _mark_dead(home)
    try:
        yield
    finally:
        with _books(home):
            Path(mine.lock_file).unlink(missing_ok=True)
            mine.release()


@contextmanager
def _books(home: Path) -> Iterator[None]:
    (home / "runs").mkdir(exist_ok=True)
    with FileLock(home / "runs" / "all"):
        yield


def _mark_dead(home: Path) -> None:
    """Whoever held a lock that is free now has died: tell the server."""
    for file in (home / "runs").glob("*.lock"):
        with suppress(Timeout), FileLock(file).acquire(timeout=0):
            _mark_crashed(UUID(file.stem))
            file.unlink()


def _mark_crashed(run: UUID) -> None:
    """Set a flow run that can't go on, and its task runs, to Crashed; one that this server doesn't know is left alone."""
    crashed = Crashed(message="its process ended without a word; finished work is kept")
    with get_client(sync_client=True) as client, suppress(ObjectNotFound):
        for begun in _task_runs(client, run):
            if not _is_final(begun.state):
                client.set_task_run_state(begun.id, crashed, force=True)
        if not _is_final(client.read_flow_run(run).state):
            client.set_flow_run_state(run, crashed, force=True)


def _task_runs(client: SyncPrefectClient, run: UUID) -> list[TaskRun]:
    return client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run])))


def _is_final(state: State[Any] | None) -> bool:
    return state is not None and state.is_final()


def run_here(url: str, parameters: dict[str, Any], listener: Listener) -> None:
    """Run the flow in this process and return when the server has recorded all of it.

    Raises the DwfError that ended a stage, as it was, or one saying that the server was lost.
    """
    run = Observed(listener)
    token = observed.set(run)
    # Prefect's heartbeat thread makes every run last a second or more, and our lock is a better sign of life
    settings: dict[Any, Any] = {PREFECT_API_URL: url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    try:
        with temporary_settings(settings):
            try:
                dwf(**parameters, return_state=True).result()
            finally:
                _settle(run)
    except httpx.HTTPError as error:
        reason = str(error).partition("\n")[0]
        raise DwfError(f"{url}: lost Prefect's server ({reason}); finished work is kept: run the same again") from error
    finally:
        observed.reset(token)


def _settle(run: Observed) -> None:
    """Send what is still queued, then wait, not for long, until the server knows how every task ended."""
    EventsWorker.drain_all(timeout=SETTLE_SECONDS)
    APILogWorker.drain_all(timeout=SETTLE_SECONDS)
    deadline = time.monotonic() + SETTLE_SECONDS
    with get_client(sync_client=True) as client, suppress(httpx.HTTPError):
        while run.flow_run and time.monotonic() < deadline:
            if sum(_is_final(begun.state) for begun in _task_runs(client, run.flow_run)) >= len(run.tasks):
                return
            time.sleep(0.1)


def serve(home: Path, limit: int, ready: Callable[[], None]) -> None:
    """Register the deployment `full` and carry out its runs, `limit` at a time, until interrupted."""
    store = home.parent
    defaults = {} if store == PROJECT / "data" else {"store": str(store)}
    deployment = dwf.to_deployment("full", parameters=defaults, entrypoint_type=EntrypointType.MODULE_PATH)
    runner = DeploymentRunner(name="full", limit=limit, query_seconds=POLL_SECONDS, pause_on_shutdown=False)
    # dwf.serve would pickle the flow by value into each run's process; this way the process imports it
    runner.add_deployment(cast("Any", deployment))
    ready()
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(runner.start())
    finally:
        with _books(home), suppress(httpx.HTTPError):
            _mark_dead(home)
