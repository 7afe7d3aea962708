"""Locks of a store, all in one folder: the operating system's, which die with their process."""

from pathlib import Path

from filelock import FileLock

LOCKS = ".locks"
"""Folder below a store's root. A lock's file is only ever deleted by a process that holds the lock.

Another one that waited for it then has the lock of a file that has no name any more, which lets in whoever makes the
file anew; `filelock` looks for that and begins again.
"""


def lock(root: Path, *names: str) -> FileLock:
    """The lock of what has these names in a store, not yet acquired. Raises OSError where its file can't be made."""
    (root / LOCKS).mkdir(parents=True, exist_ok=True)
    return FileLock(root / LOCKS / ".".join((*names, "lock")))


def drop(held: FileLock) -> None:
    """Release a lock, and leave no file of it."""
    Path(held.lock_file).unlink(missing_ok=True)
    held.release()
