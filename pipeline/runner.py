"""The runner of one experiment's stages: planning, reuse by key, resumption, locks, publishing."""

import errno
import importlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any

from pipeline.config import Experiment
from pipeline.dag import dag
from pipeline.keys import KEY_FORMAT, key_of, sources
from pipeline.plan_reasons import why
from pipeline.provenance import device_name, peak_memory_mb, versions
from pipeline.run_records import RecordedRun, recorded
from stages.content_hashes import MEMORY, remembered_in
from stages.errors import DwfError, Interrupted, NotComplete
from stages.locks import lock
from stages.store.artifact import artifact_path, building, find, note_latest, now, publish, work_path
from stages.store.files import FORMAT_VERSION
from stages.store.refs import Ref
from stages.trust import trusting

UNITS = {"zoo": ("shards", "make_shard")}
"""Stages that consist of units which may run side by side: the functions that list them and that do one."""

Watch = Callable[[str, float, str], None]
"""Called with a stage's name, the fraction of it that is done, and a note on where it is."""


@dataclass(frozen=True)
class Step:
    """A stage of an experiment: the key of its result, and the stages that it needs, by the names of its arguments."""

    stage: str
    key: str
    upstream: Mapping[str, str]


@dataclass(frozen=True)
class Planned:
    """A stage of the plan: its key, where its artifact lies, and why it would run if there is none."""

    stage: str
    key: str
    path: Path
    ref: Ref | None
    why: str


@dataclass
class Runner:
    """Runs the stages of one experiment below one store root."""

    experiment: Experiment
    watch: Watch = lambda stage, share, note: None
    stop: threading.Event = field(default_factory=threading.Event)
    """Set it and every stage ends at its next sign of progress, keeping its finished units."""

    shares: dict[tuple[str, int], float] = field(default_factory=dict)
    """How far each unit of each stage is."""
    started: dict[str, float] = field(default_factory=dict)
    """When each stage, or its first unit, began."""

    @property
    def root(self) -> Path:
        """Folder of all artifacts."""
        return self.experiment.store_root

    def key(self, stage: str, upstream: Mapping[str, Any]) -> str:
        """The key of a stage given what it needs, planned or done."""
        with remembered_in(self.root / MEMORY):
            return key_of(stage, self.experiment.params(stage), {name: up.key for name, up in upstream.items()})

    def steps(self) -> dict[str, Step]:
        """Every stage in order, with its key."""
        steps: dict[str, Step] = {}

        def call(stage: str, /, **upstream: Step) -> Step:
            names = {name: step.stage for name, step in upstream.items()}
            steps[stage] = Step(stage, self.key(stage, upstream), names)
            return steps[stage]

        dag(call, fits=self.experiment.fits)
        return steps

    def recorded(self) -> AbstractContextManager[None]:
        """Keep a record of the run in the block, whose artifacts `dwf gc` spares."""
        keys = {step.stage: step.key for step in self.steps().values()}
        return recorded(self.root, [RecordedRun.of(self.experiment, keys)])

    def plan(self) -> list[Planned]:
        """Every stage in order, with its key and why it would run."""
        steps: list[Planned] = []

        def call(stage: str, /, **upstream: Planned) -> Planned:
            key = self.key(stage, upstream)
            ref, why = self._state(stage, key, upstream)
            steps.append(Planned(stage, key, artifact_path(self.root, stage, key), ref, why))
            return steps[-1]

        dag(call, fits=self.experiment.fits)
        return steps

    def _state(self, stage: str, key: str, upstream: Mapping[str, Planned]) -> tuple[Ref | None, str]:
        try:
            if ref := find(self.root, stage, key):
                return ref, "reused"
        except NotComplete as error:
            return None, str(error)
        return None, why(self.experiment, stage, key, upstream)

    def run(self, stage: str, upstream: Mapping[str, Ref]) -> tuple[Ref, bool]:
        """The stage's artifact and whether it was there already.

        Raises DwfError subclasses of the stage, or one naming the folder that can't be written to.
        """
        key = self.key(stage, upstream)
        if ref := self._existing(stage, key):
            return ref, True
        with building(self.root, stage, key, lambda: self.watch(stage, 0, "waiting for another run")) as work:
            if ref := self._existing(stage, key):  # made by the run that had the lock
                return ref, True
            return self._build(stage, key, upstream, work), False

    def rebuild(self, stage: str, upstream: Mapping[str, Ref], keep: Callable[[Path], None]) -> Ref:
        """Make a stage's artifact anew, in the place of what lies there.

        `keep` puts those of its units that are sound into the folder in which it is built.
        """
        key = self.key(stage, upstream)
        with building(self.root, stage, key, lambda: self.watch(stage, 0, "waiting for another run")) as work:
            shutil.rmtree(work, ignore_errors=True)
            keep(work)
            return self._build(stage, key, upstream, work)

    def _begin(self, stage: str) -> float:
        """When a stage, or its first unit, began; whoever watches hears of it before anything else happens."""
        if stage not in self.started:
            self.started[stage] = time.monotonic()
            self.watch(stage, 0, "loading")
        return self.started[stage]

    def _existing(self, stage: str, key: str) -> Ref | None:
        ref = find(self.root, stage, key)
        if ref:
            with suppress(OSError):  # nothing has to be written to use what is there, on a read-only disk or a full one
                note_latest(self.root, stage, self.experiment.name, key)
            shutil.rmtree(work_path(self.root, stage, key), ignore_errors=True)
        return ref

    def _build(self, stage: str, key: str, upstream: Mapping[str, Ref], work: Path) -> Ref:
        started = self._begin(stage)  # what a stage imports is part of its time
        function = getattr(importlib.import_module(f"stages.{stage}"), stage)
        params = self.experiment.params(stage)
        with trusting(self.experiment.trust), _explained(work):
            work.mkdir(parents=True, exist_ok=True)
            left_out = dict.fromkeys(signature(function).parameters.keys() - upstream.keys())  # by this dag: None
            given = {"params": params, "ctx": self.context(stage, work, self.experiment.threads), **upstream}
            summary = function(**{**left_out, **given})
            final = artifact_path(self.root, stage, key)
            manifest = publish(
                work,
                final,
                {
                    "format_version": FORMAT_VERSION,
                    "key_format": KEY_FORMAT,
                    "stage": stage,
                    "key": key,
                    "experiment": self.experiment.name,
                    "params": params.fingerprint(),
                    "upstream": {name: up.key for name, up in upstream.items()},
                    "upstream_digests": {name: up.digest for name, up in upstream.items()},
                    "code": sources(stage, params.modules()),
                    "versions": versions(),
                    "created": now(),
                    "seconds": round(time.monotonic() - started, 3),
                    "device": device_name(self.experiment.device),
                    "threads": self.experiment.threads,
                    "peak_memory_mb": peak_memory_mb(),
                    "summary": summary,
                },
            )
            note_latest(self.root, stage, self.experiment.name, key)
        return Ref(stage=stage, key=key, path=final, digest=manifest.digest)

    def units(self, stage: str, upstream: Mapping[str, Ref]) -> Sequence[Any]:
        """The units of work of a stage that isn't done yet; none for a stage that has no units."""
        if stage not in UNITS or find(self.root, stage, self.key(stage, upstream)):
            return []
        self._begin(stage)
        with trusting(self.experiment.trust):
            return getattr(importlib.import_module(f"stages.{stage}"), UNITS[stage][0])(self.experiment.params(stage))

    def run_unit(self, stage: str, unit: Any, total: int, upstream: Mapping[str, Ref]) -> bool:
        """Do one of `total` units, unless it's done; False if it was. Two runs never do the same one."""
        self._begin(stage)
        key = self.key(stage, upstream)
        work = work_path(self.root, stage, key)
        run_one = getattr(importlib.import_module(f"stages.{stage}"), UNITS[stage][1])
        with trusting(self.experiment.trust), _explained(work):
            work.mkdir(parents=True, exist_ok=True)
            with lock(self.root, stage, key, str(unit.index)):
                if find(self.root, stage, key):
                    return False
                context = self.context(stage, work, max(1, self.experiment.threads // total), unit.index, total)
                done = run_one(self.experiment.params(stage), unit, context)
        context.progress(1.0, f"unit {unit.index + 1} of {total}")
        return done

    def run_units(self, stage: str, upstream: Mapping[str, Ref]) -> None:
        """Do all units of a stage side by side, as many at once as there are threads."""
        units = self.units(stage, upstream)
        if len(units) < 2:
            return
        with ThreadPoolExecutor(self.experiment.threads) as pool:
            futures = [pool.submit(self.run_unit, stage, unit, len(units), upstream) for unit in units]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                self.stop.set()
                pool.shutdown(cancel_futures=True)
                raise

    def context(self, stage: str, work: Path, threads: int, unit: int = 0, total: int = 1) -> Any:
        """The context of a stage, or of one of its `total` units; progress is of the whole stage."""
        from stages.context import Context, keep_freed_memory, pick_device

        def progress(share: float, note: str) -> None:
            if self.stop.is_set():
                raise Interrupted("stopped; finished work is kept, run the same command to go on")
            self.shares[stage, unit] = share
            done = sum(share for (s, _), share in list(self.shares.items()) if s == stage)
            self.watch(stage, min(done / total, 1), note)

        keep_freed_memory()
        device = pick_device(self.experiment.device)
        return Context(work, self.experiment.data_root, device, threads, progress)


def run_directly(runner: Runner, done: Callable[[str, Ref, bool], None], last: str = "report") -> Ref:
    """The dag in this process, without Prefect, up to the stage `last`; calls `done(stage, ref, reused)` after each."""
    refs: dict[str, Ref] = {}

    def call(stage: str, /, **upstream: Ref) -> Ref:
        if last in refs:  # beyond what was asked for
            return refs[last]
        runner.run_units(stage, upstream)
        refs[stage], reused = runner.run(stage, upstream)
        done(stage, refs[stage], reused)
        return refs[stage]

    with runner.recorded():
        return dag(call, fits=runner.experiment.fits)


@contextmanager
def _explained(work: Path) -> Iterator[None]:
    """Turn a full or read-only disk into one clear line."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EDQUOT):
            raise
        raise DwfError(
            f"{error.filename or work}: can't write here ({error.strerror}); free space there or choose another root "
            "with --store, then run the same command: finished work is kept"
        ) from error
