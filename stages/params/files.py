"""Files that a configuration names by a pattern: found in an order that people expect, and told apart by content."""

import glob
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from stages.errors import UsageError


def matching(pattern: str) -> list[Path]:
    """The files that a shell pattern means, `run2` before `run10`; `**` spans folders, `~` is the home folder.

    Raises UsageError saying where it looked if there are none.
    """
    where = str(Path(pattern).expanduser().absolute())
    found = [Path(name) for name in glob.glob(where, recursive=True) if Path(name).is_file()]  # noqa: PTH207 - absolute
    if not found:
        hint = f"; it is a folder: write {pattern.rstrip('/')}/*.safetensors" if Path(where).is_dir() else ""
        raise UsageError(f"{pattern}: no such files (looked for {where}){hint}")
    return sorted(found, key=_naturally)


def _naturally(path: Path) -> list[tuple[int, str]]:
    """Digits count as numbers: `run2` comes before `run10`."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if i % 2 else (-1, part) for i, part in enumerate(parts)]


def names(pattern: str, paths: Iterable[Path]) -> list[str]:
    """Each file's name below the pattern's fixed folder, so that a moved folder keeps its files' names."""
    parts = Path(pattern).expanduser().absolute().parts
    fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return [path.relative_to(Path(*parts[:fixed])).as_posix() for path in paths]


def content_of(path: Path) -> str:
    """16 hex digits of a file's SHA-256, computed anew only when its size or time of change does."""
    facts = path.stat()
    return _content_of(path, facts.st_size, facts.st_mtime_ns)


@cache
def _content_of(path: Path, size: int, changed: int) -> str:
    del size, changed  # they are part of what is remembered
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
