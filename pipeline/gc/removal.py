"""Removal from a store that others use at the same time.

A run makes itself known under a lock before it looks for artifacts. Under the same lock it is decided here what goes,
and that is taken out of sight by a rename: what a run has found stays. Only then is it deleted.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

from filelock import FileLock

from pipeline.gc.garbage import Garbage
from pipeline.gc.leftovers import TRASH, Leftover, store_folders
from pipeline.gc.reached import recent, with_upstream
from pipeline.run_records import CLEANING, RUNS
from stages.locks import acquired, drop, files, lock
from stages.store.files import flush_one


def remove(root: Path, garbage: Garbage, keep_runs: int) -> list[Leftover]:
    """Remove garbage, records older than the last runs', and locks that nobody holds.

    Returns what is gone: not what runs need that have begun meanwhile, nor what a process holds.
    """
    gone: list[Leftover] = []
    trash: list[Path] = []
    with lock(root, CLEANING):
        known, old = recent(root, keep_runs)
        begun = with_upstream(root, {item for record in known for item in record.keys}) - garbage.kept
        for leftover in garbage.leftovers:
            with _held(root, leftover) as is_mine:
                if is_mine and (leftover.stage, leftover.key) not in begun and leftover.path.exists():
                    trash.append(_out_of_sight(leftover.path))
                    gone.append(leftover)
        for record in old:
            (root / RUNS / f"{record.name}.json").unlink(missing_ok=True)
        for held in unused_locks(root):
            drop(held)
    for path in trash:
        _delete(path)
    return gone


@contextmanager
def _held(root: Path, leftover: Leftover) -> Iterator[bool]:
    """Hold the locks of a leftover; False if another process has one of them."""
    names = (leftover.stage, leftover.key) if leftover.key else (leftover.stage, "latest")
    own = lock(root, *names) if leftover.stage else lock(root, "hashes")
    with ExitStack() as stack:
        for file in {Path(own.lock_file), *(files(root, *names) if leftover.key else ())}:  # of its shards, too
            if (held := acquired(file)) is None:
                yield False
                return
            stack.callback(drop, held)
        yield True


def _out_of_sight(path: Path) -> Path:
    """Where something lies until it is deleted; it won't be back under its name, even if the power fails."""
    if path.suffix == TRASH:
        return path
    moved = path.rename(path.with_name(f"{path.name}.{uuid4().hex}{TRASH}"))
    flush_one(path.parent)
    return moved


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def unused_locks(root: Path) -> Iterator[FileLock]:
    """Locks that nobody held, acquired; release 0.1 kept them beside artifacts."""
    beside = (file for folder in (root, *store_folders(root)) for file in sorted(folder.glob("*.lock")))
    cleaning = Path(lock(root, CLEANING).lock_file)
    for file in (*files(root), *beside):
        if file != cleaning and (held := acquired(file)):
            yield held
