"""Files that a configuration names by a shell pattern: natural order, names and content hashes."""

import glob
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from stages.errors import UsageError


def matching(pattern: str) -> list[Path]:
    """The files that match a shell pattern, in natural order; `**` spans folders, `~` is the home folder.

    Raises UsageError naming the pattern and its absolute form if there are none.
    """
    absolute = str(Path(pattern).expanduser().absolute())
    paths = [Path(name) for name in glob.glob(absolute, recursive=True) if Path(name).is_file()]  # noqa: PTH207
    if not paths:
        hint = f"; it is a folder: write {pattern.rstrip('/')}/*.safetensors" if Path(absolute).is_dir() else ""
        raise UsageError(f"{pattern}: no such files (looked for {absolute}){hint}")
    return sorted(paths, key=_natural_order)


def _natural_order(path: Path) -> list[tuple[int, str]]:
    """Digits count as numbers: `run2` comes before `run10`."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if i % 2 else (-1, part) for i, part in enumerate(parts)]


def names(pattern: str, paths: Iterable[Path]) -> list[str]:
    """Each file's name below the pattern's fixed folder, so that a moved folder keeps its files' names."""
    parts = Path(pattern).expanduser().absolute().parts
    fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return [path.relative_to(Path(*parts[:fixed])).as_posix() for path in paths]


def content_of(path: Path) -> str:
    """The first 16 hex digits of a file's SHA-256, computed again only if its size or modification time changes."""
    facts = path.stat()
    return _content_of(path, facts.st_size, facts.st_mtime_ns)


@cache
def _content_of(path: Path, size: int, changed: int) -> str:
    del size, changed  # part of the cache's key
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
