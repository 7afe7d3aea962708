"""Many points through the same dag, stage by stage, so that what they share is made once."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.config import Experiment
from pipeline.dag import STAGES
from pipeline.run_records import RecordedRun, recorded
from pipeline.runner import Runner, Step, Watch
from pipeline.sweep.points import Point
from stages.errors import DwfError, NotComplete
from stages.store.artifact import find
from stages.store.refs import Ref


@dataclass
class Results:
    """Stage results of a sweep by key: those there are, those that were made now, and those that failed."""

    refs: dict[str, Ref] = field(default_factory=dict)
    computed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    """Why a stage's result couldn't be made."""

    def failure(self, point: Point) -> str | None:
        """Why the first of its stages that failed did, None for a point without failures."""
        return next((self.failed[step.key] for step in point.steps.values() if step.key in self.failed), None)

    def count(self, points: Sequence[Point]) -> str:
        """The numbers of results that were made, shared, found and not made, as a sentence."""
        keys = {step.key for point in points for step in point.steps.values()}
        total, computed = sum(len(point.steps) for point in points), len(self.computed)
        reused, missing = len(self.refs) - computed, len(keys - self.refs.keys())
        always = f"{computed} computed, {total - len(keys)} shared"
        if_any = {"there already": reused, "not made": missing}
        counts = ", ".join([always, *(f"{number} {state}" for state, number in if_any.items() if number)])
        return f"{len(points)} points, {total} stage results: {counts}"


def run_points(points: Sequence[Point], jobs: int, watch: Watch) -> Results:
    """Run every point, at most `jobs` stage results at a time; a failure costs only the points that need the result."""
    results, made, todo = Results(), 0, dict[str, Point]()

    def watch_one(stage: str, share: float, note: str) -> None:
        """Progress of the result that is made, as progress of all that its stage has to make."""
        watch(stage, min((made + share) / len(todo), 0.99), f"{made + 1} of {len(todo)}: {note}")

    runs = [RecordedRun.of(point.experiment, point.keys) for point in points]
    with recorded(points[0].experiment.store_root, runs), workers(jobs, watch_one) as submit:
        for stage in STAGES:
            made, todo = 0, _missing(stage, points, results)
            watch(stage, 0 if todo else 1, f"{len(todo)} to make" if todo else "all there")
            threads = max(1, points[0].experiment.threads // max(1, min(jobs, len(todo))))
            waiting = {
                submit(point.named(stage, threads), stage, _upstream(point.steps[stage], point, results)): key
                for key, point in todo.items()
            }
            for made, done in enumerate(as_completed(waiting), start=1):
                _note(done, stage, waiting[done], results)
                watch(stage, made / len(todo), f"{made} of {len(todo)}")
    return results


def _missing(stage: str, points: Sequence[Point], results: Results) -> dict[str, Point]:
    """By key, one of the points that need a result of this stage that isn't there; those that are there are noted."""
    todo: dict[str, Point] = {}
    for point in (point for point in points if stage in point.steps):
        key = point.steps[stage].key
        if results.failure(point) or key in results.refs or key in todo:
            continue
        if ref := _existing(point.experiment.store_root, stage, key):
            results.refs[key] = ref
        else:
            todo[key] = point
    return todo


def _existing(root: Path, stage: str, key: str) -> Ref | None:
    try:
        return find(root, stage, key)
    except NotComplete:  # whoever makes it will say what is wrong
        return None


def _upstream(step: Step, point: Point, results: Results) -> dict[str, Ref]:
    return {name: results.refs[point.steps[stage].key] for name, stage in step.upstream.items()}


def _note(done: "Future[Ref]", stage: str, key: str, results: Results) -> None:
    error = done.exception()
    if isinstance(error, BrokenProcessPool):
        raise error
    if error is None and done.result().key != key:
        results.failed[key] = f"{stage}: its code was edited while the sweep ran; run the same command again"
    elif error is None:
        results.refs[key] = done.result()
        results.computed.add(key)
    elif isinstance(error, DwfError):
        results.failed[key] = str(error)
    else:
        results.failed[key] = f"{stage}: unexpected {type(error).__name__}: {error}"


Submit = Callable[[Experiment, str, Mapping[str, Ref]], "Future[Ref]"]
"""Starts one stage of an experiment, given its upstream artifacts."""


def make(experiment: Experiment, stage: str, upstream: Mapping[str, Ref], **parts: Any) -> Ref:
    """One stage's artifact, in this process; `parts` are the runner's."""
    runner = Runner(experiment, **parts)
    runner.run_units(stage, upstream)
    return runner.run(stage, upstream)[0]


@contextmanager
def workers(jobs: int, watch: Watch) -> Iterator[Submit]:
    """Run stages, `jobs` at a time, in processes of their own unless there is but one.

    Not in threads: torch's random state and number of threads belong to a process.
    Raises DwfError if the system kills one of them.
    """
    if jobs == 1:
        stop = threading.Event()
        pool, parts, end = ThreadPoolExecutor(1), {"watch": watch, "stop": stop}, stop.set
    else:
        spawn = multiprocessing.get_context("spawn")
        pool, parts, end = ProcessPoolExecutor(jobs, spawn, _belong), {}, _end_children

    def submit(experiment: Experiment, stage: str, upstream: Mapping[str, Ref]) -> "Future[Ref]":
        return pool.submit(make, experiment, stage, upstream, **parts)

    with pool:
        try:
            yield submit
        except BrokenProcessPool as error:
            raise DwfError(
                "a process of the sweep was killed, most likely for memory; finished work is kept: run the same "
                "command to go on, with --jobs 1 for less memory"
            ) from error
        except BaseException:
            end()
            pool.shutdown(cancel_futures=True)
            raise


def _end_children() -> None:
    for child in multiprocessing.active_children():  # what they finished is kept
        child.terminate()


def _belong() -> None:
    """Ignore Ctrl-C, which is the parent's to handle, and end with the parent even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
