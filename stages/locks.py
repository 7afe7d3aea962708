"""Locks of a store, all in one folder: the operating system's, which die with their process."""

from pathlib import Path

from filelock import FileLock, Timeout

LOCKS = ".locks"
"""Folder below a store's root. Whoever deletes the file of a lock holds the lock.

Others that waited for it then get the lock of a file without a name, while the next to come makes a new file: two would
hold what each takes for the same lock. `filelock` looks, once it has a lock, whether the file is still there, and
otherwise begins again.
"""


def lock(root: Path, *names: str) -> FileLock:
    """The lock of what has these names in a store, not acquired yet. Raises OSError where its file can't be made."""
    (root / LOCKS).mkdir(parents=True, exist_ok=True)
    return FileLock(root / LOCKS / ".".join((*names, "lock")))


def files(root: Path, *names: str) -> list[Path]:
    """The files of a store's locks whose names begin with these, held or not."""
    return sorted((root / LOCKS).glob(".".join((*names, "*lock"))))


def acquired(file: Path) -> FileLock | None:
    """A lock by its file, acquired; None if somebody holds it."""
    try:
        (held := FileLock(file)).acquire(timeout=0)
    except Timeout:
        return None
    return held


def drop(held: FileLock) -> None:
    """Release a lock, and leave no file of it."""
    Path(held.lock_file).unlink(missing_ok=True)
    held.release()
