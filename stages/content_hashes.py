"""Hashes of what files hold, remembered from run to run, so that large files are read once."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from time import time_ns
from typing import NamedTuple

from stages.errors import Damaged
from stages.locks import lock

MEMORY = ".hashes.json"
"""File below a store's root that remembers hashes."""
WORTH_KEEPING = 2**20
"""Bytes: less is read again in no time, and not worth a file."""
SETTLED = 2 * 10**9
"""Nanoseconds after which a file that is written once more has another modification time on every file system."""


class FileState(NamedTuple):
    """What tells that a file was written again: size in bytes, modification time in nanoseconds, inode."""

    size: int
    changed: int
    inode: int


def state_of(file: Path) -> FileState:
    """A file's present state. Raises Damaged if it can't be read."""
    try:
        facts = file.stat()
    except OSError as error:
        raise Damaged(f"{file}: not readable ({error.strerror}); put it there, or copy it anew") from error
    return FileState(facts.st_size, facts.st_mtime_ns, facts.st_ino)


def file_hash(file: Path) -> str:
    """The first 16 hex digits of the SHA-256 of a file; it is read again only if its state changes.

    Raises Damaged if it can't be read.
    """
    digest = _hash(file, state_of(file))
    _PLACES[digest] = file
    return digest


def folder_hash(folder: Path, files: Iterable[Path]) -> str:
    """A hash of these files below a folder: of their names below it, and of what they hold."""
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(f"{file.relative_to(folder).as_posix()}\0{file_hash(file)}\n".encode())
    _PLACES[digest := total.hexdigest()[:16]] = folder
    return digest


def last_seen(digest: str) -> Path | None:
    """The file or folder of this content that was hashed last in this process."""
    return _PLACES.get(digest)


_PLACES: dict[str, Path] = {}


@contextmanager
def remembered_in(file: Path) -> Iterator[None]:
    """Within the block, hashes are looked up in a file before anything is read, and kept there.

    Several processes may share it. One that is damaged counts as empty, and one that can't be written is left alone.
    """
    memory = _Memory(file)
    token = _MEMORY.set(memory)
    try:
        yield
    finally:
        _MEMORY.reset(token)
        if sum(state.size for state, _ in memory.new.values()) >= WORTH_KEEPING:
            with suppress(OSError):
                memory.keep()


@dataclass(frozen=True)
class _Memory:
    file: Path
    new: dict[str, tuple[FileState, str]] = field(default_factory=dict)

    def known(self, path: Path, state: FileState) -> str | None:
        """The hash of a file in this state."""
        *found, digest = _entries(self.file, *_version(self.file)).get(str(path), (None,))
        return str(digest) if found == list(state) else None

    def keep(self) -> None:
        """Lay what is new over what other processes have written meanwhile."""
        with lock(self.file.parent, "hashes"):
            new = {path: [*state, digest] for path, (state, digest) in self.new.items()}
            partial = self.file.with_name(f"{self.file.name}.tmp")
            partial.write_text(json.dumps({**_entries(self.file, *_version(self.file)), **new}))
            os.replace(partial, self.file)


_MEMORY: ContextVar[_Memory | None] = ContextVar("memory", default=None)


@cache
def _hash(path: Path, state: FileState) -> str:
    memory = _MEMORY.get()
    if memory and (known := memory.known(path.absolute(), state)):
        return known
    started = time_ns()
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise Damaged(f"{path}: not readable ({error.strerror}); copy it anew, or let yourself read it") from error
    if memory and started - state.changed > SETTLED:
        memory.new[str(path.absolute())] = (state, digest)
    return digest


def _version(file: Path) -> tuple[int, int]:
    try:
        return (facts := file.stat()).st_mtime_ns, facts.st_ino
    except OSError:
        return 0, 0


@lru_cache(maxsize=4)
def _entries(file: Path, changed: int, inode: int) -> Mapping[str, list[int | str]]:
    """What a file of hashes says of paths: size, time, inode and hash; whatever is nothing of this kind is ignored."""
    del changed, inode  # part of the cache's key
    try:
        entries = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return {p: e for p, e in entries.items() if _is_entry(e)} if isinstance(entries, dict) else {}


def _is_entry(entry: object) -> bool:
    return isinstance(entry, list) and [type(part) for part in entry] == [int, int, int, str]
