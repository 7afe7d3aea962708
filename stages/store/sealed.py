"""Files of finished artifacts, compared with the manifest as they are read: nothing is built on damage."""

import hashlib
import json
import mmap
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from stages.errors import Damaged
from stages.store.manifest import MANIFEST, FileFacts, Manifest, is_manifest, parse_manifest

LARGE = 2**20
"""Bytes from which on a file is compared by its CRC-32: sha256 takes 0.8 s per GB, more than some stages read it in."""
DEPTH = 8
"""Folders between a file and its artifact, at most."""


@dataclass(frozen=True)
class Sealed:
    """A finished artifact and what its manifest says of its files."""

    folder: Path
    manifest: Manifest

    def name(self, path: Path) -> str:
        """A file's name in the manifest."""
        return path.relative_to(self.folder).as_posix()

    def check(self, path: Path, data: Any) -> None:
        """Raise Damaged unless the file is in the manifest and `data`, a buffer, is what was written."""
        expected = self.manifest.files.get(self.name(path))
        if expected is None:
            raise Damaged(f"{path}: isn't in the manifest; {self.next_step}")
        if len(data) != expected.size:
            raise Damaged(f"{path}: {len(data)} bytes, expected {expected.size}; {self.next_step}")
        if not _as_written(data, expected):
            raise Damaged(f"{path}: changed since it was written; {self.next_step}")

    def compare(self, path: Path) -> None:
        """Raise Damaged unless the file is as it was written; it isn't held in memory."""
        try:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                self.check(path, data)
        except FileNotFoundError:
            raise self.missing(path) from None
        except ValueError:  # an empty file can't be mapped
            self.check(path, b"")

    def missing(self, path: Path) -> Damaged:
        """The error about a file that isn't there."""
        return Damaged(f"{path}: missing; {self.next_step}")

    @property
    def next_step(self) -> str:
        """How a message about damage ends."""
        return f"`dwf repair {self.manifest.key}` makes it anew"


def _as_written(data: Any, expected: FileFacts) -> bool:
    if expected.size >= LARGE and expected.crc32 is not None:
        return zlib.crc32(data) == expected.crc32
    return hashlib.sha256(data).hexdigest() == expected.sha256


def sealed(path: Path) -> Sealed | None:
    """The finished artifact that holds a file or a store; None if none does, as while a stage builds one.

    Raises NotComplete if the artifact's manifest isn't as it was written.
    """
    for folder in list(path.absolute().parents)[:DEPTH]:
        try:
            facts = (folder / MANIFEST).stat()
        except OSError:
            continue
        return _read(folder, facts.st_mtime_ns, facts.st_size)
    return None


@lru_cache(maxsize=64)
def _read(folder: Path, modified: int, size: int) -> Sealed | None:
    """`modified` and `size` make a manifest that was replaced another one."""
    del modified, size
    text = (folder / MANIFEST).read_bytes()
    return Sealed(folder, parse_manifest(folder, text)) if is_manifest(text) else None


def read_sealed(path: Path) -> bytes:
    """A file's bytes. Raises Damaged if they aren't what the manifest of its artifact, if any, says, or OSError."""
    artifact = sealed(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        if artifact and artifact.name(path) in artifact.manifest.files:
            raise artifact.missing(path) from None
        raise
    if artifact:
        artifact.check(path, data)
    return data


def read_json(path: Path) -> Any:
    """The value in a JSON file. Raises Damaged naming the file if it isn't one, or not as it was written."""
    try:
        return json.loads(read_sealed(path))
    except (OSError, ValueError) as error:
        raise Damaged(f"{path}: not readable as JSON ({error}); run the stage that writes it again") from error
