"""Records of runs: what each experiment was and the keys of its stages, a small JSON file below the store per run."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.config import Experiment
from pipeline.configurations import importable
from pipeline.keys import own_folders
from stages.errors import UsageError
from stages.locks import acquired, drop, files, lock
from stages.store.artifact import now
from stages.store.files import flush_one, replacing
from stages.store.manifest import seal_of

RUNS = ".runs"
"""Folder of the records below a store's root."""
CLEANING = "gc"
"""The lock that is held while a run makes itself known, and while `dwf gc` decides what goes and takes it away."""
RUNNING = "run"
"""The first name of the locks that runs hold while they last."""


class RecordedRun(BaseModel):
    """An experiment as it was resolved, and the keys of its stages."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    values: dict[str, Any]
    """Its values, with absolute paths; where the store lies isn't among them."""
    folders: tuple[Path, ...] = ()
    """Where the user's own modules lay that it names."""
    keys: dict[str, str]

    @classmethod
    def of(cls, experiment: Experiment, keys: Mapping[str, str]) -> Self:
        """The record of an experiment whose stages have these keys."""
        folders = tuple(sorted(own_folders(experiment.modules())))
        return cls(values=experiment.model_dump(mode="json", exclude={"store_root"}), folders=folders, keys=dict(keys))

    def experiment(self, root: Path) -> Experiment:
        """The experiment, on the store in which the record was found.

        Its own modules can be imported from then on. Raises UsageError if this release can't read it.
        """
        for folder in self.folders:
            importable(folder)
        try:
            return Experiment.model_validate(self.values | {"store_root": root})
        except ValidationError as error:
            problem = error.errors()[0]
            at = ".".join(map(str, problem["loc"]))
            raise UsageError(f"{self.values.get('name')}: its record isn't readable: {at}: {problem['msg']}") from error


class RunRecord(BaseModel):
    """One run: of one experiment, or of all points of a sweep."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    used: str
    """When it began last, in UTC."""
    runs: tuple[RecordedRun, ...]
    seal: str = ""
    """Hash of all the rest."""

    @property
    def name(self) -> str:
        """16 hex digits, of what was run: a rerun replaces its own record."""
        text = json.dumps([run.model_dump(mode="json") for run in self.runs], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def keys(self) -> set[tuple[str, str]]:
        """Stage and key of everything that it reaches."""
        return {item for run in self.runs for item in run.keys.items()}


@contextmanager
def recorded(root: Path, runs: Sequence[RecordedRun]) -> Iterator[None]:
    """Keep a record of what runs in the block, and a lock while it lasts, so that `dwf gc` spares what it needs.

    What the block finds in the store stays there. On a store that can't be written nothing is kept, nor can be lost.
    """
    mine = _begun(root, RunRecord(used=now(), runs=tuple(runs)))
    try:
        yield
    finally:
        if mine:
            drop(mine)


def _begun(root: Path, record: RunRecord) -> FileLock | None:
    try:
        with lock(root, CLEANING):
            mine = lock(root, RUNNING, record.name, uuid4().hex)
            mine.acquire()
            write(root, record)
    except OSError:
        return None
    return mine


def write(root: Path, record: RunRecord) -> None:
    """Write a record, in the place of an earlier one of the same run."""
    sealed = record.model_copy(update={"seal": seal_of(record.model_dump(mode="json"))})
    (root / RUNS).mkdir(parents=True, exist_ok=True)
    with replacing(root / RUNS / f"{record.name}.json") as partial:
        partial.write_text(sealed.model_dump_json(indent=1))
        flush_one(partial)


def records(root: Path) -> list[RunRecord]:
    """The records of runs on a store, the newest first; what isn't readable as one is passed over."""
    found = (_read(file) for file in (root / RUNS).glob("*.json"))
    return sorted(filter(None, found), key=lambda record: (record.used, record.name), reverse=True)


def running(root: Path) -> set[str]:
    """The names of the records of runs that haven't ended."""
    names = set()
    for file in files(root, RUNNING):
        if (free := acquired(file)) is None:
            names.add(file.name.split(".")[1])
        else:
            free.release()
    return names


def _read(file: Path) -> RunRecord | None:
    try:
        record = RunRecord.model_validate_json(file.read_bytes())
    except (OSError, ValueError):
        return None
    return record if record.seal == seal_of(record.model_dump(mode="json")) else None
