"""Workers of a sweep: stages run one after the other in this process, or several at a time in further processes."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from pipeline.config import Experiment
from pipeline.runner import Runner, Watch
from stages.errors import DwfError
from stages.store.refs import Ref

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
