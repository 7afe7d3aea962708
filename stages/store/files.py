"""Files and folders written whole or not at all, and the version of the stored formats."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

FORMAT = "dwf"
FORMAT_VERSION = 1
"""Version of the stored formats, part of every key and digest: one never reads or overwrites what another wrote."""


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A folder to make and fill; flushed to disk, it takes the place of `path` once the block ends without an error."""
    partial = path.with_name(f"{path.name}.tmp")
    if partial.exists():
        shutil.rmtree(partial)  # what a killed writer left
    yield partial
    flush(partial)
    if path.exists():
        shutil.rmtree(path)
    os.rename(partial, path)
    flush_one(path.parent)


def flush(folder: Path) -> None:
    """Ask the system to write every file below `folder`, and the folders themselves, to disk."""
    for parent, _, files in os.walk(folder):
        for name in files:
            flush_one(Path(parent, name))
        flush_one(Path(parent))


def flush_one(path: Path) -> None:
    """Ask the system to write one file, or a folder's list of names, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to; flushed to disk, the file there takes the place of `path` if the block ends without an error.

    A name that reaches the disk before what the file holds would leave it empty or torn after a power cut.
    """
    partial = path.with_name(f"{path.name}.tmp")
    yield partial
    flush_one(partial)
    os.replace(partial, path)
    flush_one(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write a value whole or not at all. Raises ValueError on NaN and infinity, which JSON doesn't have."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=1, allow_nan=False))


def size_on_disk(path: Path) -> int:
    """The bytes of a file, or of all files below a folder; of what isn't there, or goes meanwhile, none."""
    below = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    total = 0
    for file in below if path.is_dir() else [path]:
        with suppress(FileNotFoundError, NotADirectoryError):
            total += file.lstat().st_size
    return total
