"""Files and folders of a user's data: hashes of what they hold, and where they lie now."""

import os
from collections.abc import Iterator
from pathlib import Path

from stages.content_hashes import file_hash, folder_hash, last_seen
from stages.errors import DataMissing, UsageError


def content_of_data(path: str, where: str) -> str:
    """A hash of a file, or of all files in a folder but hidden ones.

    Raises UsageError that begins with `where`, the configuration's key, if there is none.
    """
    absolute = Path(path).expanduser().absolute()
    if absolute.is_file():
        return file_hash(absolute)
    if not absolute.is_dir():
        raise UsageError(f"{where}: {path}: no such file or folder (looked for {absolute})")
    return folder_hash(absolute, _files_below(absolute))


def in_place(path: str, content: str, name: str) -> str:
    """Where a file or folder of this content is: at the path, or where it was seen last in this process.

    Raises DataMissing saying what is at the path instead.
    """
    known, seen = Path(path), last_seen(content)
    for candidate in (known, seen):
        if candidate is not None and candidate.exists() and content_of_data(str(candidate), name) == content:
            return str(candidate)
    found = f"has changed since (content {content}, now {content_of_data(path, name)})" if known.exists() else "is gone"
    raise DataMissing(
        f"{name}: {path}, which the zoo was made with, {found}; put it back as it was, or run the dag from the zoo on"
    )


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in files if not name.startswith("."))
