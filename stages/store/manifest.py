"""The manifest of an artifact: how it came to be, and what each of its files holds; written last, and sealed."""

import hashlib
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from stages.errors import NotComplete
from stages.store.files import FORMAT_VERSION

MANIFEST = "manifest.json"
BLOCK = 2**20
"""Bytes of a file that are hashed at once."""


class FileFacts(BaseModel):
    """What is expected of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    size: int
    sha256: str
    crc32: int | None = None
    """For readers of large files, who can't wait for sha256; earlier releases didn't write it."""


class Manifest(BaseModel):
    """Everything about how an artifact came to be; its presence makes the artifact complete."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format_version: int
    key_format: int = 1
    """Which rules made the key; release 0.1 didn't say, its keys are of format 1."""
    stage: str
    key: str
    experiment: str
    params: dict[str, Any]
    upstream: dict[str, str]
    upstream_digests: dict[str, str] = {}
    """Digests of what it was made from, by the same names; earlier releases didn't write them."""
    code: dict[str, str]
    versions: dict[str, str]
    created: str
    seconds: float
    device: str
    threads: int
    peak_memory_mb: float
    summary: dict[str, Any]
    digest: str
    files: dict[str, FileFacts]
    seal: str
    """Hash of all the rest, so that a flipped bit among the parameters doesn't pass for what was run."""


def seal_of(fields: Mapping[str, Any]) -> str:
    """The seal of a manifest, from its fields as JSON has them."""
    text = json.dumps({name: value for name, value in fields.items() if name != "seal"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def read_manifest(path: Path) -> Manifest:
    """The manifest of the artifact at `path`.

    Raises NotComplete when there is none, one of another format version, or one that isn't as it was written.
    """
    try:
        text = (path / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotComplete(f"{path}: no finished artifact here (no {MANIFEST}); run the stage that writes it") from error
    except OSError as error:  # a folder of that name, a looping link, a failing disk
        raise NotComplete(f"{path / MANIFEST}: not readable ({error.strerror}); `dwf repair {path.name}`") from error
    return parse_manifest(path, text)


def parse_manifest(path: Path, text: bytes) -> Manifest:
    """The manifest in the file of the artifact at `path`. Raises as `read_manifest`."""
    file, again = path / MANIFEST, f"`dwf repair {path.name}` makes the artifact anew"
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotComplete(f"{file}: not readable ({error}); {again}") from error
    version = fields.get("format_version") if isinstance(fields, dict) else None
    if version != FORMAT_VERSION:
        raise NotComplete(f"{path}: found format version {version!r:.40}, expected {FORMAT_VERSION}; {again}")
    if seal_of(fields) != fields.get("seal"):
        raise NotComplete(f"{file}: changed since it was written; {again}")
    try:
        return Manifest.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise NotComplete(
            f"{file}: {where}: {first['msg'].lower()}; another release of dwf wrote it; {again}"
        ) from error


def is_manifest(text: bytes) -> bool:
    """Whether a file of this name, whole or damaged, is an artifact's and not another program's."""
    return b'"format_version"' in text or b'"seal"' in text


def facts_of(path: Path) -> FileFacts:
    """A file's size and checksums."""
    size, sha256, crc32 = 0, hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            size += len(block)
            sha256.update(block)
            crc32 = zlib.crc32(block, crc32)
    return FileFacts(size=size, sha256=sha256.hexdigest(), crc32=crc32)
