"""The checkpoints that a shell pattern means: their files, names, sizes, and hashes of what they hold."""

import glob
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from stages.content_hashes import file_hash, state_of
from stages.errors import Damaged, UsageError, shown

INDEX = "*.index*.json"
"""Name of the index that Hugging Face's libraries write beside the shards of a large checkpoint."""
MAX_INDEX = 2**26
"""Bytes of such an index that are read; one of half a million tensors has fewer."""
SHARD = re.compile(r"-\d+-of-\d+\.")
"""What the names of such shards have in common."""


def matching(pattern: str) -> list[Path]:
    """The checkpoints that match a shell pattern, in natural order; `**` spans folders, `~` is the home folder.

    A part of the pattern that exists as it is written is taken literally, so `lr=[1e-4]/*.pt` finds that folder.
    Shards of one checkpoint count once, by their index. Raises UsageError naming the pattern and its absolute form if
    there are none.
    """
    try:
        absolute = Path(pattern).expanduser().absolute()
        files = {path for path in _below(Path(absolute.anchor), absolute.parts[1:]) if path.is_file()}
    except (OSError, RuntimeError, ValueError) as error:  # a name that no file can have, ~nobody, NUL
        raise UsageError(f"{pattern}: {getattr(error, 'strerror', None) or error}; expected a shell pattern") from error
    if not files:
        hint = f"; it is a folder: write {pattern.rstrip('/')}/*.safetensors" if absolute.is_dir() else ""
        raise UsageError(f"{pattern}: no such files (looked for {absolute}){hint}")
    return sorted(_shards_as_one(files), key=natural_order)


def _below(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    """What the parts of a pattern mean below a folder."""
    if not parts:
        yield folder
    elif (folder / parts[0]).exists():
        yield from _below(folder / parts[0], parts[1:])
    else:
        if parts[0] == "**":
            yield from _below(folder, parts[1:])
        for name in glob.glob(parts[0], root_dir=folder, recursive=True):  # noqa: PTH207 - `**` means files, too
            yield from _below(folder / name, parts[1:])


def natural_order(path: Path) -> list[tuple[int, str]]:
    """Digits count as numbers: `run2` comes before `run10`."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if i % 2 else (-1, part) for i, part in enumerate(parts)]


def names(pattern: str, paths: Iterable[Path]) -> list[str]:
    """Each file's name below the pattern's fixed folder, so that a moved folder keeps its files' names."""
    fixed, *parts = Path(pattern).expanduser().absolute().parts
    folder = Path(fixed)
    for part in parts[:-1]:
        if glob.has_magic(part) and not (folder / part).exists():
            break
        folder /= part
    return [path.relative_to(folder).as_posix() for path in paths]


def is_named(name: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern means this name: all of it or its last part, literally or with `*`, `?` and `[...]`."""
    both = (name, PurePosixPath(name).name)
    return any(part == pattern or fnmatchcase(part, pattern) for pattern in patterns for part in both)


def _shards_as_one(paths: Iterable[Path]) -> set[Path]:
    """The paths, with an index in the place of the shards that it lists."""
    paths = set(paths)
    folders = {path.parent for path in paths if SHARD.search(path.name)}
    indices = [index for folder in folders for index in folder.glob(INDEX)]
    owner = {shard: index for index in indices for shard in shards_of(index)}
    return {owner.get(path, path) for path in paths}


def shards_of(index: Path) -> list[Path]:
    """The files that an index lists, in order.

    Raises Damaged if it isn't one, UsageError if they lie elsewhere or are folders, devices or indices themselves.
    """
    try:
        with index.open("rb") as file:
            listed = json.loads(file.read(MAX_INDEX))["weight_map"].values()
        names = sorted({Path(name) for name in listed})
        elsewhere = [path for path in names if path.name != str(path) or path.match(INDEX) or _no_file(index, path)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(
            f"{index}: not an index of shards ({type(error).__name__}: {error}); expected a weight_map"
        ) from error
    if elsewhere:
        raise UsageError(f"{index}: lists {shown(str(elsewhere[0]))}, expected names of files beside it")
    return [index.parent / path for path in names]


def _no_file(index: Path, name: Path) -> bool:
    """Whether something else lies there, a folder, a pipe or a device; one that isn't there yet counts as a file."""
    path = index.parent / name
    return "\0" in name.name or (path.exists() and not path.is_file())


def files_of(path: Path) -> list[Path]:
    """All files of a checkpoint: itself, and its shards if it is an index."""
    return [path, *(shards_of(path) if path.match(INDEX) else [])]


def size_of(path: Path) -> int:
    """Bytes of a checkpoint's files. Raises Damaged naming a shard that isn't there."""
    return sum(state_of(file).size for file in files_of(path))


def content_of(path: Path) -> str:
    """The first 16 hex digits of the SHA-256 of a checkpoint, of its shards together if it has some.

    Raises Damaged naming a shard that isn't there.
    """
    hashes = [file_hash(file) for file in files_of(path)]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()[:16]
