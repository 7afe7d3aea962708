"""The dag as a Prefect flow: a task per stage, and a task per unit of a long stage, side by side.

No `from __future__ import annotations` here: Prefect reads the flow's annotations to check and show its parameters.
"""

import asyncio
import errno
import os
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import chdir, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, cast
from uuid import UUID

import httpx
from filelock import FileLock
from prefect import flow, get_client, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.deployments.runner import EntrypointType
from prefect.events.worker import EventsWorker
from prefect.futures import PrefectFuture, as_completed
from prefect.logging.handlers import APILogWorker
from prefect.runner import Runner as DeploymentRunner
from prefect.runtime import flow_run, task_run
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.annotations import quote  # what Prefect should hand on without looking into it

from pipeline.config import STORE, Experiment, flat_overrides, load
from pipeline.configurations import DEFAULT, importable
from pipeline.dag import dag
from pipeline.estimates.check import check, estimates
from pipeline.listener import Listener
from pipeline.loggers.run_log import logged
from pipeline.prefect.artifacts import Progress, show_report
from pipeline.prefect.bounds import check_request
from pipeline.prefect.discovery import home_of
from pipeline.prefect.labels import Configuration, label
from pipeline.prefect.logs import explain_in_one_line, log_stage
from pipeline.prefect.records import end, is_final, mark_dead, records_lock, register, task_runs
from pipeline.runner import Runner
from stages.errors import DwfError
from stages.store.refs import Ref

ABOUT = "From seeds to evaluated new networks; finished work is reused."
POLL_SECONDS = 2
"""How often a served deployment looks for new runs."""
SERVED_FROM = "DWF_SERVED_FROM"
"""The variable that tells the processes of a served deployment in which folder `dwf up` was started."""
SERVED_STORE = "DWF_SERVED_STORE"
"""The variable that tells them of the store that `dwf up` serves, wherever it lies."""
SETTLE_SECONDS = 5.0
"""How long a finished run waits for the server to have recorded all of it."""


@dataclass
class Observed:
    """A run of the flow in its own process: its listener, its flow run's id and lock, the task runs that began."""

    listener: Listener
    flow_run: UUID | None = None
    lock: FileLock | None = None
    tasks: set[str] = field(default_factory=set)


observed: ContextVar[Observed | None] = ContextVar("observed", default=None)
"""`dwf run` leaves its listener here, as flow parameters are JSON; the run of a deployment finds none."""


@flow(name="dwf", flow_run_name="{config}", description=ABOUT)  # until the configuration is read
def dwf(
    config: Annotated[str, Configuration] = DEFAULT,
    overrides: dict[str, Any] | None = None,
    store: str | None = None,
    data_root: str | None = None,
    force: bool = False,
) -> Any:
    """From seeds to evaluated new networks; the result is the report's folder, or the DwfError that ended a stage.

    Args:
        config: Configuration: a name, such as iris_mlp, or a path below the folder in which the deployment is served.
        overrides: Single values laid over the configuration, e.g. {"fit.steps": 500}.
        store: Folder of all artifacts, instead of the one in the configuration; also below the served folder.
        data_root: Folder of the data sets, instead of the one in the configuration; also below the served folder.
        force: Run even what by estimate needs more disk or memory than is free.
    """
    folders = (Path(folder) if folder else None for folder in (store, data_root))
    run = observed.get() or Observed(Progress())
    run.flow_run = UUID(flow_run.id)
    os.chdir(os.environ.get(SERVED_FROM, "."))
    importable(Path.cwd())
    explain_in_one_line()
    served = observed.get() is None  # `dwf run` has a listener that tells the logger, and may do more than a request
    try:
        if served:
            own_store = os.environ.get(SERVED_STORE)
            named = {"store": store, "data_root": data_root}
            check_request(config, overrides or {}, named, Path(own_store) if own_store else None)
        experiment = _load(Path(config), flat_overrides(overrides or {}), *folders)
        run.lock = register(home_of(experiment.store_root), run.flow_run)
        with logged(experiment, run.listener, wanted=served) as run.listener:
            runner = Runner(experiment, run.listener.watch)
            label(run.flow_run, runner)
            if served:  # `dwf run` has checked it
                for line in check(estimates(experiment, runner.plan()), runner.root, force=force):
                    get_run_logger().warning(line)
            return Completed(data=str(run_dag(runner, run).path))
    except DwfError as error:
        return _explained(error)


def _load(config: Path, overrides: list[str], store: Path | None, data_root: Path | None) -> Experiment:
    """The configuration; its notices, such as one on a renamed key, go to the run's log."""
    with warnings.catch_warnings(record=True) as notices:
        warnings.simplefilter("always")
        experiment = load(config, overrides, store, data_root)
    for text in dict.fromkeys(str(notice.message) for notice in notices):
        get_run_logger().warning(text)
    return experiment


def run_dag(runner: Runner, run: Observed) -> Ref:
    """The dag with every stage a task; whatever ends it early stops the tasks in other threads too."""

    def call(stage: str, /, **upstream: Ref) -> Ref:
        units = runner.units(stage, upstream)
        done = _side_by_side(runner, run, stage, units, upstream) if len(units) > 1 else []
        named = run_stage.with_options(name=stage, task_run_name=stage)
        return named(quote(runner), quote(run), stage, upstream, return_state=True, wait_for=done).result()

    try:
        with runner.recorded():
            return dag(call, fits=runner.experiment.fits)
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


def _may_pass(task: Any, task_run: Any, state: State[Any]) -> bool:
    """Whether the disk or the network failed for a moment, after which a second try succeeds.

    Nothing else is tried again: the same fit diverges again, the same step needs as much of a GPU's memory, and a full
    disk stays full.
    """
    del task, task_run
    error = state.result(raise_on_failure=False)
    return isinstance(error, ConnectionError | TimeoutError) or (isinstance(error, OSError) and error.errno in PASSING)


PASSING = {errno.EIO, errno.ESTALE, errno.EAGAIN, errno.EBUSY, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH}
"""Errors of a drive or a network that may not come again."""
OPTIONS: dict[str, Any] = {
    "cache_policy": NO_CACHE,
    "persist_result": False,
    "retries": 2,  # a try goes on from the units that are finished
    "retry_delay_seconds": [5, 30],
    "retry_condition_fn": _may_pass,
}
"""Options of all tasks."""


@task(**OPTIONS)
def run_unit(runner: Runner, run: Observed, stage: str, unit: Any, total: int, upstream: dict[str, Ref]) -> Any:
    """One unit of a stage; its state is named Cached if it was done before."""
    run.tasks.add(str(task_run.id))
    try:
        done = runner.run_unit(stage, unit, total, upstream)
    except DwfError as error:
        return _explained(error)
    return Completed(name="Completed" if done else "Cached")


@task(**OPTIONS)
def run_stage(runner: Runner, run: Observed, stage: str, upstream: dict[str, Ref]) -> Any:
    """One stage's artifact; its state is named Cached if it was there before."""
    run.tasks.add(str(task_run.id))
    try:
        ref, reused = runner.run(stage, upstream)
    except DwfError as error:
        return _explained(error)
    run.listener.done(stage, ref, reused)
    log_stage(ref, reused)
    if stage == "report":
        show_report(ref.path)
    return Completed(name="Cached" if reused else "Completed", message=str(ref.path), data=ref)


def _explained(error: DwfError) -> State[Any]:
    """A failure that needs no traceback in Prefect's log and no second try; `.result()` raises it."""
    return Failed(message=str(error), data=error)


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
    """Send what is still queued, wait, not for long, until the server knows how every task ended, and end the run."""
    EventsWorker.drain_all(timeout=SETTLE_SECONDS)
    APILogWorker.drain_all(timeout=SETTLE_SECONDS)
    deadline = time.monotonic() + SETTLE_SECONDS
    with get_client(sync_client=True) as client, suppress(httpx.HTTPError):
        while run.flow_run and time.monotonic() < deadline:
            if sum(is_final(task.state) for task in task_runs(client, run.flow_run)) >= len(run.tasks):
                break
            time.sleep(0.1)
        if run.lock:
            end(run.lock)


def serve(home: Path, ready: Callable[[], None]) -> None:
    """Register the deployment `full` and carry out its runs, one at a time, until interrupted."""
    store = home.parent
    defaults = {} if store == STORE.absolute() else {"store": str(store)}
    deployment = dwf.to_deployment("full", parameters=defaults, entrypoint_type=EntrypointType.MODULE_PATH)
    runner = DeploymentRunner(name="full", limit=1, query_seconds=POLL_SECONDS, pause_on_shutdown=False)
    # dwf.serve would pickle the flow by value into each run's process; this way the process imports it
    runner.add_deployment(cast("Any", deployment))
    os.environ |= {SERVED_FROM: str(Path.cwd()), SERVED_STORE: str(store)}
    ready()
    try:
        # Prefect imports the flow with the current folder first, where a user's own `pipeline.py` would hide ours
        with chdir(home), suppress(KeyboardInterrupt):
            asyncio.run(runner.start())
    finally:
        with records_lock(home), suppress(httpx.HTTPError):
            mark_dead(home)
